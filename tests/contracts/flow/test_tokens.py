"""tokens: shown once, hashed, scoped, revocable."""

from __future__ import annotations

import pytest
from flow_lab import PERSON, Lab

from labqueue.errors import DeniedError, InvalidError, NotFoundError
from services.flow import tokens


def test_a_token_opens_until_it_is_revoked(lab: Lab) -> None:
    token, text = tokens.issue(lab.store, lab.ids, "hplc-2", ["queue:bench"], None, PERSON)
    found = tokens.authenticate(lab.store, text)
    assert (found.id, found.scopes) == (token.id, ("queue:bench",))
    tokens.revoke(lab.store, token.id, PERSON)
    with pytest.raises(DeniedError, match="revoked"):
        tokens.authenticate(lab.store, text)
    with pytest.raises(NotFoundError):
        tokens.revoke(lab.store, token.id, PERSON)


def test_its_text_is_kept_nowhere(lab: Lab) -> None:
    token, text = tokens.issue(lab.store, lab.ids, "hplc-2", ["admin"], None, PERSON)
    assert text.startswith("lq_") and len(text) > 40
    secret = text.removeprefix("lq_")[tokens.PREFIX :]
    with lab.store.begin() as tx:
        assert secret not in str(tx.tokens.all())
    assert secret not in str(lab.events())
    assert token.sha256 not in text


@pytest.mark.parametrize(
    "change", [lambda text: text[:-1] + "!", lambda text: text[3:] + "x", lambda text: ""]
)
def test_a_text_that_is_nearly_a_token_opens_nothing(lab: Lab, change) -> None:
    _, text = tokens.issue(lab.store, lab.ids, "hplc-2", ["admin"], None, PERSON)
    with pytest.raises(DeniedError):
        tokens.authenticate(lab.store, change(text))


def test_a_token_expires(lab: Lab) -> None:
    _, text = tokens.issue(lab.store, lab.ids, "guest", ["campaign:snar"], 1, PERSON)
    lab.elapse(86_000)
    tokens.authenticate(lab.store, text)
    lab.elapse(500)
    with pytest.raises(DeniedError, match="expired"):
        tokens.authenticate(lab.store, text)


@pytest.mark.parametrize("scopes", [[], ["root"], ["queue:"], ["campaign:"], ["admin", "all"]])
def test_scopes_are_few(lab: Lab, scopes: list[str]) -> None:
    with pytest.raises(InvalidError, match="admin, queue:NAME or campaign:NAME"):
        tokens.issue(lab.store, lab.ids, "x", scopes, None, PERSON)


def test_a_token_that_never_opens_is_not_issued(lab: Lab) -> None:
    for days in (0, -1, float("nan"), 1e9):
        with pytest.raises(InvalidError, match="days"):
            tokens.issue(lab.store, lab.ids, "x", ["admin"], days, PERSON)
