"""Tables over HTTP and on the command line: read in, given out, edited, read in again."""

from __future__ import annotations

import csv
import io
from pathlib import Path
from typing import Any

import pytest
from api import Client, Lab, numbered, result, served

from labqueue.cli import main
from services.bootstrap import Context
from services.flow.tokens import issue

pytestmark = pytest.mark.anyio

TABLE = "yield;note;Purity;TAU [min];solvent\n0,87;clear;0,9;0,5;Water\n;PENDING;;0,75;water\n0,5;;0,8;1,234;ethanol\n"


async def send(client: Client, body: bytes | str, status: int = 200, **query: Any) -> Any:
    answer = await client.request("POST", "/campaigns/lab/import", content=body, params=query)
    assert answer.status_code == status, answer.text
    return answer.json()


async def export(client: Client) -> str:
    answer = await client.request("GET", "/campaigns/lab/export")
    assert answer.headers["content-type"].startswith("text/csv")
    assert 'filename="lab.csv"' in answer.headers["content-disposition"]
    return answer.text


async def test_a_table_of_another_language_is_read_and_read_again(lab: Lab, client: Client) -> None:
    first, second = await lab.stage(0.5, 0.75)
    dry = await send(client, TABLE, dry_run="true")
    assert dry["dry_run"] and [each["verdict"] for each in dry["rows"]] == ["recorded", "pending", "new"]
    assert await lab.state(first) == "staged"
    found = await send(client, TABLE, file="Läufe.csv")
    assert found["counts"] == {
        "new": 1,
        "recorded": 1,
        "changed": 0,
        "unchanged": 0,
        "pending": 1,
        "refused": 0,
    }
    assert [each["line"] for each in found["rows"]] == [2, 3, 4]
    assert [each["code"] for each in found["rows"]] == ["lab-1", "lab-2", "lab-3"]
    assert (found["ignored"], found["delimiter"], found["decimal"]) == (["note"], ";", ",")
    assert (await lab.state(first), await lab.state(second)) == ("completed", "staged")
    shown = await client.ok("GET", f"/experiments/{first}")
    assert shown["outputs"] == {"yield": 0.87, "purity": 0.9}
    again = await send(client, TABLE)
    assert [each["verdict"] for each in again["rows"]] == ["unchanged", "pending", "unchanged"]


async def test_what_is_given_out_can_be_edited_and_read_in(lab: Lab, client: Client) -> None:
    first, second, _ = await lab.stage(0.5, 1 / 3, 2.5)
    for each, tau in ((first, 0.52), (second, 1 / 3)):
        await client.ok("POST", "/results", {"items": [result(each, actual={"tau": tau})]})
    text = await export(client)
    rows = list(csv.reader(io.StringIO(text)))
    assert rows[0] == ["code", "state", "tau", "solvent", "yield", "purity"]
    assert rows[1] == ["lab-1", "completed", "0.52", "water", "0.5", "0.9"]
    assert rows[3] == ["lab-3", "staged", "2.5", "water", "", ""]
    found = await send(client, text)
    assert [each["verdict"] for each in found["rows"]] == ["unchanged", "unchanged", "pending"]
    for old, new in ((",0.52,", ",0.53,"), ("2.5,water,,", "2.4,water,0.7,0.6")):
        assert old in text
        text = text.replace(old, new)
    found = await send(client, text)
    assert [each["verdict"] for each in found["rows"]] == ["changed", "unchanged", "recorded"]
    assert found["rows"][2]["actual"] == {"tau": 2.4}
    assert await export(client) == text.replace("staged", "completed")


async def test_what_depended_on_the_planned_category_is_not_given_out(
    client: Client, context: Context
) -> None:
    problem = {
        "parameters": [
            {"name": "mode", "kind": "categorical", "categories": ["heat", "light"]},
            {
                "name": "power",
                "kind": "integer",
                "low": 1,
                "high": 9,
                "when": {"parameter": "mode", "is": "light"},
            },
        ],
        "outputs": [{"name": "yield"}],
        "objectives": [{"output": "yield"}],
    }
    lab = await Lab.make(client, problem=problem)
    body = {"key": "mine", "items": [{"parameters": {"mode": "light", "power": 3}}]}
    (staged,) = (await client.ok("POST", f"/campaigns/{lab.campaign}/experiments", body))["experiments"]
    said = result(staged["id"], outputs={"yield": 0.5}, actual={"mode": "heat"})
    await client.ok("POST", "/results", {"items": [said]})
    await numbered(context)
    assert list(csv.reader(io.StringIO(await export(client))))[1] == ["lab-1", "completed", "heat", "", "0.5"]
    best = (await client.ok("GET", f"/campaigns/{lab.campaign}"))["best"]
    assert best["parameters"] == {"mode": "heat"}
    found = await client.ok("GET", f"/campaigns/{lab.campaign}/results?format=csv")
    row = next(csv.DictReader(io.StringIO(found)))
    assert (row["mode"], row["power"]) == ("heat", "")


