"""The preset ``paper``: the search of the RankAdaptor paper, in the words of a study file.

What is known of it: arXiv 2406.15734 and rows that a co-author published; docs/decisions/0007 has
both, and where we depart. A preset is expanded once, when a study is submitted, and stored by its
name, so that a later release, which may know better, means the same study.
"""

from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any

from rankspace.errors import InvalidInput, cut
from rankspace.granularity import MAX_SAID, block_name
from rankspace.pruned_model import Matrix, PrunedModel
from rankspace.study import Granularity, Search, StrategyName, Study
from rankspace.wire import encode


@dataclass(frozen=True, slots=True)
class Preset:
    """Settings of a search that one word stands for.

    Attributes:
        granularity: What gets one rank.
        strategy: Who proposes.
        ranks: Allowed on the blocks that are searched.
        whole: Rank of the blocks that pruning left whole; they are not searched.
    """

    granularity: Granularity
    strategy: StrategyName
    ranks: tuple[int, ...]
    whole: int

    @property
    def settings(self) -> Mapping[str, Any]:
        """Fields of ``Search`` that it sets on every model."""
        return {name: getattr(self, name) for name in ("granularity", "strategy", "ranks")}


NEWEST = "paper-1"
"""What ``true`` means."""

PRESETS: Mapping[str, Preset] = MappingProxyType(
    {NEWEST: Preset(Granularity.BLOCK, StrategyName.RANKADAPTOR, (2, 4, 6, 8, 10, 12), 8)}
)
"""By name. A changed preset gets a name of its own: stored studies have these."""

LEFT_WHOLE = "the blocks that pruning left whole"


def expanded(study: Study, model: PrunedModel) -> Study:
    """Return ``study`` with what its preset sets, and the preset's name; itself without one.

    A study that has the preset's name and all its settings was expanded before: which blocks were
    left whole is what it says then. Where it says nothing, they are looked for.

    Raises:
        InvalidInput: An unknown preset, or a setting of the study's own that contradicts it.
    """
    if study.paper is False:
        return study
    name = _name(study.paper)
    preset, search = PRESETS[name], study.search
    if search.survey is not None:
        raise _unheard(encode(search.survey), preset)
    for field, value in preset.settings.items():
        if getattr(search, field) not in (value, getattr(Search(), field)):
            raise _contradiction(field, getattr(search, field), value)
    found = replace(search, **preset.settings)
    was_expanded = study.paper == name and found == search and _are_blocks(model, search.fixed)
    whole = search.fixed if was_expanded else whole_blocks(model, study.recipe.modules)
    fixed = dict.fromkeys(whole, preset.whole)
    if search.fixed and search.fixed != fixed:
        raise _contradiction("fixed", search.fixed, fixed)
    return replace(study, paper=name, search=replace(found, fixed=fixed))


def repeated(study: Study, first: Study, model: PrunedModel) -> Study:
    """Return ``study``, which may be ``first`` sent again, expanded as that one was.

    By now another preset may be the newest, and more known of the model: the blocks that were left
    whole then count also where the study names none, or those that count today.

    Raises:
        InvalidInput: A setting of the study's own that contradicts the preset.
    """
    if not first.paper or study.paper not in (True, first.paper):
        return study
    bare = replace(study, paper=first.paper, search=replace(study.search, fixed={}))
    today = expanded(bare, model)
    if study.search.fixed not in ({}, today.search.fixed, first.search.fixed):
        return expanded(replace(study, paper=first.paper), model)
    return replace(today, search=replace(today.search, fixed=first.search.fixed))


