"""AMLRO's own closed-loop example, word for word, on an analytic function."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from amlro_lab import ROOT, Programs, lines, rows, states

from labqueue.client import Client

SEED = ROOT.parent / "shared" / "seeds" / "amlro-training-data.txt"
EXAMPLE = """\
parameters = []
objectives = []
for i in range(training_size):
    parameters = generate_training_data(
        exp_dir=exp_dir,
        config=config,
        parameters=parameters,
        obj_values=objectives
    )
    objectives = objective_function(parameters)
generate_training_data(
    exp_dir=exp_dir,
    config=config,
    parameters=parameters,
    obj_values=objectives,
    termination=True
)
"""
BEFORE = """\
from amlro.generate_reaction_conditions import *
from amlro.generate_training_data import *

config = {
    "continuous": {"feature_names": ["x1", "x2"], "bounds": [[-5, 10], [0, 15]], "resolutions": [0.5, 0.5]},
    "categorical": {"feature_names": [], "values": []},
    "objectives": ["branin"],
    "directions": ["min"],
}
exp_dir, training_size = "branin", 10
full, encoded, training = get_reaction_scope(
    config, sampling="lhs", training_size=training_size, write_files=True, exp_dir=exp_dir)


def objective_function(parameters):
    x1, x2 = parameters
    y = (x2 - 5.1 / (4 * np.pi**2) * x1**2 + 5 / np.pi * x1 - 6) ** 2 + 10 * (1 - 1 / (8 * np.pi)) * np.cos(x1) + 10
    return [y]


"""
AFTER = """\
from amlro.optimizer import *

best, values = [], []
for i in range(3):
    best = get_optimized_parameters(exp_dir, config, best, values, model="gb", batch_size=2)
    values = [objective_function(each) for each in best]
get_optimized_parameters(exp_dir, config, best, values, termination=True)
print("lowest", pd.read_csv(os.path.join(exp_dir, "reactions_data.csv"))["branin"].min())
"""


def test_the_page_has_this_example() -> None:
    if not SEED.exists():
        pytest.skip("the page is not here")
    [shown] = re.findall(r"Minimal Closed-Loop Example\n(.*?)\nExplanation", SEED.read_text(), re.DOTALL)
    # The page was saved as text, and its indentation is lost.
    assert [each.strip() for each in EXAMPLE.splitlines()] == [
        each.strip() for each in shown.splitlines() if each.strip()
    ]


def test_it_runs_to_its_end(
    programs: Programs, client: Client, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    exp_dir = tmp_path / "branin"
    script = BEFORE.replace('"branin", 10', f"{str(exp_dir)!r}, 10") + EXAMPLE + AFTER
    (tmp_path / "branin.py").write_text(script)
    programs.well(tmp_path / "branin.py")
    found = [tuple(map(float, each.split(","))) for each in rows(exp_dir, "reactions_data.csv")]
    assert len(found) == 16 and set(states(client)) == {"completed"}
    training = [tuple(map(float, each.split(","))) for each in lines(exp_dir / "training_combo.csv")[1:]]
    assert [each[:2] for each in found[:10]] == training, "all of them, in their order"
    lowest = min(each[2] for each in found)
    assert f"lowest {lowest}" in programs.log.read_text()
    assert lowest < min(each[2] for each in found[:10]), "the model found better ones than the training set"
    # The same program once more has nothing left to ask of its training set, as with AMLRO.
    assert programs.run(tmp_path / "branin.py") == 1 and "NoneType" in programs.log.read_text()
    assert len(rows(exp_dir)) == 16
