"""Tables as spreadsheets of any language write them: what is clear is read, what is not is said."""

from __future__ import annotations

import pytest

from labqueue.errors import InvalidError
from models.domain.sheet import ROW_LIMIT, Sheet, Unclear, read, simple

KNOWN = ("temperature", "solvent", "yield")


def sheet(text: str) -> Sheet:
    return read(text.encode(), KNOWN)


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "cp1252"])
@pytest.mark.parametrize("newline", ["\n", "\r\n", "\r"])
def test_delimiter_letters_and_line_ends_are_told(delimiter: str, encoding: str, newline: str) -> None:
    lines = ["temperature;solvent;yield", "40;Wässrig;0", "", "50;Ethanol;1"]
    text = newline.join(lines).replace(";", delimiter)
    found = read(text.encode(encoding), KNOWN)
    assert found.columns == KNOWN and found.delimiter == delimiter
    assert [dict(row.cells) for row in found.rows] == [
        {"temperature": "40", "solvent": "Wässrig", "yield": "0"},
        {"temperature": "50", "solvent": "Ethanol", "yield": "1"},
    ]
    assert [row.line for row in found.rows] == [2, 4]


def test_what_excel_says_about_its_delimiter_is_believed() -> None:
    found = sheet("sep=;\nyield;a,b\n1;2\n")
    assert found.columns == ("yield", "a,b") and found.rows[0].cells == {"yield": "1", "a,b": "2"}


@pytest.mark.parametrize(
    ("cells", "text", "value"),
    [
        ("1", "12", 12.0),
        ("1", "-3e-2", -0.03),
        ("0,5", "1,25", 1.25),
        ("0,5", "1,234", 1.234),
        ("0,5", "1.234,5", 1234.5),
        ("0,5", "1.234.567", 1234567.0),
        ("0.5", "1.234", 1.234),
        ("0.5", "1,234.5", 1234.5),
        ("1", "0,123", 0.123),
        ("1", ".5", 0.5),
        ("1", "1234.567", 1234.567),
    ],
)
def test_a_number_is_read_as_its_file_writes_numbers(cells: str, text: str, value: float) -> None:
    assert sheet(f"temperature;yield\n{cells};1\n").number(text) == value


@pytest.mark.parametrize(
    ("cells", "text"),
    [("1", "1,234"), ("1", "1.234"), ("0,5", "1.234"), ("0.5", "1,234"), ("0,5;0.5", "1.234")],
)
def test_what_may_be_two_numbers_is_none(cells: str, text: str) -> None:
    with pytest.raises(Unclear, match=r"1\.234 or 1234"):
        sheet(f"temperature;yield\n{cells}\n").number(text)


def test_commas_between_cells_leave_the_point_for_decimals() -> None:
    found = sheet("temperature,yield\n40,12.345\n")
    assert found.number("12.345") == 12.345
    with pytest.raises(Unclear):
        found.number("12,345")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "abc",
        "1 234",
        "1,2,3",
        "0x10",
        "1e",
        "1e101",
        "-1e101",
        "1e999",
        "--1",
        "inf",
        "nan",
        "1_000",
        "٣",
    ],
)
def test_what_is_no_number_is_none(text: str) -> None:
    with pytest.raises(Unclear):
        sheet("temperature;yield\n0,5;1\n").number(text)


def test_a_row_that_is_too_long_says_so_and_short_ones_are_filled_up() -> None:
    found = sheet("temperature,yield,\n1,2,,,\n1\n1,2,3,4\n")
    assert [row.long for row in found.rows] == [False, False, True]
    assert found.rows[1].cells == {"temperature": "1"}


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"", "is empty"),
        (b"\n\n", "is empty"),
        (b"a,b,a\n1,2,3\n", "two columns named 'a'"),
        (b"PK\x03\x04\x00\x00", "is no text"),
        (b"yield\n" + b"1\n" * (ROW_LIMIT + 1), "rows"),
        (b'yield\n"1\n' + b"2" * 200_000, "is no CSV at line"),
    ],
)
def test_what_is_no_table_is_refused_with_its_reason(data: bytes, why: str) -> None:
    with pytest.raises(InvalidError) as caught:
        read(data, KNOWN)
    assert why in str(caught.value.errors[0])


def test_the_quote_before_what_looks_like_a_formula_is_none_of_the_cell() -> None:
    found = sheet("'-log P,yield\n'=x,'-1.5\n'quoted,1\n")
    assert found.columns == ("-log P", "yield")
    assert [dict(row.cells) for row in found.rows] == [
        {"-log P": "=x", "yield": "-1.5"},
        {"-log P": "'quoted", "yield": "1"},
    ]


def test_names_are_the_same_without_case_blanks_and_units() -> None:
    assert simple("Flow Rate (mL/min)") == simple("flow_rate") == simple("flow-rate [mL/h]") == "flowrate"
    assert simple("(x)") != simple("(y)")
