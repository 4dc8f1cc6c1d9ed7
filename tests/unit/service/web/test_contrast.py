"""What the status page writes can be read: WCAG 2.2's contrast of 4.5, in either theme."""

import re
from pathlib import Path

import pytest

from service.web import pages
from service.web.pages.charts.matrix import SHADES

STATIC = Path(pages.__file__).parent / "static"
CSS = "".join((STATIC / name).read_text(encoding="utf-8") for name in ("page.css", "charts.css"))
LEAST = 4.5
THEMES = ("light", "dark")

Colour = tuple[float, float, float]


def _values(theme: str) -> dict[str, str]:
    """The variables of a theme; what the dark one does not say is as in the light one."""
    blocks = re.findall(r":root \{(.*?)\}", CSS, re.DOTALL)
    found: dict[str, str] = {}
    for block in blocks[: THEMES.index(theme) + 1]:
        found |= dict(re.findall(r"--([a-z0-9-]+): ([^;]+);", block))
    return found


def _colour(value: str) -> Colour:
    if not value.startswith("#"):
        red, green, blue = (float(part) for part in value.split(","))
        return red, green, blue
    digits = value[1:] if len(value) == 7 else "".join(2 * digit for digit in value[1:])
    red, green, blue = (float(int(digits[at : at + 2], 16)) for at in (0, 2, 4))
    return red, green, blue


def _over(colour: Colour, alpha: float, ground: Colour) -> Colour:
    red, green, blue = (
        alpha * one + (1 - alpha) * below for one, below in zip(colour, ground, strict=True)
    )
    return red, green, blue


def _luminance(colour: Colour) -> float:
    shares = [value / 255 for value in colour]
    red, green, blue = (
        share / 12.92 if share <= 0.04045 else ((share + 0.055) / 1.055) ** 2.4 for share in shares
    )
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(first: Colour, second: Colour) -> float:
    low, high = sorted((_luminance(first), _luminance(second)))
    return (high + 0.05) / (low + 0.05)


def _turned(theme: str) -> set[int]:
    """Shades on which the other colour is written."""
    rules = re.findall(r"^\s*(@media[^{]*\{\s*)?([.s0-9, ]+) \{ color: var\(--on-heat\)", CSS, re.M)
    told = [names for media, names in rules if theme == "dark" or not media]
    return {int(number) for names in told for number in re.findall(r"\.s([0-9])", names)}


def test_the_measure_is_that_of_the_standard() -> None:
    assert contrast(_colour("#000"), _colour("#fff")) == pytest.approx(21.0)
    assert contrast(_colour("#767676"), _colour("#ffffff")) == pytest.approx(4.54, abs=0.01)


@pytest.mark.parametrize("shade", range(1, SHADES + 1))
@pytest.mark.parametrize("theme", THEMES)
def test_a_rank_can_be_read_on_its_shade(theme: str, shade: int) -> None:
    values = _values(theme)
    ground = _over(_colour(values["heat"]), float(values[f"a{shade}"]), _colour(values["card"]))
    text = values["on-heat"] if shade in _turned(theme) else values["ink"]
    assert contrast(_colour(text), ground) >= LEAST


@pytest.mark.parametrize("theme", THEMES)
def test_shades_rise_with_the_rank(theme: str) -> None:
    values = _values(theme)
    levels = [float(values[f"a{shade}"]) for shade in range(1, SHADES + 1)]
    assert levels == sorted(set(levels))


@pytest.mark.parametrize("ground", ["paper", "card"])
@pytest.mark.parametrize("text", ["ink", "quiet", "accent", "good", "bad", "warn"])
@pytest.mark.parametrize("theme", THEMES)
def test_words_can_be_read_on_the_page(theme: str, text: str, ground: str) -> None:
    values = _values(theme)
    assert contrast(_colour(values[text]), _colour(values[ground])) >= LEAST
