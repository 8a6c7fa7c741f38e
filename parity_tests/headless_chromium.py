"""A headless Chromium that looks at pages: size, colours, what it says in its console, what it asks for.

Speaks W3C WebDriver with chromedriver over HTTP; tests that need it are skipped where it is not installed.
"""

from __future__ import annotations

import base64
import json
import re
import shutil
import subprocess
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

INSTALLED = bool(shutil.which("chromedriver") and shutil.which("chromium"))
# Narrower windows are a phone's, whose scroll bars take no room.
NARROW_PIXELS = 600
FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


class Chromium:
    """One browser window.

    Args:
        session: Address of its WebDriver session.
    """

    def __init__(self, session: str) -> None:
        self.session = session

    def show(self, page: Path, width: int, dark: bool = False, height: int = 900) -> None:
        """Opens a file in a window so many CSS pixels wide, in the light or the dark colours."""
        size = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < NARROW_PIXELS}
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.developer("Emulation.setDeviceMetricsOverride", **size)
        self.developer("Emulation.setEmulatedMedia", features=[scheme])
        request(f"{self.session}/url", {"url": page.resolve().as_uri()})

    def evaluate(self, expression: str) -> Any:
        """The value of a JavaScript expression in the page."""
        return request(f"{self.session}/execute/sync", {"script": f"return {expression}", "args": []})

    def console(self) -> list[str]:
        """What the console has said since it was last asked."""
        return [line["message"] for line in request(f"{self.session}/se/log", {"type": "browser"})]

    def addresses(self) -> list[str]:
        """The addresses asked for since last asked, but for the page's own pictures."""
        events = [
            json.loads(line["message"])["message"]
            for line in request(f"{self.session}/se/log", {"type": "performance"})
        ]
        asked = [
            event["params"]["request"]["url"]
            for event in events
            if event["method"] == "Network.requestWillBeSent"
        ]
        return [address for address in asked if not address.startswith("data:")]

    def picture(self, path: Path) -> None:
        """A PNG of the whole page."""
        shot = self.developer("Page.captureScreenshot", captureBeyondViewport=True)
        path.write_bytes(base64.b64decode(shot["data"]))

    def developer(self, command: str, **parameters: Any) -> Any:
        """A command of the DevTools protocol."""
        return request(f"{self.session}/goog/cdp/execute", {"cmd": command, "params": parameters})


@contextmanager
def chromium(folder: Path) -> Iterator[Chromium]:
    """A window of a new browser with an empty profile.

    Args:
        folder: Empty; holds the profile.
    """
    driver = subprocess.Popen(
        ["chromedriver", "--port=0"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    )
    try:
        assert driver.stdout is not None
        for line in driver.stdout:
            if found := re.search(r"successfully on port (\d+)", line):
                break
        else:
            raise RuntimeError("chromedriver did not start")
        address = f"http://127.0.0.1:{found[1]}/session"
        options = {"args": [*FLAGS, f"--user-data-dir={folder}"], "binary": shutil.which("chromium")}
        wanted = {
            "goog:chromeOptions": options,
            "goog:loggingPrefs": {"browser": "ALL", "performance": "ALL"},
        }
        session = request(address, {"capabilities": {"alwaysMatch": wanted}})["sessionId"]
        browser = Chromium(f"{address}/{session}")
        # Its own first page asks for much.
        request(f"{browser.session}/url", {"url": "about:blank"})
        browser.addresses()
        yield browser
        request(f"{address}/{session}", None, "DELETE")
    finally:
        driver.terminate()
        driver.wait()
        driver.stdout.close()


def request(address: str, body: dict | None, method: str = "POST") -> Any:
    """A WebDriver command's value."""
    data = None if body is None else json.dumps(body).encode()
    asked = urllib.request.Request(address, data, {"Content-Type": "application/json"}, method=method)
    with urllib.request.urlopen(asked, timeout=30) as answer:
        return json.load(answer)["value"]
