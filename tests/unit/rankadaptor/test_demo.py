from pathlib import Path

import pytest
import yaml

from rankadaptor.demo.plan import DemoPlan
from rankadaptor.demo.run import MARKER, _clear
from rankspace.errors import InvalidInput


def test_the_demo_empties_only_what_a_demo_made(tmp_path: Path) -> None:
    mine = tmp_path / "mine"
    (mine / "service").mkdir(parents=True)
    (mine / "service" / "app.py").write_text("precious")
    with pytest.raises(InvalidInput, match="holds things no demo made"):
        _clear(mine)
    assert (mine / "service" / "app.py").read_text() == "precious"
    with pytest.raises(InvalidInput, match="is not a directory"):
        _clear(mine / "service" / "app.py")


def test_an_earlier_demo_s_output_is_replaced(tmp_path: Path) -> None:
    out = tmp_path / "out"
    _clear(out)
    (out / "verdict.json").write_text("{}")
    _clear(out)
    assert [path.name for path in out.iterdir()] == [MARKER]


@pytest.mark.parametrize("folder", ["plain", "a, b", "a #b", "a: b", "a}b", 'a"b'])
def test_the_study_file_survives_any_path(folder: str) -> None:
    place = Path("/tmp") / folder
    text = DemoPlan().study_yaml(Path("study.yaml"), place / "pruned", place / "data.txt")
    study = yaml.safe_load(text)
    assert study["model"] == str(place / "pruned")
    assert study["recipe"]["data"]["train"] == str(place / "data.txt")
