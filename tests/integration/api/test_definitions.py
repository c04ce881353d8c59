"""Definitions over HTTP: what is wrong with them, how they change while a campaign runs, and what was found."""

from __future__ import annotations

import uuid
from copy import deepcopy
from dataclasses import replace
from typing import Any

import pytest
from api import PROBLEM, Client, Lab, numbered

from services.bootstrap import Context

pytestmark = pytest.mark.anyio

LOOK = {"name": "look", "classes": ["clear", "hazy"]}


def problem(**changes: Any) -> dict[str, Any]:
    return {**deepcopy(PROBLEM), **changes}


async def refused(client: Client, lab: Lab, definition: dict[str, Any], **strategy: Any) -> dict[str, Any]:
    """What is wrong with it, by field."""
    body = {"name": "no", "queue": lab.queue, "problem": definition, "strategy": strategy}
    answer = await client.refused(422, "invalid", "POST", "/campaigns", body)
    return {each["field"]: each for each in answer["errors"]}


def with_constraint(**constraint: Any) -> dict[str, Any]:
    return problem(constraints=[constraint])


AMOUNTS = [{"name": name, "kind": "continuous", "low": 0, "high": 1} for name in "abc"]
DESCRIBED = {"name": "solvent", "kind": "categorical", "categories": ["water", "ethanol"]}


@pytest.mark.parametrize(
    ("definition", "field", "says"),
    [
        (
            with_constraint(kind="linear", coefficients={"tau": 1}, operator=">=", bound=20),
            "problem.constraints",
            "hold one that no point within the bounds keeps: 1 * tau >= 20.",
        ),
        (
            {
                **problem(parameters=AMOUNTS),
                "constraints": [
                    {"kind": "mixture", "parameters": ["a", "b"], "total": 1, "at_most": 1, "least": 0.5},
                    {"coefficients": {"a": 1}, "operator": "<=", "bound": 0.4},
                    {"coefficients": {"b": 1}, "operator": "<=", "bound": 0.4},
                ],
            },
            "problem.constraints",
            "hold some that contradict each other within the bounds: a + b == 1, at most 1",
        ),
        (
            with_constraint(kind="linear", coefficients={"tua": 1}, operator="<=", bound=2),
            "constraints[0].coefficients",
            "Did you mean tau?",
        ),
        (
            with_constraint(kind="expression", rule="tau * solvent <= 3"),
            "constraints[0].rule",
            "no numeric parameter",
        ),
        (
            with_constraint(kind="expression", rule="__import__('os').system('x') <= 1"),
            "constraints[0].rule",
            "",
        ),
        (with_constraint(kind="expression", rule="tau + <= 3"), "constraints[0].rule", ""),
        (
            problem(parameters=[{**DESCRIBED, "descriptors": {"water": {"polarity": 1.0}}}]),
            "parameters[0].descriptors.ethanol",
            "every category needs its row",
        ),
        (
            problem(parameters=[{**DESCRIBED, "unavailable": ["water", "ethanol"]}]),
            "parameters[0].unavailable",
            "no category that can be run",
        ),
        (problem(objectives=[{"output": "yeld"}]), "objectives[0].output", "Did you mean yield?"),
        (problem(objectives=[{"output": "yield", "goal": "target"}]), "objectives[0].target", "is missing"),
        (problem(outputs=[LOOK], objectives=[{"output": "look"}]), "objectives[0].goal", "must be learn"),
    ],
)
async def test_a_definition_that_cannot_be_is_refused_by_field(
    client: Client, lab: Lab, definition: dict[str, Any], field: str, says: str
) -> None:
    found = await refused(client, lab, definition, method="caller")
    assert field in found, found
    assert says in f"{found[field]['message']} {found[field]['hint']}"


@pytest.mark.parametrize(
    ("strategy", "field"),
    [
        ({"cost": "tua * 2"}, "strategy.cost"),
        ({"cost": "open('x')"}, "strategy.cost"),
        ({"stop": {"target": {"yield": 1}}}, "strategy.stop.target"),
        ({"acquisition": "log_nehvi"}, "strategy.acquisition"),
        ({"design": "box_behnken"}, "strategy.design.kind"),
    ],
)
async def test_a_strategy_that_does_not_fit_is_refused_by_field(
    client: Client, lab: Lab, strategy: dict[str, Any], field: str
) -> None:
    assert field in await refused(client, lab, problem(), **strategy)


