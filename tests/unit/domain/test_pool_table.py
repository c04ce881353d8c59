"""Tables of rows that may be run: what is taken, and which line is to blame where it is not."""

from __future__ import annotations

import io
import math
from typing import Any

import numpy
import pytest
from hypothesis import given
from hypothesis import strategies as st

from labqueue.errors import FieldError, InvalidError
from models.domain import pool_table
from models.domain.csv_rows import LINE_LIMIT, csv_rows
from models.domain.pool_table import Table


def table(text: str | bytes, id_column: str = "id", categories: tuple[str, ...] = ()) -> Table:
    file = io.BytesIO(text.encode() if isinstance(text, str) else text)
    return Table(lambda: csv_rows(file), id_column, categories)


def rows(read: Table) -> list[tuple[str, tuple[Any, ...]]]:
    return [each for block in read.blocks() for each in zip(block.keys, block.shown, strict=True)]


def faults(text: str | bytes, **more: Any) -> list[FieldError]:
    with pytest.raises(InvalidError) as refused:
        rows(table(text, **more))
    assert refused.value.errors
    return list(refused.value.errors)


def test_numbers_and_categories_are_told_apart_by_their_first_rows() -> None:
    read = table("id,mass,solvent\na,1.5,water\nb,-2e1,ethanol\nc, .5 ,water\n")
    assert rows(read) == [("a", (1.5, "water")), ("b", (-20.0, "ethanol")), ("c", (0.5, "water"))]
    mass, solvent = (each.to_json() for each in read.columns)
    assert (mass["kind"], mass["low"], mass["high"]) == ("number", -20.0, 1.5)
    assert solvent == {"name": "solvent", "kind": "category", "categories": ["water", "ethanol"]}
    (block,) = read.blocks()
    assert block.values.tolist() == [[1.5, 0.0], [-20.0, 1.0], [0.5, 0.0]]


def test_a_column_that_looks_like_numbers_can_be_called_a_category() -> None:
    assert rows(table("id,ligand\na,1\nb,2\n", categories=("ligand",))) == [("a", ("1",)), ("b", ("2",))]
    assert faults("id,ligand\na,1\n", categories=("ligant",))[0].hint == "Did you mean ligand?"


@pytest.mark.parametrize("separator", [",", ";", "\t", "|"])
def test_separators_marks_quotes_and_line_ends(separator: str) -> None:
    text = '\ufeff"id"~"a ""b"" , ; | , ; | c"\r\n"r\u00f6w 1"~1\r\n\r\nx~"2\u00a0"\r\n'
    read = table(text.replace("~", separator))
    assert rows(read) == [("r\u00f6w 1", (1.0,)), ("x", (2.0,))]
    assert read.columns[0].name == 'a "b" , ; | , ; | c'


@given(st.lists(st.floats(-1e30, 1e30), min_size=1, max_size=60))
def test_the_range_mean_and_spread_of_a_column(numbers: list[float]) -> None:
    read = table("id,x\n" + "".join(f"{place},{each!r}\n" for place, each in enumerate(numbers)))
    assert [shown for _, (shown,) in rows(read)] == numbers
    found = read.columns[0].to_json()
    size = max(1.0, *map(abs, numbers))
    assert (found["low"], found["high"]) == (min(numbers), max(numbers))
    assert math.isclose(found["mean"], float(numpy.mean(numbers)), abs_tol=1e-9 * size)
    assert math.isclose(found["sd"], float(numpy.std(numbers)), abs_tol=1e-6 * size)


