"""What changed between two revisions makes the rows of the one into those of the other, whatever happened."""

from __future__ import annotations

import random
from collections.abc import Iterable

import pytest
from store_world import Filler, World

from labqueue.states import Outcome, Verdict
from models.domain import records as r
from services.ports import Transaction

OUTPUTS = ("yield", "purity", "cost")


class History:
    """A campaign to which anything may happen that the flow does to results, in any order."""

    def __init__(self, world: World, fill: Filler, seed: int) -> None:
        self.world, self.fill, self.luck = world, fill, random.Random(seed)
        self.standing: list[r.Result] = []
        with world.store.begin() as tx:
            self.campaign, other = fill.campaign(tx), fill.campaign(tx, "other")
            self.experiments = fill.staged(tx, self.campaign, 6)
            self.others = fill.staged(tx, other, 2)

    def step(self) -> None:
        with self.world.store.begin() as tx:
            for _ in range(self.luck.randint(1, 3)):
                self.luck.choice([self.report, self.report, self.amend, self.withdraw, self.elsewhere])(tx)

    def report(self, tx: Transaction) -> None:
        experiment = self.luck.choice(self.experiments)
        outcome = self.luck.choice([Outcome.MEASURED] * 4 + [Outcome.INFEASIBLE, Outcome.SUSPECT])
        verdict = self.luck.choice([Verdict.ACCEPTED] * 3 + [Verdict.HELD])
        taken = {each.output for each in tx.results.readings([experiment.id])}
        names = [name for name in OUTPUTS if self.luck.random() < 0.6]
        fresh = [name for name in names if name not in taken]
        if verdict is Verdict.ACCEPTED and not fresh and outcome is Outcome.MEASURED:
            verdict = Verdict.REPLICATE
        actual = {"tau": self.luck.random()} if self.luck.random() < 0.3 else {}
        result = self.add(tx, experiment, verdict=verdict, outcome=outcome, actual=actual)
        if verdict is not Verdict.HELD and outcome is not Outcome.INFEASIBLE:
            current = verdict is Verdict.ACCEPTED
            self.read(tx, result, fresh if current else names, current=current)

    def amend(self, tx: Transaction) -> None:
        if self.standing:
            old = self.luck.choice(self.standing)
            new = self.add(tx, self.of(old), kind="amend", amends=old.id)
            names = self.luck.sample(OUTPUTS, self.luck.randint(1, 2))
            tx.results.retire_readings(new.experiment_id or 0, names, new.seq)
            if old.verdict is Verdict.REPLICATE:
                tx.results.retire(old.id, new.seq)
            self.read(tx, new, names, current=True)

    def withdraw(self, tx: Transaction) -> None:
        if self.standing:
            old = self.standing.pop(self.luck.randrange(len(self.standing)))
            new = self.add(tx, self.of(old), kind="withdraw", amends=old.id, outputs={})
            self.standing.remove(new)
            mine = [
                each for each in tx.results.readings([new.experiment_id or 0]) if each.result_seq == old.seq
            ]
            tx.results.retire_readings(new.experiment_id or 0, [each.output for each in mine], new.seq)
            tx.results.retire(old.id, new.seq)

    def elsewhere(self, tx: Transaction) -> None:
        """In another campaign."""
        result = tx.results.add([self.fill.result(self.luck.choice(self.others))])[0]
        tx.events.add([self.fill.taught(self.of(result), result.seq, accepts=1)])

    def add(self, tx: Transaction, experiment: r.Experiment, **more: object) -> r.Result:
        result = tx.results.add([self.fill.result(experiment, **more)])[0]
        tx.events.add([self.fill.taught(experiment, result.seq, accepts=0)])
        self.standing.append(result)
        return result

    def read(self, tx: Transaction, result: r.Result, names: Iterable[str], *, current: bool) -> None:
        noise = 0.1 if self.luck.random() < 0.3 else None
        id, value = result.experiment_id or 0, self.luck.random()
        tx.results.add_readings([r.Reading(id, name, value, noise, result.seq, current) for name in names])

    def of(self, result: r.Result) -> r.Experiment:
        return next(each for each in [*self.experiments, *self.others] if each.id == result.experiment_id)

    def number(self) -> int:
        """Some of what happened gets its number. The last one."""
        with self.world.store.begin() as tx:
            tx.events.number(self.luck.choice([1, 2, 1000]))
        with self.world.store.begin() as tx:
            return tx.events.last()


@pytest.mark.parametrize("seed", range(6))
def test_the_whole_is_what_was_known_with_what_changed(world: World, fill: Filler, seed: int) -> None:
    history, revisions = History(world, fill, seed), [0]
    for _ in range(25):
        history.step()
        revisions.append(history.number())
    id, gone_at_all = history.campaign.id, False
    with world.store.begin() as tx:
        whole = {revision: tx.results.training(id, revision) for revision in revisions}
        for since in revisions:
            for revision in revisions[revisions.index(since) :: 3]:
                rows, gone = tx.results.changed(id, since, revision)
                assert [row.experiment_id for row in rows] == sorted({row.experiment_id for row in rows})
                known = {row.experiment_id: row for row in whole[since]}
                gone_at_all = gone_at_all or not known.keys().isdisjoint(gone)
                known |= {row.experiment_id: row for row in rows}
                left = [row for _, row in sorted(known.items()) if row.experiment_id not in gone]
                assert left == whole[revision], (since, revision)
    assert gone_at_all, "a history in which nothing goes away tests little"


def test_only_what_changed_is_told(world: World, fill: Filler) -> None:
    with world.store.begin() as tx:
        campaign = fill.campaign(tx)
        first, second, third = fill.staged(tx, campaign, 3)
        fill.accept(tx, first, {"yield": 0.1})
        wrong = fill.accept(tx, second, {"yield": 0.2})
        tx.events.number()
        early = tx.events.last()
    with world.store.begin() as tx:
        fill.accept(tx, third, {"yield": 0.3})
        gone = tx.results.add([fill.result(second, kind="withdraw", outputs={})])[0]
        tx.results.retire_readings(second.id, ["yield"], gone.seq)
        tx.results.retire(wrong.id, gone.seq)
        tx.events.add([fill.taught(second, gone.seq, accepts=-1)])
        assert tx.results.changed(campaign.id, early, 10**9) == ([], []), "not numbered yet"
        tx.events.number()
        late = tx.events.last()
    with world.store.begin() as tx:
        rows, left = tx.results.changed(campaign.id, early, late)
        assert ([row.experiment_id for row in rows], left) == ([third.id], [second.id])
        assert tx.results.changed(campaign.id, late, late) == ([], [])
        assert tx.results.changed(campaign.id, 0, early)[0] == tx.results.training(campaign.id, early)
        assert tx.results.changed(campaign.id + 1, 0, late) == ([], [])