async def change(lab: Lab, definition: dict[str, Any], **more: Any) -> Any:
    body = {"problem": definition, "reason": "the pump is worn out", **more}
    return await lab.client.ok("PUT", f"/campaigns/{lab.campaign}/problem", body)


def narrowed(high: float = 2.0) -> dict[str, Any]:
    new = problem()
    new["parameters"][0]["high"] = high
    return new


async def test_a_running_campaign_is_edited(lab: Lab) -> None:
    inside, outside = await lab.stage(1.0, 5.0)
    answer = await change(lab, narrowed(), version=1)
    assert answer["campaign"]["problem_version"] == 2
    assert answer["campaign"]["problem"]["parameters"][0]["high"] == 2.0
    assert answer["superseded"] == []
    [listed] = answer["outside"]
    assert (listed["id"], listed["errors"][0]["field"]) == (outside, "tau")
    assert (await lab.state(inside), await lab.state(outside)) == ("staged", "staged")
    again = await change(lab, narrowed(), version=1)
    assert again["campaign"]["problem_version"] == 2 and again["superseded"] == []
    await lab.client.refused(
        409,
        "conflict",
        "PUT",
        f"/campaigns/{lab.campaign}/problem",
        {"problem": narrowed(3.0), "version": 1},
    )
    kept = (await lab.client.ok("GET", f"/campaigns/{lab.campaign}/versions"))["items"]
    assert [(each["kind"], each["number"]) for each in kept] == [
        ("problem", 1),
        ("strategy", 1),
        ("problem", 2),
    ]
    assert (kept[2]["reason"], kept[2]["body"]["parameters"][0]["high"]) == ("the pump is worn out", 2.0)
    assert kept[2]["actor"] and kept[2]["at"]


async def test_what_cannot_change_is_named(lab: Lab) -> None:
    new = problem()
    new["parameters"][0]["unit"] = "s"
    new["outputs"] = new["outputs"][:1]
    [experiment] = await lab.stage(1.0)
    assignment = await lab.begin()
    assert (await lab.report(experiment, assignment["lease"]))["verdict"] == "accepted"
    body = {"problem": new}
    answer = await lab.client.refused(422, "invalid", "PUT", f"/campaigns/{lab.campaign}/problem", body)
    assert {each["field"] for each in answer["errors"]} == {"parameters[0].unit", "outputs"}
    assert (await lab.client.ok("GET", f"/campaigns/{lab.campaign}"))["problem_version"] == 1


async def elsewhere(lab: Lab, tau: float, **outputs: Any) -> None:
    item = {"id": str(uuid.uuid4()), "parameters": {"tau": tau, "solvent": "water"}, "outputs": outputs}
    [found] = (await lab.client.ok("POST", f"/campaigns/{lab.campaign}/results", {"items": [item]}))["items"]
    assert found["verdict"] == "accepted", found


async def test_labels_go_in_and_come_out_as_text(client: Client) -> None:
    lab = await Lab.make(client, "labels", problem(outputs=[{"name": "yield", "unit": "%"}, LOOK]))
    [experiment] = await lab.stage(1.0)
    assignment = await lab.begin()
    assert assignment["outputs"] == [
        {"name": "yield", "unit": "%", "classes": []},
        {"name": "look", "unit": "", "classes": ["clear", "hazy"]},
    ]
    item = await lab.report(experiment, assignment["lease"], outputs={"yield": 5, "look": "milky"})
    assert item["verdict"] == "held" and item["errors"][0]["allowed"] == "clear, hazy"
    item = await lab.report(experiment, outputs={"yield": 5, "look": "hazy"})
    assert item["verdict"] == "accepted"
    shown = await client.ok("GET", f"/experiments/{experiment}")
    assert shown["outputs"] == {"yield": 5.0, "look": "hazy"}
    assert shown["results"][-1]["outputs"] == {"yield": 5.0, "look": "hazy"}
    [row] = (await client.ok("GET", "/campaigns/labels/experiments"))["items"]
    assert row["outputs"] == {"yield": 5.0, "look": "hazy"}
    for what in ("experiments", "results"):
        assert "hazy" in await client.ok("GET", f"/campaigns/labels/{what}?format=csv")


