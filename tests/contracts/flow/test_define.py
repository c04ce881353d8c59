"""define: queues and campaigns are what was asked for, once."""

from __future__ import annotations

from typing import Any

import pytest
from flow_lab import PERSON, PROBLEM, Lab

from labqueue.errors import ConflictError, InvalidError, KeyReusedError, NotFoundError
from services.flow import define, steer


def test_the_same_definition_again_is_one_effect(lab: Lab) -> None:
    first = lab.campaign()
    new = define.NewCampaign("snar", "bench", "anna", PROBLEM, {"method": "caller"}, seed=7)
    assert define.create_campaign(lab.store, lab.ids, new, PERSON) == (first, False)
    assert len(lab.events("campaign.created")) == 1


def test_another_definition_under_the_name_is_refused(lab: Lab) -> None:
    lab.campaign()
    with pytest.raises(KeyReusedError, match="'snar' with another definition"):
        lab.campaign(method="design")


def test_a_seed_is_drawn_where_none_is_given_and_kept(lab: Lab) -> None:
    drawn = lab.campaign(seed=None)
    assert 0 <= drawn.seed < 2**31
    assert lab.campaign(seed=None).seed == drawn.seed


def test_versions_are_kept_for_ever(lab: Lab) -> None:
    campaign = lab.campaign(method="bayesian", depth=2)
    changed = define.change_strategy(
        lab.store, "snar", {"method": "bayesian", "depth": 9}, "more hands", PERSON
    )
    assert (changed.strategy_version, changed.strategy["depth"]) == (2, 9)
    with lab.store.begin() as tx:
        depths = [tx.campaigns.version(campaign.id, "strategy", version)["depth"] for version in (1, 2)]
    assert depths == [2, 9]
    event = lab.events("campaign.strategy_changed")[0]
    assert (event.actor, event.data["reason"]) == (PERSON, "more hands")


def test_a_finished_campaign_keeps_its_strategy(lab: Lab) -> None:
    lab.campaign()
    steer.finish_campaign(lab.store, "snar", "done", PERSON)
    with pytest.raises(ConflictError, match="finished: done"):
        define.change_strategy(lab.store, "snar", {"method": "design"}, "", PERSON)


@pytest.mark.parametrize(
    ("wish", "field"),
    [
        ({"name": ""}, "campaign"),
        ({"name": "two\nlines"}, "campaign"),
        ({"name": " snar"}, "campaign"),
        ({"name": "x" * 101}, "campaign"),
        ({"name": "a\0b"}, "campaign"),
        ({"owner": ""}, "owner"),
        ({"weight": 0.0}, "weight"),
        ({"weight": float("nan")}, "weight"),
        ({"weight": float("inf")}, "weight"),
        ({"seed": -1}, "seed"),
        ({"seed": 2**31}, "seed"),
        ({"problem": {**PROBLEM, "objectives": []}, "method": "bayesian"}, "problem.objectives"),
        ({"problem": {"opaque": True, "outputs": [{"name": "y"}]}, "method": "design"}, "strategy.method"),
    ],
)
def test_a_campaign_that_cannot_be_is_refused_by_field(lab: Lab, wish: dict[str, Any], field: str) -> None:
    lab.queue()
    with pytest.raises(InvalidError) as caught:
        lab.campaign(**wish)
    assert [each.field for each in caught.value.errors] == [field]
    with lab.store.begin() as tx:
        assert tx.campaigns.all() == []


def test_a_problem_without_a_feasible_point_is_refused(lab: Lab) -> None:
    rules = [
        {"coefficients": {"temperature": 1.0}, "operator": "<=", "bound": 30},
        {"coefficients": {"temperature": 1.0}, "operator": ">=", "bound": 40},
    ]
    with pytest.raises(InvalidError, match="No point satisfies all constraints") as caught:
        lab.campaign(problem={**PROBLEM, "constraints": rules})
    assert "1 * temperature <= 30; 1 * temperature >= 40." in caught.value.errors[0].message


def test_an_unknown_queue_is_named_with_the_nearest_and_with_how_one_is_made(lab: Lab) -> None:
    new = define.NewCampaign("snar", "flow-reaktor", "anna", PROBLEM, {})
    with pytest.raises(NotFoundError, match="labqueue queue create NAME` makes one"):
        define.create_campaign(lab.store, lab.ids, new, PERSON)
    lab.queue("flow-reactor")
    with pytest.raises(NotFoundError, match="Did you mean flow-reactor"):
        define.create_campaign(lab.store, lab.ids, new, PERSON)


def test_hostile_names_stay_what_they_are(lab: Lab) -> None:
    names = [
        "Robert'); DROP TABLE experiments;--",
        "%s {} $1",
        "Größe 测试 \N{TEST TUBE}",
        "a-1",
        "../../etc",
    ]
    for name in names:
        lab.campaign(name, queue=name, owner=name)
        staged = lab.stage_one(campaign=name)
        assert staged.code == f"{name}-1"
        held = lab.take(name, queue=name)
        assert lab.report(staged.code, lease=held.lease).verdict == "accepted"
    with lab.store.begin() as tx:
        assert sorted(each.name for each in tx.queues.all()) == sorted(names)
