"""What is not the API itself: the plain page, the documents, health, metrics and the SDK's wheel."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from api import PROBLEM, Client, Lab, context_for, in_process, numbered, settings_for

from labqueue.errors import InvalidError
from labqueue.strategy import Strategy
from models.domain import records as r
from services.asgi import create
from services.bootstrap import Context
from services.web.words import stops

pytestmark = pytest.mark.anyio
ROOT = "http://localhost"
EVIL = '<script>alert("x")</script>'


class Tags(HTMLParser):
    """Which elements a page has, and its text."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.links: list[str] = []
        self.text = ""
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        self.tags.append(tag)
        self.links += [value for name, value in attrs if name in ("href", "src") and value]
        assert not any(name.startswith("on") or name == "style" for name, _ in attrs)

    def handle_data(self, data: str) -> None:
        self.text += data


async def test_an_empty_page_says_how_to_begin(client: Client) -> None:
    answer = await client.get(f"{ROOT}/app")
    page = Tags(answer.text)
    assert answer.status_code == 200 and "script" not in page.tags
    assert "labqueue campaign create" in page.text and "Nothing at present" in page.text
    for link in page.links:
        assert (await client.get(f"{ROOT}{link}", follow_redirects=True)).status_code == 200, link


async def test_the_page_begins_with_what_needs_a_person(client: Client, lab: Lab) -> None:
    (experiment,) = await lab.stage(1)
    held = await lab.begin()
    await lab.report(experiment, held["lease"], outputs={"yeild": 1})
    text = Tags((await client.get(f"{ROOT}/app")).text).text
    assert text.index("Needs a person") < text.index("lab-1 is held") < text.index("Campaigns")
    assert "labqueue decide lab-1 run_again|complete|give_up" in text and "lab-robot" in text


async def test_hostile_names_are_text(client: Client) -> None:
    body = {"name": EVIL, "queue": EVIL, "problem": PROBLEM, "strategy": {"method": "caller"}, "owner": EVIL}
    await client.ok("PUT", "/queues/%3Cscript%3Ealert(%22x%22)%3C%2Fscript%3E", {})
    await client.ok("POST", "/campaigns", body)
    path = "/queues/%3Cscript%3Ealert(%22x%22)%3C%2Fscript%3E"
    await client.ok("POST", f"{path}/pause", {"reason": EVIL})
    await client.ok("POST", f"{path}/claims", {"instrument": EVIL, "adapter": "a", "key": "k"})
    answer = await client.get(f"{ROOT}/app")
    page = Tags(answer.text)
    assert "script" not in page.tags and EVIL not in answer.text
    assert page.text.count(EVIL) >= 5
    links = [each for each in page.links if each.startswith("/campaigns/")]
    assert links
    mine = await client.get(f"{ROOT}{links[0]}")
    inner = Tags(mine.text)
    assert "script" not in inner.tags and EVIL not in mine.text and inner.text.count(EVIL) >= 4
    (link,) = [each for each in inner.links if each.startswith("/api/v1/campaigns/")]
    assert (await client.get(f"{ROOT}{link}")).json()["name"] == EVIL


async def test_a_page_names_what_a_campaign_stops_at(client: Client, lab: Lab) -> None:
    problem = {**PROBLEM, "objectives": [{"output": "yield"}, {"output": "purity"}], "combine": "pareto"}
    strategy = {"method": "caller", "stop": {"target": {"yield": 100, "purity": 99.5}}}
    body = {"name": "front", "queue": "lab-queue", "problem": problem, "strategy": strategy, "owner": "o"}
    await client.ok("POST", "/campaigns", body)
    await client.ok("POST", "/campaigns/front/finish", {})
    text = Tags((await client.get(f"{ROOT}/campaigns/front")).text).text
    assert "stops at target (yield 100 %, purity 99.5)" in text and "{" not in text
    assert text.count("finished") == 1, "the state is not its own reason"


