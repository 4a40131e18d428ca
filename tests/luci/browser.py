"""Chromium without a window, over chromedriver's WebDriver protocol; nothing but the standard library."""
import base64
import json
import shutil
import socket
import subprocess
import tempfile
import time
import urllib.error
import urllib.request

FLAGS = [
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-dev-shm-usage",
    "--disable-background-networking", "--disable-component-update", "--disable-sync", "--window-size=1100,1000",
]
# Longer than anything on the page should take, on a busy machine.
SOON = 20


class Browser:
    def __init__(self):
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        self.profile = tempfile.mkdtemp(prefix="usp-agent-luci-chromium-")
        self.driver = subprocess.Popen(["chromedriver", f"--port={port}"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self.base = f"http://127.0.0.1:{port}"
        self.wait(lambda: self.ask("GET", "/status")["ready"], "chromedriver")
        options = {"args": [*FLAGS, f"--user-data-dir={self.profile}"]}
        wanted = {"browserName": "chrome", "goog:chromeOptions": options, "goog:loggingPrefs": {"browser": "ALL"}}
        session = self.ask("POST", "/session", {"capabilities": {"alwaysMatch": wanted}})
        self.base += "/session/" + session["sessionId"]

    def ask(self, method, path, data=None):
        body = None if data is None else json.dumps(data).encode()
        request = urllib.request.Request(self.base + path, body, {"Content-Type": "application/json"}, method=method)
        try:
            with urllib.request.urlopen(request, timeout=60) as reply:
                return json.load(reply)["value"]
        except urllib.error.HTTPError as error:
            raise AssertionError(json.load(error)["value"]["message"]) from None

    def wait(self, condition, what):
        until, why = time.monotonic() + SOON, None
        while time.monotonic() < until:
            try:
                if value := condition():
                    return value
            except (AssertionError, OSError) as error:
                why = error
            time.sleep(0.1)
        raise AssertionError(f"not seen: {what} {why or ''}")

    def open(self, url):
        self.ask("POST", "/url", {"url": url})

    def js(self, script, *args):
        return self.ask("POST", "/execute/sync", {"script": script, "args": list(args)})

    def until(self, expression, *args):
        return self.wait(lambda: self.js(f"return {expression}", *args), f"{expression} {args}\n{self.text()[:3000]}")

    def text(self, selector="body"):
        try:
            return self.js("return document.querySelector(arguments[0])?.innerText", selector) or ""
        except AssertionError as error:
            return str(error)

    def click(self, text, within="body"):
        """The button with this text, once it is there."""
        found = "[...document.querySelectorAll(arguments[0] + ' button')].find(b => b.innerText.trim() === arguments[1] && !b.disabled)"
        self.wait(lambda: self.js(f"const b = {found}; if (b) b.click(); return !!b", within, text),
                  f"a button {text} in {within}\n{self.text()[:3000]}")

    def enter(self, selector, value):
        self.js("""const e = document.querySelector(arguments[0]); e.value = arguments[1];
            for (const kind of ['input', 'keyup', 'change', 'blur']) e.dispatchEvent(new Event(kind, { bubbles: true }));""", selector, value)

    def complaints(self):
        """Errors of scripts so far."""
        return [line["message"] for line in self.ask("POST", "/se/log", {"type": "browser"}) if line["level"] == "SEVERE"]

    def screenshot(self, path, selector):
        (element,) = self.js("return document.querySelector(arguments[0])", selector).values()
        with open(path, "wb") as file:
            file.write(base64.b64decode(self.ask("GET", f"/element/{element}/screenshot")))

    def close(self):
        try:
            self.ask("DELETE", "")
        finally:
            self.driver.terminate()
            self.driver.wait(10)
            shutil.rmtree(self.profile, ignore_errors=True)
