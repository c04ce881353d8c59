"""docker-compose.yml and the Dockerfile, as far as they can be judged without Docker."""

from __future__ import annotations

import importlib.util
import json
import re
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonschema import Draft202012Validator

from services.settings import load

ROOT = Path(__file__).resolve().parents[2]
SCHEMA = Path(__file__).parent / "data" / "compose-spec" / "compose-spec.json"
VARIABLE = re.compile(r"\$\{(\w+)(?::([-?])([^}]*))?\}")
OUR_IMAGE = "labqueue:0.1.0"


@pytest.fixture(scope="module")
def compose() -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
    return found


def filled(text: str) -> str:
    """`text` as Compose would fill it from an .env file that sets only what has no default."""
    return VARIABLE.sub(lambda m: m[3] if m[2] == "-" else "filled", text)


def schema_errors(document: dict[str, Any]) -> list[str]:
    schema = json.loads(SCHEMA.read_text())
    Draft202012Validator.check_schema(schema)
    return [
        f"{error.json_path}: {error.message}" for error in Draft202012Validator(schema).iter_errors(document)
    ]


def test_the_file_follows_the_compose_specification(compose: dict[str, Any]) -> None:
    assert schema_errors(compose) == []


def test_the_schema_would_find_a_misspelt_key(compose: dict[str, Any]) -> None:
    services = {**compose["services"], "api": {**compose["services"]["api"], "comand": "x"}}
    assert any("comand" in error for error in schema_errors({**compose, "services": services}))


def test_all_parts_are_there(compose: dict[str, Any]) -> None:
    always = {name for name, service in compose["services"].items() if "profiles" not in service}
    assert always == {"postgres", "redis", "migrate", "api", "janitor", "trainer", "suggester"}
    gpu = compose["services"]["trainer-gpu"]
    assert gpu["profiles"] == ["gpu"] and gpu["command"] == compose["services"]["trainer"]["command"]
    assert gpu["deploy"]["resources"]["reservations"]["devices"][0]["capabilities"] == ["gpu"]


def test_every_command_of_ours_can_be_run(compose: dict[str, Any]) -> None:
    scripts = {
        name
        for file in ("pyproject.toml", "sdk/pyproject.toml")
        for name in tomllib.loads((ROOT / file).read_text())["project"]["scripts"]
    }
    commands = [s["command"] for s in compose["services"].values() if s["image"] == OUR_IMAGE]
    image_command = re.search(r"^CMD (.*)$", (ROOT / "Dockerfile").read_text(), re.MULTILINE)
    assert image_command is not None and len(commands) == 7
    for command in [*commands, json.loads(image_command[1])]:
        if command[:2] != ["python", "-m"]:
            assert command[0] in scripts
            continue
        spec = importlib.util.find_spec(command[2])
        assert spec is not None, command
        if spec.submodule_search_locations is not None:
            assert importlib.util.find_spec(f"{command[2]}.__main__") is not None, command


def test_the_example_adapter_serves_a_function_that_exists(compose: dict[str, Any]) -> None:
    module, _, name = compose["services"]["adapter"]["command"][2].partition(":")
    found = subprocess.run(
        [sys.executable, "-c", f"import {module} as m; assert callable(m.{name})"],
        capture_output=True,
        text=True,
        check=False,
        cwd=ROOT,
    )
    assert found.returncode == 0, found.stderr


def test_every_setting_is_known_and_none_is_a_secret_in_clear(compose: dict[str, Any]) -> None:
    for name, service in compose["services"].items():
        environment: dict[str, str] = service.get("environment", {})
        load({key: filled(value) for key, value in environment.items()})
        for key, value in environment.items():
            if re.search("PASSWORD|TOKEN|SECRET", key):
                assert VARIABLE.fullmatch(value), (name, key)
            assert not re.search(r"://[^/@]*:[^/@]*@", value), (name, key)


def test_a_missing_password_stops_the_start(compose: dict[str, Any]) -> None:
    for name in ("postgres", "api"):
        environment = compose["services"][name]["environment"]
        value = environment.get("POSTGRES_PASSWORD") or environment["PGPASSWORD"]
        assert value.startswith("${POSTGRES_PASSWORD:?")


def test_who_waits_for_health_waits_for_somebody_who_tells_it(compose: dict[str, Any]) -> None:
    services = compose["services"]
    for name, service in services.items():
        for other, how in service.get("depends_on", {}).items():
            if how["condition"] == "service_healthy":
                assert "healthcheck" in services[other], (name, other)
            else:
                assert (how["condition"], services[other]["restart"]) == (
                    "service_completed_successfully",
                    "no",
                )


def test_data_is_in_named_volumes_and_only_the_api_is_published(compose: dict[str, Any]) -> None:
    used = {volume.split(":")[0] for s in compose["services"].values() for volume in s.get("volumes", ())}
    assert used == set(compose["volumes"])
    assert [name for name, service in compose["services"].items() if "ports" in service] == ["api"]
    assert filled(compose["services"]["api"]["ports"][0]) == "127.0.0.1:8000:8000"


def test_the_image_is_built_from_files_that_are_there_and_runs_as_somebody_else() -> None:
    steps = (ROOT / "Dockerfile").read_text()
    allowed = set(re.findall(r"^!(.+)$", (ROOT / ".dockerignore").read_text(), re.MULTILINE))
    copied = set(re.findall(r"^COPY (\S+) ", steps, re.MULTILINE))
    assert copied == allowed
    assert all((ROOT / name).exists() for name in copied)
    assert steps.index("USER labqueue") < steps.index("CMD")
    assert all(
        "-c constraints.txt" in line for line in steps.splitlines() if line.startswith("RUN pip install")
    )


def test_constraints_pin_everything_once_and_name_no_place() -> None:
    lines = (ROOT / "constraints.txt").read_text().split()
    assert all(re.fullmatch(r"[A-Za-z0-9_.-]+==[0-9][0-9A-Za-z.]*", line) for line in lines)
    names = [line.partition("==")[0].lower().replace("_", "-") for line in lines]
    assert len(names) == len(set(names))
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    wanted = [
        *project["dependencies"],
        *(d for group in project["optional-dependencies"].values() for d in group),
    ]
    direct = {re.split(r"[^A-Za-z0-9_.-]", wish)[0].lower().replace("_", "-") for wish in wanted} - {
        "labqueue"
    }
    assert direct <= set(names)


@pytest.mark.parametrize(
    ("folder", "packages"), [(".", "services workers models migrations"), ("sdk", "labqueue")]
)
def test_the_wheels_carry_every_file_of_their_packages(folder: str, packages: str, tmp_path: Path) -> None:
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)],
        cwd=ROOT / folder,
        check=True,
        capture_output=True,
    )
    (wheel,) = tmp_path.glob("*.whl")
    packed = {name for name in zipfile.ZipFile(wheel).namelist() if ".dist-info/" not in name}
    base = ROOT / folder / ("src" if folder == "sdk" else "")
    there = {
        str(file.relative_to(base))
        for package in packages.split()
        for file in (base / package).rglob("*")
        if file.is_file() and "__pycache__" not in file.parts
    }
    assert packed == there
