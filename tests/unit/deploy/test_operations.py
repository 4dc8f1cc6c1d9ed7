"""docs/operations.md tells of every setting, every metric and every alert."""

import re

import pytest

from service.settings import Settings as ServiceSettings
from tests.unit.deploy.files import DEPLOY, ROOT, read
from worker.settings import Settings as WorkerSettings

PAGE = (ROOT / "docs" / "operations.md").read_text(encoding="utf-8")
ROWS = {name for row in re.findall(r"^\| (`.*?) \|", PAGE, re.MULTILINE)
        for name in re.findall(r"`([\w]+)", row)}  # fmt: skip


@pytest.mark.parametrize("kind", [ServiceSettings, WorkerSettings], ids=["service", "worker"])
def test_every_setting_is_told(kind: type[ServiceSettings] | type[WorkerSettings]) -> None:
    assert set(kind.model_fields) - ROWS == set()


def test_every_alert_is_told() -> None:
    rules = read(DEPLOY / "prometheus" / "alerts.yml")["groups"][0]["rules"]
    assert {rule["alert"] for rule in rules} - ROWS == set()


def test_every_metric_is_told() -> None:
    rules = (DEPLOY / "prometheus" / "alerts.yml").read_text()
    board = (DEPLOY / "grafana" / "rankadaptor.json").read_text()
    named = set(re.findall(r"rankadaptor_(\w+?)(?:_bucket|_count)?\b", rules + board))
    assert len(named) >= 12
    assert named - ROWS == set()


def test_every_file_it_names_exists() -> None:
    named = set(re.findall(r"deploy/[\w./-]+\w", PAGE))
    assert len(named) >= 6
    assert {name for name in named if not (ROOT / name).exists()} == set()