PLATEAU = {"metric": "rmse", "versions": 5, "tolerance": 0.02, "output": ""}


@pytest.mark.parametrize(
    ("rules", "said"),
    [
        ({"budget": 9}, "stops at budget 9"),
        ({"budget": 9, "when": "all"}, "stops at budget 9"),
        ({"budget": 9, "target": 50}, "stops at budget 9 or target 50"),
        ({"budget": 9, "target": 50, "when": "all"}, "stops when all hold: budget 9, target 50"),
        ({"hours": 1.5, "budget": 9, "gain": 0.1}, "stops at budget 9, 1.5 hours or gain below 0.1"),
        ({"no_improvement": 20}, "stops at no improvement in 20 experiments"),
        ({"plateau": PLATEAU}, "stops at plateau (rmse of yield better by less than 2 % over 5 models)"),
        ({}, ""),
    ],
)
def test_stop_rules_are_said_with_how_many_must_hold(rules: dict[str, Any], said: str) -> None:
    strategy = Strategy.from_json({"stop": rules}).to_json()
    assert stops(strategy["stop"], PROBLEM) == said


async def test_a_page_says_that_all_rules_must_hold(client: Client, lab: Lab) -> None:
    rules = {"budget": 9, "target": 50, "when": "all"}
    body = {"name": "both", "queue": "lab-queue", "problem": PROBLEM, "strategy": {"stop": rules}}
    await client.ok("POST", "/campaigns", body)
    text = Tags((await client.get(f"{ROOT}/campaigns/both")).text).text
    assert "version 1; stops when all hold: budget 9, target 50" in text


async def test_units_stand_beside_values_on_both_pages(client: Client, lab: Lab, context: Context) -> None:
    (experiment,) = await lab.stage(1)
    held = await lab.begin()
    await lab.report(experiment, held["lease"], outputs={"yield": 42.5, "purity": 3})
    await numbered(context)
    for path in ("/app", "/campaigns/lab"):
        text = Tags((await client.get(f"{ROOT}{path}")).text).text
        assert "yield 42.5 %, purity 3" in text and "tau 1 min, solvent water" in text, path


async def _with_models(client: Client, context: Context, *metrics: dict[str, Any]) -> str:
    """The page of the campaign `lab` with a model of each of these metrics."""
    with context.store.begin() as tx:
        [campaign] = tx.campaigns.all()
        for version, each in enumerate(metrics, 1):
            tx.models.add(
                r.Model(campaign.id, version, 0, 0, 1, 7, b"{}", "00", {"outputs": each}, "cpu", {}, 0.5)
            )
    answer = await client.get(f"{ROOT}/campaigns/lab")
    assert answer.status_code == 200
    return answer.text


async def test_models_of_labels_show_accuracy_and_learn_visibly(
    client: Client, lab: Lab, context: Context
) -> None:
    figures = {"kind": "variational", "n": 61, "accuracy": 0.875, "nll": 0.31}
    page = await _with_models(client, context, {"look": {**figures, "accuracy": 0.5}}, {"look": figures})
    row = re.search(r"<tr><td>look</td>.*?</tr>", page)
    assert row and re.findall(r"<td>(.*?)</td>", row[0]) == ["look", "variational", "61", "0.875", "0.31"]
    assert "<th>accuracy</th><th>negative log likelihood</th></tr>" in page and "RMSE" not in page
    assert "Learning look (accuracy: line)" in page and "share right of rows left out" in page


async def test_models_of_numbers_and_labels_stand_in_one_table(
    client: Client, lab: Lab, context: Context
) -> None:
    look = {"kind": "variational", "n": 6, "accuracy": 0.5}
    size = {"kind": "gp", "n": 7, "rmse": 0.25, "r2": None}
    page = await _with_models(client, context, {"look": look, "size": size})
    rows = [
        re.findall(r"<td>(.*?)</td>", each) for each in re.findall(r"<tr><td>(?:look|size)<.*?</tr>", page)
    ]
    assert rows == [["look", "variational", "6", "-", "0.5"], ["size", "gp", "7", "0.25", "-"]]
    assert "Learning size (root mean square error: line)" in page and "Learning look" in page


