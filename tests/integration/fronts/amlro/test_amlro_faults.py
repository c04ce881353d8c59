"""What AMLRO does wrong, by its own files and calls, is right here: each fault has its test."""

from __future__ import annotations

import math
import warnings
from concurrent.futures import ThreadPoolExecutor
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
from amlro_lab import CONFIG, FEATURES, planned, rows, states, the_campaign

from labqueue.client import Client


@pytest.fixture
def begun(amlro: Any, tmp_path: Path) -> Path:
    """A folder with a training set of four."""
    amlro.get_reaction_scope(CONFIG, "sobol", 4, True, tmp_path)
    return tmp_path


def finish(amlro: Any, folder: Path, parameters: Any = (), objectives: Any = ()) -> int:
    """Measures the rest of the training set; how many conditions that were."""
    count = 0
    while True:
        parameters = amlro.generate_training_data(folder, CONFIG, parameters, objectives)
        if parameters is None:
            return count
        objectives, count = [parameters[0] / 100], count + 1


def test_two_asks_give_two_conditions(amlro: Any, begun: Path) -> None:
    first, second = (amlro.generate_training_data(begun, CONFIG) for _ in range(2))
    assert first != second
    amlro.generate_training_data(begun, CONFIG, first, [0.1], termination=True)
    amlro.generate_training_data(begun, CONFIG, second, [0.2], termination=True)
    assert [each.split(",")[3] for each in rows(begun)] == ["0.1", "0.2"]


def test_a_perturbed_value_completes_its_own_condition(amlro: Any, client: Client, begun: Path) -> None:
    first = amlro.generate_training_data(begun, CONFIG)
    # Even where it is exactly another condition of the training set.
    second = amlro.generate_training_data(begun, CONFIG, [60, first[1], first[2]], [0.5])
    assert second != first and (60, first[1], first[2]) in planned(client)
    amlro.generate_training_data(begun, CONFIG, [second[0] + 0.3, second[1] - 0.01, second[2]], [0.6])
    assert rows(begun)[0] == f"60,{first[1]},{first[2]},0.5"
    done = [each for each in client.results(the_campaign(client)) if each["verdict"] == "accepted"]
    assert [[each["parameters"][name] for name in FEATURES] for each in done] == [first, second]
    assert [each["actual"]["temperature"] for each in done] == [60, second[0] + 0.3]
    assert finish(amlro, begun) == 2 and len(rows(begun)) == 4


def test_a_repeated_call_adds_no_row_and_answers_the_same(amlro: Any, again: Any, begun: Path) -> None:
    first = amlro.generate_training_data(begun, CONFIG)
    second = amlro.generate_training_data(begun, CONFIG, first, [0.5])
    assert amlro.generate_training_data(begun, CONFIG, first, [0.5]) == second
    again()
    assert amlro.generate_training_data(begun, CONFIG, first, [0.5]) == second
    third = amlro.generate_training_data(begun, CONFIG, second, [0.6])
    # An old one, while another condition is out: neither a row, nor that condition's result.
    amlro.generate_training_data(begun, CONFIG, first, [0.5], termination=True)
    assert len(rows(begun)) == 2
    amlro.generate_training_data(begun, CONFIG, third, [0.7], termination=True)
    assert [each.split(",")[3] for each in rows(begun)] == ["0.5", "0.6", "0.7"]


def test_results_of_the_first_call_are_kept(amlro: Any, client: Client, begun: Path) -> None:
    of_the_set, beside = [40, 0.2, "THF"], [61.5, 0.4, "THF"]
    following = amlro.generate_training_data(begun, CONFIG, of_the_set, [0.9])
    assert following not in (of_the_set, beside)
    amlro.generate_training_data(begun, CONFIG, beside, [0.8], filename="other.csv", termination=True)
    assert rows(begun) == ["40,0.2,THF,0.9"] and rows(begun, "other_decoded.csv") == ["61.5,0.4,THF,0.8"]
    assert finish(amlro, begun, following, [0.1]) == 2, "the first one was measured already"


@pytest.mark.parametrize("nothing", [None, [None], [math.nan], float("inf"), ["nan"]])
def test_no_result_is_a_failure_and_no_poison(amlro: Any, client: Client, begun: Path, nothing: Any) -> None:
    first = amlro.generate_training_data(begun, CONFIG)
    second = amlro.generate_training_data(begun, CONFIG, first, nothing)
    assert second == first, "it is handed out once more"
    third = amlro.generate_training_data(begun, CONFIG, second, nothing)
    assert third != first and states(client).count("failed") == 1, "and then given up, for all to see"
    assert finish(amlro, begun, third, [0.5]) == 2
    assert len(rows(begun)) == 3
    [best] = amlro.get_optimized_parameters(begun, CONFIG, model="knn")
    assert best != [float(first[0]), first[1], first[2]]


