"""What results look like after they were corrected, withdrawn or could not be used: nobody counts a wrong value."""

from __future__ import annotations

import csv
import io
import uuid
from typing import Any

import pytest
from api import Client, Lab, numbered, result, served

from labqueue.cli import main
from services.bootstrap import Context

pytestmark = pytest.mark.anyio

#: Longer names first: a database that keeps JSON sorts them the other way round.
PROBLEM = {
    "parameters": [
        {"name": "temperature", "kind": "continuous", "low": 20, "high": 90, "unit": "degC"},
        {"name": "mode", "kind": "categorical", "categories": ["heat", "light"]},
        {"name": "lux", "kind": "integer", "low": 1, "high": 9, "when": {"parameter": "mode", "is": "light"}},
        {"name": "humidity", "kind": "context", "low": 0, "high": 100},
    ],
    "outputs": [{"name": "yield", "unit": "%"}, {"name": "ee"}],
    "objectives": [{"output": "yield"}],
}


async def staged(lab: Lab, **parameters: Any) -> int:
    rows = [{"parameters": {"temperature": 50, "mode": "light", "lux": 3, **parameters}}]
    body = {"key": str(uuid.uuid4()), "items": rows}
    answer = await lab.client.ok("POST", f"/campaigns/{lab.campaign}/experiments", body)
    return int(answer["experiments"][0]["id"])


async def send(lab: Lab, experiment: int, **more: Any) -> str:
    body = result(experiment, **{"outputs": {"yield": 0.5, "ee": 0.9}, **more})
    await lab.client.ok("POST", "/results", {"items": [body]})
    return str(body["id"])


async def amend(lab: Lab, id: str, **more: Any) -> str:
    body = {"id": str(uuid.uuid4()), "reason": "integrated again", **more}
    await lab.client.ok("POST", f"/results/{id}/amend", body)
    return str(body["id"])


async def withdraw(lab: Lab, id: str) -> str:
    body = {"id": str(uuid.uuid4()), "reason": "wrong vial"}
    await lab.client.ok("POST", f"/results/{id}/withdraw", body)
    return str(body["id"])


@pytest.fixture
async def mine(client: Client) -> Lab:
    return await Lab.make(client, problem=PROBLEM)


async def table(client: Client) -> list[dict[str, str]]:
    text = await client.ok("GET", "/campaigns/lab/results?format=csv")
    return list(csv.DictReader(io.StringIO(text)))


async def test_each_row_says_where_it_stands(client: Client, mine: Lab) -> None:
    one, two, three = [await staged(mine, lux=number) for number in (1, 2, 3)]
    first, second, third = [await send(mine, each) for each in (one, two, three)]
    amended, gone = await amend(mine, first, outputs={"ee": 0.95}), await withdraw(mine, second)
    rows = (await client.ok("GET", "/campaigns/lab/results"))["items"]
    told = {each["id"]: (each["kind"], each["standing"], each["replaced"], each["amends"]) for each in rows}
    assert told == {
        first: ("report", "corrected", ["ee"], None),
        second: ("report", "withdrawn", ["ee", "yield"], None),
        third: ("report", "stands", [], None),
        amended: ("amend", "stands", [], first),
        gone: ("withdraw", "stands", [], second),
    }
    assert {each["id"]: each["message"] for each in rows if each["amends"]} == {
        amended: "integrated again",
        gone: "wrong vial",
    }
    shown = (await client.ok("GET", f"/experiments/{one}"))["results"]
    assert shown == [each for each in rows if each["experiment"] == one]
    one_by_one = [(await client.ok("GET", f"/campaigns/lab/results?limit=1&cursor={n}")) for n in range(5)]
    assert [each["items"][0]["standing"] for each in one_by_one] == [each["standing"] for each in rows]
    lines = {row["id"]: row for row in await table(client)}
    counting = [row["yield"] for row in lines.values() if row["standing"] == "stands" and row["yield"]]
    assert counting == ["0.5"] and lines[first]["replaced"] == "ee"
    assert (lines[gone]["amends"], lines[gone]["message"]) == (second, "wrong vial")


async def test_rows_show_the_point_as_it_was_run(client: Client, mine: Lab) -> None:
    one, two = await staged(mine), await staged(mine, lux=4)
    await send(mine, one, actual={"humidity": 41, "mode": "heat"})
    await send(mine, two)
    first, second = (await client.ok("GET", "/campaigns/lab/results"))["items"]
    assert list(first["as_run"].items()) == [("temperature", 50), ("mode", "heat"), ("humidity", 41)]
    assert list(first["parameters"]) == ["temperature", "mode", "lux"], "in the problem's own order"
    assert second["as_run"] == second["parameters"] == {"temperature": 50, "mode": "light", "lux": 4}
    shown = await client.ok("GET", f"/experiments/{one}")
    assert list(shown["actual"].items()) == [("mode", "heat"), ("humidity", 41)]
    assert (await client.ok("GET", f"/experiments/{two}"))["actual"] == {}
    row, _ = await table(client)
    assert (row["mode"], row["lux"], row["humidity"]) == ("heat", "", "41")


async def test_what_belongs_to_no_experiment_shows_what_was_sent(client: Client, mine: Lab) -> None:
    sent = result(0, parameters={"lux": "bright", "temperature": 30}, actual={"humidity": 41})
    del sent["experiment"]
    await client.ok("POST", "/campaigns/lab/results", {"items": [sent]})
    (first,) = (await client.ok("GET", "/campaigns/lab/results"))["items"]
    assert (first["verdict"], first["standing"], first["code"]) == ("held", None, None)
    assert first["as_run"] == {"temperature": 30, "lux": "bright", "humidity": 41}
    (row,) = await table(client)
    assert (row["lux"], row["mode"], row["humidity"], row["standing"]) == ("bright", "", "41", "")


