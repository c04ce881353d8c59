"""ALchemist's prebuilt page, driven as a person would in headless Chromium, on the whole of Labqueue."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import browser
import pytest
from alchemist_lab import Program
from browser import Page
from servers import Servers
from whole import Whole, whole

FOLDER = Path(__file__).parents[2] / ".venv" / "alchemist" / "api" / "static"
PARTS = ("api", "janitor", "trainer", "suggester")

pytestmark = [
    pytest.mark.skipif(browser.program() is None, reason="no Chromium was found"),
    pytest.mark.skipif(not FOLDER.is_dir(), reason="`make test` fetches ALchemist's page"),
]


@pytest.fixture
def lab(servers: Servers) -> Iterator[Whole]:
    with whole(servers, PARTS, LABQUEUE_ALCHEMIST_UI=str(FOLDER)) as stack:
        yield stack


@pytest.fixture
def page(lab: Whole, tmp_path: Path) -> Iterator[Page]:
    with browser.page(tmp_path) as made:
        made.go(f"{lab.url}/")
        yield made


def measured(point: dict[str, Any]) -> float:
    return -((point["temperature"] - 80) ** 2) / 1000 - (point["time"] - 5) ** 2 / 10


def add_variable(page: Page, name: str, low: float, high: float) -> None:
    page.click("Add Variable", "button")
    page.fill("input[aria-label=Name]", name)
    page.fill("#variable-min", str(low))
    page.fill("#variable-max", str(high))
    page.click("Add Variable", "form button")
    page.until(lambda: page.js("document.querySelector('#variable-min') === null"), "the form is closed")


def session_of(page: Page) -> str:
    """The session that the page works on, as its requests name it."""
    asked = page.js("performance.getEntriesByType('resource').map(each => each.name).join(' ')")
    found = re.findall(r"/sessions/([0-9a-f-]{36})", asked)
    assert found, asked
    return str(found[-1])


def plotted(page: Page) -> bool:
    return bool(page.js("document.querySelectorAll('svg.main-svg, svg.recharts-surface').length > 0"))


def test_from_the_first_variable_to_the_next_suggestion(lab: Whole, page: Page) -> None:
    page.click("New Session")
    page.says("Session Metadata")
    page.click("Cancel")
    add_variable(page, "temperature", 20, 120)
    add_variable(page, "time", 1, 10)
    page.says("2 variables defined")

    page.click("Generate Design")
    page.says("10 points generated")
    page.click("Stage", "button")
    page.says("Add Point... (10)")

    program = Program(lab.url)
    program.session = session_of(page)
    with program.http:
        staged = program.ok("GET", "experiments/staged")
        assert staged["n_staged"] == 10
        outputs = [measured(each) for each in staged["experiments"]]
        assert program.ok("POST", "experiments/staged/complete", {"outputs": outputs})["n_added"] == 10
        page.says("10 rows")
        page.says("Initial DoE")

        page.click("Train Model")
        page.says("TRAINED MODEL INFO")
        page.click("Acquisition", "button")
        page.click("Run Acquisition Strategy")
        page.says("Suggestion 1:")
        page.click("📝 Stage Suggestions")
        page.says("Add Point... (1)")
        lab.until(lambda: program.ok("GET", "experiments/staged")["n_staged"] == 1, "it is staged")
        page.click("Find Model Optimum")
        page.says("Model Optimum Found")

        page.click("Model", "button")
        page.click("Show Visualizations")
        for plot in ("Plot Parity", "Plot Metrics", "Plot Q-Q", "Plot Calibration", "Plot Contour"):
            page.click(plot)
            page.until(lambda: plotted(page), f"{plot} shows a plot")

        heard = page.heard
        page.go(f"{lab.url}/?mode=monitor&session={program.session}")
        page.says("Work Queue")
        page.until(lambda: page.js("1") and page.heard > heard, "its socket is open")
        [item] = program.ok("GET", "experiments/queue", params={"status": "pending"})["items"]
        program.ok("POST", f"experiments/queue/{item['id']}/start")
        page.says("Running")
        done = {"outputs": [measured(item["inputs"])]}
        program.ok("POST", f"experiments/queue/{item['id']}/complete", done)
        page.until(lambda: "Running" not in page.text, "the monitor sees that it is done")
    assert page.errors == []
    assert lab.one("SELECT count(*) FROM results WHERE verdict = 'accepted'") == 11


def test_our_own_page_is_at_app(lab: Whole, page: Page) -> None:
    page.go(f"{lab.url}/app")
    page.says("Labqueue")
    assert page.errors == []
