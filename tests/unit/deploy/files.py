"""The deployment files, and which settings and commands they may name."""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import typer
import yaml
from typer.core import TyperGroup

from rankadaptor.cli import app
from service.settings import Settings as ServiceSettings
from worker.settings import Settings as WorkerSettings

ROOT = Path(__file__).parents[3]
DEPLOY = ROOT / "deploy"
CHART = DEPLOY / "helm" / "rankadaptor"
PREFIX = "RANKADAPTOR_"

READ_BY_THE_ENTRYPOINT = {"RANKADAPTOR_DATABASE_URL_FILE", "RANKADAPTOR_REDIS_URL_FILE"}


def settings_variables() -> set[str]:
    """Every variable that the service or a worker reads."""
    fields = {*ServiceSettings.model_fields, *WorkerSettings.model_fields}
    return {f"{PREFIX}{field.upper()}" for field in fields}


def unknown_variables(names: Iterable[str]) -> set[str]:
    """Those of ``names`` that look like settings and are none."""
    ours = {name for name in names if name.startswith(PREFIX)}
    return ours - settings_variables() - READ_BY_THE_ENTRYPOINT


def commands() -> set[str]:
    """Every command of the command line; of a group, its commands."""
    root = typer.main.get_command(app)
    assert isinstance(root, TyperGroup)
    found: set[str] = set()
    for name, command in root.commands.items():
        inner = command.commands if isinstance(command, TyperGroup) else {}
        found |= {f"{name} {child}" for child in inner} or {name}
    return found


def read(path: Path) -> Any:
    """Parse one YAML or JSON file."""
    text = path.read_text(encoding="utf-8")
    return json.loads(text) if path.suffix == ".json" else yaml.safe_load(text)
