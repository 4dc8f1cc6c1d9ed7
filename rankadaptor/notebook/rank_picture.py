"""RankPicture: one rank vector as a heat map in SVG, kinds of matrices down and blocks across."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from rankadaptor.notebook.heat import DARK_HEAT, LIGHT_HEAT
from rankadaptor.notebook.markup import DARK, LIGHT, text
from rankadaptor.ranks.rank_grid import RankGrid, rank_grid
from rankspace import RankVector, SearchSpace
from rankspace.errors import InvalidInput, cut

BAND = 32
"""Blocks in a row of the picture; the next ones are drawn below."""
MOST_TITLE = 120
"""Characters of a title that are written; all of it is what the picture says to who cannot see."""
MOST_KIND = 24
"""Characters of a kind's name that are shown; all of it is in the tooltips of its cells."""
MOST_CELLS = 10_000
"""Kinds times blocks that are drawn, about 2 MB: any model has fewer, and a study that a stranger
submitted is no reason for a notebook to stand still."""
ROW, HEAD, EDGE, DIGIT, GAP = 22, 20, 12, 7, 8
"""Heights of a row and of a band's heading, the margin, the width of a digit, and what is between
bands, in pixels."""

SHADES = len(LIGHT_HEAT)


@dataclass(frozen=True, slots=True)
class RankPicture:
    """A heat map with the rank in each cell; a notebook shows it, ``save`` writes it.

    Attributes:
        svg: All of it: it has a background and both themes of its own, no script, and refers to
            nothing outside.
        summary: What it shows, in a sentence.
    """

    svg: str
    summary: str

    def _repr_svg_(self) -> str:
        return self.svg

    def save(self, path: Path | str) -> Path:
        """Write the picture as an SVG file; return where it is.

        Raises:
            InvalidInput: It cannot be written there.
        """
        file = Path(path)
        try:
            file.write_text(self.svg, encoding="utf-8")
        except OSError as error:
            problem = f"cannot be written: {error.strerror or error}"
            raise InvalidInput("path", str(file), problem, fix="name another file") from error
        return file


def rank_picture(space: SearchSpace, vector: RankVector, title: str) -> RankPicture:
    """Draw ``vector``; ``title`` may be what others wrote.

    Of more than ``MOST_CELLS`` nothing is drawn, and the summary says so.

    Raises:
        InvalidInput: It has another number of ranks than ``space`` has layers.
    """
    grid = rank_grid(space, vector)
    summary = _summary(space, vector, grid)
    if len(grid.kinds) * len(grid.blocks) > MOST_CELLS:
        kinds, blocks = f"{len(grid.kinds):,} kinds", f"{len(grid.blocks):,} blocks"
        summary = f"{summary}; {kinds} in {blocks} are too many to draw"
        grid = replace(grid, kinds=(), blocks=())
    bands = [grid.blocks[at : at + BAND] for at in range(0, len(grid.blocks), BAND)]
    heading = cut(title, MOST_TITLE)
    size = _Size.of(grid, bands, (heading, summary))
    parts = [
        *_opening(size, f"{title}: {summary}"),
        *_line(heading, EDGE + 12, "title"),
        *_line(summary, EDGE + 30, "quiet"),
    ]
    for index, band in enumerate(bands):
        parts += _band(grid, band, size, size.top_of(index))
    return RankPicture("".join((*parts, "</svg>")), summary)


@dataclass(frozen=True, slots=True)
class _Size:
    """Pixels: where the cells begin, how wide each is, how high a band is, and all of it."""

    left: int
    cell: int
    band: int
    width: int
    height: int

    @classmethod
    def of(cls, grid: RankGrid, bands: Sequence[Sequence[int]], said: Sequence[str]) -> "_Size":
        kinds = max((len(_kind(kind)) for kind in grid.kinds), default=0)
        digits = len(str(max((grid.top, *grid.blocks))))
        left, cell = EDGE + 8 + kinds * DIGIT, max(26, 10 + digits * DIGIT)
        band = HEAD + ROW * len(grid.kinds) + GAP
        columns = max(map(len, bands), default=0)
        written = max(map(len, said)) * DIGIT
        width = max(left + columns * cell, EDGE + written) + EDGE
        return cls(left, cell, band, width, EDGE + 36 + len(bands) * band + EDGE)

    def top_of(self, band: int) -> int:
        return EDGE + 36 + band * self.band


