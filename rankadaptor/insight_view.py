"""Calibration, front and noise of a study, in plain words, tables and a small picture."""

from collections.abc import Iterable, Sequence

from rich import box
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from rankspace.calibration import Calibration, Correlation, Noise, Trust
from rankspace.front import Checked, Finding, Front, FrontPoint, Verified

STYLES = {
    Trust.HOLDS: "bold green",
    Trust.WIDE: "bold yellow",
    Trust.NARROW: "bold red",
    Trust.TOO_EARLY: "bold yellow",
}
FINDINGS = {
    Finding.CONFIRMED: "green",
    Finding.OPEN: "yellow",
    Finding.REFUTED: "bold red",
}
WIDTH, HEIGHT = 56, 12


def calibration_view(found: Calibration) -> RenderableType:
    head = Group(Text(found.summary, style=STYLES[found.trust]), *_age(found.age_seconds))
    if found.trust is Trust.TOO_EARLY:
        return Group(head, f"noise and misfit of one trial: {noise_words(found.noise)}")
    return Group(head, "", _coverage(found), "", _figures(found), "", _scatter(found))


def front_view(found: Front) -> RenderableType:
    parts: list[RenderableType] = [Text(found.summary), *_age(found.age_seconds), "", _front(found)]
    if found.checked:
        parts += ["", _checked(found.checked)]
    if found.verified is not None:
        parts += ["", _verified(found.verified, found.uniform)]
    return Group(*parts, "", _price(found))


def _age(seconds: float) -> list[Text]:
    """How old it is, unless it is as of now."""
    if seconds < 1.0:
        return []
    return [Text(f"As of {seconds:.0f} s ago; results have come since.", style="dim")]


def _coverage(found: Calibration) -> Table:
    table = _table("results inside their predicted intervals")
    for column in ("interval", "inside", "share", "95 % interval of the share"):
        table.add_column(column, justify="right")
    for seen in found.coverage:
        style = "red" if seen.high < seen.level else "yellow" if seen.low > seen.level else ""
        table.add_row(
            _percent(seen.level),
            f"{seen.inside} of {seen.count}",
            _percent(seen.inside / seen.count),
            f"{_percent(seen.low)} … {_percent(seen.high)}",
            style=style,
        )
    return table


def _figures(found: Calibration) -> Table:
    table = Table(box=None, show_header=False, pad_edge=False)
    table.add_column(style="dim")
    table.add_column()
    table.add_row("rank correlation, Spearman", _correlation(found.spearman))
    table.add_row("rank correlation, Kendall", _correlation(found.kendall))
    if found.bias is not None:
        table.add_row("score minus prediction, mean", f"{found.bias:+.4f}")
    if found.crps is not None:
        table.add_row("error of the predictions (CRPS)", _error(found.crps, found.crps_baseline))
    table.add_row("noise and misfit of one trial", noise_words(found.noise))
    return table


def noise_words(noise: Noise | None) -> str:
    if noise is None:
        return "not known yet"
    return f"{noise.sd:.4f}, 90 % interval {noise.low:.4f} to {noise.high:.4f}; {noise.source}"


def _correlation(found: Correlation | None) -> str:
    if found is None:
        return "cannot be told"
    return f"{found.value:.2f}, 95 % interval {found.low:.2f} to {found.high:.2f}"


def _error(crps: float, baseline: float | None) -> str:
    return f"{crps:.4f}" + (
        "" if baseline is None else f"; knowing only earlier scores {baseline:.4f}"
    )


def _front(found: Front) -> Table:
    table = _table("the front: nothing known is as cheap and predicted as good")
    for column in ("parameters", "share", "predicted", "vs uniform", "observed"):
        table.add_column(column, justify="right", no_wrap=True)
    table.add_column("", no_wrap=True)
    marks = _marks(found)
    rows = sorted({*found.points, found.uniform}, key=lambda point: point.parameters)
    for point in rows:
        off = "" if found.trust is Trust.NARROW else f" ± {point.std:.4f}"
        mark = marks.get(point.rank_vector.ranks, Text(""))
        _add(table, point, found.uniform, off, mark)
    return table


def _marks(found: Front) -> dict[tuple[int, ...], Text]:
    """What to say of a vector, by its ranks; what was verified goes before what is predicted."""
    marks = {found.uniform.rank_vector.ranks: Text("uniform", style="bold")}
    if found.cheapest:
        marks[found.cheapest.rank_vector.ranks] = Text("cheapest match", style="green")
    for one in found.checked:
        marks[one.rank_vector.ranks] = Text(one.finding.value, style=FINDINGS[one.finding])
    return marks


