"""What the documents point at is there, and what they tell people to type is understood."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest
from api import context_for, served, settings_for
from typer.testing import CliRunner

from labqueue.cli import main, parser
from services.cli.main import app

ROOT = Path(__file__).parents[2]
PAGES = sorted([ROOT / "README.md", *ROOT.glob("docs/**/*.md"), *ROOT.glob("examples/**/*.md")])
NAMES = [str(page.relative_to(ROOT)) for page in PAGES]
FENCE = re.compile(r"^```(\w*)\n(.*?)^```", re.DOTALL | re.MULTILINE)


def anchors(page: Path) -> set[str]:
    """As GitHub makes them from headings."""
    headings = re.findall(r"^#+ (.+)$", FENCE.sub("", page.read_text()), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", each.lower()).replace(" ", "-") for each in headings}


@pytest.mark.parametrize("name", NAMES)
def test_every_link_leads_somewhere(name: str) -> None:
    page = ROOT / name
    for target in re.findall(r"\]\(([^)\s]+)\)", FENCE.sub("", page.read_text())):
        if re.match(r"\w+:", target):
            continue
        path, _, anchor = target.partition("#")
        found = (page.parent / path).resolve() if path else page
        assert found.exists() and ROOT in (found, *found.parents), f"{name} points at {target}"
        assert not anchor or anchor in anchors(found), f"{name} points at {target}"


def commands(program: str) -> Iterator[tuple[str, list[str]]]:
    """Each command line of `program` in a block of shell, without what the shell does with it."""
    for page, name in zip(PAGES, NAMES, strict=True):
        for language, text in FENCE.findall(page.read_text()):
            if language != "sh":
                continue
            for line in text.replace("\\\n", " ").splitlines():
                if re.match(rf"(\S*/)?{program}\s", line):
                    yield name, shlex.split(line, comments=True)[1:]


def test_the_command_line_understands_every_command_of_the_documents() -> None:
    seen = 0
    for name, words in commands("labqueue"):
        try:
            parser().parse_args(words)
        except SystemExit:
            pytest.fail(f"{name}: labqueue {shlex.join(words)}")
        seen += 1
    assert seen > 10


def test_the_server_understands_every_command_of_the_documents() -> None:
    """Asked for its help, a command reads the line down to its last option; nothing is run."""
    seen = 0
    for name, words in commands("labqueue-server"):
        read = CliRunner().invoke(app, [*words, "--help"])
        assert read.exit_code == 0, f"{name}: labqueue-server {shlex.join(words)}: {read.output}"
        seen += 1
    assert seen > 5
    assert CliRunner().invoke(app, ["token", "create", "x", "--scop", "admin", "--help"]).exit_code == 2


def test_the_campaign_of_the_page_is_created_and_steered(
    postgres_url: str,
    redis_url: str,
    home: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """docs/campaigns.md: its file and its commands, one after the other."""
    page = (ROOT / "docs" / "campaigns.md").read_text()
    [body] = [text for language, text in FENCE.findall(page) if language == "json"]
    (tmp_path / "campaign.json").write_text(body)
    monkeypatch.chdir(tmp_path)
    with context_for(settings_for(postgres_url, home, redis_url)) as context, served(context) as url:
        monkeypatch.setenv("LABQUEUE_URL", url)
        done = [words for name, words in commands("labqueue") if name == "docs/campaigns.md"]
        for words in done:
            assert main(words) == 0, (words, capsys.readouterr().err)
    out = capsys.readouterr().out
    assert "5 parameters, 2 outputs, 2 objectives" in out and "1 experiment staged: coupling-2-1." in out
    assert "is paused" in out and "code" in out
