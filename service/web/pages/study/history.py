"""Events: what happened to the study, the latest first."""

import json
from dataclasses import dataclass

from service.storage.events import Event, Events
from service.web.pages.study.tab import Look, Sketch, Tab

PAGE_EVENTS = 50
LONGEST = 240
"""Characters of what an event says."""


@dataclass(frozen=True, slots=True)
class Told:
    """An event, and what it says on one line; more of it is in the API."""

    event: Event
    text: str
    is_cut: bool


def _sketch(look: Look) -> Sketch:
    before = int(look.asked.get("before", "0"))
    found = Events(look.session).newest(look.row.id, before, PAGE_EVENTS + 1)
    shown = [_told(event) for event in found[:PAGE_EVENTS]]
    return Sketch({"events": shown, "before": before, "has_more": len(found) > PAGE_EVENTS})


def _told(event: Event) -> Told:
    said = event.content if isinstance(event.content, dict) else {"": event.content}
    parts = (f"{name}: {_short(value)}" for name, value in said.items() if value is not None)
    text = " · ".join(parts)
    return Told(event, text[:LONGEST], len(text) > LONGEST)


def _short(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


EVENTS = Tab("events", "Events", "study/events.html", _sketch)