async def test_what_a_learner_of_ones_own_says_of_its_model_breaks_no_page(
    client: Client, lab: Lab, context: Context
) -> None:
    page = await _with_models(client, context, {"yield": {"rmse": "small"}, "purity": 3})
    assert "<td>small</td>" in page and "Learning" not in page


async def test_tables_and_words_keep_their_shape_on_a_telephone(
    client: Client, lab: Lab, context: Context
) -> None:
    (experiment,) = await lab.stage(1)
    await lab.report(experiment)
    await lab.stage(1)
    await numbered(context)
    style = (await client.get(f"{ROOT}/static/labqueue.css")).text
    assert ".wide { overflow-x: auto; }" in style and re.search(r"\.state {[^}]*white-space: nowrap", style)
    for path in ("/app", "/campaigns/lab"):
        page = (await client.get(f"{ROOT}{path}")).text
        assert page.count("<table>") == page.count('<div class="wide"><table>') > 0
        assert re.search(r"score 0\.5\b", Tags(page).text), "no bare number that may be no output's own"


async def test_the_openapi_document(client: Client) -> None:
    answer = await client.get(f"{ROOT}/api/openapi.json")
    document = answer.json()
    operations = [
        (f"{method} {path}", each)
        for path, methods in document["paths"].items()
        for method, each in methods.items()
    ]
    assert len(operations) > 60
    for name, each in operations:
        assert each["summary"] and each["tags"] and each["operationId"], name
        if "requestBody" in each:
            assert all("example" in given for given in each["requestBody"]["content"].values()), name
    text = json.dumps(document)
    known = {f"#/components/schemas/{name}" for name in document["components"]["schemas"]}
    used = {part.split('"')[0] for part in text.split('"$ref": "')[1:]}
    assert used <= known and "#/components/schemas/Problem" in used
    assert "HTTPValidationError" not in used


async def test_every_example_is_a_body_that_can_be_read(client: Client) -> None:
    """The document's examples are accepted as they stand, up to names that do not exist here."""
    document = (await client.get(f"{ROOT}/api/openapi.json")).json()
    for path, methods in document["paths"].items():
        for method, each in methods.items():
            given = each.get("requestBody", {}).get("content", {}).get("application/json", {})
            if (
                "example" in given and path != "/api/v1/tokens"
            ):  # after the first one nothing is open any more
                plain = path.replace("/api/v1", "")
                plain = plain.replace("{result}", "0b0c6a2e-61a8-4d5b-8f0e-3f2d1c0b9a88")
                plain = plain.replace("{lease}", "train.1")
                answer = await client.request(method, plain, json=given["example"])
                assert answer.status_code in (200, 201, 404, 409), (path, answer.text)


async def test_the_documents_page(client: Client) -> None:
    answer = await client.get(f"{ROOT}/api/docs")
    page = Tags(answer.text)
    assert "script" not in page.tags and "POST /api/v1/queues/{queue}/claims" in page.text


async def test_health(client: Client, context: Context) -> None:
    assert (await client.get(f"{ROOT}/livez")).json() == {"status": "ok"}
    ready = await client.get(f"{ROOT}/readyz")
    assert (ready.status_code, ready.json()["status"]) == (200, "ok")


async def test_health_of_a_database_that_was_not_migrated(empty_postgres_url: str, home: Path) -> None:
    with context_for(settings_for(empty_postgres_url, home)) as context:
        async with in_process(context) as client:
            ready = await client.get(f"{ROOT}/readyz")
            assert ready.status_code == 503
            assert "labqueue-server migrate" in ready.json()["dependencies"]["postgres"]
            await client.refused(503, "unavailable", "GET", "/queues")
            assert (await client.get(f"{ROOT}/app")).status_code == 503
            assert (await client.get(f"{ROOT}/livez")).status_code == 200


