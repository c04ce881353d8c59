"""docs/pools.md says what works, and uploads from the command line end well or in words."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from runpy import run_path

import numpy as np
import pytest
from api import context_for, served, settings_for

from labqueue.cli import main
from labqueue.client import Client
from labqueue.errors import TooLargeError

PAGE = Path(__file__).parents[2] / "docs" / "pools.md"
FENCE = re.compile(r"^```(\w+)\n(.*?)^```", re.DOTALL | re.MULTILINE)


def test_the_page(
    postgres_url: str,
    redis_url: str,
    home: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Its files, its commands in their order, and its Python."""
    blocks = FENCE.findall(PAGE.read_text())
    texts = {language: [text for name, text in blocks if name == language] for language, _ in blocks}
    (tmp_path / "library.csv").write_text(texts["csv"][0])
    (tmp_path / "campaign.json").write_text(texts["json"][0])
    monkeypatch.chdir(tmp_path)
    with context_for(settings_for(postgres_url, home, redis_url)) as context, served(context) as url:
        monkeypatch.setenv("LABQUEUE_URL", url)
        for line in "".join(texts["sh"]).splitlines():
            assert main(shlex.split(line)[1:]) == 0, (line, capsys.readouterr().err)
        out = capsys.readouterr().out
        assert "library, version 1: 6 rows, 3 columns" in out and "98.4 to 140.9" in out
        assert "cmpd-3" in out and "water, ethanol, toluene" in out and "1 experiment staged: amines-1" in out
        for name, text in zip(("upload.py", "read.py", "look.py"), texts["python"], strict=True):
            (tmp_path / name).write_text(text)
        run_path("upload.py")
        assert len(Client(url).pool("library")["versions"]) == 1, "the same rows again"
        sha256 = Client(url).pool("library")["sha256"]
        monkeypatch.setattr("labqueue.learning.pools.cache_folder", lambda: tmp_path / "cache")
        read = run_path("read.py")
        found = run_path("look.py", {"path": context.blobs.path(sha256)})
    assert read["heavy"] == ["cmpd-3", "cmpd-4", "cmpd-5"] and (tmp_path / "cache" / sha256).exists()
    assert read["one"] == {"mass": np.float32(121.7), "polarity": np.float32(0.29), "solvent": "toluene"}
    mass = np.array([112.1, 98.4, 140.9, 133.0, 121.7, 105.2], dtype="<f4")
    assert found["features"].shape == (6, 3) and np.array_equal(found["features"][:, 0], mass)


def test_faults_and_limits_in_words(
    postgres_url: str,
    home: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "bad.csv").write_text("name,x\na,1\nb,\na,3\nc,x\n")
    (tmp_path / "long.csv").write_text("id,x\n" + "".join(f"{n},{n}\n" for n in range(300_000)))
    settings = settings_for(postgres_url, home, LABQUEUE_ARTIFACT_LIMIT="1000000")
    with context_for(settings) as context, served(context) as url:
        monkeypatch.setenv("LABQUEUE_URL", url)
        assert main(["pool", "list"]) == 0
        assert "There is no pool yet" in capsys.readouterr().out
        assert main(["pool", "upload", "library", "bad.csv", "--id", "name"]) == 1
        said = capsys.readouterr().err
        assert "line 3, x: is empty." in said and "line 5, x: is not a number." in said
        assert main(["pool", "upload", "library", "bad.csv"]) == 1
        assert "has no column id for the ids, but name, x." in capsys.readouterr().err
        assert main(["pool", "upload", "library", "nowhere.csv"]) == 1
        assert "No such file" in capsys.readouterr().err
        path = tmp_path / "long.csv"
        with pytest.raises(TooLargeError, match="limit of 1,000,000 bytes"):
            Client(url).upload_pool("library", lambda: path.open("rb"), path.stat().st_size)
        assert Client(url).pools() == []
