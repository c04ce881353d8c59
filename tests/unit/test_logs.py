"""Log lines say what they are about, whoever writes them, and never a secret."""

from __future__ import annotations

import json
import logging
import subprocess
import sys
from collections.abc import Iterator

import pytest
import structlog

from services.observability.logs import about, configure
from services.settings import load


@pytest.fixture(autouse=True)
def _as_before() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    structlog.reset_defaults()


def lines(capsys: pytest.CaptureFixture[str]) -> list[dict[str, object]]:
    return [json.loads(line) for line in capsys.readouterr().err.splitlines()]


def test_every_line_names_process_and_subject_whoever_writes_it(capsys: pytest.CaptureFixture[str]) -> None:
    configure(load({}), "janitor")
    with about(campaign="snar", experiment=17, attempt="a-1", instrument="hplc-2"):
        structlog.get_logger("ours").info("staged", count=3)
        logging.getLogger("theirs").warning("slow by %s s", 2, extra={"host": "db"})
    logging.getLogger("theirs").warning("after")
    ours, theirs, after = lines(capsys)
    subject = {
        "campaign": "snar",
        "experiment": 17,
        "attempt": "a-1",
        "instrument": "hplc-2",
        "process": "janitor",
    }
    assert ours == ours | subject | {"event": "staged", "count": 3, "level": "info", "logger": "ours"}
    assert theirs == theirs | subject | {"event": "slow by 2 s", "host": "db", "level": "warning"}
    assert "campaign" not in after
    assert str(ours["at"]).endswith("Z")


def test_no_secret_is_written(capsys: pytest.CaptureFixture[str]) -> None:
    configure(load({}), "api")
    log = structlog.get_logger()
    log.info("to postgresql://lab:hunter1@db/x", token="hunter2", headers={"Authorization": "Bearer hunter3"})
    log.info(
        "got", url="redis://:hunter4@h/0", note="Authorization: bearer hunter5", lease="hunter6", leases=2
    )
    logging.getLogger("x").info("at %s", "https://a:hunter7@h/", extra={"deep": [{"password": "hunter8"}]})
    try:
        raise ValueError("no way to postgresql://lab:hunter9@db/x")
    except ValueError:
        logging.getLogger("x").exception("failed")
    written = capsys.readouterr().err
    assert "hunter" not in written
    assert "postgresql://lab:***@db/x" in written and "Traceback" in written and '"leases": 2' in written


def test_level_and_format_are_settings(capsys: pytest.CaptureFixture[str]) -> None:
    configure(load({"LABQUEUE_LOG_LEVEL": "warning", "LABQUEUE_LOG_FORMAT": "console"}), "api")
    structlog.get_logger().info("unheard")
    logging.getLogger("x").info("unheard")
    structlog.get_logger().warning("heard", campaign="snar")
    written = capsys.readouterr().err
    assert "unheard" not in written
    assert "heard" in written and "campaign=snar" in written


def test_configured_twice_writes_once(capsys: pytest.CaptureFixture[str]) -> None:
    configure(load({}), "api")
    configure(load({}), "api")
    logging.getLogger("uvicorn.access").info("GET /")
    structlog.get_logger().info("once")
    assert [line["event"] for line in lines(capsys)] == ["GET /", "once"]


def test_an_error_of_a_process_is_one_line() -> None:
    code = (
        "import logging; from services.settings import load; from services.observability.logs import configure\n"
        "configure(load({}), 'api')\n"
        "try:\n    1 / 0\nexcept ZeroDivisionError:\n    logging.getLogger('x').exception('broken')\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    (line,) = done.stderr.splitlines()
    assert "ZeroDivisionError" in json.loads(line)["exception"]