async def test_the_best_is_one_that_counts(client: Client, context: Context) -> None:
    rule = {"output": "purity", "operator": ">=", "bound": 0.5}
    lab = await Lab.make(client, "limits", problem(outcome_constraints=[rule]))
    await elsewhere(lab, 1.0, **{"yield": 9.0, "purity": 0.4})
    await numbered(context)
    assert (await client.ok("GET", "/campaigns/limits"))["best"] is None
    await elsewhere(lab, 2.0, **{"yield": 3.0, "purity": 0.6})
    await numbered(context)
    found = await client.ok("GET", "/campaigns/limits")
    assert (found["best"]["code"], found["best"]["score"], found["front"]) == ("limits-2", 3.0, [])


async def test_the_best_is_one_that_the_problem_still_allows(client: Client, context: Context) -> None:
    lab = await Lab.make(client, "worn", problem())
    for tau, value in ((1.0, 3.0), (5.0, 9.0), (1.5, 2.0)):
        await elsewhere(lab, tau, **{"yield": value, "purity": 0.5})
    await numbered(context)
    assert (await client.ok("GET", "/campaigns/worn"))["best"]["code"] == "worn-2"
    await change(lab, narrowed())
    assert (await client.ok("GET", "/campaigns/worn"))["best"]["code"] == "worn-1"
    page = await client.get("http://localhost/campaigns/worn")
    assert "<strong>worn-1</strong>" in page.text and "tau 1 min" in page.text


async def test_a_front_is_those_that_no_other_beats(client: Client, context: Context) -> None:
    goals = [{"output": "yield"}, {"output": "purity", "goal": "minimize"}]
    lab = await Lab.make(client, "fronts", problem(objectives=goals))
    for tau, values in enumerate([(5.0, 0.5), (9.0, 0.9), (4.0, 0.6), (1.0, 0.1)]):
        await elsewhere(lab, float(tau), **{"yield": values[0], "purity": values[1]})
    await numbered(context)
    found = await client.ok("GET", "/campaigns/fronts")
    assert found["best"] is None
    assert [each["code"] for each in found["front"]] == ["fronts-1", "fronts-2", "fronts-4"]
    assert found["front"][0]["parameters"] == {"tau": 0.0, "solvent": "water"}
    assert found["front"][0]["outputs"] == {"yield": 5.0, "purity": 0.5}
    # Another problem, another answer for the same results.
    await change(lab, problem())
    await numbered(context)
    found = await client.ok("GET", "/campaigns/fronts")
    assert (found["best"]["code"], found["front"]) == ("fronts-2", [])


async def test_nothing_is_best_where_everything_is_to_be_known(client: Client, context: Context) -> None:
    lab = await Lab.make(client, "learning", problem(objectives=[{"output": "yield", "goal": "learn"}]))
    await elsewhere(lab, 1.0, **{"yield": 9.0, "purity": 0.4})
    await numbered(context)
    found = await client.ok("GET", "/campaigns/learning")
    assert (found["best"], found["front"]) == (None, [])


async def test_what_was_expected_is_held_against_what_came(client: Client, context: Context) -> None:
    lab = await Lab.make(client, "foretold")
    first, second, third, plain = await lab.stage(1.0, 2.0, 3.0, 4.0)
    with context.store.begin() as tx:
        found = tx.experiments.lock([first, second, third])
        foretold = [
            {"yield": {"mean": mean, "sd": 1.0}, "score": {"mean": mean, "sd": 2.0}}
            for mean in (5.0, 6.0, 7.0)
        ]
        tx.experiments.save(
            [replace(each, expected=told) for each, told in zip(found, foretold, strict=True)]
        )
    for experiment, value in ((first, 5.0), (second, 8.5), (plain, 100.0)):
        await lab.report(experiment, outputs={"yield": value, "purity": 1.0})
    await lab.report(third, outputs={"purity": 1.0}, outstanding=["yield"])
    rows = (await client.ok("GET", "/campaigns/foretold/calibration"))["items"]
    yielded, scored = rows
    assert (yielded["output"], yielded["n"], yielded["coverage95"], yielded["z_mean"]) == (
        "yield",
        2,
        0.5,
        1.25,
    )
    assert (scored["output"], scored["n"], scored["coverage95"], scored["z_mean"]) == ("score", 2, 1.0, 0.625)
    await change(lab, problem(objectives=[{"output": "yield", "goal": "minimize"}]))
    rows = (await client.ok("GET", "/campaigns/foretold/calibration"))["items"]
    assert [each["output"] for each in rows] == ["yield"], "the score of another problem is another number"
    await client.refused(404, "not_found", "GET", "/campaigns/nowhere/calibration")
