"""A program written for ALchemist, and the workers behind the API that it talks to, in threads of this process."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import httpx
from fake_learner import FakeLearner

from services.bootstrap import Context
from services.flow import due, inquire, train
from services.flow.number import number
from services.ports import Learner

REAL = {"name": "temperature", "type": "real", "min": 20.0, "max": 120.0, "unit": "C"}
WHOLE = {"name": "stirring", "type": "integer", "min": 100, "max": 900}
CATEGORY = {"name": "catalyst", "type": "categorical", "categories": ["Pt", "Pd", "Ni"]}
VARIABLES = (REAL, WHOLE, CATEGORY)
POINTS = [
    {"temperature": 30.0 + 10 * place, "stirring": 200 + 50 * place, "catalyst": name}
    for place, name in enumerate(["Pt", "Pd", "Ni", "Pt", "Pd", "Ni"])
]


@contextmanager
def crew(context: Context, learner: Learner | None = None) -> Iterator[Learner]:
    """The janitor and the workers: numbers events, trains and answers inquiries as soon as they are due."""
    does, stop = learner or FakeLearner(), threading.Event()

    def work() -> None:
        while not stop.is_set():
            number(context.store, wait=True)
            for command in due.due(context.store):
                if command.name == "train":
                    train.train(context.store, does, int(command.argument), "crew")
                elif command.name == "inquire":
                    inquire.answer(context.store, does, context.ids.uuid().__class__(str(command.argument)))
            number(context.store, wait=True)
            stop.wait(0.01)

    thread = threading.Thread(target=work, name="crew", daemon=True)
    thread.start()
    try:
        yield does
    finally:
        stop.set()
        thread.join(60)
        assert not thread.is_alive(), "the workers did not stop"


class Program:
    """What its scripts do with `requests`, against /api/v1; fails loudly where an answer is not what is expected."""

    def __init__(self, url: str, agent: str = "program", **options: Any) -> None:
        headers = {"User-Agent": agent}
        self.http = httpx.Client(base_url=f"{url}/api/v1", headers=headers, timeout=90.0, **options)
        self.session = ""

    def begin(self, *variables: dict[str, Any], **about: Any) -> str:
        """A session with these variables (VARIABLES where none are given)."""
        self.session = self.ok("POST", "/sessions", about)["session_id"]
        for each in variables or VARIABLES:
            self.ok("POST", "variables", each)
        return self.session

    def ask(self, method: str, path: str, body: Any = None, **more: Any) -> httpx.Response:
        """`path`: from the API's root with a slash, else within the session."""
        whole = path if path.startswith("/") else f"/sessions/{self.session}/{path}"
        return self.http.request(method, whole, json=body, **more)

    def ok(self, method: str, path: str, body: Any = None, **more: Any) -> Any:
        answer = self.ask(method, path, body, **more)
        assert answer.is_success, (method, path, answer.status_code, answer.text)
        return (
            answer.json()
            if answer.headers.get("content-type", "").startswith("application/json")
            else answer.text
        )

    def refused(self, status: int, method: str, path: str, body: Any = None, **more: Any) -> dict[str, Any]:
        """Their two shapes of errors, and no other."""
        answer = self.ask(method, path, body, **more)
        assert answer.status_code == status, (method, path, answer.status_code, answer.text)
        found: dict[str, Any] = answer.json()
        assert isinstance(found["detail"], str) and found["detail"], found
        if "error_type" in found:
            assert found["status_code"] == status and found["error_type"], found
        else:
            assert set(found) == {"detail"}, found
        return found


#: Of an address, a session and a user agent: another program that uses that session.
Another = Callable[[str, str, str], Program]
