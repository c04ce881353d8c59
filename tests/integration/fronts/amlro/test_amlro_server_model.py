"""model="labqueue": the server's own model chooses, and its choices are handed out as any others."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from amlro_lab import CONFIG, planned, restart, rows, states
from servers import Servers
from whole import whole

# Workers that import torch, on a machine that others use as well.
pytestmark = pytest.mark.timeout(400)


def test_the_server_suggests(servers: Servers, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import labqueue_amlro.compat.optimizer as amlro
    from labqueue_amlro import desk

    with whole(servers, ("api", "janitor", "trainer", "suggester")) as stack:
        monkeypatch.setenv("LABQUEUE_URL", stack.url)
        amlro.get_reaction_scope(CONFIG, "sobol", 9, True, tmp_path)

        def measure(condition: Any) -> list[float]:
            return [1 - (condition[0] - 60) ** 2 / 4000 - (condition[1] - 0.3) ** 2]

        parameters = amlro.generate_training_data(tmp_path, CONFIG)
        while parameters is not None:
            parameters = amlro.generate_training_data(tmp_path, CONFIG, parameters, measure(parameters))
        best: list[Any] = []
        for _ in range(2):
            best = amlro.get_optimized_parameters(
                tmp_path, CONFIG, best, [measure(each) for each in best], model="labqueue", batch_size=2
            )
            assert len(best) == 2 and states(stack.client).count("leased") == 2
        amlro.get_optimized_parameters(
            tmp_path, CONFIG, best, [measure(each) for each in best], model="labqueue", termination=True
        )
        plans = planned(stack.client)
        assert len(rows(tmp_path)) == len(plans) == len(set(plans)) == 13
        values = [float(each.split(",")[3]) for each in rows(tmp_path)]
        assert max(values[9:]) > sum(values[:9]) / 9, "it learnt where the good ones are"
        # An empty question has the same answer, and a name that is none is refused before anything is asked.
        with pytest.raises(ValueError, match="'labque' is not one of"):
            amlro.get_optimized_parameters(tmp_path, CONFIG, model="labque")
        restart(desk)
