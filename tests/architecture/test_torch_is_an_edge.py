"""What must start fast, and what must run anywhere, loads nothing heavy: seen in fresh interpreters."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SDK = ROOT / "sdk" / "src"
HEAVY = ("torch", "botorch", "gpytorch", "linear_operator", "pandas", "scipy", "sklearn", "matplotlib")
LIGHT = (
    "labqueue",
    "services.settings",
    "services.flow",
    "services.store",
    "services.broker",
    "services.bootstrap",
    "services.api",
    "services.web",
    "services.cli",
    "services.asgi",
    "services.embedded",
    "workers.janitor",
)


def modules_of(package: str) -> list[str]:
    """`package` and all modules in it that can be imported without running a program."""
    spec = importlib.util.find_spec(package)
    if spec is None:
        return []
    names = [package]
    for place in spec.submodule_search_locations or ():
        for file in sorted(Path(place).rglob("*.py")):
            parts = file.relative_to(place).with_suffix("").parts
            if parts[-1] not in ("__init__", "__main__"):
                names.append(".".join([package, *parts]))
    return names


def run(code: str, *flags: str) -> str:
    done = subprocess.run(
        [sys.executable, *flags, "-c", code],
        capture_output=True,
        text=True,
        check=False,
        cwd=ROOT,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize("package", [name for name in LIGHT if importlib.util.find_spec(name) is not None])
def test_nothing_heavy_is_loaded(package: str) -> None:
    names = modules_of(package)
    assert package in names
    code = (
        "import importlib, sys\n"
        f"for name in {names}:\n"
        "    importlib.import_module(name)\n"
        f"    loaded = [heavy for heavy in {HEAVY} if heavy in sys.modules]\n"
        "    assert not loaded, (name, loaded)\n"
    )
    run(code)


def test_the_check_above_can_fail() -> None:
    with pytest.raises(AssertionError, match="pandas"):
        run(f"import sys, pandas; assert not [h for h in {HEAVY} if h in sys.modules], 'pandas'")


def test_the_sdk_needs_nothing_but_the_standard_library() -> None:
    """Every module of it is imported where no installed package can be seen, isolated from this environment."""
    names = modules_of("labqueue")
    assert "labqueue.errors" in names
    code = (
        "import importlib, sys\n"
        f"sys.path[:] = [p for p in sys.path if not p.endswith('-packages')] + [{str(SDK)!r}]\n"
        "try:\n    import celery\nexcept ImportError:\n    pass\nelse:\n    raise AssertionError('packages are in sight')\n"
        f"for name in {names}:\n    importlib.import_module(name)\n"
        "print(len(sys.modules))\n"
    )
    assert int(run(code, "-I", "-S")) > 0


def test_no_module_connects_or_reads_the_environment_at_import() -> None:
    """With every address pointing nowhere and an unknown variable set, all still import."""
    names = [name for package in LIGHT for name in modules_of(package)]
    code = (
        "import importlib, socket\n"
        "def refuse(*args, **kwargs):\n    raise AssertionError('a connection at import')\n"
        "socket.socket.connect = refuse\n"
        f"for name in {names}:\n    importlib.import_module(name)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=False,
        cwd=ROOT,
        env={
            **os.environ,
            "LABQUEUE_NO_SUCH_THING": "1",
            "LABQUEUE_DATABASE_URL": "postgresql://nowhere.invalid/x",
        },
    )
    assert done.returncode == 0, done.stderr
