"""What LuCI meets on a router, around the real agent: rpcd's uci (with its staging), file and session objects, the agent's
object, all behind the page's own ACL, and the pages themselves.

The agent runs on a simulated router (examples/simulated-router.rs); its object is asked by its own command line.
"""
import fnmatch
import json
import mimetypes
import os
import re
import subprocess
import tempfile
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import urlsplit

HERE = Path(__file__).resolve().parent
TREE = HERE.parent.parent
APP = TREE / "openwrt-package" / "luci-app-usp-agent"
ACL = json.loads((APP / "root/usr/share/rpcd/acl.d/luci-app-usp-agent.json").read_text())["luci-app-usp-agent"]
MENU = json.loads((APP / "root/usr/share/luci/menu.d/luci-app-usp-agent.json").read_text())
VIEW = MENU["admin/services/usp-agent"]["action"]["path"]
PROGRAM = "/usr/sbin/usp-agent"

# Codes of ubus.
INVALID_ARGUMENT, METHOD_NOT_FOUND, NOT_FOUND, PERMISSION_DENIED, TIMEOUT, UNKNOWN = 2, 3, 4, 6, 7, 9
# rpcd gives a program as long.
EXEC_SECONDS = 30

PAGE = """<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><title>USP agent</title>
<link rel="stylesheet" href="/luci-static/style.css"></head>
<body class="lang_en" data-page="admin-services-usp-agent"><header><div class="fill"><div class="container">
<a class="brand" href="#">OpenWrt</a><ul class="nav" id="topmenu"></ul><div id="indicators"></div></div></div></header>
<div id="maincontent" class="container">%s<div id="tabmenu"></div>
%s<script src="/luci-static/resources/luci.js"></script>
<script>L = new LuCI(%s);</script>
<div id="view"><div class="spinning">Loading view</div>
<script>L.require('ui').then(function(ui) { ui.instantiateView('%s'); });</script></div></div></body></html>
"""


class Uci:
    """One folder of packages, and what a session has staged."""

    def __init__(self, folder):
        self.folder = Path(folder)
        self.staged = {}
        self.lock = threading.Lock()

    def stored(self, package):
        """Sections in their order, {name: {".type": ..., option: text or list}}."""
        sections, section = {}, None
        for line in (self.folder / package).read_text().splitlines():
            words = re.findall(r"'((?:[^']|'\\'')*)'|([^\s'#]+)", line.split("#")[0] if line.lstrip().startswith("#") else line)
            words = [(quoted or bare).replace("'\\''", "'") for quoted, bare in words]
            if not words:
                continue
            if words[0] == "config":
                name = words[2] if len(words) > 2 else f"cfg{len(sections):06x}"
                section = sections.setdefault(name, {".type": words[1], ".anonymous": len(words) < 3})
            elif words[0] == "option":
                section[words[1]] = words[2]
            elif words[0] == "list":
                section.setdefault(words[1], []).append(words[2])
        return sections

    def seen(self, package):
        return self.staged.get(package) or self.stored(package)

    def values(self, package):
        return {name: {**section, ".name": name, ".index": at} for at, (name, section) in enumerate(self.seen(package).items())}

    def staging(self, package):
        return self.staged.setdefault(package, self.stored(package))

    def commit(self):
        """Writes what is staged; the packages."""
        written = list(self.staged)
        for package, sections in self.staged.items():
            text = ""
            for name, section in sections.items():
                quoted = "" if section[".anonymous"] else f" '{name}'"
                text += f"config {section['.type']}{quoted}\n"
                for option, value in section.items():
                    if option.startswith("."):
                        continue
                    kind, values = ("list", value) if isinstance(value, list) else ("option", [value])
                    text += "".join("\t{} {} '{}'\n".format(kind, option, one.replace("'", "'\\''")) for one in values)
                text += "\n"
            (self.folder / package).write_text(text)
        self.staged = {}
        return written

    def call(self, method, args):
        with self.lock:
            package = args.get("config")
            if method == "changes":
                return 0, {"changes": {name: [["set"]] for name in self.staged}}
            if not package or not (self.folder / package).exists():
                return NOT_FOUND, None
            if method == "get":
                return 0, {"values": self.values(package)}
            sections = self.staging(package)
            if method == "add":
                sections[args["name"]] = {".type": args["type"], ".anonymous": False, **(args.get("values") or {})}
                return 0, {"section": args["name"]}
            section = sections.get(args.get("section"))
            if method == "order":
                return 0, None
            if section is None:
                return NOT_FOUND, None
            if method == "set":
                section.update(args["values"])
            elif method == "delete" and args.get("options") is not None:
                for option in args["options"]:
                    section.pop(option, None)
            elif method == "delete":
                del sections[args["section"]]
            else:
                return METHOD_NOT_FOUND, None
            return 0, None