async def test_health_without_a_database(home: Path) -> None:
    with context_for(settings_for(f"postgresql://nobody@/x?host={home}", home)) as context:
        async with in_process(context) as client:
            assert (await client.get(f"{ROOT}/readyz")).status_code == 503
            answer = await client.get("/queues")
            assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")
            assert (await client.get(f"{ROOT}/app")).status_code == 503


async def test_metrics(client: Client, lab: Lab) -> None:
    (experiment,) = await lab.stage(1)
    await lab.stage(2)
    await lab.claim()
    await lab.report(experiment)
    text = (await client.get(f"{ROOT}/metrics")).text
    for line in (
        'labqueue_claimed_total{queue="lab-queue"} 1.0',
        'labqueue_staged_total{queue="lab-queue"} 2.0',
        'labqueue_results_total{verdict="accepted"} 1.0',
        'labqueue_experiments{queue="lab-queue",state="staged"} 1.0',
        'labqueue_waiting{kind="claim"} 0.0',
    ):
        assert line in text


async def test_the_sdk_is_served(client: Client, home: Path) -> None:
    assert "no wheel here yet" in (await client.get(f"{ROOT}/sdk/")).text
    folder = home / "sdk"
    folder.mkdir()
    (folder / "labqueue-0.1.0-py3-none-any.whl").write_bytes(b"wheel")
    (folder / "secret.txt").write_text("secret")
    page = Tags((await client.get(f"{ROOT}/sdk/")).text)
    assert page.links == ["labqueue-0.1.0-py3-none-any.whl"]
    assert (await client.get(f"{ROOT}/sdk/{page.links[0]}")).content == b"wheel"
    for name in ("secret.txt", "..%2Fsecret.txt", "%2Fetc%2Fpasswd"):
        assert (await client.get(f"{ROOT}/sdk/{name}")).status_code == 404


async def test_the_root_leads_to_the_page(client: Client) -> None:
    answer = await client.get(f"{ROOT}/")
    assert (answer.status_code, answer.headers["location"]) == (307, "/app")


async def test_alchemists_page_is_shown_as_it_is(postgres_url: str, home: Path, tmp_path: Path) -> None:
    """Its scripts are named in the policy, nothing outside of its folder is given out, and ours moves aside."""
    folder = tmp_path / "static"
    (folder / "assets").mkdir(parents=True)
    (folder / "index.html").write_text(
        "<html><script>one()</script><script src='/assets/a.js'></script></html>"
    )
    (folder / "assets" / "a.js").write_text("two()")
    (tmp_path / "secret").write_text("nobody's business")
    settings = settings_for(postgres_url, home, LABQUEUE_ALCHEMIST_UI=str(folder))
    with context_for(settings) as context:
        async with in_process(context) as client:
            index = await client.get(f"{ROOT}/")
            assert index.text == (folder / "index.html").read_text()
            digest = base64.b64encode(hashlib.sha256(b"one()").digest()).decode()
            assert f"'sha256-{digest}'" in index.headers["content-security-policy"]
            script = await client.get(f"{ROOT}/assets/a.js")
            assert script.text == "two()" and "javascript" in script.headers["content-type"]
            assert (await client.get(f"{ROOT}/session/17")).text == index.text, "the page looks at its path"
            for path in ("/..%2Fsecret", "/assets/../../secret", "/%2e%2e/secret"):
                assert "business" not in (await client.get(f"{ROOT}{path}")).text
            assert "labqueue campaign create" in (await client.get(f"{ROOT}/app")).text
            await client.refused(404, "not_found", "GET", "/nonsense")


async def test_a_folder_without_the_page_is_refused(postgres_url: str, home: Path, tmp_path: Path) -> None:
    settings = settings_for(postgres_url, home, LABQUEUE_ALCHEMIST_UI=str(tmp_path))
    with context_for(settings) as context, pytest.raises(InvalidError, match=r"has no index\.html"):
        create(context)
