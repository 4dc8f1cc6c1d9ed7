from pathlib import Path

import pytest

from pruning.container import container
from pruning.container.manifest import read_manifest
from pruning.methods.compression import compress
from pruning.methods.settings import PruningSettings
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