def test_many_failures_in_a_row_stop_no_program(amlro: Any, client: Client, begun: Path) -> None:
    parameters: Any = []
    for _ in range(8):
        parameters = amlro.generate_training_data(begun, CONFIG, parameters, [None] if parameters else [])
        assert parameters is not None
    assert amlro.generate_training_data(begun, CONFIG, parameters, [None]) is None
    assert states(client) == ["failed"] * 4 and rows(begun) == []


def test_default_arguments_write_no_empty_row(amlro: Any, begun: Path) -> None:
    finish(amlro, begun)
    before = rows(begun)
    [best] = amlro.get_optimized_parameters(begun, CONFIG, model="knn")
    assert rows(begun) == before and len(best) == 3
    assert [type(each) for each in best] == [float, float, str]


def test_a_batch_is_told_in_parts(amlro: Any, again: Any, begun: Path) -> None:
    finish(amlro, begun)
    batch = amlro.get_optimized_parameters(begun, CONFIG, [], [], model="dtree", batch_size=3)
    following = amlro.get_optimized_parameters(begun, CONFIG, batch[:2], [0.5], model="dtree", batch_size=2)
    assert len(rows(begun)) == 5 and not [each for each in following if each in batch]
    again()
    left = amlro.get_optimized_parameters(begun, CONFIG, model="dtree", batch_size=4)
    assert sorted(left) == sorted(batch[1:] + following), "what was handed out and never told"
    # Both phases of one program: what is left of one is not handed out by the other.
    assert amlro.generate_training_data(begun, CONFIG) is None


def test_perturbed_batches_are_paired_by_nearness(amlro: Any, client: Client, begun: Path) -> None:
    finish(amlro, begun)
    batch = amlro.get_optimized_parameters(begun, CONFIG, model="dtree", batch_size=3)
    seen = [[t + 0.7, loading, solvent] for t, loading, solvent in batch]
    amlro.get_optimized_parameters(begun, CONFIG, seen[::-1], [3, 2, 1], model="dtree", termination=True)
    told = [each for each in client.results(the_campaign(client)) if each["comment"].split(",")[3] in "321"]
    pairs = {each["outputs"]["yield"]: [each["parameters"][name] for name in FEATURES] for each in told}
    assert pairs == {3.0: batch[2], 2.0: batch[1], 1.0: batch[0]}


def test_the_whole_grid_can_be_measured(amlro: Any, client: Client, begun: Path) -> None:
    """A batch is smaller only where the grid ends, and nothing is measured twice."""
    finish(amlro, begun)
    conditions: Any = []
    sizes = []
    for _ in range(5):
        results = [[t * loading] for t, loading, _ in conditions]
        conditions = amlro.get_optimized_parameters(
            begun, CONFIG, conditions, results, model="knn", batch_size=9
        )
        if not conditions:
            break
        sizes.append(len(conditions))
    assert sizes == [9, 9, 9, 1]
    assert len(set(planned(client))) == len(rows(begun)) == 32 and set(states(client)) == {"completed"}


def test_threads_of_one_process_get_different_conditions(amlro: Any, begun: Path) -> None:
    def work(_: int) -> list[Any]:
        found: list[Any] = []
        parameters: Any = []
        while parameters is not None:
            objectives = [parameters[0] / 7] if parameters else []
            parameters = amlro.generate_training_data(begun, CONFIG, parameters, objectives)
            found += [tuple(parameters)] if parameters else []
        return found

    with ThreadPoolExecutor(3) as pool:
        measured = [each for part in pool.map(work, range(3)) for each in part]
    assert len(measured) == len(set(measured)) == len(rows(begun)) == 4


@pytest.mark.parametrize(
    ("kind", "size"), [("sobol", 4), ("lhs", 4), ("sobol", 3), ("lhs", 3), ("random", 2)]
)
def test_small_grids(amlro: Any, tmp_path: Path, kind: str, size: int) -> None:
    small = {
        **CONFIG,
        "continuous": {"feature_names": ["a", "b"], "bounds": [[0, 1], [0, 1]], "resolutions": [1, 1]},
        "categorical": {"feature_names": [], "values": []},
    }
    _, _, training = amlro.get_reaction_scope(small, kind, size, True, tmp_path)
    assert len(training) == len(training.drop_duplicates()) == size
    with pytest.warns(UserWarning, match="9 conditions are asked for, and the grid has 4"):
        assert len(amlro.get_reaction_scope(small, kind, 9)[2]) == 4


def test_restarted_programs_keep_their_training_set(amlro: Any, tmp_path: Path) -> None:
    first = amlro.get_reaction_scope(CONFIG, "random", 6, True, tmp_path)[2]
    assert amlro.get_reaction_scope(CONFIG, "random", 6, True, tmp_path)[2].equals(first)
    assert len(amlro.get_reaction_scope(CONFIG, "random", 7, True, tmp_path)[2]) == 7


def change(*path: Any, to: Any) -> dict[str, Any]:
    config = deepcopy(CONFIG)
    place: Any = config
    for each in path[:-1]:
        place = place[each]
    place[path[-1]] = to
    return config