async def needs(client: Client) -> list[dict[str, str]]:
    found = (await client.ok("GET", "/status"))["attention"]
    return [each for each in found if each["kind"] == "result"]


async def test_a_result_of_no_use_to_a_complete_experiment_needs_a_person(
    client: Client, mine: Lab, context: Context
) -> None:
    one = await staged(mine)
    await send(mine, one)
    assert await needs(client) == []
    odd, other = [await send(mine, one, outputs={"yield": "high"}) for _ in range(2)]
    await numbered(context)
    two, first = await needs(client)
    assert (first["title"], first["link"]) == (
        "a result of lab-1 cannot be used",
        f"/api/v1/experiments/{one}",
    )
    assert "yield" in first["what"] and f"labqueue dismiss {odd} --reason" in first["do"]
    assert other in two["do"] and await mine.state(one) == "completed"
    seen = await client.ok("POST", f"/results/{odd}/dismiss", {"reason": "a typing error"})
    assert [each["id"] for each in seen["items"]] == [odd] and await needs(client) == [two]
    await amend(mine, other, outputs={"yield": 0.7})
    assert await needs(client) == []
    rows = (await client.ok("GET", f"/experiments/{one}"))["results"]
    assert [(each["verdict"], each["standing"]) for each in rows] == [
        ("accepted", "corrected"),
        ("held", None),
        ("held", "corrected"),
        ("accepted", "stands"),
    ]


async def test_a_run_elsewhere_of_no_use_needs_a_person(client: Client, mine: Lab) -> None:
    sent = result(0, parameters={"temperature": "hot"})
    del sent["experiment"]
    await client.ok("POST", "/campaigns/lab/results", {"items": [sent]})
    (item,) = await needs(client)
    assert item["title"] == "a result of lab cannot be used"
    assert item["do"] == f"labqueue dismiss {sent['id']} --reason '...'"
    await client.ok("POST", f"/results/{sent['id']}/dismiss", {"reason": "a slip of the pen"})
    assert await needs(client) == []


async def test_a_result_for_which_its_experiment_is_held_is_named_once(
    client: Client, mine: Lab, context: Context
) -> None:
    one = await staged(mine)
    odd = await send(mine, one, outputs={"yield": "high"})
    await numbered(context)
    found = (await client.ok("GET", "/status"))["attention"]
    assert [each["title"] for each in found if each["kind"] in ("held", "result")] == ["lab-1 is held"]
    path = f"/results/{odd}/dismiss"
    refused = await client.refused(409, "conflict", "POST", path, {"reason": "seen"})
    assert "lab-1 is held: decide about it" in refused["detail"]
    await client.ok(
        "POST", f"/experiments/{one}/decide", {"decision": "run_again", "reason": "a typing error"}
    )
    assert await needs(client) == []


async def test_the_command_line_shows_it(
    client: Client, mine: Lab, context: Context, capsys: pytest.CaptureFixture[str]
) -> None:
    one, two, three = [await staged(mine, lux=number) for number in (1, 2, 3)]
    first = await send(mine, one, actual={"humidity": 41, "mode": "heat"})
    second = await send(mine, two)
    amended, gone = await amend(mine, first, outputs={"ee": 0.95}), await withdraw(mine, second)
    odd = await send(mine, three, outputs={"yield": "high"}, comment="no sample")
    await send(mine, three)
    late = await send(mine, three, outputs={"yield": "low"})
    await numbered(context)
    with served(context) as url:

        def run(*words: str) -> str:
            assert main([*words, "--url", url]) == 0
            return capsys.readouterr().out

        assert "a result of lab-3 cannot be used" in run("status")
        lines = list(csv.reader(io.StringIO(run("results", "lab", "--csv"))))
        assert lines[0][:7] == ["code", "temperature", "mode", "lux", "humidity", "yield", "ee"]
        assert lines[1][:7] == ["lab-1", "50.0", "heat", "", "41", "0.5", "0.9"]
        rows = {row["result"]: row for row in csv.DictReader(io.StringIO(run("results", "lab", "--csv")))}
        assert {id: row["standing"] for id, row in rows.items() if row["standing"]} == {
            first: "corrected: ee",
            second: "withdrawn",
            amended: f"correction of {first}: integrated again",
            gone: f"withdrawal of {second}: wrong vial",
        }
        assert (rows[gone]["outcome"], rows[odd]["verdict"], rows[late]["verdict"]) == ("", "held", "held")
        text = run("results", "lab")
        assert f"withdrawal of {second}: wrong vial" in text and "humidity" in text
        shown = run("show", "lab-1")
        assert "\nactual       mode heat, humidity 41\n" in shown
        assert "corrected: ee" in shown and f"correction of {first}: integrated again" in shown
        shown = run("show", "lab-2")
        assert f"withdrawal of {second}: wrong vial" in shown and "\nactual" not in shown
        line = next(each for each in run("show", "lab-3").splitlines() if late in each)
        assert " held " in line and "cannot be used as it stands" in line
        assert f"labqueue dismiss {late} --reason" in run("status")
        assert "is dismissed" in run("dismiss", late, "--reason", "read from the wrong line")
        assert late not in run("status")