@pytest.mark.parametrize(
    ("text", "field", "says"),
    [
        ("id,x\na,1\nb,\n", "line 3, x", "is empty"),
        ("id,x\na,1\nb,nan\n", "line 3, x", "not a finite"),
        ("id,x\na,1\nb,-Infinity\n", "line 3, x", "not a finite"),
        ("id,x\na,1\nc,2\nb,n/a\n", "line 4, x", "is not a number"),
        ("id,x\na,1\nc,2\nb,1_000\n", "line 4, x", "is not a number"),
        ("id,x\na,1\nc,2\nb,\u0663\n", "line 4, x", "is not a number"),
        ("id,x\na,1\nb,1e39\n", "line 3, x", "larger than"),
        ("id,x\na,1\n,2\n", "line 3", "has no id"),
        ("id,x\na,1\nb\x07,2\n", "line 3", "no usable id"),
        ("id,x\na,1\nb,2,3\n", "line 3", "has 3 cells instead of 2"),
        ("id,x\na,1\nb\n", "line 3", "has 1 cells instead of 2"),
        ('id,x\n"a\n\nb",1\nc,\n', "line 2", "no usable id"),
        ("id,x\na,red\nb,\n", "line 3, x", "is empty"),
        ("name,x\na,1\n", "line 1", "no column id"),
        ("id\na\n", "line 1", "has the id alone"),
        ("id,x,x\na,1,2\n", "line 1, column 3", "another column"),
        ("id,,y\na,1,2\n", "line 1, column 2", "no usable name"),
        ("id,row\na,1\n", "line 1, row", "the name that the id has"),
        ("id,x\n", "rows", "missing"),
        ("", "line 1", "no column id"),
        ('id,x\na,"1\n', "line 2", "unexpected end"),
        ("id,x\na,\x001\n", "line 2", "NUL"),
        (b"id,x\na,\xff1\n", "line 2", "not UTF-8 from byte 3"),
        ("id;x\na;0,5\nb;0,7\n", "x", "decimal comma"),
        ('id,x\na,"1,000"\nb,"12,500.5"\n', "x", "numbers with commas"),
        ("id,x\na,5%\nb,7.5 %\nc,8%\n", "x", "a percent sign"),
    ],
)
def test_what_is_wrong_is_named_with_its_line(text: str | bytes, field: str, says: str) -> None:
    found = faults(text)[0]
    assert found.field == field and says in found.message


@pytest.mark.parametrize(
    ("cell", "hint"),
    [
        ("0,5", "with a point: 0.5"),
        ("1,000", "1,000 as 1000"),
        ("5%", "5% as 5, or as 0.05"),
        ("five", ""),
    ],
)
def test_an_odd_number_is_told_how_to_be_one(cell: str, hint: str) -> None:
    (only,) = faults(f'id,x\na,1\nb,2\nc,"{cell}"\n')
    assert only.field == "line 4, x" and (hint in only.hint if hint else not only.hint)


def test_what_is_said_to_be_a_category_may_have_percent_signs() -> None:
    assert rows(table("id,x\na,5%\nb,7%\n", categories=("x",))) == [("a", ("5%",)), ("b", ("7%",))]


def test_what_is_no_csv_at_all() -> None:
    for start, says in (
        (b"PK\x03\x04", "workbook"),
        (b"\x1f\x8b\x08", "compressed"),
        (b"\xff\xfei\0", "UTF-16"),
    ):
        assert says in faults(start + b"junk" * 99)[0].message


def test_a_line_without_an_end_is_not_read_whole() -> None:
    assert "longer than" in faults(b"id,x\na," + b"1" * (LINE_LIMIT + 10))[0].message


def test_a_field_without_an_end_is_not_read_whole() -> None:
    assert "field larger" in faults('id,x\na,"' + "1\n" * 200_000)[0].message


def test_no_more_faults_than_people_read() -> None:
    assert len(faults("id,x\n" + "a,1\n" * 30 + "b,?\n" * 25)) == pool_table.FAULT_LIMIT


def test_faults_come_in_the_order_of_their_lines() -> None:
    rows = [f"{number},{'x' if number < 20 else 1},{2 if number % 3 else 'y'}" for number in range(90)]
    found = faults("\n".join(["id,mass,size", *rows]))
    lines = [int(each.field.split(",")[0].removeprefix("line ")) for each in found]
    assert lines == sorted(lines) and lines[:3] == [2, 2, 3] and len(lines) == 20


def test_texts_of_their_own_for_each_row_are_no_category() -> None:
    text = "id,name\n" + "".join(f"{place},compound {place}\n" for place in range(300))
    found = faults(text)[0]
    assert found.field == "line 202, name" and "beyond the 200" in found.message


def test_what_is_decided_by_the_first_rows_holds_for_the_rest() -> None:
    text = "id,x\n" + "".join(f"{place},{place}\n" for place in range(pool_table.DECIDING)) + "last,red\n"
    assert faults(text)[0].field == f"line {pool_table.DECIDING + 2}, x"


def test_too_many_rows_columns_or_values(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pool_table, "ROW_LIMIT", 3)
    assert "at most 3 rows" in faults("id,x\na,1\nb,1\nc,1\nd,1\n")[0].message
    monkeypatch.setattr(pool_table, "CELL_LIMIT", 4)
    assert "at most 4 values" in faults("id,x,y\na,1,2\nb,1,2\nc,1,2\n")[0].message
    monkeypatch.setattr(pool_table, "COLUMN_LIMIT", 1)
    assert "at most 1 columns" in faults("id,x,y\na,1,2\n")[0].message
