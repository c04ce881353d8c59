"""A request to this front, as its routes see it, and how its errors leave."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Annotated, Any, TypeVar

from fastapi import Depends, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from pydantic import BaseModel

from labqueue.errors import InvalidError, LabqueueError
from services.api.answers import Json
from services.api.call import Call, Server

from .refusals import VALIDATION, Refusal, refusal, sentence

Model = TypeVar("Model", bound=BaseModel)


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
            return await super().read(kind)
        except InvalidError as error:
            faults = [each.to_json() for each in error.errors]
            raise Refusal(sentence(error), VALIDATION, errors=faults) from error


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
                faults = [{"loc": list(each["loc"]), "msg": each["msg"]} for each in error.errors()]
                text = "; ".join(f"{each['loc'][-1]}: {each['msg']}" for each in faults)
                return _answer(Refusal(text, VALIDATION, errors=faults))

        return handled


def _answer(error: Refusal) -> Response:
    answer = Json(error.body, error.status)
    if error.status == 401:
        answer.headers["WWW-Authenticate"] = "Bearer"
    return answer
