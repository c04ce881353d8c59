"""The handle that a measuring function is given: what to run, and its line to the server meanwhile."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Mapping
from typing import Any, Callable

from .answers import LIVE, Assignment
from .errors import Cancelled
from .measured import Artifact, Result
from .problem import Output


class Experiment:
    """One experiment that this adapter holds. Safe to use from any thread.

    id, code        the experiment, as a number and as people write it
    campaign        the campaign that it belongs to
    parameters      name -> value, in lab units
    payload         the item itself, for campaigns of opaque items
    attempt         this run's UUID: give it to a device as its key, so that a run is never doubled there
    attempt_number  1 for the first run of this experiment
    outputs         what shall be measured: each with name and unit
    reason          why this point was chosen
    expected        what the model expects: output -> {"mean", "sd"}
    lease           the right to run it, as an opaque text
    """

    def __init__(
        self,
        assignment: Assignment,
        note: Callable[[str, str | None], None],
        keep_file: Callable[[str], Artifact],
        complain: Callable[[str], None],
    ) -> None:
        self.assignment = assignment
        self.id: int = assignment.experiment
        self.code: str = assignment.code
        self.campaign: str = assignment.campaign
        self.parameters: Any = assignment.parameters
        self.payload: Any = assignment.payload
        self.attempt: str = assignment.attempt
        self.attempt_number: int = assignment.attempt_number
        self.outputs: tuple[Output, ...] = assignment.outputs
        self.reason: str = assignment.reason
        self.expected: Mapping[str, Any] = assignment.expected
        self.lease: str = assignment.lease
        self._note, self._keep_file, self._complain = note, keep_file, complain
        self.begun = False  # the server agreed that it runs
        self._told = threading.Event()
        self._state, self._message = LIVE, ""

    def __repr__(self) -> str:
        return f"<Experiment {self.code}, attempt {self.attempt_number}: {self.parameters}>"

    # -- what the holder is told

    @property
    def cancelled(self) -> bool:
        """Whether the run should end: it was cancelled, is no longer needed, or the lease was lost.

        Ending it is a wish, at the next safe point. What is measured all the same is still recorded.
        """
        return self._told.is_set()

    @property
    def cancel_reason(self) -> str:
        """Why the run should end; empty while it need not."""
        return self._message

    @property
    def wish(self) -> str | None:
        """`cancel`, `not_needed` or `lost`; None while the run is wanted."""
        return self._state if self._told.is_set() else None

    def raise_if_cancelled(self) -> None:
        """Raises Cancelled with the reason once the run should end."""
        if self.cancelled:
            raise Cancelled(self.cancel_reason)

    def wait(self, seconds: float) -> bool:
        """Sleeps, but wakes when the run should end. Returns whether it should."""
        return self._told.wait(seconds)

    def tell(self, state: str, message: str) -> None:
        """The heartbeat's news of this lease."""
        if state != LIVE:
            self._message = message or f"The server says: {state}."
            self._state = state
            self._told.set()

    # -- what the holder says

    def note(self, text: str, run_ref: str | None = None) -> None:
        """Says what happens now, and what the instrument calls this run. Does not wait for the server."""
        self._note(text, run_ref)

    def result(
        self, outputs: Mapping[str, Any], actual: Mapping[str, Any] | None = None,
        files: Iterable[Any] | Mapping[str, Any] = (), outstanding: Iterable[str] = (),
        noise: Mapping[str, Any] | None = None, comment: str = "", outcome: str = "measured",
    ) -> Result:  # fmt: skip
        """A result with more than outputs; return it from the measuring function.

        files: paths, or name -> path; they are copied now and may be deleted afterwards. A file that cannot
        be read is named in the comment; it costs the measurement nothing.
        """
        artifacts, missing = [], []
        named = files.items() if isinstance(files, Mapping) else [(None, path) for path in files]
        for name, path in named:
            try:
                kept = self._keep_file(str(path))
            except OSError as error:
                missing.append(f"The file {path} could not be kept: {error.strerror or error}.")
                self._complain(f"{self.code}: {missing[-1]} The result goes without it.")
                continue
            artifacts.append(Artifact(name or kept.name, kept.sha256, kept.size))
        text = "\n".join(part for part in [comment, *missing] if part)
        return Result(outputs, str(outcome), tuple(outstanding), noise, actual, tuple(artifacts), text)
