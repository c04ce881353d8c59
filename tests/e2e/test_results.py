"""Results arrive doubled, out of order, in parts, corrected and late; claims lose their replies."""

from __future__ import annotations

import json
import random
import subprocess
import sys
import uuid
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest
from adapters_for_tests import value
from proxy import Proxy
from whole_lab import Lab, body_of

from labqueue.client import Client
from labqueue.errors import ConflictError, KeyReusedError, UnavailableError

TWO_OUTPUTS = {
    "parameters": [{"name": "x", "kind": "continuous", "low": 0, "high": 1000}],
    "outputs": [{"name": "yield", "unit": "%"}, {"name": "purity", "unit": "%"}],
    "objectives": [{"output": "yield", "goal": "maximize"}],
}
POSTER = """
import json, sys
from labqueue import Client
url, body, times = sys.argv[1], json.loads(sys.argv[2]), int(sys.argv[3])
client = Client(url)
sys.stdin.readline()  # all begin at the same moment
for _ in range(times):
    print(client.post_results([body])[0].verdict)
"""


def started(it: Lab, count: int) -> list[Any]:
    """So many experiments, staged, claimed and started by hand."""
    it.stage(*[float(x) for x in range(count)])
    claimed = it.claim(count)
    assert all(each.ok for each in it.client.start([each.lease for each in claimed]))
    return claimed


def test_a_result_posted_ten_times_by_each_of_four_clients_is_one(lab: Callable[..., Lab]) -> None:
    it = lab(lease_seconds=60)
    [one] = started(it, 1)
    body = body_of(one, y=1.5)
    argv = [sys.executable, "-c", POSTER, it.whole.url, json.dumps(body), "10"]
    clients = [
        subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) for _ in range(4)
    ]
    for client in clients:
        assert client.stdin is not None
        client.stdin.write("go\n")
        client.stdin.flush()
    told = Counter(word for client in clients for word in client.communicate(timeout=100)[0].split())
    assert told == {"accepted": 1, "duplicate": 39}
    assert it.verdicts(one.experiment) == ["accepted"]
    assert it.values(one.experiment) == {"y": 1.5}
    assert it.ends(one.experiment) == ["completed"]
    assert it.event_types(one.experiment).count("result") == 1


def test_a_used_id_with_another_body_is_told_and_kept(lab: Callable[..., Lab]) -> None:
    it = lab(lease_seconds=60)
    [one] = started(it, 1)
    body = body_of(one, y=1.5)
    assert it.client.post_results([body])[0].verdict == "accepted"
    [judged] = it.client.post_results([{**body, "outputs": {"y": 2.5}}])
    assert (judged.verdict, judged.code) == ("refused", "key_reused")
    assert it.verdicts(one.experiment) == ["accepted", "refused"]
    kept = it.whole.rows("SELECT body FROM results WHERE experiment_id = %s ORDER BY seq", one.experiment)
    assert [each["body"]["outputs"] for each in kept] == [{"y": 1.5}, {"y": 2.5}]
    assert it.values(one.experiment) == {"y": 1.5}


def test_results_out_of_order_go_where_they_belong(lab: Callable[..., Lab]) -> None:
    it = lab(lease_seconds=60)
    runs = started(it, 40)
    order = runs[:]
    random.Random(1).shuffle(order)
    for at in range(0, 40, 8):
        judged = it.client.post_results(
            [body_of(each, y=value(each.parameters["x"])) for each in order[at : at + 8]]
        )
        assert [each.verdict for each in judged] == ["accepted"] * 8
        assert [each.experiment for each in judged] == [each.experiment for each in order[at : at + 8]]
    for each in runs:
        assert it.values(each.experiment) == {"y": value(each.parameters["x"])}
    it.all_numbered()
    accepted = it.whole.rows(
        "SELECT experiment_id FROM events WHERE type = 'experiment.result' AND experiment_id = ANY(%s) ORDER BY number",
        [each.experiment for each in runs],
    )
    assert [each["experiment_id"] for each in accepted] == [each.experiment for each in order]


def test_one_that_cannot_be_used_costs_the_other_95_nothing(lab: Callable[..., Lab]) -> None:
    it = lab(lease_seconds=60)
    runs = started(it, 96)
    bodies = [body_of(each, y=1.0) for each in runs]
    bodies[40]["outputs"] = {"z": 1.0}
    judged = it.client.post_results(bodies)
    assert Counter(each.verdict for each in judged) == {"accepted": 95, "held": 1}
    assert judged[40].verdict == "held" and "y" in judged[40].message and "z" in judged[40].message
    assert it.states() == {"completed": 95, "held": 1}
    kept = it.whole.one("SELECT body FROM results WHERE experiment_id = %s", runs[40].experiment)
    assert kept["outputs"] == {"z": 1.0}, "kept as it came"