async def test_names_that_our_own_columns_have_are_the_problems(client: Client) -> None:
    problem = {
        "parameters": [
            {"name": "code", "kind": "continuous", "low": 0, "high": 10},
            {"name": "state", "kind": "categorical", "categories": ["staged", "molten"]},
        ],
        "outputs": [{"name": "reason"}],
        "objectives": [{"output": "reason"}],
    }
    lab = await Lab.make(client, problem=problem)
    row = {"parameters": {"code": 2.5, "state": "molten"}}
    body = {"key": "mine", "items": [row, {"parameters": {"code": 1.0, "state": "staged"}}]}
    first, second = (await client.ok("POST", f"/campaigns/{lab.campaign}/experiments", body))["experiments"]
    await client.ok("POST", "/results", {"items": [result(first["id"], outputs={"reason": 0.5})]})
    text = await export(client)
    assert list(csv.reader(io.StringIO(text))) == [
        ["experiment", "code", "state", "reason"],
        [str(first["id"]), "2.5", "molten", "0.5"],
        [str(second["id"]), "1.0", "staged", ""],
    ]
    found = await send(client, text.replace("staged,", "staged,0.7"))
    assert [each["verdict"] for each in found["rows"]] == ["unchanged", "recorded"]
    for path in ("experiments", "results"):
        answer = await client.request("GET", f"/campaigns/lab/{path}", params={"format": "csv"})
        header = next(csv.reader(io.StringIO(answer.text)))
        assert len(set(header)) == len(header) and header[-3:] == ["code", "state", "reason"]


async def test_what_cannot_be_read_is_told_by_line_and_column(lab: Lab, client: Client) -> None:
    found = await send(client, "tau;solvent;yield;purity\n1,234;water;1;1\n5;oil;1;1\n9x;water;1;1\n")
    assert [each["verdict"] for each in found["rows"]] == ["refused"] * 3
    told = [(each["line"], each["errors"][0]["field"]) for each in found["rows"]]
    assert told == [(2, "tau"), (3, "solvent"), (4, "tau")]
    assert "1.234 or 1234" in found["rows"][0]["errors"][0]["message"]
    assert found["rows"][1]["errors"][0]["allowed"] == "water, ethanol"
    answer = await send(client, "tau,solvent\n1,water\n", 422)
    assert [each["field"] for each in answer["errors"]] == ["file"]
    await send(client, b"\x00\x01", 422)
    await send(client, "", 422)
    assert (await client.ok("GET", "/campaigns/lab/experiments"))["items"] == []
    missing = await client.request("POST", "/campaigns/labb/import", content="a\n1\n")
    assert missing.status_code == 404


async def test_what_was_run_out_of_bounds_is_taken_and_said(lab: Lab, client: Client) -> None:
    found = await send(client, "tau;solvent;yield;purity\n99;water;1;1\n")
    (row,) = found["rows"]
    assert row["verdict"] == "new" and row["errors"] == []
    assert row["message"].startswith("Taken, though nothing may be planned there: tau ")
    (kept,) = (await client.ok("GET", "/campaigns/lab/experiments"))["items"]
    assert kept["state"] == "completed" and kept["parameters"]["tau"] == 99


async def test_only_a_campaigns_people_read_tables_in(lab: Lab, client: Client, context: Context) -> None:
    texts = [
        issue(context.store, context.ids, name, scopes, None, "person:admin")[1]
        for name, scopes in (("robot", ["queue:lab-queue"]), ("anna", ["campaign:lab"]))
    ]
    for text, imports, exports in zip(texts, (403, 200), (200, 200), strict=True):
        headers = {"Authorization": f"Bearer {text}"}
        answer = await client.request("POST", "/campaigns/lab/import", content=TABLE, headers=headers)
        assert answer.status_code == imports
        assert (await client.get("/campaigns/lab/export", headers=headers)).status_code == exports


async def test_on_the_command_line(
    lab: Lab, context: Context, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    await lab.stage(0.5, 0.75)
    path, out = tmp_path / "runs.csv", tmp_path / "out.csv"
    path.write_text(TABLE + "0,5;;0,8;1;oil\n")
    with served(context) as url:

        def run(*words: str) -> tuple[int, str]:
            code = main([*words, "--url", url])
            return code, capsys.readouterr().out

        code, text = run("import", "lab", str(path), "--dry-run")
        assert code == 1 and "Nothing was done: a dry run." in text and "'oil' is not one of water" in text
        code, text = run("import", "lab", str(path))
        assert "1 recorded" in text and "Columns left out: note." in text and "1 refused" in text
        path.write_text(TABLE)
        code, text = run("import", "lab", str(path))
        assert (
            code == 0 and text == "3 rows: 2 known already, 1 nothing measured yet. Columns left out: note.\n"
        )
        assert run("export", "lab", str(out)) == (0, f"The campaign lab is in {out}.\n")
        assert run("import", "lab", str(out))[0] == 0
        assert run("export", "lab", "-") == run("export", "lab")
        code, text = run("export", "lab")
        assert text.splitlines()[0] == "code,state,tau,solvent,yield,purity" and len(text.splitlines()) == 4
