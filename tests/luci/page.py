#!/usr/bin/env python3
"""The LuCI page against the real agent, in Chromium: page.py PROGRAM SIMULATOR.

`LUCI=DIR` takes LuCI's own classes from DIR (htdocs/luci-static/resources of luci-base) instead of the stand-in,
`LUCI_STYLE=FILE` a theme's style sheet; `SCREENSHOT=FILE` writes a picture of the page.
"""
import os
import sys
import time
from pathlib import Path

sys.dont_write_bytecode = True
sys.path.insert(0, str(Path(__file__).resolve().parent))

from browser import Browser  # noqa: E402
from router import HERE, Router  # noqa: E402

CONFIG = """config localagent 'agent'
	option log_level 'debug'

config controller 'acs'
	option url '{url}'
	option EndpointID '{controller}'
	option AllowUnencrypted '1'
	list role 'full'

config controller 'branch'
	option url 'mqtts://router:SecretOfUrl@127.0.0.1:1'
	option EndpointID 'self::branch'
	option Password 'SecretOfOption'
	list role 'readonly'

config controller 'newcomer'
	option url 'ws://127.0.0.1:2/usp'
	option EndpointID 'self::newcomer'

config subscription 'codes'
	option controller 'acs'
	option ID 'codes'
	option NotifType 'ValueChange'
	option Persistent '1'
	list ReferenceList 'Device.DeviceInfo.ProvisioningCode'
"""
# What anybody may write into a value is shown as it is.
MARKUP = "<i>code</i>"
SECRETS = ["SecretOfUrl", "SecretOfOption"]


def field(option, section="branch"):
    return f'[id="widget.cbid.usp-agent.{section}.{option}"]'


def row(section):
    return f'tr[data-controller="{section}"]'