def test_yield_today_purity_tomorrow_and_the_yield_amended(lab: Callable[..., Lab]) -> None:
    it = lab(problem=TWO_OUTPUTS, lease_seconds=60)
    [one] = started(it, 1)
    today = {**body_of(one, **{"yield": 71.0}), "outstanding": ["purity"]}
    [judged] = it.client.post_results([today])
    assert (judged.verdict, judged.state) == ("accepted", "partial")
    assert it.ends(one.experiment) == ["partial"], "the instrument is free for the next one"
    tomorrow = body_of(one.experiment, purity=98.0)
    [judged] = it.client.post_results([tomorrow])
    assert (judged.verdict, judged.state) == ("accepted", "completed")
    assert it.values(one.experiment) == {"yield": 71.0, "purity": 98.0}
    it.whole.until(lambda: it.client.campaign(it.name)["best"], "the campaign knows its best")
    assert it.client.campaign(it.name)["best"]["score"] == 71.0
    revision = it.client.campaign(it.name)["data_revision"]

    it.client.amend(today["id"], {"yield": 69.5}, "integrated again")
    assert it.values(one.experiment) == {"yield": 69.5, "purity": 98.0}
    rows = it.whole.rows(
        "SELECT kind, actor, reason, outputs FROM results WHERE experiment_id = %s ORDER BY seq",
        one.experiment,
    )
    assert [each["kind"] for each in rows] == ["report", "report", "amend"], "nothing is overwritten"
    assert rows[0]["outputs"] == {"yield": 71.0}
    assert (rows[2]["actor"], rows[2]["reason"]) == ("person:anna", "integrated again")
    it.whole.until(lambda: it.client.campaign(it.name)["data_revision"] > revision, "models learn of it")
    assert it.client.campaign(it.name)["best"]["score"] == 69.5
    # Both posts once more, late and doubled: nothing changes any more.
    assert [each.verdict for each in it.client.post_results([today, tomorrow])] == ["duplicate"] * 2
    assert it.values(one.experiment) == {"yield": 69.5, "purity": 98.0}


@pytest.mark.parametrize("when", ["before", "after"])
def test_a_claim_whose_reply_is_lost_is_found_again_by_its_key(lab: Callable[..., Lab], when: str) -> None:
    """The connection is cut before the server hears the claim, and after it has answered."""
    it = lab(lease_seconds=60)
    staged = it.stage(*[float(x) for x in range(9)])
    with Proxy(it.whole.stack.settings.port) as proxy:
        client = Client(proxy.url, timeout=20.0, retry_for=0.0)
        name = f"{it.name}-hand"
        asked = {"instrument": name, "adapter": f"{name}.1", "key": f"{name}-1", "most": 3}
        proxy.cut(when)
        with pytest.raises(UnavailableError):
            client.claim(it.queue, **asked)
        assert it.states() == ({"staged": 9} if when == "before" else {"staged": 6, "leased": 3})
        proxy.heal()
        first = client.claim(it.queue, **asked).experiments
        again = client.claim(it.queue, **asked).experiments
        assert [each.experiment for each in first] == staged[:3]
        assert [each.lease for each in first] == [each.lease for each in again]
        assert it.states() == {"staged": 6, "leased": 3}
        with pytest.raises(KeyReusedError):
            client.claim(it.queue, **{**asked, "most": 4})
        following = client.claim(it.queue, **{**asked, "key": f"{name}-2"}).experiments
        assert [each.experiment for each in following] == staged[3:6]
        client.close()


def test_an_adapter_whose_every_reply_may_be_lost_runs_everything_once(lab: Callable[..., Lab]) -> None:
    it = lab(on_lost="hold", lease_seconds=4)
    staged = it.stage(*[float(x) for x in range(12)])
    it.gate.touch()
    with Proxy(it.whole.stack.settings.port) as proxy:
        proxy.cut_now_and_then(random.Random(3), share=0.25)
        robot = it.adapter(url=proxy.url, limit=12)
        it.reaches("completed", *staged)
        robot.says("served {")
        robot.process.wait(60)
        assert proxy.cuts > 0
    assert all(it.ends(each)[-1] == "completed" for each in staged)
    assert all(it.verdicts(each) == ["accepted"] for each in staged)
    assert Counter(each["experiment"] for each in it.diary("moved")) == dict.fromkeys(staged, 1)


def test_a_result_counts_whatever_became_of_its_experiment(lab: Callable[..., Lab]) -> None:
    it = lab(lease_seconds=60, max_attempts=1)
    failed, cancelled, running = started(it, 3)
    assert it.client.fail(failed.lease, "a leak").ok
    it.client.cancel(cancelled.experiment, "too hot")
    assert it.client.cancelled(cancelled.lease, "stopped").ok
    assert [it.state(each.experiment) for each in (failed, cancelled)] == ["failed", "cancelled"]
    it.client.campaign_action(it.name, "finish", "enough is known")
    judged = it.client.post_results([body_of(each, y=1.0) for each in (failed, cancelled, running)])
    assert [each.verdict for each in judged] == ["accepted"] * 3
    assert it.states() == {"completed": 3}
    [nobodys] = it.client.post_results(
        [{"id": str(uuid.uuid4()), "experiment": 10**9, "outputs": {"y": 1.0}}]
    )
    assert (nobodys.verdict, nobodys.code) == ("refused", "not_found")
    with pytest.raises(ConflictError):
        it.client.experiment_action(running.experiment, "replay", "once more")
