"""What a person's table says in the words of a problem, and which experiment each row is about."""

from __future__ import annotations

from typing import Any

import pytest

from labqueue.errors import InvalidError
from labqueue.problem import Problem
from models.domain.pairing import (
    CHANGED,
    NEW,
    PENDING,
    RECORDED,
    REFUSED,
    UNCHANGED,
    Known,
    Reading,
    pair,
)
from models.domain.reconcile import columns_of, entries
from models.domain.sheet import read

PROBLEM = Problem.from_json(
    {
        "parameters": [
            {"name": "temperature", "kind": "continuous", "low": 20, "high": 120, "unit": "°C"},
            {"name": "cycles", "kind": "integer", "low": 1, "high": 9},
            {"name": "solvent", "kind": "categorical", "categories": ["water", "DMF", "ethanol"]},
            {"name": "vessel", "kind": "fixed", "value": "tube"},
            {"name": "humidity", "kind": "context", "low": 0, "high": 100},
        ],
        "outputs": [{"name": "yield"}, {"name": "phase", "classes": ["solid", "oil"]}],
        "objectives": [{"output": "yield"}],
    }
)
NAMES = (*PROBLEM.names, *PROBLEM.output_names, "code", "experiment")


def known(
    id: int, point: tuple[float, int, str], outputs: dict[str, Any] | None = None, **more: Any
) -> Known:
    temperature, cycles, solvent = point
    planned = {"temperature": temperature, "cycles": cycles, "solvent": solvent, "vessel": "tube"}
    fields = {"actual": {}, "outputs": outputs or {}, "open": not outputs, **more}
    return Known(id, f"snar-{id}", planned, **fields)


def readings(text: str, *there: Known) -> list[Reading]:
    sheet = read(text.encode(), NAMES)
    columns = columns_of(PROBLEM, sheet)
    return pair(PROBLEM, entries(PROBLEM, sheet, columns), there)


def verdicts(text: str, *there: Known) -> list[tuple[str, int | None]]:
    return [(each.verdict, each.id) for each in readings(text, *there)]


def test_a_table_without_a_column_says_what_it_has() -> None:
    with pytest.raises(InvalidError) as caught:
        readings("temperature,solvent,yeld\n20,DMF,1\n")
    assert [str(each) for each in caught.value.errors] == [
        "cycles: has no column. The table has: temperature, solvent, yeld.",
        "file: has no column of an output (yield, phase). The table has: temperature, solvent, yeld.",
    ]


HEAD = "temperature,cycles,solvent,yield\n"


# Columns and cells


@pytest.mark.parametrize(
    "text",
    [
        "yield,note,SOLVENT,Cycles,Temperature (°C)\n0.5,great,dmf,3,40\n",
        "temperature;cycles;solvent;yield\n40,0;3;DMF;0,5\n",
        "temperature,cycles,solvent,yield\n40.00000,3.0,1.00000,0.5\n",
        "temperature,cycles,solvent,vessel,humidity,yield,phase\n40,3,DMF,tube,,0.5,PENDING\n",
    ],
    ids=["any order", "decimal commas", "encoded", "all columns"],
)
def test_the_same_row_in_many_writings(text: str) -> None:
    (found,) = readings(text)
    assert found.verdict == NEW and found.outputs == {"yield": 0.5}
    point = {key: value for key, value in found.parameters.items() if key != "vessel"}
    assert point == {"temperature": 40.0, "cycles": 3, "solvent": "DMF"}


def test_what_is_measured_beside_a_point_is_no_part_of_it() -> None:
    (found,) = readings("temperature,cycles,solvent,humidity,yield\n40,3,DMF,55,0.5\n")
    assert found.actual == {"humidity": 55.0} and "humidity" not in found.parameters
    (again,) = readings(
        "temperature,cycles,solvent,humidity,yield\n40,3,DMF,55,0.5\n", known(1, (40, 3, "DMF"))
    )
    assert (again.verdict, again.id, again.actual) == (RECORDED, 1, {"humidity": 55.0})


def test_a_column_of_a_pool_is_no_code_of_an_experiment() -> None:
    pool = {"name": "library", "sha256": "0" * 64, "rows": 9, "columns": ["code", "logp"]}
    problem = Problem.from_json({"pool": pool, "outputs": [{"name": "yield"}]})
    columns = columns_of(
        problem, read(b"experiment,row,code,logp,yield\n7,r1,C-1,0.5,2\n", ("yield", "experiment"))
    )
    assert (columns.code, columns.id) == (None, "experiment")


def test_numbers_that_are_names_stay_names() -> None:
    problem = Problem.from_json(
        {
            "parameters": [{"name": "grade", "kind": "categorical", "categories": ["1", "2", "3"]}],
            "outputs": [{"name": "yield"}],
            "objectives": [{"output": "yield"}],
        }
    )
    sheet = read(b"grade,yield\n1,0.5\n2,0.6\n", ("grade", "yield"))
    columns = columns_of(problem, sheet)
    assert [each.parameters["grade"] for each in entries(problem, sheet, columns)] == ["1", "2"]


@pytest.mark.parametrize(
    ("row", "column"),
    [
        ("40,3,1,0.5\n40,3,DMF,0.5", "solvent"),
        ("40,3,benzene,0.5", "solvent"),
        ("warm,3,DMF,0.5", "temperature"),
        ("40,3,DMF,much", "yield"),
        ("40,,DMF,0.5", "cycles"),
        ("40,3,DMF,0.5,more", "row"),
    ],
)
def test_a_row_that_cannot_be_read_is_refused_with_its_column(row: str, column: str) -> None:
    first = readings(HEAD + row + "\n")[0]
    assert first.verdict == REFUSED and [each.field for each in first.errors] == [column]


