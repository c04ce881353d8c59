"""pools: uploaded in versions, kept to by campaigns, and chosen from row by row."""

from __future__ import annotations

import io
from collections.abc import Mapping
from typing import Any

import pytest
from fake_blobs import FakeBlobs
from flow_lab import PERSON, Lab

from labqueue.errors import ConflictError, InvalidError, KeyReusedError, NotFoundError
from labqueue.problem import Problem
from labqueue.states import State
from models.domain import records as r
from models.domain.csv_rows import csv_rows
from models.domain.pool_table import Table
from services.flow import define, edit, inquire, pools, snapshots, stop
from services.ports import Chosen, Snapshot, Suggested

ROWS = [
    "id,mass,solvent",
    *(f"c{place},{place / 10},{'water' if place % 2 else 'ethanol'}" for place in range(9)),
]
PROBLEM = {
    "pool": "library",
    "outputs": [{"name": "yield"}],
    "objectives": [{"output": "yield", "goal": "maximize"}],
}


def read(rows: list[str]) -> Table:
    return Table(lambda: csv_rows(io.BytesIO("\n".join(rows).encode())))


def upload(lab: Lab, rows: list[str] = ROWS, name: str = "library") -> tuple[r.Pool, bool]:
    return pools.upload(lab.store, FakeBlobs(), name, read(rows), PERSON)


def problem(campaign: r.Campaign) -> Problem:
    return Problem.from_json(campaign.problem)


def test_a_pool_is_uploaded_in_versions(lab: Lab) -> None:
    first, created = upload(lab)
    assert created and (first.version, first.rows, first.actor) == (1, 9, PERSON)
    assert [(each["name"], each["kind"]) for each in first.columns] == [
        ("mass", "number"),
        ("solvent", "category"),
    ]
    assert upload(lab) == (first, False)
    second, created = upload(lab, ROWS[:6])
    assert created and (second.version, second.rows) == (2, 5)
    again, created = upload(lab)  # back to the first rows: a version of its own
    assert created and (again.version, again.sha256) == (3, first.sha256)
    assert [each.version for each in pools.find(lab.store, "library")] == [1, 2, 3]
    assert pools.row(lab.store, "library", "c3") == {"row": "c3", "mass": 0.3, "solvent": "water"}
    assert [each.data["version"] for each in lab.events("pool.uploaded")] == [1, 2, 3]


def test_the_bytes_are_kept_before_the_pool_is_known(lab: Lab) -> None:
    blobs = FakeBlobs()
    made, _ = pools.upload(lab.store, blobs, "library", read(ROWS), PERSON)
    assert list(blobs.bytes) == [made.sha256] and len(blobs.bytes[made.sha256]) == made.size
    with lab.store.begin() as tx:
        kept = tx.artifacts.get(made.sha256)
    assert kept is not None and kept.size == made.size


def test_of_a_faulty_table_nothing_is_kept(lab: Lab) -> None:
    blobs = FakeBlobs()
    for rows in ([*ROWS, "c3,1,water"], [*ROWS, "d,?,water"], ROWS[:1]):
        with pytest.raises(InvalidError):
            pools.upload(lab.store, blobs, "library", read(rows), PERSON)
    assert blobs.bytes == {}
    with pytest.raises(NotFoundError, match="library"):
        pools.find(lab.store, "library")


