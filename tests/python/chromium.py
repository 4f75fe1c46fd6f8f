"""Chromium without a window, driven through its debugging pipe: pages as a phone and a desktop show them."""
import base64
import json
import os
import select
import shutil
import subprocess
import time

PROGRAM = shutil.which("chromium")
MISSING = "chromium is not installed (./dev test installs the Debian package)"
SECONDS = 120


class Chromium:
    """One browser with one page. No name is resolved, and every request of the page is noted."""

    def __init__(self, profile):
        ours, theirs = os.pipe(), os.pipe()

        def give_pipe():
            # Chromium reads commands from 3 and writes to 4; first out of the way of what may lie there.
            read, write = os.dup(ours[0]), os.dup(theirs[1])
            os.dup2(read, 3)
            os.dup2(write, 4)

        # Containers, and root, have no sandbox to give; what is shown is made by the tests themselves.
        self.browser = subprocess.Popen(
            [PROGRAM, "--headless=new", "--remote-debugging-pipe", "--no-sandbox", "--disable-gpu",
             "--disable-dev-shm-usage", "--no-first-run", "--disable-background-networking", "--hide-scrollbars",
             "--host-resolver-rules=MAP * ~NOTFOUND", f"--user-data-dir={profile}", "about:blank"],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, close_fds=False,
            preexec_fn=give_pipe)
        os.close(ours[0])
        os.close(theirs[1])
        self.commands, self.replies = ours[1], theirs[0]
        self.unread, self.next_id, self.events, self.session = b"", 0, [], None
        targets = self.call("Target.getTargets")["targetInfos"]
        page = next(target for target in targets if target["type"] == "page")
        self.session = self.call("Target.attachToTarget", targetId=page["targetId"], flatten=True)["sessionId"]
        for domain in ("Page", "Network", "Log", "Runtime"):
            self.call(f"{domain}.enable")

    def close(self):
        os.close(self.commands)
        os.close(self.replies)
        self.browser.kill()
        self.browser.wait()

    def message(self):
        deadline = time.monotonic() + SECONDS
        while b"\0" not in self.unread:
            left = deadline - time.monotonic()
            assert left > 0 and select.select([self.replies], [], [], left)[0], "chromium does not answer"
            read = os.read(self.replies, 1 << 20)
            assert read, "chromium has ended"
            self.unread += read
        text, _, self.unread = self.unread.partition(b"\0")
        return json.loads(text)

    def call(self, method, **params):
        self.next_id += 1
        command = {"id": self.next_id, "method": method, "params": params}
        if self.session:
            command["sessionId"] = self.session
        os.write(self.commands, json.dumps(command).encode() + b"\0")
        while True:
            message = self.message()
            if message.get("id") == self.next_id:
                assert "error" not in message, message
                return message["result"]
            self.events.append(message)

    def open(self, path, width, scheme):
        """Shows a file, `width` pixels wide, light or dark."""
        self.call("Emulation.setDeviceMetricsOverride", width=width, height=844, deviceScaleFactor=1, mobile=width < 600)
        self.call("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])
        self.events.clear()
        self.call("Page.navigate", url=path.as_uri())
        while not any(event.get("method") == "Page.loadEventFired" for event in self.events):
            self.events.append(self.message())

    def requests(self):
        """What the page has asked for since it was opened."""
        return [event["params"]["request"]["url"] for event in self.events
                if event.get("method") == "Network.requestWillBeSent"]

    def complaints(self):
        """What the browser has logged since: refused by the policy, errors of scripts."""
        return [event["params"] for event in self.events
                if event.get("method") in ("Log.entryAdded", "Runtime.exceptionThrown", "Runtime.consoleAPICalled")]

    def evaluate(self, expression):
        result = self.call("Runtime.evaluate", expression=expression, returnByValue=True)
        assert "exceptionDetails" not in result, result
        return result["result"].get("value")

    def screenshot(self):
        """The whole page as PNG."""
        return base64.b64decode(self.call("Page.captureScreenshot", format="png", captureBeyondViewport=True)["data"])
