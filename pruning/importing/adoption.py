"""Adopting what other tools wrote: a container of it, and an account of what was there."""

import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from safetensors import SafetensorError

from pruning.cards.pruned import pruned_card
from pruning.container.architecture import check_places
from pruning.container.container import LoadedModel, load_contents, write
from pruning.container.contents import survey
from pruning.container.target import check_apart, check_target
from pruning.container.tokenizer import check_ids, read_tokenizer
from pruning.container.writing import check_original
from pruning.importing.account import Account
from pruning.importing.claim import check_claims
from pruning.importing.recognition import read_account
from pruning.importing.unpickling import find_pickle, unpickle
from rankspace.errors import InvalidInput
from rankspace.pruned_model import PrunedModel


def adopt(
    source: Path,
    target: Path,
    *,
    original: Sequence[int] | None = None,
    trust_pickle: bool = False,
) -> PrunedModel:
    """Turn a ``save_pretrained`` directory into a container.

    The blocks' sizes are read off the weights, so that the config may be the unpruned model's, as
    FLAP and CFSP leave it; biases on ``o_proj`` and ``down_proj`` alone, as FLAP adds, are kept.
    What ModelOpt, DeciLM and MultiPruner say in files of their own has to agree with them.

    Args:
        source: Directory with safetensors weights, ``config.json`` and ``tokenizer.json``.
        target: New, empty, or a container, which is replaced.
        original: Index in the dense model of each block that is left, where blocks were dropped.
        trust_pickle: Read a pickled model where there is no safetensors, as data: nothing that it
            names is called.

    Raises:
        InvalidContainer: ``source`` holds no supported model, ``target`` holds other things.
        InvalidInput: ``target`` contains the source; ``original`` does not fit the blocks.
    """
    check_apart(source, target)
    check_target(target)
    pickle = find_pickle(source) if trust_pickle else None
    if pickle is None:
        return _adopt(source, target, original)
    with _draft(pickle, target) as draft:
        return _adopt(draft, target, original, given=source)


@contextmanager
def _draft(pickle: Path, target: Path) -> Iterator[Path]:
    """Yield a directory beside ``target``, where there is room for models, of what was pickled."""
    place = target.absolute().parent
    try:
        place.mkdir(parents=True, exist_ok=True)
        prefix = f".{target.absolute().name}.writing."
        with ExitStack() as stack:
            folder = tempfile.TemporaryDirectory(dir=place, prefix=prefix)
            draft = Path(stack.enter_context(folder))
            unpickle(pickle, draft)
            kept = stack.pop_all()
    except (OSError, SafetensorError) as error:
        raise _no_room(place, pickle, error) from None
    with kept:
        yield draft


def _no_room(place: Path, pickle: Path, error: Exception) -> InvalidInput:
    there = next(folder for folder in (place, *place.parents) if folder.exists())
    free, needed = shutil.disk_usage(there).free, pickle.stat().st_size
    return InvalidInput(
        "target",
        str(place),
        f"the weights of {pickle.name} could not be written there: {' '.join(str(error).split())}",
        fix=f"two copies of up to {needed:,} bytes have to fit, and {free:,} are free",
    )


def _adopt(
    source: Path, target: Path, original: Sequence[int] | None, given: Path | None = None
) -> PrunedModel:
    """Adopt ``source``; ``given``: the directory that it is a draft of, with its name and card."""
    account = read_account(source)
    contents = survey(source, infer=True, translation=account.translation)
    check_claims(contents.structure, account.claims, field=account.field, fix=account.fix)
    check_original(original, len(contents.structure.blocks))
    if original is None:
        original = [block.original_index for block in contents.structure.blocks]
    check_places(contents.architecture, original)
    check_ids(contents, read_tokenizer(contents))
    loaded = load_contents(contents)
    named = given or source
    provenance = _provenance(named.resolve().name, loaded, account)
    return write(
        loaded.model,
        loaded.tokenizer,
        target,
        provenance=provenance,
        original=original,
        card=pruned_card(named, _how(account)),
    )


def _how(account: Account) -> str:
    split_from = account.translation.split_from
    split = f"; fused matrices of {split_from} split" if split_from else ""
    return (account.tool or "elsewhere") + split


def _provenance(name: str, loaded: LoadedModel, account: Account) -> dict[str, Any]:
    provenance: dict[str, Any] = {
        "method": "adopted",
        "source": {"name": name, "fingerprint": loaded.description.fingerprint},
    }
    translation = account.translation
    if translation.split_from is not None:
        provenance["split_from"] = translation.split_from
    if account.tool is not None:
        provenance["tool"] = account.tool
        provenance["dropped"] = sorted(translation.dropped)
        provenance["without_attention"] = sorted(translation.without_attention)
        provenance["without_mlp"] = sorted(translation.without_mlp)
    return provenance
