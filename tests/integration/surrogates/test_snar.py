"""The SnAr reactor as a solver, and its campaign on a simulated clock."""

from __future__ import annotations

import io
import json

import pytest

from benchmarks import snar as bench
from examples.snar import model, optimum

BEST = {"tau": 0.5, "equiv_pldn": 1.4574841, "conc_dfnb": 0.5, "temperature": 81.1494}


def test_the_published_optimum_is_found_by_brute_force() -> None:
    point, score = optimum.find(points_per_axis=4, refined=2)
    assert score == pytest.approx(bench.OPTIMUM, abs=0.01)
    for name, value in BEST.items():
        assert point[name] == pytest.approx(value, rel=1e-2)


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


def test_a_campaign_repeats_and_counts_in_order_of_completion() -> None:
    problem = optimum.load_problem()
    best = bench.campaign("sobol", 3, problem)
    assert best == bench.campaign("sobol", 3, problem)
    assert len(best) == bench.BUDGET and best == sorted(best)
    assert best[-1] < bench.OPTIMUM


def test_the_product_is_driven_with_candidates_ahead_of_the_workers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bench, "BUDGET", 10)
    best = bench.campaign("labqueue", 3, optimum.load_problem())
    assert len(best) == 10 and best == sorted(best)


def test_the_summary_names_median_and_worst() -> None:
    runs = {("sobol", seed): [bench.OPTIMUM - 10.0 * (seed + 1)] * 40 for seed in range(3)}
    (line,) = [line for line in bench.summary(runs).splitlines() if line.startswith("sobol")]
    assert line.split()[1:3] == ["3", "seeds"]
    assert line.count("20.0") == 2 and line.count("30.0") == 2
