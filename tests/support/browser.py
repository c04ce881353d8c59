"""A page in headless Chromium, over the DevTools protocol: what a person would click, type and see."""

from __future__ import annotations

import base64
import itertools
import json
import os
import shutil
import signal
import subprocess
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

from websockets.sync.client import ClientConnection, connect

PATIENCE = 60.0
T = TypeVar("T")
NAMES = ("chromium", "chromium-browser", "google-chrome", "chrome", "headless_shell")
#: Elements by what they say: the innermost visible one that has this text, or this label or placeholder.
_FIND = """
(kind, text) => {
  const shown = each => each.getClientRects().length > 0;
  const says = each => [each.innerText, each.value, each.placeholder, each.title, each.getAttribute('aria-label')]
    .some(word => typeof word === 'string' && word.trim() === text);
  const found = [...document.querySelectorAll(kind)].filter(each => shown(each) && says(each));
  return found.length ? found[found.length - 1] : null;
}
"""


def program() -> str | None:
    return next((found for found in map(shutil.which, NAMES) if found), None)


class Page:
    def __init__(self, socket: ClientConnection) -> None:
        self._socket, self._numbers = socket, itertools.count(1)
        self.errors: list[str] = []
        self.heard = 0  # messages that its sockets got
        for domain in ("Page", "Runtime", "Log", "Network"):
            self._call(f"{domain}.enable")

    def go(self, url: str) -> None:
        self._call("Page.navigate", url=url)
        self.until(lambda: self.js("document.readyState === 'complete'"), f"{url} is loaded")

    def js(self, expression: str) -> Any:
        """The value of an expression; a promise is awaited."""
        found = self._call("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in found, found["exceptionDetails"]
        return found["result"].get("value")

    @property
    def text(self) -> str:
        return str(self.js("document.body.innerText"))

    def until(self, condition: Callable[[], T | None], what: str) -> T:
        deadline = time.monotonic() + PATIENCE
        while not (found := condition()):
            assert time.monotonic() < deadline, f"still not: {what}\n{self.text[:3000]}\n{self.errors}"
            time.sleep(0.05)
        return found

    def says(self, text: str) -> None:
        self.until(lambda: text in self.text, f"the page says {text!r}")

    def click(self, text: str, kind: str = "button, a, [role=tab], [role=button], label, summary") -> None:
        """On the button (or link, tab, label) that says so, as soon as it is there and enabled."""
        find = f"({_FIND})({json.dumps(kind)}, {json.dumps(text)})"
        self.until(lambda: self.js(f"(e => e !== null && !e.disabled)({find})"), f"{text!r} can be clicked")
        self.js(f"{find}.click()")

    def fill(self, selector: str, value: str) -> None:
        """An input, a select or a text area, by CSS, as React hears of it."""
        chosen = json.dumps(selector)
        self.until(lambda: self.js(f"document.querySelector({chosen}) !== null"), f"there is {selector}")
        self.js(
            "((e, value) => { const of = Object.getPrototypeOf(e); "
            "Object.getOwnPropertyDescriptor(of, 'value').set.call(e, value); "
            "for (const kind of ['input', 'change']) e.dispatchEvent(new Event(kind, {bubbles: true})); })"
            f"(document.querySelector({chosen}), {json.dumps(value)})"
        )

    def picture(self, path: Path) -> None:
        path.write_bytes(base64.b64decode(self._call("Page.captureScreenshot", format="png")["data"]))

    def _call(self, method: str, **params: Any) -> dict[str, Any]:
        number = next(self._numbers)
        self._socket.send(json.dumps({"id": number, "method": method, "params": params}))
        while True:
            heard = json.loads(self._socket.recv(PATIENCE))
            if heard.get("id") == number:
                assert "error" not in heard, heard["error"]
                return dict(heard["result"])
            self._note(heard)

    def _note(self, heard: dict[str, Any]) -> None:
        """What the page's own console would show in red; dialogs are agreed to."""
        if heard["method"] == "Page.javascriptDialogOpening":
            body = {
                "id": next(self._numbers),
                "method": "Page.handleJavaScriptDialog",
                "params": {"accept": True},
            }
            self._socket.send(json.dumps(body))
        self.heard += heard["method"] == "Network.webSocketFrameReceived"
        if heard["method"] == "Runtime.exceptionThrown":
            self.errors.append(json.dumps(heard["params"]["exceptionDetails"])[:500])
        if heard["method"] == "Log.entryAdded":
            entry = heard["params"]["entry"]
            # What the browser itself would not do without a person's hand on it is no fault of the page.
            if entry["level"] == "error" and entry["source"] != "intervention":
                self.errors.append(json.dumps(entry)[:500])


@contextmanager
def page(folder: Path, width: int = 1500, height: int = 1400) -> Iterator[Page]:
    """`folder`: for the browser's profile."""
    name = program()
    assert name is not None, "no Chromium was found"
    port = folder / "profile" / "DevToolsActivePort"
    process = subprocess.Popen(
        [
            name, "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run",
            "--remote-debugging-port=0", f"--user-data-dir={folder / 'profile'}", f"--window-size={width},{height}",
            "about:blank",
        ],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )  # fmt: skip
    try:
        deadline = time.monotonic() + PATIENCE
        while not (port.exists() and port.read_text().count("\n") >= 1):
            assert process.poll() is None and time.monotonic() < deadline, "Chromium did not start"
            time.sleep(0.05)
        address = f"http://127.0.0.1:{port.read_text().splitlines()[0]}/json/list"
        tabs: list[Any] = []
        while not tabs:  # it listens before its first tab is there
            assert time.monotonic() < deadline, "Chromium has no page"
            with urllib.request.urlopen(address, timeout=PATIENCE) as answer:
                tabs = [each for each in json.load(answer) if each["type"] == "page"]
        with connect(tabs[0]["webSocketDebuggerUrl"], max_size=64 << 20) as socket:
            yield Page(socket)
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