class Router:
    """The simulated router, the agent on it, and the web server. `resources` holds LuCI's classes."""

    def __init__(self, program, simulator, resources, style):
        self.program, self.resources, self.style = program, Path(resources), Path(style)
        self.simulator = subprocess.Popen([simulator], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.told = json.loads(self.simulator.stdout.readline())
        self.uci = Uci(self.told["config_dir"])
        self.log = tempfile.NamedTemporaryFile("w+", prefix="usp-agent-luci-", suffix=".log")
        self.agent = None
        # Methods of the agent that were called, and calls that the ACL refused.
        self.asked, self.denied = [], []
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), type("Pages", (Pages,), {"router": self}))
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        self.url = f"http://127.0.0.1:{self.server.server_port}/cgi-bin/luci/admin/services/usp-agent"

    def start(self, config):
        (self.uci.folder / "usp-agent").write_text(config)
        self.agent = subprocess.Popen(
            [self.program, "run", "--ubus", self.told["ubus"], *self.places()], stdout=subprocess.DEVNULL, stderr=self.log)

    def stop_agent(self):
        self.agent.terminate()
        self.agent.wait(10)

    def stop(self):
        self.server.shutdown()
        if self.agent and self.agent.poll() is None:
            self.stop_agent()
        self.simulator.stdin.close()
        self.simulator.wait(10)

    def places(self):
        return ["--config-dir", self.told["config_dir"], "--state-dir", self.told["state_dir"], "--root", self.told["root"]]

    def run(self, *words):
        """A verb of the program, at this router."""
        places = self.places() if words[0] == "doctor" else []
        command = [self.program, *words, "--ubus", self.told["ubus"], *places]
        return subprocess.run(command, capture_output=True, text=True, timeout=EXEC_SECONDS)

    def apply(self):
        """As rpcd's apply: what is written is announced, and the init script reloads the agent."""
        with self.uci.lock:
            written = self.uci.commit()
        if "usp-agent" in written:
            self.run("reload")

    def allowed(self, scope, thing, function):
        for rights in (ACL["read"], ACL["write"]):
            there = rights.get(scope, {})
            if scope == "uci" and thing in there:
                return function == "read" or there is ACL["write"]["uci"]
            if scope != "uci" and any(fnmatch.fnmatchcase(thing, known) and function in does for known, does in there.items()):
                return True
        return False

    def call(self, object_, method, args):
        """A call over ubus: (status, data); status None is a call that the ACL refuses."""
        if object_ == "uci":
            return self.uci.call(method, args)
        if object_ == "file" and method == "exec":
            return self.exec(args["command"], args.get("params") or [])
        if object_ == "usp-agent":
            if not self.allowed("ubus", object_, method):
                self.denied.append(f"{object_} {method}")
                return None, None
            self.asked.append(method)
            return self.ask_agent(method, args)
        if object_ == "luci" and method == "getFeatures":
            return 0, {}
        if object_ == "session":
            return 0, {"access": True}
        return NOT_FOUND, None

    def ask_agent(self, method, args):
        words = [method, "--json"]
        if method == "approve":
            words = ["approve", args["controller"], "--role", args["role"], "--json"]
        ran = self.run(*words)
        if ran.returncode == 5:
            return NOT_FOUND, None
        return (0 if ran.returncode == 0 else UNKNOWN), json.loads(ran.stdout or "{}")

    def exec(self, command, params):
        if not self.allowed("file", " ".join([command, *params]), "exec"):
            self.denied.append(" ".join([command, *params]))
            return PERMISSION_DENIED, None
        if command != PROGRAM:
            return NOT_FOUND, None
        try:
            ran = self.run(*params)
        except subprocess.TimeoutExpired:
            return TIMEOUT, None
        return 0, {"code": ran.returncode, "stdout": ran.stdout, "stderr": ran.stderr}


class Pages(BaseHTTPRequestHandler):
    router = None

    def log_message(self, *_):
        pass

    def send(self, status, body=b"", kind="application/json"):
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self):
        path = urlsplit(self.path).path
        if path.startswith("/luci-static/"):
            return self.file(path)
        env = {
            "resource": "/luci-static/resources", "media": "/luci-static", "scriptname": "/cgi-bin/luci", "ubuspath": "/ubus",
            "sessionid": "0" * 32, "token": "0" * 32, "requestpath": ["admin", "services", "usp-agent"],
            "dispatchpath": ["admin", "services", "usp-agent"], "pathinfo": "/admin/services/usp-agent", "documentroot": "/www",
            "nodespec": {"satisfied": True, "readonly": False}, "pollinterval": 1,
            "apply_rollback": 90, "apply_holdoff": 0.1, "apply_timeout": 5, "apply_display": 0.1,
        }
        # A theme of LuCI includes it, and LuCI makes its own overlay; the stand-in differs.
        is_luci = (self.router.resources / "cbi.js").exists()
        cbi = '<script src="/luci-static/resources/cbi.js"></script>\n' if is_luci else ""
        overlay = "" if is_luci else '<div id="modal_overlay"></div>'
        return self.send(200, (PAGE % (overlay, cbi, json.dumps(env), VIEW)).encode(), "text/html; charset=utf-8")

    def file(self, path):
        name = path.removeprefix("/luci-static/resources/")
        if name == "/luci-static/style.css":
            file = self.router.style
        elif name.startswith("view/usp-agent/"):
            file = APP / "htdocs/luci-static/resources" / name
        else:
            file = self.router.resources / name
        if ".." in path or not file.is_file():
            return self.send(404)
        return self.send(200, file.read_bytes(), mimetypes.guess_type(file.name)[0] or "text/plain")

    def do_POST(self):
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        path = urlsplit(self.path).path
        if path.endswith("/admin/uci/apply_rollback"):
            self.router.apply()
            return self.send(200, b'{"token": "0"}')
        if path.endswith("/admin/uci/confirm"):
            return self.send(204)
        if not path.startswith("/ubus"):
            return self.send(404)
        asked = json.loads(body)
        told = [self.answer(one) for one in asked] if isinstance(asked, list) else self.answer(asked)
        return self.send(200, json.dumps(told).encode())

    def answer(self, asked):
        reply = {"jsonrpc": "2.0", "id": asked.get("id")}
        if asked["method"] != "call":
            return {**reply, "result": {}}
        _, object_, method, args = asked["params"]
        status, data = self.router.call(object_, method, args)
        if status is None:
            return {**reply, "error": {"code": -32002, "message": "Access denied"}}
        return {**reply, "result": [status] if data is None else [status, data]}
