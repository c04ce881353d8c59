"""A server of the test's own, and programs that were written for AMLRO beside it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from api import context_for, served, settings_for

from labqueue.client import Client

ROOT = Path(__file__).parents[4]

#: Two numbers, one of them whole, and a category.
CONFIG: dict[str, Any] = {
    "continuous": {
        "feature_names": ["temperature", "loading"],
        "bounds": [[20, 80], [0.1, 0.3]],
        "resolutions": [20, 0.1],
    },
    "categorical": {"feature_names": ["solvent"], "values": [["DMF", "THF"]]},
    "objectives": ["yield"],
    "directions": ["max"],
}
FEATURES = ("temperature", "loading", "solvent")


class Programs:
    """Starts scripts under `labqueue-amlro`, each in a process of its own."""

    def __init__(self) -> None:
        self.url, self.log = "", Path()
        zygote = str(Path(__file__).with_name("zygote.py"))
        self._zygote = subprocess.Popen(
            [sys.executable, zygote], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def _order(self, order: dict[str, Any]) -> Any:
        assert self._zygote.stdin is not None and self._zygote.stdout is not None
        self._zygote.stdin.write(json.dumps(order) + "\n")
        self._zygote.stdin.flush()
        return json.loads(self._zygote.stdout.readline())

    def start(self, *argv: object, **env: object) -> int:
        """The number of a process that runs this script."""
        given = {"LABQUEUE_URL": self.url, **{name: str(value) for name, value in env.items()}}
        order = {"argv": [str(each) for each in argv], "env": given, "log": str(self.log)}
        return int(self._order({"run": order})["pid"])

    def ended(self, pid: int) -> int:
        """Its exit code, as soon as it has ended; -9 where it was killed."""
        return int(self._order({"wait": pid})["code"])

    def run(self, *argv: object, **env: object) -> int:
        return self.ended(self.start(*argv, **env))

    def well(self, *argv: object, **env: object) -> None:
        """Runs it to its end, which is a good one."""
        assert self.run(*argv, **env) == 0, self.log.read_text()

    def close(self) -> None:
        assert self._zygote.stdin is not None
        with suppress(OSError):
            self._zygote.stdin.close()
        self._zygote.wait()
        assert self._zygote.stdout is not None
        self._zygote.stdout.close()


@pytest.fixture
def tmp_path(home: Path) -> Path:
    """In memory where there is room: whatever programs write is synced, and a busy disk takes long for it."""
    folder = home / "programs"
    folder.mkdir()
    return folder


@pytest.fixture
def url(postgres_url: str, home: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The address of a server with a database of the test's own."""
    with context_for(settings_for(postgres_url, home)) as context, served(context) as address:
        monkeypatch.setenv("LABQUEUE_URL", address)
        yield address


@pytest.fixture
def client(url: str) -> Iterator[Client]:
    with Client(url) as one:
        yield one


@pytest.fixture(scope="session")
def zygote() -> Iterator[Programs]:
    made = Programs()
    yield made
    made.close()


@pytest.fixture
def programs(zygote: Programs, url: str, tmp_path: Path) -> Programs:
    zygote.url, zygote.log = url, tmp_path / "programs.log"
    return zygote


@pytest.fixture
def amlro(url: str) -> Iterator[Any]:
    """The modules' names, as a program in this process sees them. What this process holds is given up afterwards."""
    import labqueue_amlro.compat.optimizer as names
    from labqueue_amlro import desk

    yield names
    restart(desk)


def restart(desk: Any) -> None:
    """As if this process had ended, and another one had begun."""
    for each in desk._desks.values():
        for slot in each.slots:
            slot.close()
    desk._desks.clear()


@pytest.fixture
def again(amlro: Any) -> Any:
    """Ends what this process is to the program, as a restart would."""
    from labqueue_amlro import desk

    return lambda: restart(desk)


def lines(path: Path | str) -> list[str]:
    return Path(path).read_text().splitlines()


def rows(exp_dir: Path, name: str = "reactions_data_decoded.csv") -> list[str]:
    """The file's rows, without its header."""
    return lines(exp_dir / name)[1:]


def the_campaign(client: Client) -> str:
    [found] = client.campaigns()
    return str(found["name"])


def states(client: Client) -> list[str]:
    """Of all experiments of the only campaign."""
    return [str(each["state"]) for each in client.experiments(the_campaign(client))]


def planned(client: Client, names: Sequence[str] = FEATURES) -> list[tuple[Any, ...]]:
    """Of all experiments of the only campaign."""
    found = client.experiments(the_campaign(client))
    return [tuple(each["parameters"][name] for name in names) for each in found]


# What the tests import from here is also theirs under this name.
sys.modules.setdefault("amlro_lab", sys.modules[__name__])
os.environ.setdefault("OMP_NUM_THREADS", "1")
