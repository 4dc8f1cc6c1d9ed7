"""Heat: the shades of a heat map and the ink on each, in the light and in the dark theme."""

from dataclasses import dataclass

from rankadaptor.notebook.markup import DARK, LIGHT


@dataclass(frozen=True, slots=True)
class Shade:
    """Colours of a cell and of the number in it."""

    fill: str
    ink: str


def contrast(one: str, other: str) -> float:
    """Contrast ratio of two colours ``#rrggbb``, 1 to 21 (WCAG 2.2, 1.4.3)."""
    darker, lighter = sorted((_luminance(one), _luminance(other)))
    return (lighter + 0.05) / (darker + 0.05)


def _luminance(colour: str) -> float:
    linear = (
        share / 12.92 if share <= 0.04045 else ((share + 0.055) / 1.055) ** 2.4
        for share in (part / 255 for part in _parts(colour))
    )
    return sum(w * part for w, part in zip((0.2126, 0.7152, 0.0722), linear, strict=True))


def _parts(colour: str) -> tuple[int, ...]:
    return tuple(bytes.fromhex(colour.removeprefix("#")))


def _mixed(below: str, above: str, share: float) -> str:
    pairs = zip(_parts(below), _parts(above), strict=True)
    return "#" + "".join(f"{round(a + (b - a) * share):02x}" for a, b in pairs)


def _scale(card: str, heat: str, inks: tuple[str, str]) -> tuple[Shade, ...]:
    fills = (card, *(_mixed(card, heat, share) for share in SHARES))
    return tuple(Shade(fill, max(inks, key=lambda i: contrast(fill, i))) for fill in fills)


SHARES = (0.12, 0.24, 0.38, 0.52, 0.68, 0.84, 1.0)
"""Of the full colour, from the lowest rank above 0 to the highest."""

LIGHT_HEAT = _scale(LIGHT["card"], LIGHT["bar"], (LIGHT["ink"], "#ffffff"))
DARK_HEAT = _scale(DARK["card"], DARK["bar"], ("#0f1216", "#ffffff"))
"""From rank 0, which has no colour, to the highest."""