def check_given(document: Any) -> None:
    """Refuse settings of a study file that contradict its preset, defaults spelt out included.

    Whatever else may be wrong with the document is left to its reader.

    Raises:
        InvalidInput: One of them.
    """
    if not isinstance(document, Mapping) or not isinstance(document.get("search"), Mapping):
        return
    paper = document.get("paper")
    preset = PRESETS[NEWEST] if paper is True else None
    if isinstance(paper, str):
        preset = PRESETS.get(paper)
    for field, value in preset.settings.items() if preset else ():
        given = document["search"].get(field, encode(value))
        if given != encode(value):
            raise _contradiction(field, given, value)
    if paper is True and document["search"].get("fixed") == {}:
        raise _contradiction("fixed", {}, LEFT_WHOLE)
    if preset and document["search"].get("survey") is not None:
        raise _unheard(document["search"]["survey"], preset)


def whole_blocks(model: PrunedModel, modules: Sequence[str]) -> tuple[str, ...]:
    """Names of the blocks that pruning left whole, as far as the description tells.

    Where all matrices of a block have profiles, these alone decide: it was pruned if one was kept
    in part. Else it also was if a matrix is kept as factors, or smaller than the largest of its
    kind; where all blocks were cut, the largest then counts as whole. A block that lacks matrices
    which others have was pruned in any case. None where no block shows that it was pruned.
    """
    kept = {profile.name: profile.kept for profile in model.profiles}
    largest: dict[str, int] = {}
    for matrix in model.matrices:
        largest[matrix.module] = max(largest.get(matrix.module, 0), matrix.weights)
    shapes_count = {block_name(matrix) for matrix in model.matrices if matrix.name not in kept}
    pruned = {
        block
        for block, matrix in ((block_name(matrix), matrix) for matrix in model.matrices)
        if kept.get(matrix.name, 1.0) < 1.0
        or (block in shapes_count and _is_cut(matrix, largest[matrix.module]))
    }
    counts = Counter(map(block_name, model.matrices))
    pruned |= {block for block, count in counts.items() if count < len(largest)}
    searched = dict.fromkeys(block_name(m) for m in model.matrices if m.module in modules)
    return tuple(block for block in searched if block not in pruned) if pruned else ()


def _is_cut(matrix: Matrix, largest: int) -> bool:
    return matrix.factor_rank > 0 or matrix.weights < largest


def sentence(study: Study) -> str:
    """What the preset made of ``study``, once it is expanded; empty without one."""
    return " ".join(_said(study)) if study.paper else ""


def _said(study: Study) -> Iterator[str]:
    search = study.search
    ranks = ", ".join(map(str, search.ranks))
    yield f"As in the RankAdaptor paper ({study.paper}): strategy {search.strategy},"
    yield f"one rank per {search.granularity}, ranks {ranks};"
    for rank in sorted(set(search.fixed.values())):
        blocks = [name.rpartition(".")[2] for name, fixed in search.fixed.items() if fixed == rank]
        yield f"rank {rank} on blocks {cut(', '.join(blocks), MAX_SAID)}, which are not searched."
    if not search.fixed:
        yield "all blocks are searched, as none shows that it was left whole where others were cut."


def _are_blocks(model: PrunedModel, names: Collection[str]) -> bool:
    """Whether there are names, and each is a block of ``model``, no pattern."""
    return bool(names) and {block_name(matrix) for matrix in model.matrices}.issuperset(names)


def _name(paper: bool | str) -> str:
    name = NEWEST if paper is True else paper
    if name not in PRESETS:
        problem = f"is no preset of this program, which knows {', '.join(PRESETS)}"
        raise InvalidInput("paper", paper, problem, fix="write true, or leave it out")
    return str(name)


def _unheard(survey: Any, preset: Preset) -> InvalidInput:
    problem = f"paper sets the strategy to {preset.strategy}, which does not listen to a survey"
    fix = "leave it out, or leave paper out and use the strategy additive"
    return InvalidInput("search.survey", survey, problem, fix=fix)


def _contradiction(field: str, value: Any, preset: Any) -> InvalidInput:
    said = encode(preset)
    fix = "leave it out, or leave paper out and set all of it yourself"
    return InvalidInput(f"search.{field}", encode(value), f"paper sets it to {said}", fix=fix)