def test_two_uploads_at_the_same_moment_are_two_versions(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    """The second finds its version taken and takes the next."""
    add, tries = pools._add, iter([True, False])

    def late(*given: Any) -> Any:
        if next(tries):
            raise ConflictError("pools_name_version_key is taken already.")
        return add(*given)

    upload(lab, ROWS[:4])
    monkeypatch.setattr(pools, "_add", late)
    assert upload(lab)[0].version == 2


def test_a_campaign_keeps_to_the_rows_that_it_began_with(lab: Lab) -> None:
    first, _ = upload(lab)
    campaign = lab.campaign(problem=PROBLEM)
    upload(lab, ROWS[:4])
    pool = problem(campaign).pool
    assert pool is not None and (pool.sha256, pool.rows, pool.columns) == (
        first.sha256,
        9,
        ("mass", "solvent"),
    )
    assert lab.campaign(problem=PROBLEM) == campaign, "the same definition again is one effect"
    assert lab.stage([{"row": "c8"}])[0].planned == {"row": "c8", "mass": 0.8, "solvent": "ethanol"}
    newer = problem(lab.campaign("newer", problem=PROBLEM)).pool
    assert newer is not None and newer.rows == 3
    copied = problem(lab.campaign("copy", problem=campaign.problem)).pool
    assert copied == pool
    with pytest.raises(KeyReusedError):
        lab.campaign(problem={**PROBLEM, "pool": "other"})


@pytest.mark.parametrize(
    "pool", ["libary", {"name": "library", "sha256": "0" * 64, "rows": 9, "columns": ["mass"]}]
)
def test_an_unknown_pool_is_refused(lab: Lab, pool: Any) -> None:
    upload(lab)
    with pytest.raises(InvalidError) as refused:
        lab.campaign(problem={**PROBLEM, "pool": pool})
    (wrong,) = refused.value.errors
    assert wrong.field in ("problem.pool", "problem.pool.sha256")
    assert pool != "libary" or wrong.hint == "Did you mean library?"


@pytest.mark.parametrize("columns", [2, 40])
def test_an_output_is_no_column_of_the_pool(lab: Lab, columns: int) -> None:
    names = ["mass", *(f"x{place}" for place in range(columns - 1))]
    upload(lab, [",".join(["id", *names]), ",".join(["a", *["0.5"] * columns])])
    known = {**PROBLEM, "outputs": [{"name": "yield"}, {"name": names[-1]}]}
    with pytest.raises(InvalidError) as refused:
        lab.campaign(problem=known)
    (wrong,) = refused.value.errors
    assert wrong.field == "outputs[1].name" and "a column of the pool library as well" in wrong.message
    campaign = lab.campaign(problem=PROBLEM)
    with pytest.raises(InvalidError) as refused:
        edit.change_problem(lab.store, campaign.name, known, "one more", PERSON)
    assert [each.field for each in refused.value.errors] == ["outputs[1].name"]
    assert lab.known().problem == campaign.problem


def test_a_person_stages_rows(lab: Lab) -> None:
    upload(lab)
    lab.campaign(problem=PROBLEM)
    first, second = lab.stage([{"row": "c1", "mass": 0.1}, {"row": "c2"}])
    assert (first.row, first.planned) == ("c1", {"row": "c1", "mass": 0.1, "solvent": "water"})
    assert lab.experiment(second.id).row == "c2"
    with pytest.raises(InvalidError) as refused:
        lab.stage(
            [{"row": "c1"}, {"row": "c10"}, {"row": "c2", "mass": 7}, {"row": "c1", "volume": 1}, {"mass": 1}]
        )
    assert [each.field for each in refused.value.errors] == [
        "items[1].row",
        "items[2].mass",
        "items[3].volume",
        "items[4].row",
    ]
    again = lab.stage([{"row": "c1"}])[0]
    assert again.row == "c1", "a person may run a row again"


def test_the_rows_of_a_wide_pool_stand_for_themselves(lab: Lab) -> None:
    upload(lab, [",".join(["id", *(f"x{place}" for place in range(33))]), ",".join(["a", *["0.5"] * 33])])
    lab.campaign(problem=PROBLEM, seed=8)
    assert lab.stage([{"row": "a"}])[0].planned == {"row": "a"}
    assert pools.row(lab.store, "library", "a") == {"row": "a"}


def priced(columns: int) -> list[str]:
    """Rows with a price of 100, 101, ... in the second column."""
    names = ",".join(["id", "mass", "price", *(f"x{place}" for place in range(columns - 2))])
    return [names, *(f"c{row},{row},{100 + row}{',0.5' * (columns - 2)}" for row in range(9))]


@pytest.mark.parametrize("columns", [3, 40])
def test_what_rows_cost_is_looked_up_in_the_pool(lab: Lab, columns: int) -> None:
    upload(lab, priced(columns))
    campaign = lab.campaign(
        problem=PROBLEM, method="bayesian", initial=1, depth=1, cost="price", stop={"cost": 300}
    )
    for key in ("c1", "c2", "c3"):
        assert stop.check(lab.store, campaign.id) is None
        lab.report(lab.stage([{"row": key}])[0].id, {"yield": 0.5})
        lab.number()
    assert stop.check(lab.store, campaign.id) == "cost of 306 reached, and 300 may be spent"


@pytest.mark.parametrize("columns", [3, 40])
def test_a_gain_is_weighed_against_the_price_of_its_row(lab: Lab, columns: int) -> None:
    upload(lab, priced(columns))
    campaign = lab.campaign(
        problem=PROBLEM, method="bayesian", initial=1, depth=1, cost="price", stop={"gain": 0.1}
    )
    first = Suggested((Chosen({"row": "c1"}, "", "design"),), {}, "cpu", {})
    lab.learner.suggest = lambda _: first  # type: ignore[method-assign]
    lab.suggest(campaign)
    lab.complete(lab.take(), {"yield": 0.5})
    lab.number()
    lab.train(campaign)
    promising = Suggested((Chosen({"row": "c8"}, "", "suggester"),), {}, "cpu", {}, gain=10.7)
    lab.learner.suggest = lambda _: promising  # type: ignore[method-assign]
    lab.suggest(campaign)
    assert "less than the 10.8 that its cost of 108 asks for" in lab.known().reason


def test_prices_beyond_the_columns_that_are_kept_are_refused(lab: Lab) -> None:
    upload(lab, priced(40))
    lab.campaign(problem=PROBLEM, cost="price + x29")
    with pytest.raises(InvalidError, match="x30, which is not among the first 32 columns") as caught:
        lab.campaign("other", problem=PROBLEM, cost="price + x30")
    assert [each.field for each in caught.value.errors] == ["strategy.cost"]


def test_a_column_of_texts_is_no_price(lab: Lab) -> None:
    upload(lab)
    with pytest.raises(InvalidError, match="mentions solvent, which is a column of texts") as caught:
        lab.campaign(problem=PROBLEM, cost="solvent + 5", stop={"cost": 5})
    assert [(each.field, each.allowed) for each in caught.value.errors] == [("strategy.cost", "mass")]
    campaign = lab.campaign(problem=PROBLEM, cost="mass + 5", stop={"cost": 5})
    wanted = {**campaign.strategy, "cost": "mass + solvent"}
    with pytest.raises(InvalidError, match="solvent, which is a column of texts"):
        define.change_strategy(lab.store, campaign.name, wanted, "", PERSON)
    with pytest.raises(InvalidError, match="solvent, which is a column of texts"):
        edit.change_problem(lab.store, campaign.name, campaign.problem, "", PERSON, strategy=wanted)
    question = {"strategy": {"method": "bayesian", "cost": "solvent"}}
    with pytest.raises(InvalidError, match="solvent, which is a column of texts"):
        inquire.ask(lab.store, lab.ids, campaign.name, "suggest", question, PERSON)


def test_rows_that_were_run_elsewhere(lab: Lab) -> None:
    from services.flow.report import report_elsewhere

    upload(lab)
    campaign = lab.campaign(problem=PROBLEM)
    given = [lab.result(None, {"yield": 0.5}, parameters={"row": key}) for key in ("c1", "c99")]
    good, bad = report_elsewhere(lab.store, lab.ids, "snar", given, PERSON)
    assert bad.verdict == "held" and bad.errors[0].field == "row"
    assert good.experiment is not None and lab.experiment(good.experiment).row == "c1"
    with lab.store.begin() as tx:
        assert tx.pools.taken(campaign.id, ["c1", "c99"]) == {"c1"}


def test_predictions_are_asked_of_rows_that_exist(lab: Lab) -> None:
    upload(lab)
    lab.campaign(problem=PROBLEM)
    asked = inquire.ask(lab.store, lab.ids, "snar", "predict", {"points": [{"row": "c4"}]}, PERSON)
    assert asked.request["points"] == [{"row": "c4", "mass": 0.4, "solvent": "ethanol"}]
    with pytest.raises(InvalidError):
        inquire.ask(lab.store, lab.ids, "snar", "predict", {"points": [{"row": "z"}]}, PERSON)


class RowLearner:
    """Chooses the first rows that the snapshot leaves; `choose` overrides that."""

    def __init__(self, rows: list[str]) -> None:
        self.rows = rows
        self.snapshots: list[Snapshot] = []

    def suggest(self, snapshot: Snapshot) -> Suggested:
        self.snapshots.append(snapshot)
        known = [row.parameters for row in snapshot.rows]
        gone = {each["row"] for each in (*known, *snapshot.pending, *snapshot.staged)}
        free = [key for key in self.rows if key not in gone][: snapshot.count]
        kept = [
            Chosen(point, "still good", "suggester", staged=place)
            for place, point in enumerate(snapshot.staged)
        ]
        new = [Chosen({"row": key}, "it is free", "suggester") for key in free]
        return Suggested((*kept, *new), {}, "cpu", {})


@pytest.fixture
def pooled(lab: Lab) -> tuple[Lab, r.Campaign, RowLearner]:
    upload(lab)
    campaign = lab.campaign(problem=PROBLEM, method="bayesian", depth=2)
    learner = RowLearner([f"c{place}" for place in range(9)])
    lab.learner.suggest = learner.suggest  # type: ignore[method-assign]
    return lab, campaign, learner


def test_suggested_rows_carry_their_features(pooled: tuple[Lab, r.Campaign, RowLearner]) -> None:
    lab, campaign, _ = pooled
    staged = lab.suggest(campaign)
    assert [each.row for each in staged] == ["c0", "c1"]
    assert staged[1].planned == {"row": "c1", "mass": 0.1, "solvent": "water"}
    assert staged[1].suggestion_id is not None
    stored, now = snapshots.replay(lab.store, lab.learner, staged[1].suggestion_id)
    assert stored == now


def test_a_row_that_a_person_stages_meanwhile_is_not_staged_twice(
    pooled: tuple[Lab, r.Campaign, RowLearner],
) -> None:
    lab, campaign, learner = pooled

    def meanwhile(snapshot: Snapshot) -> Suggested:
        lab.stage([{"row": "c1"}])
        return learner.suggest(snapshot)

    lab.learner.suggest = meanwhile  # type: ignore[method-assign]
    assert [each.row for each in lab.suggest(campaign)] == ["c0"]


def test_with_replicates_a_row_may_be_chosen_again(lab: Lab) -> None:
    upload(lab)
    campaign = lab.campaign(problem=PROBLEM, method="bayesian", depth=1, replicates=True)
    lab.stage([{"row": "c4"}], pinned=True)
    lab.complete(lab.take(), {"yield": 0.5})
    lab.number()
    again = Suggested((Chosen({"row": "c4"}, "it was noisy", "suggester"),), {}, "cpu", {})
    lab.learner.suggest = lambda _: again  # type: ignore[method-assign]
    assert [each.row for each in lab.suggest(campaign)] == ["c4"]


def test_a_row_that_does_not_exist_is_not_staged(pooled: tuple[Lab, r.Campaign, RowLearner]) -> None:
    lab, campaign, learner = pooled
    learner.rows = ["c0", "nowhere"]
    staged = lab.suggest(campaign)
    assert "nowhere" not in {each.row for each in staged}
    assert "no row of the pool" in lab.job(campaign, "suggest").error


def test_rows_that_were_run_in_vain_are_not_chosen_again(pooled: tuple[Lab, r.Campaign, RowLearner]) -> None:
    lab, campaign, learner = pooled
    lab.suggest(campaign)
    lease = lab.take()
    lab.report(lease.experiment.id, {"yield": 0.1}, lease=lease.lease, outcome="suspect")
    assert lab.state(lease.experiment.id) is State.COMPLETED
    assert [each.row for each in lab.suggest(campaign)] == ["c2"]
    assert {"row": "c0"} in learner.snapshots[-1].pending


def test_the_flow_tells_the_learner_every_row_that_is_taken(
    pooled: tuple[Lab, r.Campaign, RowLearner],
) -> None:
    lab, campaign, _ = pooled
    seen: list[str] = []
    for _ in range(6):
        lab.suggest(campaign)
        while lab.states().get(State.STAGED):
            lease = lab.take()
            row: Any = lease.experiment.planned
            assert isinstance(row, Mapping)
            seen.append(row["row"])
            lab.complete(lease, {"yield": 0.5})
        lab.number()
    assert sorted(seen) == [f"c{place}" for place in range(9)], "each row once, and all of them"


def test_the_pool_is_looked_up_in_the_transaction_that_creates_the_campaign(lab: Lab) -> None:
    new = define.NewCampaign("snar", "bench", "anna", PROBLEM, {"method": "caller"})
    lab.queue()
    with pytest.raises(InvalidError):
        define.create_campaign(lab.store, lab.ids, new, PERSON)
    upload(lab)
    made, created = define.create_campaign(lab.store, lab.ids, new, PERSON)
    assert created and problem(made).pool is not None


def test_a_campaign_whose_pool_is_used_up_stops_and_says_so(
    pooled: tuple[Lab, r.Campaign, RowLearner],
) -> None:
    """Also where some of its rows were run in vain."""
    lab, campaign, _ = pooled
    for turn in range(9):
        lab.suggest(campaign)
        lease = lab.take()
        outcome = "suspect" if turn == 4 else "measured"
        lab.report(lease.experiment.id, {"yield": 0.5}, lease=lease.lease, outcome=outcome)
        lab.number()
        assert lab.known().state == "active"
    lab.suggest(campaign)
    found = lab.known()
    assert found.state == "finished" and "pool is used up" in found.reason and "9 rows" in found.reason
