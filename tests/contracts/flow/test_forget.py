"""forget: what grows with requests or time goes; what was run, measured, or is still waited for stays."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
from flow_lab import PERSON, Lab
from learning_lab import modelled

from labqueue.errors import DeniedError
from models.domain import records as r
from services.flow import inquire, notify, steer, tokens
from services.flow.forget import Forgotten, Keep, forget

DAY = 86_400.0
KEEP = Keep()
NONE = dict.fromkeys(("inquiries", "events", "claims", "tokens", "instruments"), 0)


def asked(lab: Lab, *, answered: bool) -> r.Inquiry:
    inquiry = inquire.ask(lab.store, lab.ids, "snar", "suggest", {"count": 1}, PERSON)
    return inquire.answer(lab.store, lab.learner, inquiry.id) if answered else inquiry


def kept(lab: Lab, inquiry: r.Inquiry) -> bool:
    with lab.store.begin() as tx:
        return tx.inquiries.get(inquiry.id) is not None


def about(lab: Lab) -> list[str]:
    return [each.type for each in lab.events() if each.type.startswith("inquiry.")]


def test_answers_and_what_happened_to_the_questions_go_a_day_after_the_deadline(lab: Lab) -> None:
    modelled(lab)
    old, open_one = asked(lab, answered=True), asked(lab, answered=False)
    lab.elapse(DAY + inquire.SECONDS - 5)
    new = asked(lab, answered=True)
    assert about(lab) == [
        "inquiry.open",
        "inquiry.answered",
        "inquiry.open",
        "inquiry.open",
        "inquiry.answered",
    ]
    forget(lab.store, KEEP)
    assert kept(lab, old), "not before the day is over"
    lab.elapse(10)
    assert forget(lab.store, KEEP).rows["inquiries"] == 1
    assert not kept(lab, old)
    assert kept(lab, open_one), "nobody has ended it"
    assert kept(lab, new)
    assert about(lab) == ["inquiry.open", "inquiry.answered"], "of the new one"
    assert [each.id for each in inquire.expire_inquiries(lab.store)] == [open_one.id], "as ever"
    assert forget(lab.store, KEEP).rows["inquiries"] == 1, "its deadline was a day ago"


def test_no_number_of_an_event_is_given_twice(lab: Lab) -> None:
    modelled(lab)
    asked(lab, answered=True)
    last = lab.events()[-1]
    assert last.type == "inquiry.answered"
    lab.elapse(2 * DAY)
    forget(lab.store, KEEP)
    assert lab.events()[-1] == replace(last, at=lab.events()[-1].at), "the newest of all stays"
    lab.stage_one()
    assert (lab.events()[-1].number or 0) == (last.number or 0) + 1
    assert forget(lab.store, KEEP).rows["events"] == 1


def test_a_webhook_hears_of_everything_first(lab: Lab) -> None:
    modelled(lab)
    hook = notify.add_webhook(lab.store, lab.ids, "https://lab.example/hook", [], None, PERSON)
    asked(lab, answered=True)
    lab.stage_one()
    lab.elapse(2 * DAY)
    before = about(lab)
    assert forget(lab.store, KEEP).rows["events"] == 0 and about(lab) == before
    with lab.store.begin() as tx:
        held = tx.webhooks.lock(hook.id)
        assert held is not None
        tx.webhooks.save(replace(held, cursor=tx.events.last()))
    forget(lab.store, KEEP)
    assert about(lab) == []


def test_a_claim_is_repeated_by_its_key_within_the_time_and_while_its_lease_lives(lab: Lab) -> None:
    lab.campaign()
    lab.stage(3)
    first = lab.claim(key="one").assignments[0]
    lab.start(first.lease)
    lab.elapse(KEEP.claims.total_seconds() - 60)
    forget(lab.store, KEEP)
    assert [each.lease for each in lab.claim(key="one").assignments] == [first.lease]
    lab.elapse(120)
    assert forget(lab.store, KEEP).rows["claims"] == 0, "its lease was never ended"
    assert [each.lease for each in lab.claim(key="one").assignments] == [first.lease]
    lab.complete(first)
    assert lab.claim(key="one").reason == "the leases of this claim have ended"
    assert forget(lab.store, KEEP).rows["claims"] == 1
    again = lab.claim(key="one").assignments
    assert len(again) == 1 and again[0].lease != first.lease, "as if the first request had never arrived"
    lab.complete(again[0])
    assert forget(lab.store, KEEP).rows["claims"] == 0, "made just now"


def test_a_claim_of_several_stays_until_the_last_of_them_ended(lab: Lab) -> None:
    lab.campaign()
    lab.stage(2)
    one, two = lab.claim(key="both", max=2).assignments
    lab.elapse(KEEP.claims.total_seconds() + 1)
    lab.complete(one)
    assert forget(lab.store, KEEP).rows["claims"] == 0
    lab.complete(two)
    assert forget(lab.store, KEEP).rows["claims"] == 1


def test_tokens_that_ended_go_and_those_that_work_stay(lab: Lab) -> None:
    texts = {}
    for name, days in (("short", 1.0), ("long", 365.0), ("ever", None), ("revoked", None)):
        token, texts[name] = tokens.issue(lab.store, lab.ids, name, ["admin"], days, PERSON)
    tokens.revoke(lab.store, token.id, PERSON)

    def listed() -> list[str]:
        with lab.store.begin() as tx:
            return sorted(each.name for each in tx.tokens.all())

    lab.elapse(90 * DAY + 60)
    assert forget(lab.store, KEEP).rows["tokens"] == 1
    assert listed() == ["ever", "long", "short"]
    with pytest.raises(DeniedError, match="expired"):
        tokens.authenticate(lab.store, texts["short"])
    lab.elapse(DAY)
    forget(lab.store, KEEP)
    assert listed() == ["ever", "long"]
    with pytest.raises(DeniedError, match="not known"):
        tokens.authenticate(lab.store, texts["short"])
    assert tokens.authenticate(lab.store, texts["ever"]).name == "ever"


def test_instruments_that_left_go_and_come_back_with_a_claim(lab: Lab) -> None:
    lab.campaign()
    lab.stage(3)
    for name in ("left", "paused", "strict"):
        lab.complete(lab.take(name))
    lab.stage(2)
    running, held = lab.take("runs"), lab.take("blocked")
    lab.elapse(1000)
    assert lab.lose(held).state.value == "held"
    steer.pause_instrument(lab.store, "paused", "sold", PERSON)
    steer.set_failure_limit(lab.store, "strict", 1, PERSON)
    assert lab.experiment(running.experiment.id).attempt is not None
    lab.elapse(91 * DAY)
    forget(lab.store, KEEP)
    with lab.store.begin() as tx:
        assert sorted(each.name for each in tx.instruments.all()) == ["blocked", "paused", "runs", "strict"]
    lab.stage_one()
    lab.complete(lab.take("left"))
    assert lab.instrument("left").queue == "bench"


def test_what_was_run_and_measured_is_kept_for_ever(lab: Lab) -> None:
    campaign, _ = modelled(lab)
    staged = lab.stage(2, key="by hand")
    lab.complete(lab.take())
    lab.fail(lab.take().lease)
    lab.report(staged[0].id, {"yield": 1.0}, id=lab.ids.uuid())

    def everything() -> list[object]:
        with lab.store.begin() as tx:
            ids = [each.id for each in tx.experiments.get(range(1, 100))]
            batch = tx.batches.get(campaign.id, "by hand")
            return [
                batch and batch.experiments,
                [(each, [one.id for one in tx.attempts.of_experiment(each)]) for each in ids],
                [(each, [one.id for one in tx.results.of_experiment(each)]) for each in ids],
                [each.version for each in tx.models.all(campaign.id)],
                [each.number for each in tx.suggestions.recent(campaign.id, 100)],
                [(each.number, each.type) for each in tx.events.after(0, 10_000)],
            ]

    lab.number()
    before = everything()
    lab.elapse(3650 * DAY)
    done = forget(lab.store, Keep(*[timedelta(0)] * 3))
    assert done.rows["claims"] > 0 and done.rows["instruments"] > 0
    assert everything() == before
    assert lab.stage([each.planned for each in staged], key="by hand") == tuple(
        lab.experiment(each.id) for each in staged
    ), "the same batch again, ten years later"


def test_it_says_when_there_may_be_more(lab: Lab) -> None:
    modelled(lab)
    assert forget(lab.store, KEEP) == Forgotten(NONE, more=False)
    for _ in range(3):
        asked(lab, answered=True)
    lab.number()
    lab.elapse(2 * DAY)
    first = forget(lab.store, KEEP, batch=2)
    assert first == Forgotten({**NONE, "inquiries": 2, "events": 2}, more=True)
    assert forget(lab.store, KEEP, batch=2).rows["inquiries"] == 1
    assert forget(lab.store, KEEP, batch=4) == Forgotten({**NONE, "events": 1}, more=False), (
        "one is the newest"
    )
