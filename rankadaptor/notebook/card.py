"""A study as a card of HTML, for a notebook."""

from collections.abc import Iterator
from datetime import UTC, datetime

from rankadaptor.following import LABELS
from rankadaptor.notebook.markup import DARK, LIGHT, text
from rankadaptor.notebook.rank_picture import RankPicture
from rankadaptor.notebook.standing import Standing
from rankadaptor.verdict_report import numbers
from rankadaptor.verdict_view import answer_lines
from rankspace.errors import RankspaceError
from rankspace.study import StudyState
from rankspace.verdict import Answer

INKS = {Answer.BETTER: "better", Answer.WORSE: "worse", Answer.NO_DIFFERENCE_SHOWN: "open"}
STATES = {StudyState.DONE: "better", StudyState.FAILED: "worse"}


_OPENING = '<div class="rankadaptor-study tex2jax_ignore mathjax_ignore">'
"""Jupyter sets what is between dollar signs as a formula, in a name and in a reason, too."""


def study_card(now: Standing, picture: RankPicture | None) -> str:
    """Return the card; whatever others wrote is text in it."""
    return "".join((*_opening(now), *_progress(now), *_best(now), *_answer(now), *_rest(picture)))


def error_card(study_id: str, error: RankspaceError) -> str:
    """Return a card for a study that the service says nothing of."""
    said = text(f"{type(error).__name__}: {error.detail}")
    return (
        f"{_OPENING}{STYLE}<p><b>{text(study_id)}</b></p>"
        f'<p class="worse">{said}</p><p class="quiet">{text(error.hint)}</p></div>'
    )


def _opening(now: Standing) -> Iterator[str]:
    yield f'{_OPENING}{STYLE}<p class="name"><b>{text(now.name)}</b> '
    kind = STATES.get(now.state, "open" if now.remark else "quiet")
    yield f'<code>{text(now.id)}</code> <span class="{kind}">{text(now.state.value)}</span></p>'
    trouble = "worse" if now.state is StudyState.FAILED else "open"
    for said, ink in ((now.remark, trouble), (now.note, "open")):
        if said:
            yield f'<p class="{ink}">{text(said)}</p>'


def _progress(now: Standing) -> Iterator[str]:
    """A bar for each kind of trials; the numbers beside it say the same."""
    yield "<table>"
    for purpose, label in LABELS.items():
        count = now.progress.get(purpose)
        if count and count.planned:
            failed = f", {count.failed:,} failed" if count.failed else ""
            running = f", {count.running:,} running" if count.running else ""
            said = f"{count.over:,} of {count.planned:,}{failed}{running}"
            width = f"{min(count.over / count.planned, 1.0):.1%}"
            bar = f'<div><div style="width:{width}"></div></div>'
            yield f'<tr><th scope="row">{label}</th><td class="bar">{bar}</td><td>{said}</td></tr>'
    yield "</table>"


def _best(now: Standing) -> Iterator[str]:
    if now.best is None:
        return
    uniform = "not measured" if now.uniform_score is None else f"{now.uniform_score:.4f}"
    found = f"{now.best.score:.4f}, trial {now.best.trial}"
    yield f"<p>Best search trial {found}; uniform {uniform}</p>"


def _answer(now: Standing) -> Iterator[str]:
    """The verdict in words, the gain with its interval, and what it is worth."""
    verdict = now.verdict
    if verdict is None:
        yield '<p class="quiet">No verdict yet.</p>' if not now.is_over else "<p>No verdict.</p>"
        return
    yield f'<div class="verdict {INKS[verdict.answer]}">'
    if now.is_of_before:
        yield '<p class="open">Extended since this answer:</p>'
    for line in answer_lines(verdict, now.awaited):
        yield f"<p>{text(line.plain)}</p>"
    yield f'<p class="ink">{text(numbers(verdict.versus_uniform))}</p>'
    if verdict.recipe and verdict.recipe.comparison:
        after = numbers(verdict.recipe.comparison)
        yield f'<p class="ink">After the whole recipe: {text(after)}</p>'
    if verdict.caveat:
        yield f'<p class="quiet">{text(verdict.caveat)}</p>'
    yield "</div>"


def _rest(picture: RankPicture | None) -> Iterator[str]:
    if picture is not None:
        yield f'<div class="ranks">{picture.svg}</div>'
    asked = datetime.now(UTC).strftime("%Y-%m-%d %H:%M:%S")
    yield f'<p class="quiet">As of {asked} UTC; run the cell again for what it is by now.</p></div>'


def _rules(colours: dict[str, str]) -> Iterator[str]:
    yield f"{{background:{colours['card']};color:{colours['ink']};border-color:{colours['line']}}}"
    for kind in ("quiet", "better", "worse", "open", "ink"):
        yield f" .{kind}{{color:{colours[kind]}}}"
    yield f" .bar>div{{background:{colours['line']}}}"
    yield f" .bar>div>div{{background:{colours['bar']}}}"


def _themed(colours: dict[str, str]) -> str:
    return "".join(f".rankadaptor-study{rule}" for rule in _rules(colours))


_SHAPE = (
    "{border:1px solid;border-radius:10px;padding:12px 16px;max-width:70em;"
    "font:14px/1.5 system-ui,sans-serif;overflow-wrap:anywhere}",
    " p{margin:4px 0}",
    " .name{font-size:16px}",
    " code{background:none;color:inherit;font-size:13px}",
    " table{border-collapse:separate;border-spacing:0 4px;margin:6px 0;color:inherit}",
    " tr,.rankadaptor-study th,.rankadaptor-study td{background:none;color:inherit;border:0;"
    "padding:0 12px 0 0;text-align:left;font-weight:400}",
    " td.bar{width:180px;padding:0}",
    " .bar>div,.rankadaptor-study .bar>div>div{height:8px;border-radius:4px}",
    " td.bar+td{padding-left:12px}",
    " .verdict{border-left:4px solid;padding-left:12px;margin:10px 0}",
    " .ranks{overflow-x:auto;margin:8px 0 4px}",
)
STYLE = (
    f"<style>{''.join(f'.rankadaptor-study{rule}' for rule in _SHAPE)}{_themed(LIGHT)}"
    f"@media (prefers-color-scheme: dark){{{_themed(DARK)}}}</style>"
)
"""A style within a page holds for all of the page, so every rule names whose it is."""
