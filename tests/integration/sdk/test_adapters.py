"""The adapters that need no library: a table replayed, and external programs that outlive their adapter."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from labqueue.adapters import Replay, Subprocess, supervise
from labqueue.answers import Assignment
from labqueue.errors import Cancelled, Failed, Infeasible, InvalidError, Suspect
from labqueue.experiment import Experiment
from labqueue.measured import Artifact
from labqueue.problem import Output

posix = pytest.mark.skipif(os.name == "nt", reason="process groups")


def experiment(
    number: int = 1, payload: Any = None, outputs: tuple[Output, ...] = (Output("y"),), **parameters: Any
) -> Experiment:
    attempt = str(uuid.uuid4())
    assignment = Assignment(
        f"lease-{attempt}",
        attempt,
        number,
        f"snar-{number}",
        "snar",
        parameters=parameters,
        payload=payload,
        outputs=outputs,
    )

    def keep(path: str) -> Artifact:
        return Artifact(os.path.basename(path), f"digest of {Path(path).read_text()}")

    return Experiment(assignment, lambda text, ref: None, keep, lambda text: None)


def wait_for(true: Callable[[], Any], seconds: float = 30.0) -> Any:
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        value = true()
        if value:
            return value
        time.sleep(0.01)
    raise AssertionError("it did not come true")


# -- replay


TABLE = """\
temperature,solvent,y,z
20,water,1.5,0
80,water,2.5,1
80,ethanol,3.5,
80,ethanol,4.5,3
"""


@pytest.fixture
def table(tmp_path: Path) -> Path:
    path = tmp_path / "table.csv"
    path.write_text(TABLE)
    return path


def test_replay_knows_labels_and_parameters_that_do_not_always_exist(tmp_path: Path) -> None:
    path = tmp_path / "labels.csv"
    path.write_text("additive,amount,look,grade\nnone,,clear,1\nsalt,0.5,hazy,2\nsalt,1.5,milky,2\n")
    replay = Replay(path, inputs=["additive", "amount"], outputs=["look", "grade"])
    wanted = (Output("look", classes=("clear", "hazy")), Output("grade", classes=("1", "2")))
    found = replay(experiment(outputs=wanted, additive="none"))
    assert (found.outputs, found.actual) == ({"look": "clear", "grade": "1"}, {"additive": "none"})
    found = replay(experiment(outputs=wanted, additive="salt", amount=0.5))
    assert found.outputs == {"look": "hazy", "grade": "2"}
    with pytest.raises(Failed, match="no label for look"):
        replay(experiment(outputs=wanted, additive="salt", amount=1.5))
    with pytest.raises(Failed, match="The nearest, line"):
        replay(experiment(outputs=wanted, additive="salt"))
    with pytest.raises(Failed, match="no parameter additive"):
        replay(experiment(outputs=wanted, amount=0.5))


def test_replay_answers_with_the_row(table: Path) -> None:
    replay = Replay(table, inputs=["temperature", "solvent"], outputs=["y"])
    result = replay(experiment(temperature=80, solvent="water"))
    assert result.outputs == {"y": 2.5}
    assert result.actual == {"temperature": 80.0, "solvent": "water"}


def test_replay_picks_among_equal_rows_by_the_experiments_number(table: Path) -> None:
    replay = Replay(table, inputs=["temperature", "solvent"], outputs=["y"])
    got = [replay(experiment(n, temperature=80, solvent="ethanol")).outputs["y"] for n in (1, 2, 1)]
    assert got == [4.5, 3.5, 4.5]


def test_replay_fails_where_the_table_has_nothing(table: Path) -> None:
    replay = Replay(table, inputs=["temperature", "solvent"], outputs=["y", "z"])
    with pytest.raises(
        Failed, match=r"no row with these parameters.*line 2: temperature=20.0, solvent=water"
    ):
        replay(experiment(temperature=21, solvent="water"))
    with pytest.raises(Failed, match=r"Line 4 .* has no number for z"):
        replay(experiment(2, temperature=80, solvent="ethanol"))
    with pytest.raises(Failed, match="no parameter solvent"):
        replay(experiment(temperature=21))


def test_replay_nearest_scales_by_the_range(table: Path) -> None:
    replay = Replay(table, inputs=["temperature", "solvent"], outputs=["y"], match="nearest")
    result = replay(experiment(temperature=45, solvent="water"))
    assert result.actual == {"temperature": 20.0, "solvent": "water"}
    result = replay(experiment(temperature=51, solvent="water"))
    assert result.actual == {"temperature": 80.0, "solvent": "water"}


def test_replay_is_cancelled_while_it_waits(table: Path) -> None:
    replay = Replay(table, inputs=["temperature", "solvent"], outputs=["y"], delay=3600)
    one = experiment(temperature=80, solvent="water")
    one.tell("cancel", "a leak")
    with pytest.raises(Cancelled, match="a leak"):
        replay(one)


def test_a_table_that_cannot_be_used_names_everything(tmp_path: Path) -> None:
    path = tmp_path / "table.csv"
    path.write_text("temperature,y\n20,1\n30\n40,2,5\n")
    with pytest.raises(InvalidError) as caught:
        Replay(path, inputs=["temprature"], outputs=["y"])
    assert [each.field for each in caught.value.errors] == ["temprature", "line 3", "line 4"]
    assert "temperature" in caught.value.errors[0].hint
    path.write_text("temperature,y\n")
    with pytest.raises(InvalidError, match="empty"):
        Replay(path, inputs=["temperature"], outputs=["y"])
    with pytest.raises(InvalidError, match="cannot be read"):
        Replay(tmp_path / "none.csv", inputs=["temperature"], outputs=["y"])
    with pytest.raises(InvalidError, match="nearest"):
        Replay(path, inputs=["temperature"], outputs=["y"], match="neerest")


# -- external programs


def program(tmp_path: Path, code: str, **options: Any) -> Subprocess:
    script = tmp_path / "solve.py"
    script.write_text("import json, os, sys, time, pathlib\n" + code)
    return Subprocess([sys.executable, str(script)], folder=tmp_path / "runs", **options)


def run(adapter: Subprocess, one: Experiment) -> Any:
    ref = adapter.start(one)
    return wait_for(lambda: adapter.check(ref))


def test_a_program_reads_its_parameters_and_leaves_its_result(tmp_path: Path) -> None:
    adapter = program(
        tmp_path,
        "p = json.load(open('parameters.json'))\n"
        "assert json.load(open(os.environ['LABQUEUE_PARAMETERS'])) == p\n"
        "which = json.load(open('experiment.json'))\n"
        "print('solving', which['code'])\n"
        "json.dump({'y': p['x'] * 2}, open('result.json', 'w'))\n",
    )
    one = experiment(x=4.5)
    assert run(adapter, one) == {"y": 9.0}
    folder = tmp_path / "runs" / one.attempt
    assert (folder / "stdout.txt").read_text() == "solving snar-1\n"
    assert json.loads((folder / "exit.json").read_text())["code"] == 0


def test_a_full_result_has_everything(tmp_path: Path) -> None:
    adapter = program(
        tmp_path,
        "pathlib.Path('trace.txt').write_text('peaks')\n"
        "json.dump({'outputs': {'y': 1}, 'actual': {'x': 4.4}, 'outstanding': ['z'], 'noise': {'y': 0.1},\n"
        "  'comment': 'calm', 'files': ['trace.txt']}, open(sys.argv[1], 'w'))\n",
    )
    adapter.command += ["{result}"]
    result = run(adapter, experiment(x=4.5))
    assert (result.outputs, result.actual, result.outstanding) == ({"y": 1}, {"x": 4.4}, ("z",))
    assert (result.noise, result.comment, result.outcome) == ({"y": 0.1}, "calm", "measured")
    assert result.artifacts == (Artifact("trace.txt", "digest of peaks"),)


def test_a_payload_has_a_file_of_its_own(tmp_path: Path) -> None:
    adapter = program(
        tmp_path, "json.dump({'y': len(json.load(open('payload.json')))}, open('result.json', 'w'))"
    )
    assert run(adapter, experiment(payload=["a", "b", "c"])) == {"y": 3}


@pytest.mark.parametrize(
    ("code", "kind", "text"),
    [
        ("sys.exit('it precipitates')", Failed, "exit code 1.*it precipitates"),
        ("print('too hot', file=sys.stderr); sys.exit(65)", Infeasible, "too hot"),
        ("json.dump({'comment': 'boils'}, open('result.json', 'w')); sys.exit(65)", Infeasible, "boils"),
        ("pass", Failed, "left no result.json"),
        ("open('result.json', 'w').write('{\"y\": ')", Failed, "no JSON"),
        ("json.dump([1], open('result.json', 'w'))", Failed, "object"),
        ("json.dump({'outputs': {}, 'otcome': 1}, open('result.json', 'w'))", Failed, "otcome"),
        (
            "json.dump({'outputs': {'y': 1}, 'outcome': 'suspect', 'comment': 'bubbles'}, open('result.json', 'w'))",
            Suspect,
            "bubbles",
        ),
    ],
)
def test_how_a_program_ends(tmp_path: Path, code: str, kind: type[Exception], text: str) -> None:
    with pytest.raises(kind, match=f"(?s){text}"):
        run(program(tmp_path, code), experiment())


def test_a_program_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(InvalidError) as caught:
        Subprocess(["no-such-solver"], folder=tmp_path)
    assert caught.value.errors[0].value == "no-such-solver"
    script = tmp_path / "broken"
    script.write_text("#!/no/such/interpreter\n")
    script.chmod(0o755)
    if os.name != "nt":
        with pytest.raises(Failed, match="could not be started"):
            run(Subprocess([str(script)], folder=tmp_path / "runs"), experiment())


#: A program that starts another one, says that both are there, and never ends by itself.
ENDLESS = """
import subprocess
child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)'])
draft = pathlib.Path('draft'); draft.write_text(f'{os.getpid()} {child.pid}'); draft.rename('pids')
time.sleep(600)
"""


def pids(place: str) -> list[int]:
    return [int(each) for each in wait_for(lambda: _text(Path(place) / "pids")).split()]


def _text(path: Path) -> str:
    return path.read_text() if path.exists() else ""


def gone(numbers: list[int]) -> bool:
    return all(supervise.identity(each) is None for each in numbers)


@posix
def test_a_time_limit_ends_the_whole_group(tmp_path: Path) -> None:
    for limit in (0.6, 6.0, 60.0):
        adapter = program(tmp_path, ENDLESS, time_limit=limit, grace=5.0)
        ref = adapter.start(experiment())
        with pytest.raises(Failed, match=f"time limit of {limit:g} s"):
            wait_for(lambda adapter=adapter, ref=ref: adapter.check(ref), 120.0)
        # On a busy machine a short limit may end the program before it has started its child.
        if numbers := [int(each) for each in _text(Path(ref) / "pids").split()]:
            break
    assert numbers
    wait_for(lambda: gone(numbers))


@posix
@pytest.mark.parametrize("stubborn", [False, True])
def test_cancel_ends_the_whole_group(tmp_path: Path, stubborn: bool) -> None:
    code = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN)\n" if stubborn else ""
    adapter = program(tmp_path, code + ENDLESS, grace=0.3)
    ref = adapter.start(experiment())
    numbers = pids(ref)
    assert adapter.check(ref) is None
    adapter.cancel(ref)
    adapter.cancel(ref)
    with pytest.raises(Cancelled):
        wait_for(lambda: adapter.check(ref))
    wait_for(lambda: gone(numbers))


@posix
def test_cancel_waits_for_the_name_of_who_runs_it(tmp_path: Path) -> None:
    adapter = program(tmp_path, ENDLESS, grace=5.0)
    ref = adapter.start(experiment())
    numbers = pids(ref)
    claim = Path(ref) / "process.json"
    content = claim.read_text()
    claim.write_text("")  # as it is for a moment, before its content is there
    writer = threading.Timer(0.2, claim.write_text, [content])
    writer.start()
    adapter.cancel(ref)
    writer.join()
    with pytest.raises(Cancelled):
        wait_for(lambda: adapter.check(ref))
    wait_for(lambda: gone(numbers))


@posix
def test_a_supervisor_that_hangs_is_ended_from_outside(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("labqueue.adapters.subprocess.INSISTING", 0.1)
    adapter = program(tmp_path, ENDLESS, grace=0.1)
    ref = adapter.start(experiment())
    numbers = pids(ref)
    supervisor = json.loads((Path(ref) / "process.json").read_text())["pid"]
    os.kill(supervisor, signal.SIGSTOP)
    adapter.cancel(ref)
    with pytest.raises(Cancelled):
        wait_for(lambda: adapter.check(ref))
    wait_for(lambda: gone([*numbers, supervisor]))


@posix
def test_a_result_that_was_ready_when_it_was_cancelled_counts(tmp_path: Path) -> None:
    adapter = program(
        tmp_path,
        "import signal\n"
        "def end(*_): json.dump({'y': 3}, open('result.json', 'w')); sys.exit(0)\n"
        "signal.signal(signal.SIGTERM, end)\n" + ENDLESS,
    )
    ref = adapter.start(experiment())
    pids(ref)
    (Path(ref) / "stop").touch()
    adapter.cancel(ref)
    assert wait_for(lambda: adapter.check(ref)) == {"y": 3}


SLOW = """
pathlib.Path('began').write_text('once')
while not pathlib.Path('go').exists(): time.sleep(0.01)
json.dump({'y': 7}, open('result.json', 'w'))
"""


@posix
def test_a_run_outlives_its_adapter_and_is_found_again(tmp_path: Path) -> None:
    one = experiment(x=1)
    program(tmp_path, SLOW)
    # The adapter is another process, which dies at once.
    starter = (
        "import sys, os\n"
        f"sys.path.insert(0, {str(Path(__file__).parent)!r})\n"
        "from types import SimpleNamespace as N\n"
        "from labqueue.adapters import Subprocess\n"
        f"e = N(attempt={one.attempt!r}, parameters={{}}, payload=None, id=1, code='a', campaign='c',"
        " attempt_number=1, outputs=())\n"
        f"Subprocess([sys.executable, {str(tmp_path / 'solve.py')!r}], folder={str(tmp_path / 'runs')!r}).start(e)\n"
        "os._exit(9)\n"
    )
    assert subprocess.run([sys.executable, "-c", starter], timeout=60, check=False).returncode == 9
    adapter = program(tmp_path, SLOW)
    ref = adapter.find(one)
    assert ref is not None and adapter.check(ref) is None
    wait_for(lambda: _text(Path(ref) / "began"))
    (Path(ref) / "go").touch()
    assert wait_for(lambda: adapter.check(ref)) == {"y": 7}
    again = program(tmp_path, SLOW)
    assert again.find(one) == ref and again.check(ref) == {"y": 7}


def test_start_of_the_same_attempt_is_one_run(tmp_path: Path) -> None:
    adapter = program(
        tmp_path, "open('../count', 'a').write('x'); json.dump({'y': 1}, open('result.json', 'w'))"
    )
    one = experiment()
    ref = adapter.start(one)
    wait_for(lambda: adapter.check(ref))
    assert program(tmp_path, "sys.exit('never')").start(one) == ref
    assert adapter.check(ref) == {"y": 1}
    assert _text(tmp_path / "runs" / "count") == "x"


def test_what_never_ran_is_not_found_and_never_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("labqueue.adapters.subprocess.SETTLING", 0.05)
    one, adapter = experiment(), program(tmp_path, "json.dump({'y': 1}, open('result.json', 'w'))")
    assert adapter.find(one) is None
    # The adapter died after it had written the folder, before anything was started.
    place = tmp_path / "runs" / one.attempt
    adapter._prepare(place, one)
    assert adapter.find(one) is None
    assert supervise.main(str(place)) == 0 and not (place / "exit.json").exists()
    assert adapter.find(one) is None


@posix
def test_a_run_that_vanished_with_the_computer_failed(tmp_path: Path) -> None:
    one, adapter = experiment(), program(tmp_path, ENDLESS)
    ref = adapter.start(one)
    numbers = pids(ref)
    process = json.loads((Path(ref) / "process.json").read_text())
    os.killpg(process["pid"], 9)
    with pytest.raises(Failed, match="without an exit code"):
        wait_for(lambda: adapter.check(ref))
    wait_for(lambda: gone(numbers))
    (Path(ref) / "process.json").write_text(json.dumps({"pid": os.getpid(), "identity": "another boot"}))
    again = program(tmp_path, ENDLESS)
    with pytest.raises(Failed, match="without an exit code"):
        again.check(again.find(one) or "")


def test_folders_go_only_after_the_next_start(tmp_path: Path) -> None:
    adapter = program(tmp_path, "json.dump({'y': 1}, open('result.json', 'w'))", keep=False)
    first = adapter.start(experiment())
    assert wait_for(lambda: adapter.check(first)) and Path(first).exists()
    second = adapter.start(experiment())
    assert not Path(first).exists()
    assert wait_for(lambda: adapter.check(second))
