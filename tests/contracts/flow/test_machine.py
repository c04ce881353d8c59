"""Whatever adapters, people and time do, in whatever order: what the lab promises holds after every step."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeVar
from uuid import UUID

from flow_lab import OUTPUTS, PERSON, Lab
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from store_world import FakeWorld

from labqueue.errors import ConflictError, InstrumentTakenError
from labqueue.states import LostLease, Outcome, State
from models.domain.lifecycle import ENDED, MOVES
from services.flow import amend, filing, recover, review, steer
from services.flow import report as reporting
from services.flow.claim import Assignment

T = TypeVar("T")
INSTRUMENTS = ("hplc", "nmr")
ANY = st.integers(0, 999)  # which of those that are there
ACTS = ("start", "silence", "beat", "result", "somebody's result")
PARTS: tuple[dict[str, float], ...] = ({"yield": 0.5}, {"purity": 98.0}, OUTPUTS, {})


class Laboratory(RuleBasedStateMachine):
    """`leases` is every lease that was ever handed out: adapters may come back with any of them."""

    @initialize(policy=st.sampled_from(list(LostLease)), most=st.integers(1, 3))
    def begin(self, policy: LostLease, most: int) -> None:
        self.lab = Lab(FakeWorld())
        self.lab.queue(on_lost=policy.value, max_attempts=most)
        self.lab.campaign()
        self.leases: list[Assignment] = []
        self.claims: dict[str, tuple[str, list[str]]] = {}
        self.staged: list[int] = []
        self.sent: list[tuple[filing.Report, str]] = []
        self.acknowledged: dict[UUID, dict[str, Any]] = {}
        self.values: dict[int, dict[str, float]] = {}
        self.states: dict[int, State] = {}
        self.stage(3, False)

    # What people stage and steer

    @rule(count=st.integers(1, 3), propose=st.sampled_from([False, False, False, True]))
    def stage(self, count: int, propose: bool) -> None:
        if len(self.staged) < 6:
            self.staged += [each.id for each in self.attempted(self.lab.stage, count, propose=propose) or ()]

    @rule(
        which=ANY, verb=st.sampled_from(["approve", "reject", "run_again", "run_again", "give_up", "replay"])
    )
    def decide(self, which: int, verb: str) -> None:
        if self.staged:
            reason = () if verb == "approve" else ("because",)
            act: Callable[..., Any] = getattr(review, verb)
            self.attempted(act, self.lab.store, one_of(self.staged, which), *reason, PERSON)

    @rule(which=ANY)
    def cancel(self, which: int) -> None:
        if self.staged:
            self.attempted(self.lab.cancel, one_of(self.staged, which))

    @rule(act=st.sampled_from([steer.pause_campaign, *[steer.resume_campaign] * 4, steer.finish_campaign]))
    def steer_campaign(self, act: Callable[..., Any]) -> None:
        self.attempted(act, self.lab.store, "snar", "", PERSON)

    @rule(name=st.sampled_from(INSTRUMENTS))
    def clear(self, name: str) -> None:
        with self.lab.store.begin() as tx:
            known = tx.instruments.get(name)
        if known is not None:
            steer.clear_instrument(self.lab.store, name, "", PERSON)

    # What adapters do

    @rule(
        name=st.sampled_from(INSTRUMENTS),
        most=st.integers(1, 3),
        incarnation=st.integers(1, 2),
        begins=st.sampled_from([True, True, False]),
    )
    def claim(self, name: str, most: int, incarnation: int, begins: bool) -> None:
        key = f"{name}-{len(self.claims)}"
        try:
            claimed = self.lab.claim(name, max=most, key=key, adapter=f"{name}.{incarnation}")
        except InstrumentTakenError:
            return
        if claimed.assignments:
            self.claims[key] = (f"{name}.{incarnation}", [each.lease for each in claimed.assignments])
            self.leases += claimed.assignments
            assert all(self.lab.start(each.lease).ok for each in claimed.assignments if begins)
            with self.lab.store.begin() as tx:
                campaign = tx.campaigns.get("snar")
            assert campaign is not None and campaign.state == "active", "a paused one gives nothing"
        else:
            assert claimed.reason

    @precondition(lambda self: self.claims)
    @rule(which=ANY, most=st.integers(1, 3))
    def claim_again(self, which: int, most: int) -> None:
        key = one_of(sorted(self.claims), which)
        adapter, given = self.claims[key]
        name = adapter.rpartition(".")[0]
        again = self.attempted(self.lab.claim, name, max=most, key=key, adapter=adapter)
        if again is not None:
            assert {each.lease for each in again.assignments} <= set(given), "no other leases"

    @precondition(lambda self: self.leases)
    @rule(which=ANY, verb=st.sampled_from(["start", "release", "fail", "confirm", "note"]))
    def control(self, which: int, verb: str) -> None:
        held = one_of(self.leases, which)
        live = self.lab.attempt(held).live
        before = self.lab.experiment(held.experiment.id)
        answer = getattr(self.lab, verb)(held.lease)
        if not live:
            assert answer.code == "lease_lost"
            assert self.lab.experiment(held.experiment.id) == before, "a stale lease changes nothing"

    @precondition(lambda self: self.leases)
    @rule(which=ANY)
    def beat(self, which: int) -> None:
        held = one_of(self.leases, which)
        live = self.lab.attempt(held).live
        beat = self.lab.beat(held.lease, held.attempt.instrument)
        assert (beat.state in ("live", "cancel")) == live
        if live:
            assert self.lab.state(held.experiment.id) is State.LEASED, "it goes on, or went on all the time"

    @precondition(lambda self: self.leases)
    @rule(which=ANY, word=st.sampled_from(["running", "done", "never_ran", "unknown"]))
    def answer(self, which: int, word: str) -> None:
        self.lab.answer(one_of(self.leases, which).lease, word)

    @rule(
        which=ANY,
        part=st.sampled_from(PARTS),
        fault=st.sampled_from([None, None, None, "missing", "infeasible", "suspect"]),
        lease=st.one_of(st.none(), ANY),
    )
    def result(self, which: int, part: dict[str, float], fault: str | None, lease: int | None) -> None:
        held = one_of(self.leases, lease) if lease is not None and self.leases else None
        experiment = held.experiment.id if held else one_of(self.staged, which)
        later = () if fault == "missing" else tuple(name for name in OUTPUTS if name not in part)
        outcome = fault if fault in ("infeasible", "suspect") else "measured"
        outputs = {name: value + len(self.sent) for name, value in part.items()}
        given = self.lab.result(
            experiment, outputs, outcome=outcome, outstanding=later, lease=held.lease if held else None
        )
        self.send(given)

    @precondition(lambda self: self.leases)
    @rule(which=ANY, acts=st.lists(st.tuples(st.sampled_from(ACTS), st.sampled_from(PARTS)), max_size=4))
    def live_through(self, which: int, acts: list[tuple[str, dict[str, float]]]) -> None:
        """What happens to one run, one thing after the other."""
        live = [each for each in self.leases if self.lab.attempt(each).live]
        for act, part in acts if live else []:
            held = one_of(live, which)
            later = tuple(name for name in OUTPUTS if name not in part)
            if act == "start":
                self.lab.start(held.lease)
            elif act == "silence":
                self.elapse(61.0, True)
            elif act == "beat":
                self.lab.beat(held.lease, held.attempt.instrument)
            elif act == "result":
                self.send(self.lab.result(held.experiment.id, part, outstanding=later, lease=held.lease))
                assert not self.lab.attempt(held).live, "whatever it brought, its run is over"
            else:
                self.send(self.lab.result(held.experiment.id, part, outstanding=later))
            self.every_move_is_allowed()
            self.at_most_one_attempt_lives_and_it_is_the_experiments_own()

    @precondition(lambda self: self.sent)
    @rule(which=ANY)
    def result_again(self, which: int) -> None:
        given, verdict = one_of(self.sent, which)
        again = reporting.report(self.lab.store, self.lab.ids, [given], "adapter:hplc")[0]
        assert again.verdict == ("held" if verdict == "held" else "duplicate")

    @precondition(lambda self: self.sent)
    @rule(which=ANY)
    def result_with_a_used_id(self, which: int) -> None:
        given, _ = one_of(self.sent, which)
        other = filing.Report(given.id, given.experiment, outputs={"yield": -1.0, "purity": -1.0})
        assert reporting.report(self.lab.store, self.lab.ids, [other], PERSON)[0].verdict == "refused"

    @precondition(lambda self: self.sent)
    @rule(which=ANY)
    def amend_one(self, which: int) -> None:
        given, _ = one_of(self.sent, which)
        new, value = self.lab.ids.uuid(), 1000.0 + len(self.acknowledged)
        done = amend.amend(self.lab.store, amend.Correction(given.id, new, {"yield": value}, "typo"), PERSON)
        assert done.experiment is not None
        self.acknowledged[new] = {"yield": value}
        self.values.setdefault(done.experiment, {})["yield"] = value

    @rule(which=ANY)
    def complete_held(self, which: int) -> None:
        held = [id for id in self.staged if self.lab.state(id) is State.HELD]
        if held:
            given = self.lab.result(one_of(held, which), {name: 5.0 for name in OUTPUTS})
            recorded = reporting.complete_held(
                self.lab.store, self.lab.ids, int(str(given.experiment)), given, "", PERSON
            )
            self.note_down(given, recorded)

    # What time brings

    @rule(seconds=st.sampled_from([0.0, 30.0, 61.0, 61.0]), comes_by=st.booleans())
    def elapse(self, seconds: float, comes_by: bool) -> None:
        """Time, and perhaps the janitor."""
        self.lab.elapse(seconds)
        if comes_by:
            recover.reap(self.lab.store)
            assert recover.reap(self.lab.store) == [], "once"
            self.lab.number()

    @rule(seconds=st.sampled_from([10.0, 300.0]))
    def outage(self, seconds: float) -> None:
        recover.reap(self.lab.store)
        self.lab.outage(seconds)
        assert recover.reap(self.lab.store) == [], "nobody could be heard"
        recover.stamp_alive(self.lab.store)
        assert recover.reap(self.lab.store) == [], "and nobody pays for it"

    # What must hold

    @invariant()
    def every_move_is_allowed(self) -> None:
        for id in getattr(self, "staged", ()):
            before, now = self.states.get(id), self.lab.state(id)
            assert before is None or before is now or now in MOVES[before], (before, now)
            self.states[id] = now

    @invariant()
    def at_most_one_attempt_lives_and_it_is_the_experiments_own(self) -> None:
        for id in getattr(self, "staged", ()):
            experiment = self.lab.experiment(id)
            live = [each for each in self.lab.attempts(id) if each.live]
            assert [each.id for each in live] == ([experiment.attempt] if experiment.attempt else [])
            if experiment.state is State.LEASED:
                assert len(live) == 1 and not live[0].silent and not live[0].probing
            elif experiment.state is State.HELD:
                assert all(each.silent for each in live)
            else:
                assert live == []

    @invariant()
    def nothing_acknowledged_is_lost(self) -> None:
        if not hasattr(self, "staged"):
            return
        stored = {
            each.id: each for id in self.staged for each in self.lab.results(id) if each.verdict != "refused"
        }
        assert stored.keys() == self.acknowledged.keys()
        for id, outputs in self.acknowledged.items():
            if stored[id].verdict == "held":
                assert stored[id].body["outputs"] == outputs
            else:
                assert stored[id].outputs == outputs

    @invariant()
    def each_output_has_the_value_that_came_first_or_was_amended_last(self) -> None:
        for id in getattr(self, "staged", ()):
            assert self.lab.values(id) == self.values.get(id, {})

    @invariant()
    def what_is_said_of_an_experiment_is_true(self) -> None:
        for id in getattr(self, "staged", ()):
            each = self.lab.experiment(id)
            assert (each.finished_at is not None) == (each.state in ENDED), each.state
            if each.state in (State.HELD, State.FAILED):
                assert each.held_reason
            if each.state is State.STAGED:
                assert not each.cancel_wished
            if each.state is State.COMPLETED and each.outcome is Outcome.MEASURED:
                assert each.outstanding == ()
            assert each.counted <= each.attempts + 1

    @invariant()
    def an_instrument_is_blocked_by_a_held_experiment_only(self) -> None:
        if not hasattr(self, "staged"):
            return
        with self.lab.store.begin() as tx:
            blocked = [each.blocked_by for each in tx.instruments.all() if each.blocked_by is not None]
            assert all(each.state is State.HELD for each in tx.experiments.get(blocked))

    @invariant()
    def a_finished_campaign_holds_nothing_that_could_be_claimed(self) -> None:
        if not hasattr(self, "staged"):
            return
        with self.lab.store.begin() as tx:
            campaign = tx.campaigns.get("snar")
            assert campaign is not None
            if campaign.state == "finished":
                assert tx.experiments.of_campaign(campaign.id, (State.STAGED, State.PROPOSED)) == []
            if campaign.state != "active":
                assert tx.experiments.pick("bench", 99) == []

    @invariant()
    def events_are_numbered_without_a_gap(self) -> None:
        if not hasattr(self, "staged"):
            return
        with self.lab.store.begin() as tx:
            numbers = [each.number for each in tx.events.after(0, 100_000)]
        assert numbers == list(range(1, len(numbers) + 1))

    # How

    def send(self, given: filing.Report) -> None:
        self.note_down(given, reporting.report(self.lab.store, self.lab.ids, [given], "adapter:hplc")[0])

    def note_down(self, given: filing.Report, recorded: filing.Recorded) -> None:
        """A 2xx was heard: from now on the lab answers for it."""
        assert recorded.verdict in ("accepted", "replicate", "held")
        assert recorded.experiment is not None
        self.sent.append((given, recorded.verdict))
        self.acknowledged[given.id] = dict(given.outputs)
        if recorded.verdict == "accepted" and given.outcome == "measured":
            known = self.values.setdefault(recorded.experiment, {})
            for name, value in given.outputs.items():
                known.setdefault(name, value)

    def attempted(self, act: Callable[..., T], *arguments: Any, **more: Any) -> T | None:
        """What contradicts the present state is refused, kindly."""
        try:
            return act(*arguments, **more)
        except ConflictError as error:
            assert str(error)
            return None


def one_of(things: Sequence[T], which: int) -> T:
    return things[which % len(things)]


TestLaboratory = Laboratory.TestCase
TestLaboratory.settings = settings(
    max_examples=150,
    stateful_step_count=50,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.too_slow],
)