@pytest.mark.parametrize(("row", "column"), [("400,3,DMF,0.5", "temperature"), ("40,2.5,DMF,0.5", "cycles")])
def test_a_row_that_nobody_could_plan_was_measured_all_the_same_and_says_so(row: str, column: str) -> None:
    (found,) = readings(HEAD + row + "\n")
    assert found.verdict == NEW and column in found.message and not found.errors
    assert [found.parameters["temperature"], found.parameters["cycles"]] == list(
        map(float, row.split(",")[:2])
    )


@pytest.mark.parametrize(
    ("header", "fields"),
    [
        ("temperature,solvent,yield", ["cycles"]),
        ("temperature,cycles,solvent", ["file"]),
        ("Temperature,TEMPERATURE,cycles,solvent,yield", ["temperature"]),
    ],
)
def test_columns_that_do_not_fit_are_named(header: str, fields: list[str]) -> None:
    with pytest.raises(InvalidError) as caught:
        readings(header + "\n1,2,3,4\n")
    assert [each.field for each in caught.value.errors] == fields


def test_a_column_of_codes_is_enough() -> None:
    (found,) = readings("code,yield\nsnar-7,0.5\n", known(7, (40, 3, "DMF")))
    assert (found.verdict, found.id, found.outputs) == (RECORDED, 7, {"yield": 0.5})
    (found,) = readings("experiment,yield\n7,0.5\n", known(7, (40, 3, "DMF")))
    assert (found.verdict, found.id) == (RECORDED, 7)


# Pairing


def test_reading_a_table_twice_says_nothing_new() -> None:
    text = HEAD + "40,3,DMF,0.5\n50,3,DMF,\n60,3,water,0.7\n40,3,DMF,0.6\n"
    there = [
        known(1, (40, 3, "DMF"), {"yield": 0.5}),
        known(2, (50, 3, "DMF")),
        known(3, (60, 3, "water"), {"yield": 0.7}),
        known(4, (40, 3, "DMF"), {"yield": 0.6}),
    ]
    assert verdicts(text, *there) == [(UNCHANGED, 1), (PENDING, 2), (UNCHANGED, 3), (UNCHANGED, 4)]


def test_a_row_completes_what_waits_for_it_before_anything_else() -> None:
    there = [known(1, (40, 3, "DMF"), {"yield": 0.5}), known(2, (40, 3, "DMF"))]
    assert verdicts(HEAD + "40,3,DMF,0.8\n", *there) == [(RECORDED, 2)]
    assert verdicts(HEAD + "40,3,DMF,0.8\n40,3,DMF,0.5\n", *there) == [(RECORDED, 2), (UNCHANGED, 1)]


def test_another_value_of_a_finished_experiment_is_a_change_and_a_row_too_many_a_run_elsewhere() -> None:
    there = [known(1, (40, 3, "DMF"), {"yield": 0.5})]
    assert verdicts(HEAD + "40,3,DMF,0.8\n", *there) == [(CHANGED, 1)]
    assert verdicts(HEAD + "40,3,DMF,0.8\n40,3,DMF,0.5\n", *there) == [(NEW, None), (UNCHANGED, 1)]


def test_digits_that_a_spreadsheet_rounds_are_no_change() -> None:
    there = [known(1, (100 / 3, 3, "DMF"), {"yield": 2 / 3})]
    assert verdicts(HEAD + "33.3333333333,3,DMF,0.66666666667\n", *there) == [(UNCHANGED, 1)]


def test_a_code_says_which_one_whatever_was_really_run() -> None:
    there = [known(1, (40, 3, "DMF")), known(2, (41, 3, "DMF"), {"yield": 0.5}, actual={"temperature": 41.5})]
    head = "code,temperature,cycles,solvent,yield\n"
    first, second = readings(head + "snar-1,130.5,3,DMF,0.4\nsnar-2,41.7,3,DMF,0.5\n", *there)
    assert (first.verdict, first.actual, first.outputs) == (RECORDED, {"temperature": 130.5}, {"yield": 0.4})
    assert (second.verdict, second.actual, second.outputs) == (CHANGED, {"temperature": 41.7}, {})
    (same,) = readings(head + "snar-2,41.5,3,DMF,0.5\n", *there)
    assert same.verdict == UNCHANGED


def test_codes_that_cannot_be_are_refused() -> None:
    head = "code,temperature,cycles,solvent,yield\n"
    rows = "snar-9,40,3,DMF,0.4\nsnar-1,40,3,DMF,0.4\nsnar-1,40,3,DMF,0.5\n"
    found = readings(head + rows, known(1, (40, 3, "DMF")))
    assert [each.verdict for each in found] == [REFUSED, RECORDED, REFUSED]
    assert "no experiment snar-9" in str(found[0].errors[0]) and "another row" in str(found[2].errors[0])


def test_an_outcome_that_comes_later_is_recorded_beside_what_is_known() -> None:
    there = [known(1, (40, 3, "DMF"), {"yield": 0.5})]
    (found,) = readings("temperature,cycles,solvent,yield,phase\n40,3,DMF,0.5,oil\n", *there)
    assert (found.verdict, found.outputs) == (RECORDED, {"phase": "oil"})


def test_a_label_that_reads_like_nothing_yet_is_a_label() -> None:
    problem = Problem.from_json(
        {
            "parameters": [{"name": "x", "kind": "continuous", "low": 0, "high": 1}],
            "outputs": [{"name": "colour", "classes": ["none", "red"]}],
            "objectives": [{"output": "colour", "goal": "learn"}],
        }
    )
    sheet = read(b"x,colour\n0.5,none\n", ("x", "colour"))
    (entry,) = entries(problem, sheet, columns_of(problem, sheet))
    assert entry.outputs == {"colour": "none"}
