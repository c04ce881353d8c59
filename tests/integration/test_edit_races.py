"""Editing the problem while everybody works on it, on the real store."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from copy import deepcopy
from typing import Any
from uuid import uuid4

import pytest
from at_once import at_once
from fake_learner import FakeLearner
from flow_lab import OUTPUTS, PERSON, PROBLEM, Lab
from store_world import PostgresWorld

from labqueue.errors import InvalidError
from labqueue.problem import Problem
from labqueue.states import State
from services.bootstrap import SystemIds
from services.flow import edit, report, suggest
from services.flow.claim import ClaimRequest, claim
from services.flow.number import number

ROUNDS = 40


@pytest.fixture
def lab(postgres_url: str) -> Iterator[Lab]:
    world = PostgresWorld(postgres_url)
    lab = Lab(world)
    lab.ids = SystemIds()
    yield lab
    world.store.close()


def narrowed(high: float, *more: str) -> dict[str, Any]:
    body = deepcopy(PROBLEM)
    body["parameters"][0]["high"] = high
    body["outputs"] += [{"name": each} for each in more]
    return body


def robot(lab: Lab, name: str, count: int) -> Callable[[], list[Any]]:
    """Claims and reports `count` times; what became of its results."""

    def act() -> list[Any]:
        recorded = []
        for _ in range(count):
            request = ClaimRequest("bench", name, f"{name}.1", str(uuid4()))
            for lease in claim(lab.store, lab.ids, request).assignments:
                outputs = {each.name: OUTPUTS.get(each.name, 1.0) for each in lease.outputs}
                given = lab.result(lease.experiment.id, outputs, lease=lease.lease)
                recorded += report.report(lab.store, lab.ids, [given], f"adapter:{name}")
        return recorded

    return act


def test_edits_claims_results_and_suggestions_never_lose_or_mix_anything(lab: Lab) -> None:
    campaign = lab.campaign(method="design", initial=10_000, depth=12)
    luck = random.Random(3)
    for round_ in range(ROUNDS):
        lab.suggest(lab.known())
        high = luck.choice([40.0, 60.0, 80.0, 120.0])
        # An output that comes and goes: it may go again while it was never measured.
        new = narrowed(high, *(["smell"] if round_ % 3 == 0 else []))

        def editor(new: dict[str, Any] = new) -> list[Any]:
            try:
                edit.change_problem(lab.store, "snar", new, "", PERSON)
            except InvalidError as error:
                assert [each.field for each in error.errors] == ["outputs"], error.errors
            return []

        def suggester() -> list[Any]:
            return list(suggest.suggest(lab.store, lab.ids, FakeLearner(), campaign.id, "suggester-1"))

        first, second, _, _ = at_once(robot(lab, "a", 4), robot(lab, "b", 4), editor, suggester)
        assert all(each.verdict == "accepted" and each.state is State.COMPLETED for each in first + second)
        number(lab.store)
        known = lab.known()
        problem = Problem.from_json(known.problem)
        with lab.store.begin() as tx:
            waiting = tx.experiments.of_campaign(known.id, (State.STAGED,))
            assert tx.campaigns.version(known.id, "problem", known.problem_version) == known.problem
        assert [each.code for each in waiting if problem.check_point(each.planned)] == []
    rows = lab.training()
    with lab.store.begin() as tx:
        done = tx.experiments.of_campaign(campaign.id, (State.COMPLETED,))
        gone = tx.experiments.of_campaign(campaign.id, (State.SUPERSEDED,))
    assert {row.experiment_id for row in rows} == {each.id for each in done} and len(done) > ROUNDS
    assert gone and all(each.attempts == 0 for each in gone), "what gave way was never claimed"
    assert lab.known().problem_version > ROUNDS / 4


def test_two_editors_at_once_make_two_versions(lab: Lab) -> None:
    lab.campaign()
    for round_ in range(20):
        before = lab.known().problem_version
        both = [narrowed(40.0 + round_), narrowed(80.0 + round_)]
        at_once(
            *(
                lambda new=new: edit.change_problem(lab.store, "snar", new, "", PERSON)  # type: ignore[misc]
                for new in both
            )
        )
        known = lab.known()
        assert known.problem_version == before + 2
        with lab.store.begin() as tx:
            kept = [tx.campaigns.version(known.id, "problem", before + each) for each in (1, 2)]
        assert known.problem == kept[-1]
        assert sorted(each["parameters"][0]["high"] for each in kept) == [40.0 + round_, 80.0 + round_]
