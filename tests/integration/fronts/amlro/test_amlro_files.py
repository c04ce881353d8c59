"""The files are AMLRO's, byte for byte, and what people write into them is taken in."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from amlro_lab import CONFIG, lines, planned, rows, states, the_campaign

from labqueue.client import Client

TWO = {
    "continuous": {
        "feature_names": ["temperature", "loading"],
        "bounds": [[20, 40], [0, 1]],
        "resolutions": [20, 0.3],
    },
    "categorical": {"feature_names": ["solvent"], "values": [["DMF", "1,4-dioxane"]]},
    "objectives": ["yield", "cost"],
    "directions": ["max", "min"],
}


def test_the_grid(amlro: Any, tmp_path: Path) -> None:
    full, encoded, training = amlro.get_reaction_scope(TWO, sampling="sobol", training_size=3, write_files=True, exp_dir=tmp_path)  # fmt: skip
    assert (len(full), len(encoded), len(training)) == (20, 20, 3)
    # A resolution that does not divide the range goes beyond it, as np.arange does.
    assert list(full["loading"][:10:2]) == list(np.arange(0, 1 + 0.3, 0.3)) and full["loading"].max() > 1
    assert lines(tmp_path / "full_combo.csv")[:4] == [
        "temperature,loading,solvent",
        "20.00000,0.00000,0.00000",
        "20.00000,0.00000,1.00000",
        "20.00000,0.30000,0.00000",
    ]
    assert (tmp_path / "full_combo.csv").read_bytes().endswith(b"\n40.00000,1.20000,1.00000\n")
    decoded = (tmp_path / "full_combo_decoded.csv").read_bytes()
    assert decoded.startswith(
        b'temperature,loading,solvent\n20,0.00000,DMF\n20,0.00000,"1,4-dioxane"\n20,0.30000,DMF\n'
    )
    # The first point of a Sobol sequence is the lower corner.
    assert lines(tmp_path / "training_combo.csv")[:2] == ["temperature,loading,solvent", "20,0.00000,DMF"]


def test_what_was_measured(amlro: Any, tmp_path: Path) -> None:
    amlro.get_reaction_scope(TWO, sampling="sobol", training_size=3, write_files=True, exp_dir=tmp_path)
    first = amlro.generate_training_data(tmp_path, TWO)
    assert lines(tmp_path / "reactions_data.csv") == ["temperature,loading,solvent,yield,cost"]
    assert first == [20, 0.0, "DMF"]
    assert [type(each) for each in first] == [int, np.float64, str]
    second = amlro.generate_training_data(tmp_path, TWO, first, [0.1 + 0.2, 2])
    amlro.generate_training_data(tmp_path, TWO, second, [np.float64(1.0), np.int64(7)], termination=True)
    [_, loading, solvent] = second
    place = TWO["categorical"]["values"][0].index(solvent)  # type: ignore[index]
    assert (tmp_path / "reactions_data.csv").read_bytes().decode() == (
        "temperature,loading,solvent,yield,cost\n20.0,0.0,0.0,0.30000000000000004,2\n"
        f"{float(second[0])},{loading},{float(place)},1.0,7\n"
    )
    shown = f'"{solvent}"' if "," in solvent else solvent
    assert (tmp_path / "reactions_data_decoded.csv").read_bytes().decode() == (
        "temperature,loading,solvent,yield,cost\n20,0.0,DMF,0.30000000000000004,2\n"
        f"{second[0]},{loading},{shown},1.0,7\n"
    )


def test_files_are_a_projection(amlro: Any, again: Any, tmp_path: Path) -> None:
    """What was deleted comes back, and one of the pair that was lost in a crash with it."""
    amlro.get_reaction_scope(CONFIG, "sobol", 3, True, tmp_path)
    first = amlro.generate_training_data(tmp_path, CONFIG)
    amlro.generate_training_data(tmp_path, CONFIG, first, [0.5])
    before = (
        (tmp_path / "reactions_data.csv").read_bytes(),
        (tmp_path / "reactions_data_decoded.csv").read_bytes(),
    )
    (tmp_path / "reactions_data.csv").unlink()
    (tmp_path / "reactions_data_decoded.csv").write_text("temperature,loading,solvent,yield\n")
    again()
    amlro.generate_training_data(tmp_path, CONFIG, termination=True)
    now = (
        (tmp_path / "reactions_data.csv").read_bytes(),
        (tmp_path / "reactions_data_decoded.csv").read_bytes(),
    )
    assert now == before
    assert not [each for each in os.listdir(tmp_path) if each.endswith(".part")]


def test_rows_written_by_hand_are_taken_in(amlro: Any, client: Client, tmp_path: Path) -> None:
    """The open loop: a person measures the training set and writes the file."""
    amlro.get_reaction_scope(CONFIG, "sobol", 3, True, tmp_path)
    by_hand = "temperature,loading,solvent,yield\n20.0,0.1,0.0,0.25\n41.5,0.2,1.0,0.75\n"
    (tmp_path / "reactions_data.csv").write_text(by_hand)
    following = amlro.generate_training_data(tmp_path, CONFIG)
    assert following != [20, 0.1, "DMF"] and tuple(following) in planned(client)
    assert rows(tmp_path) == ["20,0.1,DMF,0.25", "41.5,0.2,THF,0.75"]
    # Written once more, by an editor that changes nothing but line ends: nothing is added.
    text = (tmp_path / "reactions_data.csv").read_text()
    (tmp_path / "reactions_data.csv").write_bytes(text.replace("\n", "\r\n").encode())
    amlro.generate_training_data(tmp_path, CONFIG, termination=True)
    assert len(rows(tmp_path)) == 2 and states(client).count("completed") == 2
    assert (tmp_path / "reactions_data.csv").read_text() == text


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (
            "loading,temperature,solvent,yield\n0.1,20,0,1\n",
            "has the columns loading, temperature, solvent, yield",
        ),
        ("temperature,loading,solvent,yield\n20,0.1,water,1\n", "line 2: parameters: solvent is 'water'"),
        ("temperature,loading,solvent,yield\n20,0.1,0\n", "line 2: 3 values, and 4 are needed"),
        ("temperature,loading,solvent,yield\n20,0.1,0,good\n", "line 2: obj_values: yield is 'good'"),
    ],
)
def test_a_file_that_cannot_be_read_is_left_as_it_is(
    amlro: Any, client: Client, tmp_path: Path, text: str, says: str
) -> None:
    amlro.get_reaction_scope(CONFIG, "sobol", 3, True, tmp_path)
    (tmp_path / "reactions_data.csv").write_text(text)
    with pytest.raises(ValueError, match=says):
        amlro.generate_training_data(tmp_path, CONFIG)
    assert (tmp_path / "reactions_data.csv").read_text() == text
    assert states(client) == []


def test_an_amended_value_is_the_one_shown(amlro: Any, client: Client, tmp_path: Path) -> None:
    amlro.get_reaction_scope(CONFIG, "sobol", 3, True, tmp_path)
    first = amlro.generate_training_data(tmp_path, CONFIG)
    amlro.generate_training_data(tmp_path, CONFIG, first, 2, termination=True)
    assert rows(tmp_path) == ["20,0.1,DMF,2"]
    [result] = client.results(the_campaign(client))
    client.amend(result["id"], {"yield": 3.5}, "integrated again")
    amlro.generate_training_data(tmp_path, CONFIG, termination=True)
    assert [each.split(",")[3] for each in rows(tmp_path)] == ["3.5"]
