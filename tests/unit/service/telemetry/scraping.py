"""What /metrics says, as numbers."""

from dataclasses import dataclass
from typing import Any

from prometheus_client.parser import text_string_to_metric_families

from tests.unit.service.driver import Service


@dataclass(frozen=True, slots=True)
class Scrape:
    """One reading of /metrics."""

    text: str

    def values(self, name: str) -> dict[frozenset[tuple[str, str]], float]:
        """Every value of ``rankadaptor_NAME``, by its labels."""
        return {
            frozenset(sample.labels.items()): sample.value
            for family in text_string_to_metric_families(self.text)
            for sample in family.samples
            if sample.name == f"rankadaptor_{name}"
        }

    def value(self, name: str, **labels: str) -> float:
        return self.values(name)[frozenset(labels.items())]

    def label(self, name: str, label: str) -> set[str]:
        """Every value that ``label`` has on ``rankadaptor_NAME``."""
        return {dict(labels)[label] for labels in self.values(name)}


def scrape(service: Service, headers: Any = None) -> Scrape:
    answer = service.client.get("/metrics", headers=headers or service.key("admin"))
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"].startswith("text/plain")
    return Scrape(answer.text)
