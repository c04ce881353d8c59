"""Settings are read once, from a mapping, and a wrong one is named."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from redis.connection import parse_url as parse_redis_url
from sqlalchemy.dialects.postgresql.psycopg import PGDialect_psycopg
from sqlalchemy.engine import make_url

from labqueue.errors import InvalidError
from services.settings import (
    POSTGRES_SOCKET,
    SOCKET_PATH_LIMIT,
    kombu_url,
    load,
    mask_url,
    postgres_url,
    socket_folder,
    valkey_url,
)


def test_nothing_set_is_a_stack_on_this_machine(tmp_path: Path) -> None:
    settings = load({}, tmp_path)
    assert settings.home == tmp_path / ".labqueue"
    assert settings.embeds_postgres and settings.embeds_redis
    assert (settings.host, settings.port) == ("127.0.0.1", 8000)
    assert settings.database == postgres_url(settings.sockets)
    assert settings.redis == valkey_url(settings.sockets)
    assert settings.artifacts == f"file://{tmp_path}/.labqueue/artifacts"


def test_other_programs_variables_are_not_ours() -> None:
    assert load({"PATH": "/bin", "LABQUEUE": "x", "PGPORT": "1"}) == load({})


def test_an_unknown_name_is_an_error_that_names_the_nearest() -> None:
    with pytest.raises(InvalidError) as caught:
        load({"LABQUEUE_DATABSE_URL": "postgresql://db/x", "LABQUEUE_PRT": "1"})
    hints = {error.field: error.hint for error in caught.value.errors}
    assert hints == {
        "LABQUEUE_DATABSE_URL": "Did you mean LABQUEUE_DATABASE_URL?",
        "LABQUEUE_PRT": "Did you mean LABQUEUE_PORT?",
    }


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("LABQUEUE_PORT", "eighty"),
        ("LABQUEUE_PORT", "70000"),
        ("PORT", "x"),
        ("LABQUEUE_BODY_LIMIT", "1"),
        ("LABQUEUE_KEEP_INQUIRIES_DAYS", "0"),
        ("LABQUEUE_KEEP_CLAIMS_DAYS", "0.9"),
        ("LABQUEUE_KEEP_GONE_DAYS", "1e9"),
        ("LABQUEUE_LOG_LEVEL", "loud"),
        ("LABQUEUE_PREPARED_STATEMENTS", "perhaps"),
    ],
)
def test_an_unreadable_value_is_named(name: str, value: str) -> None:
    with pytest.raises(InvalidError) as caught:
        load({name: value})
    assert [error.field for error in caught.value.errors] == [name]


def test_port_alone_is_heard_and_the_full_name_goes_first() -> None:
    assert load({"PORT": "9000"}).port == 9000
    assert load({"PORT": "9000", "LABQUEUE_PORT": "9001"}).port == 9001


def test_an_empty_variable_is_not_set() -> None:
    assert load({"LABQUEUE_REDIS_URL": "", "LABQUEUE_PORT": ""}) == load({})


def test_switches_and_words_may_be_written_in_capitals() -> None:
    settings = load({"LABQUEUE_PREPARED_STATEMENTS": "No", "LABQUEUE_LOG_FORMAT": "Console"})
    assert settings.prepared_statements is False and settings.log_format == "console"


SECRETS = {
    "LABQUEUE_DATABASE_URL": "postgresql://lab:hunter2@db.example/lab?sslpassword=hunter3",
    "LABQUEUE_REDIS_URL": "redis://:hunter4@cache.example:6379/2",
    "LABQUEUE_ARTIFACTS_URL": "s3://id:hunter5@bucket/x",
    "LABQUEUE_URL": "https://me:hunter6@lab.example",
    "LABQUEUE_TOKEN": "hunter7",
}


def test_no_secret_shows(tmp_path: Path) -> None:
    settings = load(SECRETS, tmp_path)
    for text in (repr(settings), str(settings), str(settings.shown())):
        assert "hunter" not in text
    assert settings.shown()["LABQUEUE_REDIS_URL"] == "redis://:***@cache.example:6379/2"
    assert settings.database == SECRETS["LABQUEUE_DATABASE_URL"]


def test_no_secret_shows_in_an_error() -> None:
    with pytest.raises(InvalidError) as caught:
        load({**SECRETS, "LABQUEUE_PORT": "hunter8", "LABQUEUE_TOKN": "hunter9"})
    assert "hunter" not in str(caught.value)


def test_settings_survive_the_way_to_another_process(tmp_path: Path) -> None:
    for variables in ({}, SECRETS, {"LABQUEUE_PREPARED_STATEMENTS": "false", "PORT": "81"}):
        settings = load(variables, tmp_path)
        assert load(settings.environ(), Path("/elsewhere")) == settings


def test_settings_cannot_be_changed() -> None:
    with pytest.raises(ValueError, match="frozen"):
        load({}).port = 1  # type: ignore[misc]


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("postgresql://u@h:5/db?host=/a%20b", "postgresql://u@h:5/db?host=/a%20b"),
        ("postgresql://u:p%40w@h/db", "postgresql://u:***@h/db"),
        ("redis://h/0?password=pw&db=1", "redis://h/0?password=***&db=1"),
        ("unix:///run/v.sock?password=pw", "unix:///run/v.sock?password=***"),
        ("unix:///run/v.sock?db=0", "unix:///run/v.sock?db=0"),
    ],
)
def test_masked_addresses(url: str, shown: str) -> None:
    assert mask_url(url) == shown


def test_a_long_home_gets_its_sockets_elsewhere_and_always_in_the_same_place() -> None:
    short, long = Path("/srv/lab"), Path("/srv") / ("lab" * 40)
    assert socket_folder(short) == short / "run"
    assert socket_folder(long) == socket_folder(long)
    assert socket_folder(long) != socket_folder(long / "other")
    for home in (short, long):
        assert len(os.fsencode(socket_folder(home) / POSTGRES_SOCKET)) <= SOCKET_PATH_LIMIT


@pytest.mark.parametrize("folder", ["/run/lab", "/run/my lab/50%"])
def test_clients_read_the_same_socket_from_one_setting(folder: str) -> None:
    redis = valkey_url(Path(folder), 3)
    assert parse_redis_url(redis) == parse_redis_url(redis) | {"path": f"{folder}/valkey.sock", "db": 3}
    assert kombu_url(redis) == redis.replace("unix://", "redis+socket://").replace("?db=", "?virtual_host=")
    postgres = PGDialect_psycopg().create_connect_args(make_url(postgres_url(Path(folder))))[1]
    assert (postgres["host"], int(postgres["port"]), postgres["dbname"]) == (folder, 5432, "labqueue")


def test_a_redis_on_the_network_has_one_spelling() -> None:
    assert kombu_url("redis://:pw@cache:6379/2") == "redis://:pw@cache:6379/2"
    assert kombu_url("rediss://cache/0?ssl_cert_reqs=required") == "rediss://cache/0?ssl_cert_reqs=required"
