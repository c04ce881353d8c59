"""A request to this front, as its routes see it, and how its errors leave."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass
from json import JSONDecodeError
from typing import Annotated, Any, TypeVar

from fastapi import Depends, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from pydantic import BaseModel, ValidationError

from labqueue.errors import InvalidError, LabqueueError
from services.api.answers import Json
from services.api.body import BadJsonError, check
from services.api.call import Call, Server
from services.api.guard import SLASH
from services.flow.shared import storable
from services.fronts.alchemist.refusals import VALIDATION, Refusal, refusal, sentence

Model = TypeVar("Model", bound=BaseModel)

#: So many faults are told, and of each value so many letters.
_MOST, _LONGEST = 100, 1000


@dataclass(frozen=True)
class Visitor:
    """Who asks. ALchemist's programs name nobody: the same token, address and user agent are the same caller.

    key    of what this caller has read, and of the lock that it holds; the same in every process of the API
    actor  as events name it
    """

    key: str
    actor: str


class Visit(Call):
    """A call of a program that was written for ALchemist; unknown words in its query are left alone, as there."""

    @property
    def visitor(self) -> Visitor:
        client = self.request.client
        agent = self.request.headers.get("user-agent", "")
        parts = "\n".join([self.actor, client.host if client else "", agent])
        return Visitor(hashlib.sha256(parts.encode()).hexdigest()[:32], self.actor)

    async def read(self, kind: type[Model]) -> Model:
        """The body. Raises Refusal (422) as ALchemist's does, with each fault under `errors`."""
        try:
            value = await self.json()
        except InvalidError as error:
            raise Refusal(sentence(error), VALIDATION, errors=_unreadable(error)) from error
        try:
            return check(kind, value)
        except InvalidError as error:
            raise Refusal(sentence(error), VALIDATION, errors=_faults(kind, value)) from error


async def _visit(request: Request) -> Visit:
    server: Server = request.app.state.server
    visit = Visit(request, server, await server.access.caller(request.headers))
    session = request.path_params.get("session_id")
    if session is None:
        visit.caller.must_administer()
    else:
        visit.caller.must_own(session)
    return visit


#: A session is its campaign: whoever owns that may use it; to create or list sessions takes an admin's token.
Visiting = Annotated[Visit, Depends(_visit)]


class Route(APIRoute):
    """Whatever a route raises leaves as ALchemist's errors do."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handle = super().get_route_handler()

        async def handled(request: Request) -> Response:
            try:
                return await handle(request)
            except Refusal as error:
                return _answer(error)
            except LabqueueError as error:
                return _answer(refusal(error))
            except RequestValidationError as error:
                faults = [_fault(each) for each in error.errors()]
                text = "; ".join(f"{each['loc'][-1]}: {each['msg']}" for each in faults)
                return _answer(Refusal(text, VALIDATION, errors=faults))

        return handled


def _faults(kind: type[BaseModel], body: Any) -> list[dict[str, Any]]:
    try:
        kind.model_validate(body, from_attributes=True)  # as FastAPI does, whose words for it these are
    except ValidationError as error:
        found = error.errors(include_url=False)[:_MOST]
        return [_fault({**each, "loc": ("body", *each["loc"])}) for each in found]
    raise AssertionError("it was refused for this kind")


def _unreadable(error: InvalidError) -> list[dict[str, Any]]:
    """Of what is no JSON there are no values to be named, but numbers that are none, and text that cannot be kept."""
    kind = "finite_number" if isinstance(error, BadJsonError) else "value_error"
    named = [
        {
            "type": kind,
            "loc": ["body", *re.findall(r"[^.\[\]]+", each.field)],
            "msg": each.message,
            "input": each.value,
        }
        for each in error.errors[:_MOST]
    ]
    why, place = error.message, []
    if isinstance(error.__cause__, JSONDecodeError):
        why, place = error.__cause__.msg, [error.__cause__.pos]
    unread = {"type": "json_invalid", "loc": ["body", *place], "msg": "JSON decode error", "input": {}}
    return named or [{**unread, "ctx": {"error": why}}]


def _fault(found: Mapping[str, Any]) -> dict[str, Any]:
    """As pydantic tells it; a value of any length is only begun, and what is no JSON is told as text."""
    given = storable(found.get("input"))
    text = str(given)
    shown = {
        "type": found["type"],
        "loc": list(found["loc"]),
        "msg": found["msg"],
        "input": given if len(text) <= _LONGEST else text[:_LONGEST],
    }
    context = {name: _plain(each) for name, each in (found.get("ctx") or {}).items()}
    return {**shown, "ctx": context} if context else shown


def _plain(value: Any) -> Any:
    return value if isinstance(value, (str, int, float, bool)) else str(value)


def _answer(error: Refusal) -> Response:
    # Names with a slash come through the router with another letter in its place.
    answer = Json({**error.body, "detail": error.body["detail"].replace(SLASH, "/")}, error.status)
    if error.status == 401:
        answer.headers["WWW-Authenticate"] = "Bearer"
    return answer
