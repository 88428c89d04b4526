"""A real browser without a window, driven through its own protocol: open pages, act, look.

Chromium is a process with a profile of its own, which asks nothing of other hosts, and this speaks
its debugging protocol over one websocket.  What a page holds is what a person would read there:
its visible text.
"""

import base64
import contextlib
import json
import shutil
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from websockets.sync.client import ClientConnection, connect

COMMAND = (
    "chromium", "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
    "--disable-dev-shm-usage", "--hide-scrollbars", "--remote-debugging-port=0", "about:blank",
)  # fmt: skip
POLL_SECONDS = 0.2
START_SECONDS = 60.0
MOVED = -32000  # what the protocol says of a page that is left
LOCAL = ("http://127.0.0.1", "ws://127.0.0.1", "data:", "blob:", "about:", "chrome")


class PageError(AssertionError):
    """A page did not show what was waited for, or a script on it failed."""


class MovedError(PageError):
    """The page was left while it was asked something."""


class Page:
    """The one page of a browser."""

    def __init__(self, socket: ClientConnection) -> None:
        self._socket = socket
        self._sent = 0
        self.foreign: set[str] = set()  # addresses of other hosts that were asked for
        for domain in ("Page", "Network", "Runtime"):
            self._send(f"{domain}.enable")
        self.resize(1400, 1000)

    def resize(self, width: int, height: int) -> None:
        """Make the window as large as this, in pixels."""
        self._send(
            "Emulation.setDeviceMetricsOverride",
            {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False},
        )

    def open(self, url: str) -> None:
        """Go to an address."""
        self._send("Page.navigate", {"url": url})

    def evaluate(self, script: str) -> Any:
        """Return what an expression gives on the page; promises are waited for.

        Raises:
            PageError: The script failed.
        """
        told = self._send(
            "Runtime.evaluate",
            {"expression": script, "awaitPromise": True, "returnByValue": True},
        )
        if "exceptionDetails" in told:
            raise PageError(f"{script}: {json.dumps(told['exceptionDetails'])[:500]}")
        return told["result"].get("value")

    def text(self) -> str:
        """Return what a person can read on the page."""
        return str(self.evaluate("document.body ? document.body.innerText : ''"))

    def wait(self, script: str, *, seconds: float = 60.0, what: str = "") -> Any:
        """Wait until an expression is true on the page, and return it.

        Raises:
            PageError: It has not become true; the message says what the page shows instead.
        """
        deadline = time.monotonic() + seconds
        while not (found := self._asked(script)):
            if time.monotonic() > deadline:
                raise PageError(
                    f"{what or script}: not in {seconds:.0f} s. The page shows:\n{self.text()}"
                )
            time.sleep(POLL_SECONDS)
        return found

    def _asked(self, script: str) -> Any:
        """Return what an expression gives; nothing while the page is on its way to another."""
        with contextlib.suppress(MovedError):
            return self.evaluate(script)
        return None

    def wait_for_text(self, words: str, *, seconds: float = 60.0) -> None:
        """Wait until the page shows these words."""
        self.wait(
            f"(document.body?.innerText ?? '').includes({json.dumps(words)})",
            seconds=seconds,
            what=f"the words {words!r}",
        )

    def click(self, selector: str, words: str = "", *, seconds: float = 30.0) -> None:
        """Click the first element of a CSS selector whose text has these words."""
        found = (
            f"[...document.querySelectorAll({json.dumps(selector)})].find(each => "
            f"each.offsetParent !== null && each.innerText.includes({json.dumps(words)}))"
        )
        self.wait(f"!!{found}", seconds=seconds, what=f"{selector} with {words!r}")
        self.evaluate(f"{found}.click()")

    def type(self, selector: str, words: str) -> None:
        """Replace what stands in an input by these words, as a keyboard would."""
        self.wait(f"!!document.querySelector({json.dumps(selector)})", what=selector)
        self.evaluate(
            f"(() => {{const field = document.querySelector({json.dumps(selector)});"
            "field.focus(); field.select && field.select()})()"
        )
        self._send("Input.insertText", {"text": words})

    def photograph(self, path: Path, clip: tuple[int, int, int, int] | None = None) -> None:
        """Write what the window shows into a PNG; ``clip`` is (x, y, width, height) of it."""
        asked: dict[str, Any] = {"format": "png"}
        if clip is not None:
            asked["clip"] = dict(zip(("x", "y", "width", "height"), clip, strict=True))
            asked["clip"]["scale"] = 1
        path.write_bytes(base64.b64decode(self._send("Page.captureScreenshot", asked)["data"]))

    def _send(self, method: str, params: dict[str, Any] | None = None) -> dict[str, Any]:
        """Send a command, and return its answer; what else the browser tells is noted."""
        self._sent += 1
        self._socket.send(json.dumps({"id": self._sent, "method": method, "params": params or {}}))
        while True:
            told = json.loads(self._socket.recv(timeout=120))
            if told.get("id") == self._sent:
                if "error" in told:
                    kind = MovedError if told["error"].get("code") == MOVED else PageError
                    raise kind(f"{method}: {told['error']}")
                answer: dict[str, Any] = told["result"]
                return answer
            if told.get("method") == "Network.requestWillBeSent":
                url = told["params"]["request"]["url"]
                if not url.startswith(LOCAL):
                    self.foreign.add(url[:200])


@contextlib.contextmanager
def browser(profile: Path) -> Iterator[Page]:
    """Run Chromium with a fresh profile in the folder ``profile``, and yield its page."""
    process = subprocess.Popen(
        [*COMMAND[:-1], f"--user-data-dir={profile}", COMMAND[-1]],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        with connect(_address(profile, process), max_size=None, proxy=None) as socket:
            yield Page(socket)
    finally:
        process.terminate()
        process.wait(30)
        shutil.rmtree(profile, ignore_errors=True)


def _address(profile: Path, process: subprocess.Popen[bytes]) -> str:
    """Return where the browser's page listens, as soon as it does."""
    told = profile / "DevToolsActivePort"
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        with contextlib.suppress(OSError, ValueError, IndexError, StopIteration):
            port = int(told.read_text().splitlines()[0])
            opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
            with opener.open(f"http://127.0.0.1:{port}/json", timeout=5) as answer:
                pages = json.load(answer)
            return str(next(p["webSocketDebuggerUrl"] for p in pages if p["type"] == "page"))
        time.sleep(POLL_SECONDS)
    raise TimeoutError("Chromium did not start.")
