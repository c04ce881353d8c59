"""The SnAr reactor as a solver, and its true Pareto front."""

from __future__ import annotations

import io
import itertools
import json

import pytest

from examples.snar import front, model
from labqueue.problem import Continuous

BEST = {"tau": 0.5, "equiv_pldn": 1.4574841, "conc_dfnb": 0.5, "temperature": 81.1494}


def test_more_heat_makes_more_of_the_product_until_it_is_used_up() -> None:
    base = {"tau": 0.5, "equiv_pldn": 1.0, "conc_dfnb": 0.1}
    yields = [model.measure({**base, "temperature": celsius})["sty"] for celsius in (30, 60, 90, 120)]
    assert yields == sorted(yields)
    spent = [
        model.measure({**base, "equiv_pldn": 5.0, "tau": 2.0, "temperature": t})["sty"] for t in (60, 120)
    ]
    assert spent[1] < spent[0], "the product goes on to the bis product"


def test_no_mass_is_made_or_lost() -> None:
    """All ring carbon that enters leaves: seen through both outputs at once."""
    point = {"tau": 1.0, "equiv_pldn": 2.0, "conc_dfnb": 0.3, "temperature": 60.0}
    outputs = model.measure(point)
    flow = model.VOLUME / 1.0
    made = outputs["sty"] * 1.0 / 60  # g/L of product
    waste = outputs["e_factor"] * 1e-3 * flow * made
    solids = (waste - flow * model.ETHANOL) / (1e-3 * flow) + made  # g/L leaving beside the solvent
    fed = 0.3 * 159.09 + 0.6 * 71.12
    assert solids == pytest.approx(fed - 0.3 * 20.01, rel=0.01), (
        "each substitution gives off hydrogen fluoride"
    )


def test_the_command_line_speaks_json(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO(json.dumps(BEST)))
    assert model.main() == 0
    assert json.loads(capsys.readouterr().out) == model.measure(BEST)
    monkeypatch.setattr("sys.stdin", io.StringIO('{"tau": 1}'))
    assert model.main() == 1
    assert "conc_dfnb" in capsys.readouterr().err


def test_no_point_of_a_grid_beats_the_stored_front() -> None:
    problem, stored = front.load_problem(), front.load_front()
    axes = [each for each in problem.parameters if isinstance(each, Continuous)]
    grid = itertools.product(*([each.low, (each.low + each.high) / 2, each.high] for each in axes))
    for values in grid:
        outputs = model.measure(dict(zip(problem.names, values, strict=True)))
        beaten = [
            (sty, waste)
            for sty, waste in stored
            if outputs["sty"] > sty + 1 and outputs["e_factor"] < waste - 1e-3
        ]
        assert not beaten, (values, outputs)


def test_the_best_weighted_sum_lies_on_the_stored_front() -> None:
    """Found on its own by a grid and local refinement: 11,361 kg m-3 h-1 with 8.613 kg of waste per kg."""
    outputs = model.measure(BEST)
    near = min(front.load_front(), key=lambda each: abs(each[1] - outputs["e_factor"]))
    assert near == pytest.approx((outputs["sty"], outputs["e_factor"]), rel=5e-3)


def test_a_hypervolume_is_the_area_up_to_the_reference() -> None:
    problem = front.load_problem()  # reference: sty 2,000, e_factor 12
    assert front.hypervolume(problem, [(3000, 10)]) == 2000
    assert front.hypervolume(problem, [(3000, 10), (2500, 8)]) == 2000 + 500 * 2
    assert front.hypervolume(problem, [(3000, 10), (2500, 11), (1000, 1), (9000, 13)]) == 2000
    assert front.hypervolume(problem, []) == 0


def test_the_stored_front_is_nearly_the_whole() -> None:
    found = front.hypervolume(front.load_problem(), front.load_front())
    assert 0.998 * front.HYPERVOLUME < found <= front.HYPERVOLUME
