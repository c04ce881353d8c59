"""`labqueue-server`: starts, migrates, looks after and examines a server.

Errors are said in a few words and end with status 1; wrong usage ends with 2. What takes long to load (the
database's and Redis's libraries) is loaded by the commands that need it.
"""

from __future__ import annotations

import os
import socket
import sys
from typing import Annotated, NoReturn

import typer

from labqueue.cli.show import explain
from labqueue.errors import LabqueueError
from services.cli import tokens
from services.settings import Settings, current

#: Parts beat each 10 s.
BEAT_SECONDS = 45.0

app = typer.Typer(
    name="labqueue-server",
    help="The durable queue between whatever suggests experiments and whatever runs them: the server's side.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
app.add_typer(tokens.app, name="token")


@app.command()
def up() -> None:
    """Start everything here and keep it running."""
    _become("services.embedded")


@app.command()
def api() -> None:
    """Serve HTTP."""
    _become("services.api")


@app.command()
def janitor() -> None:
    """Do what time brings; any number, one leads."""
    _become("workers.janitor")


@app.command()
def worker(
    queue: Annotated[str, typer.Option(help="train, suggest, inquire, notify; several with commas")],
) -> None:
    """Train, suggest, answer, notify."""
    _become("workers", "--queue", queue)


@app.command()
def replay(suggestion: Annotated[int, typer.Argument(help="the id of a suggestion")]) -> None:
    """Compute a suggestion again and compare."""
    _become("workers.replay", str(suggestion))


@app.command()
def migrate() -> None:
    """Bring the database to this version's schema."""
    from services.store import migrate as schema

    settings = current()
    before = schema.current(settings.database)
    schema.upgrade(settings.database)
    after = schema.current(settings.database)
    if before == after:
        print(f"The database is at {after} already.")
    else:
        print(f"The database went from {before or 'empty'} to {after}.")


@app.command()
def config() -> None:
    """Show every setting, secrets masked."""
    for name, value in current().shown().items():
        field = Settings.model_fields[name.removeprefix("LABQUEUE_").lower()]
        print(f"{name}={value}".ljust(56) + f"  # {field.description}")


@app.command()
def beats(
    part: Annotated[str, typer.Argument(help="janitor, or a queue: train, suggest, inquire, notify")],
) -> None:
    """Say whether this part was alive on this machine a moment ago (a health check)."""
    from services.cli.beats import last_beat

    seconds = last_beat(current(), part, socket.gethostname())
    if seconds is None or seconds > BEAT_SECONDS:
        when = "never was heard here" if seconds is None else f"was last heard {seconds:.0f} s ago"
        print(f"{part} {when}.")
        raise typer.Exit(1)
    print(f"{part} was heard {seconds:.0f} s ago.")


@app.command()
def doctor() -> None:
    """Say what is wrong here and what to do."""
    from services.cli import doctor as examination

    findings = examination.examine(current())
    for finding in findings:
        print(finding.text())
    bad = sum(finding.level == examination.WRONG for finding in findings)
    if bad:
        print(f"\n{bad} of {len(findings)} checks found something wrong.")
        raise typer.Exit(1)
    print("\nNothing is wrong.")


def main() -> None:
    try:
        app()
    except LabqueueError as error:
        print(explain(error), file=sys.stderr)
        sys.exit(1)


def _become(module: str, *arguments: str) -> NoReturn:
    """Run another part in this very process: its signals and its exit status are ours."""
    current()
    sys.stdout.flush()
    os.execv(sys.executable, [sys.executable, "-P", "-m", module, *arguments])


if __name__ == "__main__":
    main()
