"""`labqueue-server token`: who may talk to the API from elsewhere."""

from __future__ import annotations

import getpass
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated
from uuid import UUID

import typer

from labqueue.errors import FieldError, InvalidError
from services.flow import tokens as flow
from services.settings import current

if TYPE_CHECKING:
    from services.bootstrap import Context

app = typer.Typer(help="Create, list and revoke bearer tokens.", no_args_is_help=True, rich_markup_mode=None)


@app.command()
def create(
    name: Annotated[str, typer.Argument(help="who or what it is for")],
    scope: Annotated[list[str], typer.Option(help="admin, queue:NAME or campaign:NAME; may be given again")],
    days: Annotated[
        float | None, typer.Option(min=0.0, help="how long it works; for ever if not given")
    ] = None,
) -> None:
    """Make a token and print it, once; only its hash is kept."""
    with _context() as context:
        with context.store.begin() as tx:
            first = not tx.tokens.any()
        token, secret = flow.issue(context.store, context.ids, name, scope, days, _actor())
    print(secret)
    until = f"until {token.expires_at:%Y-%m-%d %H:%M} UTC" if token.expires_at else "until it is revoked"
    typer.echo(f"Token {token.id} for {name} ({', '.join(scope)}) works {until}.", err=True)
    typer.echo("It is not shown again. Give it to its user as LABQUEUE_TOKEN.", err=True)
    if first:
        typer.echo(
            "It is the first: from now on every request needs a token, also on this machine.", err=True
        )
        if "admin" not in scope:
            typer.echo("Make one for yourself too: labqueue-server token create NAME --scope admin", err=True)


@app.command(name="list")
def show() -> None:
    """List all tokens, without their secrets."""
    with _context() as context, context.store.begin() as tx:
        now, tokens = tx.now(), tx.tokens.all()
    for token in tokens:
        state = "works"
        if token.revoked_at is not None:
            state = f"revoked {token.revoked_at:%Y-%m-%d}"
        elif token.expires_at is not None:
            word = "expired" if token.expires_at <= now else "works until"
            state = f"{word} {token.expires_at:%Y-%m-%d}"
        print(f"{token.id}  {state:<22}  {token.name}  ({', '.join(token.scopes)})")
    if not tokens:
        print("There are no tokens: only this machine itself may talk to the API.")


@app.command()
def revoke(token: Annotated[str, typer.Argument(help="its id, from `token list`")]) -> None:
    """End a token for good."""
    try:
        id = UUID(token)
    except ValueError:
        wrong = FieldError("token", "is no token's id.", token[:80], hint="See `labqueue-server token list`.")
        raise InvalidError("Which token?", errors=[wrong]) from None
    with _context() as context:
        flow.revoke(context.store, id, _actor())
    print(f"Token {id} is revoked.")


def _actor() -> str:
    return f"person:{getpass.getuser()}"


@contextmanager
def _context() -> Iterator[Context]:
    from services.bootstrap import build

    context = build(current())
    try:
        yield context
    finally:
        context.close()
