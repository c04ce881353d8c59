"""How the demo shows itself: one live display on a terminal, plain lines elsewhere."""

from __future__ import annotations

import time
from types import TracebackType
from typing import Protocol, Self

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.panel import Panel
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from .progress import Progress

NEWS = 8  # lines


class View(Protocol):
    def __enter__(self) -> Self: ...
    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...
    def say(self, text: str) -> None: ...
    def show(self, progress: Progress) -> None: ...


class Plain:
    """A line per thing that happened."""

    def __init__(self, console: Console) -> None:
        self.console = console
        self.began = time.monotonic()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        return None

    def say(self, text: str) -> None:
        self.console.print(f"{time.monotonic() - self.began:6.1f} s  {text}", markup=False, highlight=False)

    def show(self, progress: Progress) -> None:
        return None


class Display(Plain):
    """One display that is drawn anew: experiments by state, who runs what, the front, model, news."""

    def __init__(self, console: Console) -> None:
        super().__init__(console)
        self.news: list[str] = []
        self.progress: Progress | None = None
        self.live = Live(get_renderable=self._draw, console=console, refresh_per_second=4, transient=False)

    def __enter__(self) -> Self:
        self.live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.live.stop()

    def say(self, text: str) -> None:
        self.news = [*self.news, f"{time.monotonic() - self.began:5.0f} s  {text}"][-NEWS:]

    def show(self, progress: Progress) -> None:
        self.progress = progress

    def _draw(self) -> RenderableType:
        parts: list[RenderableType] = []
        if self.progress is not None:
            parts += [_figures(self.progress, time.monotonic() - self.began), _running(self.progress)]
        parts.append(
            Panel(Text("\n".join(self.news) or "starting"), title="what happened", title_align="left")
        )
        return Group(*parts)


def view_for(console: Console) -> View:
    return Display(console) if console.is_terminal else Plain(console)


def _figures(progress: Progress, elapsed: float) -> Panel:
    table = Table.grid(padding=(0, 2))
    states = ", ".join(f"{count} {state}" for state, count in sorted(progress.counts.items())) or "none yet"
    bar = Table.grid(padding=(0, 1))
    bar.add_row(
        ProgressBar(total=progress.budget, completed=progress.completed, width=40),
        f"{progress.completed} of {progress.budget}",
    )
    table.add_row("completed", bar)
    table.add_row("experiments", states)
    table.add_row("front so far", _front(progress))
    model = f"version {progress.model_version}, from {progress.model_rows} results"
    table.add_row("model", model if progress.model_version else "none yet: initial design")
    staleness = progress.mean_staleness
    shown = (
        "-" if staleness is None else f"{staleness:.1f} results on average that a candidate did not know of"
    )
    table.add_row("staleness", shown)
    table.add_row("time", f"{elapsed:.0f} s elapsed, {_remaining(progress, elapsed)}")
    return Panel(table, title="campaign snar", title_align="left")


def _front(progress: Progress) -> str:
    if not progress.done:
        return "-"
    share = f"{100 * progress.shares[-1]:.1f} % of what the true front dominates"
    count = len(progress.front)
    return f"{count} experiment{'' if count == 1 else 's'} that no other one beats; {share}"


def _remaining(progress: Progress, elapsed: float) -> str:
    if progress.finished:
        return progress.finished
    if progress.completed < 3:
        return "remaining: not known yet"
    return f"about {elapsed / progress.completed * (progress.budget - progress.completed):.0f} s remaining"


def _running(progress: Progress) -> Panel:
    table = Table.grid(padding=(0, 2))
    for instrument in sorted({name for names in progress.runners.values() for name in names}):
        code = progress.running.get(instrument)
        table.add_row(instrument, f"runs {code}" if code else "claims nothing at this moment")
    return Panel(table, title="who runs what", title_align="left")
