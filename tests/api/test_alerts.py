"""Alerts, Grafana's dashboard and their pages name what is there: metrics, labels, runbooks."""

import itertools
import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from fastapi.testclient import TestClient
from prometheus_client.parser import text_string_to_metric_families
from sqlalchemy import Engine

from api.main import create_app
from api.service_metrics import ServiceMetrics
from api.settings import ApiSettings
from curation.clock import utc_now
from curation.database import unit_of_work
from curation.dataset_failures import DatasetFailure
from curation.jobs import FailureReason
from curation.models import TryOutcome
from curation.running_totals import Total, add_to_total

DOCS = Path(__file__).parents[2] / "docs"
ALERTS = DOCS / "prometheus-alerts.yml"
GROUPS = yaml.safe_load(ALERTS.read_text(encoding="utf-8"))["groups"]
RULES = [rule for group in GROUPS for rule in group["rules"]]
BOARD = json.loads((DOCS / "grafana-dashboard.json").read_text(encoding="utf-8"))
PANELS = [panel for panel in BOARD["panels"] if panel["type"] != "row"]
QUERIES = [
    (f"{panel['title']} {target['refId']}", target["expr"])
    for panel in PANELS
    for target in panel["targets"]
]
EXPRESSIONS = [(rule["alert"], rule["expr"]) for rule in RULES] + QUERIES
DURATION = re.compile(r"[1-9]\d*[smhd]")
SELECTOR = re.compile(r"(winnow_\w+)(?:\{([^}]*)\})?")
MATCHER = re.compile(r'(\w+)(=~|=)"([^"]*)"')
# A grouping, and the first metric that it holds together.
GROUPED = re.compile(r"by \(([\w, ]+)\).*?(winnow_\w+)")

Series = list[tuple[str, dict[str, str]]]


def headings() -> set[str]:
    """Every word of the runbooks' headings."""
    lines = (DOCS / "runbooks.md").read_text(encoding="utf-8").splitlines()
    titles = [line.removeprefix("### ") for line in lines if line.startswith("### ")]
    return {word for title in titles for word in title.split(", ")}


@pytest.fixture
def exposed(api_settings: ApiSettings, engine: Engine) -> Series:
    """Every series of a service that has been asked for a few things."""
    with unit_of_work(engine) as session:
        add_to_total(session, Total.PHASE_SECONDS, "train")
    with TestClient(create_app(api_settings)) as client:
        client.get("/v1/jobs")
        content = client.get("/metrics").text
    assert ServiceMetrics(engine, utc_now).render().decode() in content
    families = text_string_to_metric_families(content)
    return [(sample.name, sample.labels) for family in families for sample in family.samples]


def test_rules_have_the_form_that_prometheus_reads() -> None:
    assert len({group["name"] for group in GROUPS}) == len(GROUPS)
    assert len({rule["alert"] for rule in RULES}) == len(RULES) > 10
    for rule in RULES:
        assert rule.keys() <= {"alert", "expr", "for", "labels", "annotations"}
        assert rule["expr"].count("(") == rule["expr"].count(")")
        assert DURATION.fullmatch(rule.get("for", "1m"))
        assert rule["labels"]["severity"] in {"page", "ticket"}
        assert rule["annotations"]["summary"].endswith(".")


@pytest.mark.skipif(shutil.which("promtool") is None, reason="promtool is not installed")
def test_prometheus_itself_reads_the_rules() -> None:
    subprocess.run(["promtool", "check", "rules", str(ALERTS)], check=True)


def named_in(expression: str) -> set[str]:
    """Return the metrics that an expression reads."""
    return {name for name, _ in SELECTOR.findall(expression)}


@pytest.mark.parametrize(("title", "expression"), EXPRESSIONS)
def test_every_metric_and_label_of_an_expression_is_exposed(
    title: str, expression: str, exposed: Series
) -> None:
    selectors = SELECTOR.findall(expression)
    assert selectors, title
    for name, matchers in selectors:
        series = [labels for known, labels in exposed if known == name]
        assert series, name
        for label, operator, wanted in MATCHER.findall(matchers):
            assert label in series[0], (name, label)
            # Routes and statuses come with the requests; the other words are there from the start.
            if label not in {"route", "status", "method"}:
                words = wanted.split("|") if operator == "=~" else [wanted]
                assert set(words) <= {labels[label] for labels in series}, (name, label)
    for labels, name in GROUPED.findall(expression):
        (known, *_) = [series for metric, series in exposed if metric == name]
        assert set(labels.split(", ")) <= set(known), (name, labels)


@pytest.mark.parametrize("panel", PANELS, ids=lambda panel: panel["title"])
def test_panel_shows_what_its_query_groups_by(panel: dict[str, Any]) -> None:
    assert panel["type"] in {"timeseries", "stat"}
    assert panel["datasource"]["uid"] == "${datasource}"
    for target in panel["targets"]:
        groups = [labels.split(", ") for labels, _ in GROUPED.findall(target["expr"])]
        grouped = {label for group in groups for label in group}
        assert set(re.findall(r"{{(\w+)}}", target["legendFormat"])) == grouped - {"le"}
        assert target["expr"].count("(") == target["expr"].count(")")


def test_panels_have_a_place_and_a_number_of_their_own() -> None:
    places = [(panel["id"], panel["gridPos"]) for panel in BOARD["panels"]]
    assert len({number for number, _ in places}) == len(places)
    squares = [
        square
        for _, place in places
        for square in itertools.product(
            range(place["x"], place["x"] + place["w"]), range(place["y"], place["y"] + place["h"])
        )
    ]
    assert len(set(squares)) == len(squares)
    assert max(x for x, _ in squares) < 24
    assert [variable["name"] for variable in BOARD["templating"]["list"]] == ["datasource"]


def test_every_metric_is_on_the_dashboard(exposed: Series) -> None:
    shown = {re.sub("_bucket$", "", name) for _, query in QUERIES for name in named_in(query)}
    assert shown == metric_names(exposed)


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule["alert"])
def test_every_alert_has_its_runbook(rule: dict[str, Any]) -> None:
    page, _, anchor = rule["annotations"]["runbook_url"].partition("#")
    assert page == "docs/runbooks.md"
    assert anchor == rule["alert"].lower()
    assert rule["alert"] in headings()


def test_every_metric_is_explained(exposed: Series) -> None:
    page = (DOCS / "observability.md").read_text(encoding="utf-8")
    explained = set(re.findall(r"`(winnow_\w+)`", page))
    assert metric_names(exposed) == explained


def metric_names(exposed: Series) -> set[str]:
    return {
        re.sub("_(bucket|count|sum)$", "", name)
        for name, _ in exposed
        # When a series began, which the client library adds to each of its own.
        if not name.endswith("_created")
    }


def test_every_reason_has_its_runbook() -> None:
    reasons = {*FailureReason, *DatasetFailure, *TryOutcome} - {TryOutcome.DELIVERED}
    alerts = {rule["alert"] for rule in RULES}
    assert headings() - alerts == {reason.value for reason in reasons}
