from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from pruning.container import container, contents, writing
from pruning.container.manifest import read_manifest
from pruning.methods.compression import compress
from pruning.methods.settings import PrunerName, PruningSettings
from pruning.profiling.calibration_text import CalibrationText
from rankspace.errors import InvalidContainer, InvalidInput


def test_the_container_tells_how_it_came_about(plain: Path, text: Path, tmp_path: Path) -> None:
    source = container.load(plain).description
    once = compress(plain, tmp_path / "a", PruningSettings((1,)), CalibrationText(text))
    settings = PruningSettings((0, 2), 0.25, ranking="global")
    twice = compress(tmp_path / "a", tmp_path / "b", settings, CalibrationText(text, seed=3))
    assert source.parameters > once.parameters > twice.parameters
    provenance = read_manifest(tmp_path / "b" / "pruned.json").provenance
    assert provenance["method"] == "taylor"
    assert provenance["ratio"] == 0.25
    assert provenance["blocks"] == [0, 2]
    assert provenance["ranking"] == "global"
    assert len(provenance["calibration"]["tokens_sha256"]) == 64
    assert provenance["source"]["fingerprint"] == once.fingerprint
    assert provenance["source"]["provenance"]["source"]["fingerprint"] == source.fingerprint


def test_compressing_twice_gives_the_same_model(plain: Path, text: Path, tmp_path: Path) -> None:
    first, again = (
        compress(plain, tmp_path / name, PruningSettings((0, 1)), CalibrationText(text))
        for name in ("a", "b")
    )
    assert first.fingerprint == again.fingerprint


def test_grouped_heads_stay_divisible(plain: Path, text: Path, tmp_path: Path) -> None:
    compress(plain, tmp_path / "a", PruningSettings((0, 1, 2), 0.3), CalibrationText(text))
    structure = container.load(tmp_path / "a").structure
    assert {(block.heads, block.kv_heads, block.ffn) for block in structure.blocks} == {(6, 3, 17)}


def test_a_block_the_model_lacks_is_refused(plain: Path, text: Path, tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="blocks"):
        compress(plain, tmp_path / "a", PruningSettings((3,)), CalibrationText(text))
    assert not (tmp_path / "a").exists()


def test_the_source_is_never_overwritten(plain: Path, text: Path, tmp_path: Path) -> None:
    compress(plain, tmp_path / "a", PruningSettings((1,)), CalibrationText(text))
    with pytest.raises(InvalidInput, match="is the source"):
        compress(tmp_path / "a", tmp_path / "a", PruningSettings((2,)), CalibrationText(text))
    with pytest.raises(InvalidContainer, match="holds other things"):
        compress(tmp_path / "a", plain, PruningSettings((2,)), CalibrationText(text))


def test_weights_are_looked_at_and_written_in_the_type_that_is_asked_for(
    plain: Path, text: Path, tmp_path: Path
) -> None:
    settings, half = PruningSettings((1,), method=PrunerName.MAGNITUDE), torch.bfloat16
    compress(plain, tmp_path / "as-it-is", settings, CalibrationText(text))
    compress(plain, tmp_path / "half", settings, CalibrationText(text), dtype=half)
    whole, halved = (
        load_file(tmp_path / name / "model.safetensors") for name in ("as-it-is", "half")
    )
    assert {tensor.dtype for tensor in whole.values()} == {torch.float32}
    assert {tensor.dtype for tensor in halved.values()} == {half}
    assert all(torch.equal(whole[name].to(half), tensor) for name, tensor in halved.items())
    loaded = container.load(tmp_path / "half")
    assert (loaded.model.dtype, loaded.model.config.dtype) == (half, half)
    assert read_manifest(tmp_path / "half" / "pruned.json").provenance["dtype"] == "bfloat16"
    assert read_manifest(tmp_path / "as-it-is" / "pruned.json").provenance["dtype"] == "float32"


@pytest.mark.parametrize("shard_bytes", [10_000, writing.SHARD_BYTES])
def test_every_file_is_hashed_once(
    shard_bytes: int,
    plain: Path,
    text: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Of a large model that is minutes of reading."""
    loaded = container.load(plain)
    source, target = tmp_path / "source", tmp_path / "target"
    container.write(loaded.model, loaded.tokenizer, source, provenance={}, shard_bytes=shard_bytes)
    files = {path.name for path in source.iterdir()} - {"pruned.json"}
    really, seen = contents.hash_file, list[Path]()

    def counted(path: Path) -> str:
        seen.append(path)
        return really(path)

    monkeypatch.setattr(contents, "hash_file", counted)
    monkeypatch.setattr(writing, "hash_file", counted)
    compress(source, target, PruningSettings((1,)), CalibrationText(text))
    assert sorted(path.name for path in seen if path.parent == source) == sorted(files)
    written = [path.name for path in seen if path.parent != source]
    unlisted = {"pruned.json", "README.md"}
    assert sorted(written) == sorted({path.name for path in target.iterdir()} - unlisted)
    container.load(target)
