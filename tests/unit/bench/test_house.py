"""``bench.house`` on a toy package: rooms, floors, arrows and lengths by hand, and trips."""

import importlib.util
import textwrap
import threading
from pathlib import Path
from types import ModuleType

import pytest

from bench.house.figures import Figures, ninetieth, survey
from bench.house.journey import Tracer, Trip
from bench.house.plan import plan
from bench.house.source import imported, modules
from bench.house.trips import rooms

pytestmark = pytest.mark.slow

SERVICE = {
    "__init__.py": "from service.app import serve\n",
    "app.py": """
        from typing import TYPE_CHECKING

        import service.web.page
        if TYPE_CHECKING:
            from service import clock


        def serve():
            from service.storage.table import read
            return read
        """,
    "web/__init__.py": "",
    "web/page.py": "from service.web import style\nfrom service.storage import table, NAME\n",
    "web/style.py": "import json\n",
    "storage/__init__.py": "NAME = 'x'\n",
    "storage/table.py": '''
        def read():
            """Not counted,

            as it is a docstring.
            """
            return 1


        async def write():
            found = 2
            return found
        ''',
    "clock.py": "from service.storage import NAME\n",
}


def build(root: Path, files: dict[str, str]) -> None:
    for name, text in files.items():
        path = root / "service" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(textwrap.dedent(text).removeprefix("\n"), encoding="utf-8")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    build(tmp_path, SERVICE)
    return tmp_path


def test_a_module_is_named_by_its_path_and_a_folder_by_itself(root: Path) -> None:
    assert set(modules(root, "service")) == {
        "service",
        "service.app",
        "service.clock",
        "service.storage",
        "service.storage.table",
        "service.web",
        "service.web.page",
        "service.web.style",
    }
    assert modules(root, "tuning") == {}


def test_imports_are_found_wherever_they_stand_and_lead_to_submodules(root: Path) -> None:
    known = modules(root, "service")
    assert sorted(imported(known["service.app"], known)) == [
        "service.clock",
        "service.storage.table",
        "service.web.page",
        "typing",
    ]
    assert sorted(imported(known["service.web.page"], known)) == [
        "service.storage",
        "service.storage.table",
        "service.web.style",
    ]


def test_the_plan_has_the_rooms_arrows_and_floors_counted_by_hand(root: Path) -> None:
    drawn = plan(modules(root, "service"))
    assert drawn.leads_to == {
        "app": {"web", "clock", "storage"},
        "web": {"storage"},
        "clock": {"storage"},
        "storage": set(),
    }
    assert (drawn.arrows, drawn.floors, drawn.cycles) == (5, 3, [])


def test_a_cycle_is_found_and_lies_on_one_floor(root: Path) -> None:
    build(root, {"storage/table.py": "import service.clock\n"})
    drawn = plan(modules(root, "service"))
    assert drawn.cycles == [("clock", "storage")]
    assert (drawn.arrows, drawn.floors) == (6, 3)


def test_all_figures_of_a_package(root: Path) -> None:
    assert survey(root) == [
        Figures(
            package="service",
            modules=8,
            lines=27,
            filled=21,
            rooms=4,
            floors=3,
            arrows=5,
            cycles=0,
            fullest=3,
            median=3,
            ninetieth=3,
            longest=11,
            longest_file="storage/table.py",
        )
    ]


@pytest.mark.parametrize(
    ("lengths", "expected"), [([], 0), ([7], 7), ([*range(1, 11)], 9), ([*range(1, 12)], 10)]
)
def test_nine_tenths_are_at_most_the_ninetieth_percentile(
    lengths: list[int], expected: int
) -> None:
    assert ninetieth(lengths[::-1]) == expected


def test_the_rooms_of_files_are_the_second_storey_of_their_paths() -> None:
    files = [
        "service/web/page.py",
        "service/app.py",
        "service/web/routers/leases.py",
        "worker/a.py",
    ]
    assert rooms(files) == ["service/web", "service/app", "worker/a"]


def trip() -> Trip:
    return Trip(
        begin=("a.py", "go", "call"), via=("c.py", "turn", "call"), end=("d.py", "x", "return")
    )


def walk(one: Trip, *steps: str) -> list[str]:
    for step in steps:
        file, name, event = step.split()
        one.go(file, name, event)
    return one.files


def test_a_trip_is_the_files_entered_from_its_last_beginning_on() -> None:
    steps = ("z.py f call", "a.py go call", "y.py f call", "a.py go call", "b.py f call")
    assert walk(trip(), *steps, "c.py turn call", "d.py x call", "e.py f return") == []
    found = walk(
        one := trip(), *steps, "c.py turn call", "a.py go call", "d.py x call", "d.py x return"
    )
    assert found == ["a.py", "b.py", "c.py", "d.py"]
    assert walk(one, "e.py f call", "d.py x return") == found


def test_without_what_it_must_pass_a_trip_does_not_end() -> None:
    assert walk(trip(), "a.py go call", "d.py x call", "d.py x return") == []


ROUTE = """
    import threading


    class Counter:
        def add(self):
            return 1


    def report():
        thread = threading.Thread(target=Counter().add)
        thread.start()
        thread.join()
        return finish()


    def finish():
        return None
    """


def load(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_tracer_tells_of_functions_in_all_threads_but_of_no_import(tmp_path: Path) -> None:
    build(tmp_path, {"route.py": ROUTE})
    told: list[tuple[str, str, str]] = []

    class Noting(Trip):
        def go(self, file: str, name: str, event: str) -> None:
            told.append((file, name, event))

    nowhere = ("", "", "")
    tracer = Tracer(tmp_path, [Noting(nowhere, nowhere)])
    with tracer.running():
        load(tmp_path / "service" / "route.py").report()
    assert threading.getprofile() is None
    steps = [("report", "call"), ("add", "call"), ("add", "return"), ("finish", "call")]
    steps += [("finish", "return"), ("report", "return")]
    assert told == [(str(Path("service", "route.py")), *step) for step in steps]