@pytest.mark.parametrize(
    ("config", "says"),
    [
        (change("continuous", "bounds", to=[[20, 80]]), "continuous.bounds: has 1 entries"),
        (change("continuous", "bounds", 0, to=[80, 20]), "continuous.bounds: temperature has"),
        (change("continuous", "resolutions", 0, to=0), "continuous.resolutions: temperature has 0"),
        (
            change("continuous", "resolutions", 1, to=1e-7),
            "continuous.resolutions: loading has 1e-07, and files hold 5",
        ),
        (change("continuous", "resolutions", to=[1e-4, 1e-4]), "the grid has .* conditions, and 2,000,000"),
        (change("categorical", "values", to=["DMF"]), "categorical.values: solvent has 'DMF'"),
        (change("categorical", "feature_names", to=["loading"]), "feature_names: loading is there twice"),
        (change("directions", to=["up"]), "directions: 'up' is neither"),
        (change("objectives", to=["yield", "cost"]), "directions: has 1 entries, and objectives has 2"),
        (change("objectives", to=["loading"]), "objectives: loading is there twice"),
        ({"continuous": CONFIG["continuous"]}, "categorical: is missing"),
    ],
)
def test_a_configuration_is_checked(amlro: Any, tmp_path: Path, config: Any, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        amlro.validate_optimizer_config(config)
    with pytest.raises(ValueError, match=says):
        amlro.generate_training_data(tmp_path, config)


@pytest.mark.parametrize(
    ("parameters", "objectives", "says"),
    [
        ([20, 0.1], [1], "parameters: 2 values came, and 3 are needed: temperature, loading, solvent"),
        ([20, 0.1, "water"], [1], "parameters: solvent is 'water', and must be one of DMF, THF"),
        ([math.nan, 0.1, "DMF"], [1], "parameters: temperature is nan"),
        ([20, 0.1, "DMF"], [1, 2], "obj_values: 2 values came, and 1 are needed: yield"),
        ([20, 0.1, "DMF"], [], "obj_values: 0 values came"),
        ([20, 0.1, "DMF"], ["good"], "obj_values: yield is 'good'"),
    ],
)
def test_what_is_told_is_checked_before_anything_is_written(
    amlro: Any, client: Client, begun: Path, parameters: Any, objectives: Any, says: str
) -> None:
    handed = amlro.generate_training_data(begun, CONFIG)
    with pytest.raises(ValueError, match=says):
        amlro.generate_training_data(begun, CONFIG, parameters, objectives)
    with pytest.raises(ValueError, match=says):
        amlro.get_optimized_parameters(begun, CONFIG, [handed, parameters], [[0.1], objectives])
    assert rows(begun) == [] and states(client).count("leased") == 1
    # A number is a result where there is one objective.
    amlro.generate_training_data(begun, CONFIG, handed, 0.25, termination=True)
    assert rows(begun) == ["20,0.1,DMF,0.25"]


def test_another_configuration_is_refused_with_what_differs(amlro: Any, again: Any, begun: Path) -> None:
    amlro.generate_training_data(begun, CONFIG)
    for other, says in [
        (
            change("continuous", "resolutions", 0, to=10),
            "feature temperature: 20, 40, 60, 80 before, 20, 30, 40",
        ),
        (
            change("categorical", "values", 0, to=["DMF", "water"]),
            "feature solvent: DMF, THF before, DMF, water now",
        ),
        (change("directions", to=["min"]), "objective yield: max before, min now"),
        (change("objectives", to=["purity"]), "objective yield: max before, not there now"),
    ]:
        with pytest.raises(ValueError, match=says):
            amlro.generate_training_data(begun, other)
    again()
    with pytest.raises(ValueError, match="another exp_dir or filename"):
        amlro.generate_training_data(begun, change("directions", to=["min"]))


def test_nothing_is_said_of_what_is_well(amlro: Any, begun: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        finish(amlro, begun)
        amlro.get_optimized_parameters(begun, CONFIG, model="gb")


def test_a_paused_queue_is_said(amlro: Any, client: Client, begun: Path) -> None:
    first = amlro.generate_training_data(begun, CONFIG)
    client.queue_action(the_campaign(client), "pause", "cleaning day")
    with pytest.raises(Exception, match=r"Nothing is handed out: .*cleaning day"):
        amlro.generate_training_data(begun, CONFIG, first, [0.5])
    assert rows(begun) == ["20,0.1,DMF,0.5"], "what was told is kept"
    client.queue_action(the_campaign(client), "resume")
    assert finish(amlro, begun) == 3


def test_the_whole_training_set_at_once(amlro: Any, begun: Path) -> None:
    with pytest.raises(ValueError, match="3 results came, and the training set has 4 conditions"):
        amlro.write_training_data(begun, [1, 2, 3], CONFIG)
    for _ in range(2):
        amlro.write_training_data(begun, [[1], [2], [3], [4]], CONFIG)
    assert [each.split(",")[3] for each in rows(begun)] == ["1", "2", "3", "4"]
    features, objectives = amlro.load_data(begun, CONFIG)
    assert (features.shape, objectives.shape) == ((4, 3), (4, 1))
