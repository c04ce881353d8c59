"""Who asks, and what they may do.

A request needs a token as soon as there is one, or where the server can be reached from outside this machine.
Without tokens on loopback everybody is a trusted person, named by the X-Labqueue-Actor header.

Scopes: `admin` may do everything. `queue:NAME` is for adapters: claims of that queue, its attempts, results and
artifacts. `campaign:NAME` is for a campaign's people and scripts: everything in it, and reading its queue.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import ipaddress
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field

from starlette.datastructures import Headers

from labqueue.errors import DeniedError, FieldError, InvalidError
from models.domain import records as r
from services.api.threads import Threads
from services.flow.tokens import authenticate
from services.ports import Store

ACTOR_LIMIT = 100
KEPT_SECONDS = 5.0  # a revoked token works for at most this long
KEPT_TOKENS = 10_000


class TokenNeededError(DeniedError):
    """This server needs a token: set LABQUEUE_TOKEN, or send Authorization: Bearer TOKEN."""

    status = 401


@dataclass(frozen=True)
class Caller:
    """Who asks: `actor` stands in every event that they cause."""

    actor: str
    scopes: frozenset[str] = field(default_factory=lambda: frozenset({"admin"}))

    @property
    def name(self) -> str:
        return self.actor.partition(":")[2]

    @property
    def admin(self) -> bool:
        return "admin" in self.scopes

    def works(self, queue: str) -> bool:
        """May this caller act as an adapter of the queue?"""
        return self.admin or f"queue:{queue}" in self.scopes

    def owns(self, campaign: str) -> bool:
        """May this caller steer the campaign?"""
        return self.admin or f"campaign:{campaign}" in self.scopes

    def sees(self, campaign: str | None, queue: str | None) -> bool:
        """May this caller read what belongs to a campaign that feeds a queue?"""
        return (
            self.admin
            or (campaign is not None and self.owns(campaign))
            or (queue is not None and self.works(queue))
        )

    def must_administer(self) -> None:
        if not self.admin:
            raise self._denied("admin")

    def must_work(self, queue: str) -> None:
        if not self.works(queue):
            raise self._denied(f"queue:{queue}")

    def must_own(self, campaign: str) -> None:
        if not self.owns(campaign):
            raise self._denied(f"campaign:{campaign}")

    def must_see(self, campaign: str | None, queue: str | None) -> None:
        if not self.sees(campaign, queue):
            raise self._denied(f"campaign:{campaign}" if campaign is not None else f"queue:{queue}")

    def _denied(self, scope: str) -> DeniedError:
        return DeniedError(
            f"The token {self.name!r} may not do this: it needs the scope {scope} (or admin). Ask an admin "
            "for a token that has it."
        )


def is_loopback(host: str) -> bool:
    """Does only this machine reach a server that is bound to `host`?"""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


class Access:
    """Tells who asks. What the database says is kept for some seconds."""

    def __init__(
        self,
        store: Store,
        threads: Threads,
        *,
        open_without_tokens: bool,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._store = store
        self._threads = threads
        self._may_be_open = open_without_tokens
        self._clock = clock
        self._open: tuple[float, bool] = (0.0, False)
        self._known: OrderedDict[bytes, tuple[float, r.Token]] = OrderedDict()

    async def caller(self, headers: Headers, *, page: bool = False) -> Caller:
        """Raises TokenNeededError. `page`: a browser may show the token as the password of basic authentication."""
        text = _token_of(headers, page)
        if text is None:
            if await self.open():
                return Caller(f"person:{_actor_of(headers)}")
            raise TokenNeededError()
        token = await self._authenticated(text)
        return Caller(f"token:{token.name}", frozenset(token.scopes))

    async def open(self) -> bool:
        """Is no token needed?"""
        if not self._may_be_open:
            return False
        until, answer = self._open
        if self._clock() >= until:
            answer = not await self._threads.run(self._any)
            self._open = (self._clock() + 1.0, answer)
        return answer

    def forget(self) -> None:
        """Tokens were issued or revoked here."""
        self._known.clear()
        self._open = (0.0, False)

    async def _authenticated(self, text: str) -> r.Token:
        key = hashlib.sha256(text.encode()).digest()
        until, token = self._known.get(key, (0.0, None))
        if token is not None and self._clock() < until:
            return token
        try:
            token = await self._threads.run(authenticate, self._store, text)
        except DeniedError as error:
            raise TokenNeededError(error.message) from None
        self._known[key] = (self._clock() + KEPT_SECONDS, token)
        while len(self._known) > KEPT_TOKENS:
            self._known.popitem(last=False)
        return token

    def _any(self) -> bool:
        with self._store.begin() as tx:
            return tx.tokens.any()


def _token_of(headers: Headers, page: bool) -> str | None:
    kind, _, rest = headers.get("authorization", "").partition(" ")
    if kind.lower() == "bearer":
        return rest.strip()
    if kind.lower() == "basic" and page:
        try:
            return base64.b64decode(rest, validate=True).decode().partition(":")[2]
        except (binascii.Error, UnicodeDecodeError):
            return ""
    return "" if kind else None


def _actor_of(headers: Headers) -> str:
    text = headers.get("x-labqueue-actor", "local").encode("latin-1").decode("utf-8", "replace").strip()
    if not text.isprintable() or not 0 < len(text) <= ACTOR_LIMIT:
        rule = f"printable text of 1 to {ACTOR_LIMIT} letters"
        raise InvalidError(errors=[FieldError("X-Labqueue-Actor", f"must be {rule}.", text[:100], rule)])
    return text
