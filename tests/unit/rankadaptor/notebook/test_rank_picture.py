"""A rank vector as a picture: every rank in its place, readable, and nobody's markup."""

import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

from rankadaptor.notebook.heat import DARK_HEAT, LIGHT_HEAT, Shade, contrast
from rankadaptor.notebook.markup import DARK, LIGHT
from rankadaptor.notebook.rank_picture import BAND, RankPicture, rank_picture
from rankadaptor.rank_map import rank_map
from rankadaptor.screen import Screen
from rankspace import Layer, RankVector, SearchSpace
from rankspace.errors import InvalidInput

READABLE = 4.5
"""Least contrast of text (WCAG 2.2, 1.4.3, level AA)."""
SVG = "{http://www.w3.org/2000/svg}"
HOSTILE = "</title><script>alert(1)</script>\"'& \u202e\x1b[31m\x00\ufffe"


def _space(blocks: int = 2, kinds: tuple[str, ...] = ("q_proj", "down_proj")) -> SearchSpace:
    layers = [Layer(f"{b}.{kind}", 10, b, kind) for b in range(blocks) for kind in kinds]
    return SearchSpace(tuple(layers), (0, 1, 2, 4, 8), 10**9)


def _titles(picture: RankPicture) -> list[str]:
    return [found.text or "" for found in ET.fromstring(picture.svg).iter(f"{SVG}title")]


@pytest.mark.parametrize("shade", [*LIGHT_HEAT, *DARK_HEAT])
def test_a_number_can_be_read_on_its_shade(shade: Shade) -> None:
    assert contrast(shade.fill, shade.ink) >= READABLE


@pytest.mark.parametrize("theme", [LIGHT, DARK])
@pytest.mark.parametrize("ink", ["ink", "quiet", "better", "worse", "open"])
def test_a_text_can_be_read_on_its_card(theme: dict[str, str], ink: str) -> None:
    assert contrast(theme["card"], theme[ink]) >= READABLE


def test_contrast_is_that_of_the_standard() -> None:
    assert contrast("#000000", "#ffffff") == pytest.approx(21)
    assert contrast("#777777", "#ffffff") == pytest.approx(4.48, abs=0.005)


def test_every_matrix_says_its_rank_and_where_it_is() -> None:
    picture = rank_picture(_space(), RankVector((8, 0, 1, 4)), "x")
    assert _titles(picture) == [
        "q_proj of block 0: rank 8",
        "q_proj of block 1: rank 1",
        "down_proj of block 0: rank 0",
        "down_proj of block 1: rank 4",
    ]
    assert (
        picture.summary == "ranks 0 to 8 on 4 layers, 1 of them without an adapter; 130 parameters"
    )


def test_only_rank_0_has_no_colour() -> None:
    space = SearchSpace(_space().layers, (0, 1, 64), 10**9)
    svg = rank_picture(space, RankVector((0, 1, 64, 0)), "x").svg
    shades = [
        cell.get("class") for cell in ET.fromstring(svg) if cell.find(f"{SVG}rect") is not None
    ]
    assert shades == ["s0", f"s{len(LIGHT_HEAT) - 1}", "s1", "s0"]


def test_many_blocks_go_below_each_other_within_the_picture() -> None:
    few, many = (
        ET.fromstring(rank_picture(space, space.uniform(), "x").svg)
        for space in (_space(BAND), _space(3 * BAND))
    )
    assert many.get("width") == few.get("width")
    lowest = max(float(text.get("y", 0)) for text in many.iter(f"{SVG}text"))
    assert lowest < float(many.get("height", 0))
    assert len(_cells(many)) == 3 * len(_cells(few))


def test_a_picture_that_would_stop_the_notebook_is_not_drawn_and_says_so() -> None:
    sparse = [Layer(f"{i}", 10, i, f"kind{i}") for i in range(101)]
    space = SearchSpace(tuple(sparse), (0, 1, 2), 10**9)
    picture = rank_picture(space, space.uniform(), "x")
    assert picture.summary.endswith("101 kinds in 101 blocks are too many to draw")
    assert _written(picture)[1] == picture.summary
    assert _titles(picture) == []
    largest = _space(1000, tuple("abcdefghij"))
    assert len(_titles(rank_picture(largest, largest.uniform(), "x"))) == 10_000


def _written(picture: RankPicture) -> list[str]:
    """Title and summary as the picture shows them."""
    return [found.text or "" for found in ET.fromstring(picture.svg).findall(f"{SVG}text")]


def test_what_is_not_shown_is_written_in_full_beside_what_is() -> None:
    layers = [Layer(f"{i}", 10**6, 0, "q") for i in range(12345)]
    space = SearchSpace(tuple(layers), (0, 1, 2), 10**12)
    picture = rank_picture(space, RankVector((2,) + (0,) * 12344), "x" * 500)
    heading, summary = _written(picture)
    assert heading == "x" * 119 + "…"
    assert summary == picture.summary
    assert summary.endswith("no place of their own in blocks and kinds, and are not shown")
    assert len(summary) > 120


def _cells(svg: ET.Element) -> list[ET.Element]:
    return list(svg.iter(f"{SVG}title"))


def test_what_others_wrote_is_text_and_the_picture_stays_one() -> None:
    picture = rank_picture(_space(kinds=(HOSTILE,)), RankVector((1, 2)), HOSTILE)
    root = ET.fromstring(picture.svg)
    assert {found.tag.removeprefix(SVG) for found in root.iter()} == {
        *("svg", "style", "rect", "text", "g", "title")
    }
    assert (root.get("aria-label") or "").startswith("</title><script>alert(1)</script>")
    assert not {"\u202e", "\x1b", "\x00", "\ufffe"} & set(picture.svg)


def test_layers_without_a_place_are_counted() -> None:
    layers = (
        Layer("0.self.q", 10, 0, "q"),
        Layer("0.cross.q", 10, 0, "q"),
        Layer("lm_head", 10, None, "lm_head"),
    )
    space, vector = SearchSpace(layers, (0, 1, 2), 10**9), RankVector((2, 1, 1))
    said = "2 layers have no place of their own in blocks and kinds, and are not shown"
    picture = rank_picture(space, vector, "x")
    assert said in picture.summary
    assert _titles(picture) == ["q of block 0: rank 2"]
    screen = Screen(width=120, record=True)
    screen.print(rank_map(space, vector, "ranks by block"))
    assert said in " ".join(screen.export_text().split())


def test_a_whole_block_is_a_layer(tmp_path: Path) -> None:
    space = SearchSpace((Layer("model.layers.0", 100, 0),), (0, 2, 4), 1000)
    file = rank_picture(space, RankVector((4,)), "x").save(tmp_path / "ranks.svg")
    assert "block of block 0: rank 4" in file.read_text()


def test_a_place_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    place = tmp_path / "no" / "ranks.svg"
    with pytest.raises(InvalidInput) as caught:
        rank_picture(_space(), RankVector((1, 1, 1, 1)), "x").save(place)
    assert (caught.value.field, caught.value.value) == ("path", str(place))
    assert caught.value.problem.startswith("cannot be written: ")
