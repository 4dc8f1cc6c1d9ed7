"""Alert rules and the Grafana board name only what /metrics really says."""

import re
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.unit.deploy.files import CHART, DEPLOY, read
from tests.unit.service.driver import start
from tests.unit.service.telemetry.scraping import scrape

ALERTS = read(DEPLOY / "prometheus" / "alerts.yml")["groups"][0]["rules"]
BOARD = read(DEPLOY / "grafana" / "rankadaptor.json")
SCALER = (CHART / "templates" / "scaledobject.yaml").read_text()

BY_THE_SCRAPER = {"job", "instance"}
NAME = re.compile(r"(?:rankadaptor|process)_\w+")

EXPRESSIONS = {
    **{rule["alert"]: rule["expr"] for rule in ALERTS},
    **{
        f"{panel['title']} {target['refId']}": target["expr"]
        for panel in BOARD["panels"]
        for target in panel["targets"]
    },
    "autoscaler": next(re.finditer(r"query: (max.*)", SCALER))[1],
}
each = pytest.mark.parametrize("where", EXPRESSIONS)


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, set[str]]:
    """The labels of every series that a service tells of."""
    service = start(tmp_path_factory.mktemp("told"))
    with service.client:
        service.client.get("/livez")
        text = scrape(service).text
    samples = [s for family in text_string_to_metric_families(text) for s in family.samples]
    return {sample.name: set(sample.labels) for sample in samples}


def _labels(expression: str) -> Iterator[str]:
    for selector in re.findall(r"\{([^}]*)\}", expression):
        yield from re.findall(r"(\w+)\s*(?:=~|!~|!=|=)", selector)
    for grouping in re.findall(r"by \(([^)]*)\)", expression):
        yield from re.findall(r"\w+", grouping)


@each
def test_every_metric_exists_with_those_labels(where: str, told: Mapping[str, set[str]]) -> None:
    expression = EXPRESSIONS[where]
    names = set(NAME.findall(expression))
    assert names
    assert names <= set(told)
    known = BY_THE_SCRAPER.union(*(told[name] for name in names))
    assert set(_labels(re.sub(r'"[^"]*"', '""', expression))) <= known


def test_everything_that_is_told_is_watched_by_somebody(told: Mapping[str, set[str]]) -> None:
    watched = {name for text in EXPRESSIONS.values() for name in NAME.findall(text)}
    ours = {name for name in told if name.startswith("rankadaptor_")}
    endings = ("_created", "_sum", "_bucket", "_count")
    assert {name for name in ours if not name.endswith(endings)} <= watched


def test_every_alert_says_what_it_means_and_how_bad_it_is() -> None:
    assert len({rule["alert"] for rule in ALERTS}) == len(ALERTS) >= 7
    for rule in ALERTS:
        assert rule["labels"]["severity"] in {"warning", "critical"}
        assert rule["annotations"]["summary"]
        assert rule["annotations"]["description"].endswith(".")


def test_the_board_is_one_that_fits() -> None:
    ids = [panel["id"] for panel in BOARD["panels"]]
    assert len(ids) == len(set(ids))
    places = [panel["gridPos"] for panel in BOARD["panels"]]
    taken = [
        (x, y)
        for place in places
        for x in range(place["x"], place["x"] + place["w"])
        for y in range(place["y"], place["y"] + place["h"])
    ]
    assert len(taken) == len(set(taken)), "panels lie on each other"
    assert max(x for x, _ in taken) < 24


@pytest.mark.skipif(
    shutil.which("promtool") is None, reason="no promtool on the PATH: alert rules were only parsed"
)
@pytest.mark.parametrize("arguments", [("check", "alerts.yml"), ("test", "alerts.test.yml")])
def test_promtool_takes_the_rules_and_they_fire_when_they_should(
    arguments: tuple[str, str],
) -> None:
    action, name = arguments
    command = ["promtool", action, "rules", name]
    directory: Path = DEPLOY / "prometheus"
    ran = subprocess.run(command, cwd=directory, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stdout + ran.stderr
