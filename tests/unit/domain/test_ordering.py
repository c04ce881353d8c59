"""The stored order: shares come out right in the long run, and nobody gains by being away."""

from __future__ import annotations

import heapq
from collections import Counter
from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st

from models.domain.ordering import Flow, rate, rerank, stamp


class Queue:
    """A queue that stamps by `stamp` and serves by (tag, id), as the claim does."""

    def __init__(self, *flows: Flow) -> None:
        self.flows = {flow.campaign_id: flow for flow in flows}
        self.heap: list[tuple[float, int, int]] = []
        self.staged = 0

    def stage(self, campaign: int, count: int) -> list[float]:
        head = self.heap[0][0] if self.heap else None
        tags, finish = stamp(list(self.flows.values()), campaign, head, count)
        self.flows[campaign] = replace(self.flows[campaign], finish_tag=finish)
        for tag in tags:
            self.staged += 1
            heapq.heappush(self.heap, (tag, self.staged, campaign))
        return tags

    def serve(self, count: int) -> Counter[int]:
        return Counter(heapq.heappop(self.heap)[2] for _ in range(min(count, len(self.heap))))


def flow(
    id: int, owner: str = "", owner_weight: float = 1.0, weight: float = 1.0, finish: float = 0.0
) -> Flow:
    return Flow(id, owner or f"owner-{id}", owner_weight, weight, finish)


WEIGHTS = st.floats(0.1, 10.0)


@settings(deadline=None)
@given(st.lists(st.tuples(WEIGHTS, st.lists(WEIGHTS, min_size=1, max_size=3)), min_size=1, max_size=4))
def test_with_everyone_waiting_each_gets_its_share(owners: list[tuple[float, list[float]]]) -> None:
    """An owner by its weight, whatever number of campaigns it has; a campaign by its own among its owner's."""
    flows = []
    for owner, (owner_weight, weights) in enumerate(owners):
        for weight in weights:
            flows.append(Flow(len(flows), f"owner-{owner}", owner_weight, weight, 0.0))
    queue = Queue(*flows)
    total = sum(owner_weight for owner_weight, _ in owners)
    shares = {
        each.campaign_id: each.owner_weight / total * each.weight / sum(owners[int(each.owner[6:])][1])
        for each in flows
    }
    for each in flows:
        queue.stage(each.campaign_id, 500)
    served = queue.serve(500)
    for id, share in shares.items():
        # Start-time fair queueing is off by at most one experiment of each flow.
        assert abs(served[id] - 500 * share) <= len(flows) + 1


@settings(deadline=None)
@given(st.integers(1, 400), st.integers(1, 50))
def test_who_was_away_gains_nothing(before: int, batch: int) -> None:
    queue = Queue(flow(1), flow(2))
    queue.stage(1, 500)
    queue.serve(before)
    queue.stage(2, 50)
    served = queue.serve(2 * batch)
    assert abs(served[2] - batch) <= 1, "half of what is served from now on, and no more"


@settings(deadline=None)
@given(st.integers(1, 300), st.integers(1, 300))
def test_who_was_served_alone_owes_nothing(alone: int, others: int) -> None:
    queue = Queue(flow(1), flow(2))
    queue.stage(1, alone)
    queue.serve(alone)
    queue.stage(2, others)
    queue.stage(1, others)
    served = queue.serve(others)
    assert abs(served[1] - served[2]) <= 1


@given(st.lists(st.tuples(st.integers(1, 3), st.integers(1, 5), st.integers(0, 6)), max_size=40))
def test_a_campaigns_own_experiments_keep_their_order(turns: list[tuple[int, int, int]]) -> None:
    queue = Queue(flow(1), flow(2, weight=3.0), flow(3, owner_weight=0.2))
    last = dict.fromkeys(queue.flows, -1.0)
    for campaign, count, served in turns:
        tags = queue.stage(campaign, count)
        assert tags == sorted(tags) and tags[0] > last[campaign]
        last[campaign] = tags[-1]
        queue.serve(served)


def test_staging_one_by_one_or_together_is_the_same() -> None:
    together, one_by_one = Queue(flow(1), flow(2)), Queue(flow(1), flow(2))
    for queue in (together, one_by_one):
        queue.stage(2, 3)
    tags = together.stage(1, 4)
    assert tags == [tag for _ in range(4) for tag in one_by_one.stage(1, 1)]


def test_a_rate_is_the_owners_weight_times_the_share_among_its_campaigns() -> None:
    flows = [flow(1, "anna", 2.0, 3.0), flow(2, "anna", 2.0, 1.0), flow(3, "ben", 1.0, 9.0)]
    assert [rate(flows, id) for id in (1, 2, 3)] == [1.5, 0.5, 1.0]


def test_campaigns_that_want_nothing_take_nothing_from_their_owners_others() -> None:
    flows = [flow(1, "anna", 2.0, 3.0), replace(flow(2, "anna", 2.0, 1.0), wants=False), flow(3, "ben")]
    assert rate(flows, 1) == 2.0, "all that its owner has"
    assert rate(flows, 2) == 0.5, "it wants something now"


@given(st.data(), st.lists(st.floats(0, 1e6), min_size=1, max_size=30, unique=True))
def test_a_new_ranking_permutes_the_campaigns_own_tags(data: st.DataObject, tags: list[float]) -> None:
    ranks = data.draw(st.permutations(range(len(tags))))
    given_ = rerank(tags, ranks)
    assert sorted(given_) == sorted(tags), "no other campaign gains or loses a place"
    best_first = sorted(range(len(tags)), key=lambda each: ranks[each])
    assert [given_[each] for each in best_first] == sorted(tags)