def _add(table: Table, point: FrontPoint, uniform: FrontPoint, off: str, mark: Text) -> None:
    table.add_row(
        f"{point.parameters:,}",
        _percent(point.parameters / max(uniform.parameters, 1)),
        f"{point.mean:.4f}{off}",
        "" if point == uniform else f"{point.mean - uniform.mean:+.4f}",
        "" if point.score is None else f"{point.score:.4f}",
        mark,
    )


def _checked(found: Iterable[Checked]) -> Table:
    table = _table("what the verification found, against uniform ranks on fresh seeds")
    for column in ("parameters", "gain", "95 % interval", "seeds"):
        table.add_column(column, justify="right", no_wrap=True)
    table.add_column("promised")
    table.add_column("", no_wrap=True)
    for one in found:
        versus = one.comparison
        table.add_row(
            f"{one.parameters:,}",
            f"{versus.gain:+.4f}",
            f"{versus.ci_low:+.4f} … {versus.ci_high:+.4f}",
            f"{versus.seeds}",
            one.promise.value,
            Text(one.finding.value, style=FINDINGS[one.finding]),
        )
    return table


def _verified(verified: Verified, uniform: FrontPoint) -> Text:
    saved = 1.0 - verified.parameters / max(uniform.parameters, 1)
    versus = verified.comparison
    return Text.assemble(
        ("Verified: ", "bold green"),
        f"{verified.parameters:,} parameters, {_percent(saved)} fewer, are not worse than uniform "
        f"ranks ({versus.gain:+.4f}, 95 % interval {versus.ci_low:+.4f} to {versus.ci_high:+.4f}).",
    )


def _percent(share: float) -> str:
    return f"{100 * share:.0f} %"


def _table(title: str) -> Table:
    return Table(
        box=box.SIMPLE_HEAD, title=title, title_style="bold", title_justify="left", pad_edge=False
    )


def _scatter(found: Calibration) -> Text:
    """Observed over predicted; a perfect prediction lies on the dotted diagonal."""
    both = [value for point in found.points for value in (point.mean, point.score)]
    low, high = min(both), max(both)
    canvas = Canvas((low, high), (low, high))
    for at in range(WIDTH):
        canvas.put(
            low + (high - low) * at / (WIDTH - 1), low + (high - low) * at / (WIDTH - 1), "·"
        )
    for point in found.points:
        canvas.put(point.mean, point.score, "o")
    return canvas.draw("observed over predicted score; dots: where both agree")


def _price(found: Front) -> Text:
    prices = [0.0, float(max(found.uniform.parameters, *(p.parameters for p in found.points)))]
    values = [p.mean for p in (*found.points, *found.uniforms)] + [dot.mean for dot in found.tried]
    canvas = Canvas((prices[0], prices[1]), (min(values), max(values)))
    canvas.put_all(((dot.parameters, dot.mean) for dot in found.tried), "·")
    canvas.put_all(((p.parameters, p.mean) for p in found.uniforms), "u")
    canvas.put_all(((p.parameters, p.mean) for p in found.points), "#")
    canvas.put(found.uniform.parameters, found.uniform.mean, "U")
    return canvas.draw("predicted score over parameters; #: front, u: uniform ranks, ·: tried")


class Canvas:
    """Characters in a box; what is put later lies on top."""

    def __init__(self, across: tuple[float, float], up: tuple[float, float]) -> None:
        self._across, self._up = across, up
        self._cells = [[" "] * WIDTH for _ in range(HEIGHT)]

    def put(self, x: float, y: float, mark: str) -> None:
        column, row = _place(x, self._across, WIDTH), _place(y, self._up, HEIGHT)
        self._cells[HEIGHT - 1 - row][column] = mark

    def put_all(self, places: Iterable[tuple[float, float]], mark: str) -> None:
        for x, y in places:
            self.put(x, y, mark)

    def draw(self, title: str) -> Text:
        labels = [f"{self._up[1]:.4f}", *[""] * (HEIGHT - 2), f"{self._up[0]:.4f}"]
        margin = max(map(len, labels))
        lines = [
            f"{label:>{margin}} │{''.join(row)}"
            for label, row in zip(labels, self._cells, strict=True)
        ]
        left, right = (_figure(value) for value in self._across)
        foot = f"{'':{margin}} └{'─' * WIDTH}\n{'':{margin}}  {left}{right:>{WIDTH - len(left)}}"
        return Text("\n".join([title, *lines, foot]), no_wrap=True)


def _place(value: float, span: Sequence[float], cells: int) -> int:
    low, high = span
    share = (value - low) / (high - low) if high > low else 0.5
    return min(max(round(share * (cells - 1)), 0), cells - 1)


def _figure(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 1000 or value == 0 else f"{value:.4f}"
