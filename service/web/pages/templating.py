"""Templates: what draws every page, and what the pages say when there is nothing to draw."""

from pathlib import Path

from fastapi import Request, Response
from fastapi.responses import HTMLResponse, RedirectResponse
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from service.web.pages.charts.matrix import grid, in_words, strip
from service.web.pages.words import duration, gibibytes, moment, percent, when

_templates = Environment(
    loader=FileSystemLoader(Path(__file__).parent / "templates"),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)
_templates.globals.update(
    duration=duration,
    gibibytes=gibibytes,
    grid=grid,
    in_words=in_words,
    moment=moment,
    percent=percent,
    when=when,
    strip=strip,
)


def base_of(request: Request) -> str:
    """How a page names its siblings: relatively, so below whatever path a proxy shows the service.

    A route's own path says how deep it lies, whatever is in front of it.
    """
    template: str = request.scope["route"].path
    return "../" * (template.count("/") - 1)


def drawn(template: str, **values: object) -> str:
    return _templates.get_template(template).render(**values)


def html(template: str, base: str, status: int = 200, **values: object) -> HTMLResponse:
    return HTMLResponse(drawn(template, base=base, **values), status)


def to_login(base: str) -> Response:
    return RedirectResponse(f"{base}login", status_code=303)


def not_found(base: str, detail: str) -> HTMLResponse:
    return html("message.html", base, status=404, title="Not found", text=detail, hint="")