class Page:
    def __init__(self, router, browser):
        self.router, self.browser = router, browser
        self.passed = 0

    def check(self, holds, what):
        assert holds, f"{what}\n--- the page ---\n{self.browser.text()}\n--- the configuration ---\n{self.config()}"
        self.passed += 1

    def config(self):
        return (self.router.uci.folder / "usp-agent").read_text()

    def until(self, condition, what):
        self.browser.wait(condition, f"{what}\n--- the page ---\n{self.browser.text()}\n--- the configuration ---\n{self.config()}")
        self.passed += 1

    def shows(self, selector, text):
        self.until(lambda: text in self.browser.text(selector), f"`{text}` in {selector}")

    def no_secret(self):
        whole = self.browser.js("""return document.documentElement.outerHTML +
            [...document.querySelectorAll('input, textarea')].map(e => e.value).join('\\n')""")
        for secret in SECRETS:
            self.check(secret not in whole, f"{secret} is in the page")

    def states(self):
        self.browser.open(self.router.url)
        try:
            self.until(lambda: self.browser.js("return document.querySelector(arguments[0])?.dataset.state", row("acs")) == "connected", "acs is connected")
        except AssertionError as error:
            raise AssertionError(f"{error}\n--- the console ---\n{self.browser.complaints()}") from None
        self.shows(row("acs"), self.router.told["url"])
        self.until(lambda: self.browser.js("return document.querySelector(arguments[0])?.dataset.state", row("branch")) == "waiting", "branch waits")
        self.shows(row("branch"), "refused")
        self.shows(row("branch"), "next try in")
        self.shows(row("newcomer"), "no role")
        warned = "return [...document.querySelectorAll('[data-warning]')].map(e => e.dataset.warning)"
        self.check(self.browser.js(warned) == ["acs"], "acs, and nobody else, is warned of")
        self.no_secret()

    def edit(self):
        self.browser.click("Edit", '[data-sid="branch"]')
        self.until(lambda: self.browser.js("return document.querySelector(arguments[0])?.value", ".modal " + field("url")) ==
                   "mqtts://router:***@127.0.0.1:1", "the address without its password")
        self.no_secret()
        self.browser.enter(".modal " + field("url"), "nonsense")
        self.browser.click("Save", ".modal")
        time.sleep(0.5)
        self.check(self.browser.js("return !!document.querySelector('.modal ' + arguments[0])", field("url")), "nonsense is no address")
        self.browser.enter(".modal " + field("url"), "mqtts://router:***@127.0.0.1:3")
        self.browser.click("Save", ".modal")
        self.until(lambda: not self.browser.js("return document.body.classList.contains('modal-overlay-active')"), "the dialogue is closed")
        self.check("127.0.0.1:3'" not in self.config(), "nothing is written before it is applied")
        # A button with choices in LuCI, its first one chosen.
        self.browser.js("document.querySelector('.cbi-page-actions').querySelector('li[data-value=\"0\"], .cbi-button-apply').click()")
        self.until(lambda: "option url 'mqtts://router:SecretOfUrl@127.0.0.1:3'" in self.config(), "the new address with the old password")
        self.check("option Password 'SecretOfOption'" in self.config(), "the password nobody entered stays")
        self.shows(row("branch"), "mqtts://127.0.0.1:3")
        self.no_secret()

    def approve(self):
        self.browser.click("Approve…", row("newcomer"))
        self.browser.until("document.querySelector('#usp-agent-role')?.options.length >= 2")
        self.browser.click("Approve", ".modal")
        self.shows(row("newcomer"), "readonly")
        self.check("list role 'readonly'" in self.config().split("'newcomer'")[1], "the role is in the configuration")
        self.until(lambda: "readonly" in self.browser.text('[data-sid="newcomer"]'), "the form shows the role")

    def trial(self):
        if "usp-agent" in self.browser.text("#usp-agent-trial"):
            self.browser.click("Keep the change")
            self.until(lambda: not self.browser.text("#usp-agent-trial"), "the role is kept")
        lease = "Device.DHCPv4.Server.Pool.1.LeaseTime="
        dhcp = self.router.uci.folder / "dhcp"
        before = dhcp.read_text()
        for seconds, button, method in (("7200", "Undo the change", "revert"), ("3600", "Keep the change", "confirm")):
            self.router.asked.clear()
            assert self.router.run("set", lease + seconds).returncode == 0
            changed = dhcp.read_text()
            self.shows("#usp-agent-trial", "A change of dhcp is on trial")
            self.browser.click(button)
            self.until(lambda: not self.browser.text("#usp-agent-trial"), "nothing is on trial any more")
            self.check(changed != before and dhcp.read_text() == (before if method == "revert" else changed), button)
            # It might have ended by itself.
            self.check(method in self.router.asked, f"{method} is called")

    def test_of_a_controller(self):
        self.browser.click("Test", row("branch"))
        self.browser.until("document.querySelector('#usp-agent-test')?.innerText")
        doctor = self.router.run("doctor", "branch")
        first = (doctor.stdout + doctor.stderr).strip().split("\n")[0]
        self.shows("#usp-agent-test", "Upgrade the package usp-agent" if doctor.returncode == 2 else first)
        self.no_secret()
        self.browser.click("Close", ".modal")

    def messages(self):
        self.browser.click("Watch")
        self.browser.until("document.querySelector('#usp-agent-messages').innerText")
        time.sleep(1)
        assert self.router.run("set", f"Device.DeviceInfo.ProvisioningCode={MARKUP}").returncode == 0
        self.shows("#usp-agent-messages", f"Device.DeviceInfo.ProvisioningCode = {MARKUP}")
        self.browser.click("Stop")

    def without_agent(self):
        self.router.stop_agent()
        self.shows("#usp-agent-state", "The agent does not answer")
        self.check(not self.router.denied, f"refused by the ACL: {self.router.denied}")
        # LuCI looks for some files of its theme; the stand-in has everything.
        errors = [line for line in self.browser.complaints() if not (os.environ.get("LUCI") and "404" in line)]
        self.check(not errors, f"errors of scripts: {errors}")


def main(program, simulator):
    resources = os.environ.get("LUCI") or HERE / "stand-in"
    style = os.environ.get("LUCI_STYLE") or HERE / "stand-in" / "style.css"
    router = Router(program, simulator, resources, style)
    browser = None
    try:
        router.start(CONFIG.format(**router.told))
        browser = Browser()
        page = Page(router, browser)
        page.states()
        if picture := os.environ.get("SCREENSHOT"):
            browser.screenshot(picture, "#maincontent")
        for step in (page.edit, page.approve, page.trial, page.test_of_a_controller, page.messages, page.without_agent):
            step()
            print(f"ok  {step.__name__}", flush=True)
        print(f"the page of LuCI: {page.passed} checks hold")
    finally:
        if browser:
            browser.close()
        router.stop()


if __name__ == "__main__":
    try:
        main(*sys.argv[1:])
    except AssertionError as failed:
        sys.exit(f"FAILED: {failed}")