def _summary(space: SearchSpace, vector: RankVector, grid: RankGrid) -> str:
    without = vector.ranks.count(0)
    said = f"ranks {min(vector.ranks)} to {max(vector.ranks)} on {len(vector):,} layers"
    none = f", {without:,} of them without an adapter" if without else ""
    remark = f"; {grid.remark}" if grid.remark else ""
    return f"{said}{none}; {space.parameters(vector):,} parameters{remark}"


def _opening(size: _Size, label: str) -> Iterator[str]:
    width, height = size.width, size.height
    yield (
        f'<svg xmlns="http://www.w3.org/2000/svg" class="rankadaptor-ranks" role="img" '
        f'aria-label="{text(label)}" width="{width}" height="{height}" '
        f'viewBox="0 0 {width} {height}" font-family="system-ui, sans-serif" font-size="12">'
    )
    yield f"<style>{STYLE}</style>"
    yield f'<rect class="card" width="{width}" height="{height}" rx="8" fill="{LIGHT["card"]}"/>'


def _line(said: str, y: int, kind: str) -> Iterator[str]:
    weight = ' font-weight="600"' if kind == "title" else ""
    ink = LIGHT["ink" if kind == "title" else "quiet"]
    yield f'<text class="{kind}" x="{EDGE}" y="{y}" fill="{ink}"{weight}>'
    yield f"{text(said)}</text>"


def _band(grid: RankGrid, blocks: Sequence[int], size: _Size, top: int) -> Iterator[str]:
    yield f'<g class="quiet" fill="{LIGHT["quiet"]}">'
    for column, block in enumerate(blocks):
        x = size.left + column * size.cell + size.cell / 2
        yield f'<text x="{x:g}" y="{top + 14}" text-anchor="middle" font-size="11">{block}</text>'
    for row, kind in enumerate(grid.kinds):
        y = top + HEAD + row * ROW + 15
        yield f'<text x="{size.left - 8}" y="{y}" text-anchor="end">{text(_kind(kind))}</text>'
    yield "</g>"
    for row, kind in enumerate(grid.kinds):
        for column, block in enumerate(blocks):
            rank = grid.ranks.get((kind, block))
            if rank is not None:
                corner = size.left + column * size.cell, top + HEAD + row * ROW
                yield _cell(grid, (kind, block), rank, corner, size.cell)


def _cell(
    grid: RankGrid, place: tuple[str, int], rank: int, corner: tuple[int, int], width: int
) -> str:
    (x, y), shade = corner, max(grid.shade(rank, SHADES), int(rank > 0))
    colours = LIGHT_HEAT[shade]
    where = f"{place[0]} of block {place[1]}: rank {rank}"
    return (
        f'<g class="s{shade}"><title>{text(where)}</title>'
        f'<rect x="{x}" y="{y}" width="{width - 2}" height="{ROW - 2}" rx="3" '
        f'fill="{colours.fill}"/>'
        f'<text x="{x + width / 2 - 1:g}" y="{y + 14}" text-anchor="middle" font-size="11" '
        f'fill="{colours.ink}">{rank}</text></g>'
    )


def _kind(kind: str) -> str:
    return cut(kind, MOST_KIND)


def _dark() -> Iterator[str]:
    for name, colour in (("card", "card"), ("title", "ink"), ("quiet", "quiet")):
        yield f".rankadaptor-ranks .{name}{{fill:{DARK[colour]}}}"
    for index, shade in enumerate(DARK_HEAT):
        yield f".rankadaptor-ranks .s{index} rect{{fill:{shade.fill}}}"
        yield f".rankadaptor-ranks .s{index} text{{fill:{shade.ink}}}"


STYLE = f"@media (prefers-color-scheme: dark){{{''.join(_dark())}}}"
"""A style within a page holds for all of the page, so every rule names whose it is. Light colours
are attributes: they hold where a notebook that is not trusted drops the style."""
