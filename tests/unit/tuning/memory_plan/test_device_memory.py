"""What is free is the least that the machine and the control groups around a process leave."""

from pathlib import Path

import pytest
import torch

from rankspace.errors import CannotOpen
from tuning.memory_plan.device_memory import RESERVED, DeviceMemory, machine_memory

MEMINFO = "MemTotal:       1000 kB\nMemFree:  10 kB\nMemAvailable:    800 kB\n"
KIB = 1024
FILES = f"anon 1\ninactive_file {60 * KIB}\nactive_file {40 * KIB}"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "proc/self").mkdir(parents=True)
    (tmp_path / "proc/meminfo").write_text(MEMINFO)
    return tmp_path


def group(root: Path, path: str, **files: object) -> None:
    place = root / "sys/fs/cgroup" / path
    place.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        (place / f"memory.{name}").write_text(f"{content}\n")


def test_without_groups_the_machine_says_it(root: Path) -> None:
    assert machine_memory(root) == (1000 * KIB, 800 * KIB)


def test_the_tightest_of_the_groups_around_counts_and_files_it_could_forget_do_not(
    root: Path,
) -> None:
    (root / "proc/self/cgroup").write_text("0::/a/b\n")
    group(root, "a", max=500 * KIB, current=300 * KIB, stat=FILES)
    group(root, "a/b", max="max", current=200 * KIB)
    assert machine_memory(root) == (500 * KIB, 300 * KIB)


def test_what_this_process_reads_out_of_files_is_no_room_for_more(root: Path) -> None:
    (root / "proc/self/status").write_text("RssAnon: 70 kB\nRssFile:\t  300 kB\n")
    assert machine_memory(root) == (1000 * KIB, 500 * KIB)


def test_a_container_finds_its_own_group_at_the_mount(root: Path) -> None:
    (root / "proc/self/cgroup").write_text("0::/docker/from/outside\n")
    group(root, "", max=400 * KIB, current=500 * KIB)
    assert machine_memory(root) == (400 * KIB, 0)


def test_the_first_version_of_groups(root: Path) -> None:
    (root / "proc/self/cgroup").write_text("5:cpu,cpuacct:/x\n4:memory:/job\n")
    names = {"limit_in_bytes": 600 * KIB, "usage_in_bytes": 200 * KIB}
    group(root, "memory/job", **names, stat=f"active_file 9\ntotal_inactive_file {50 * KIB}")
    group(root, "memory", limit_in_bytes=2**63 - 4096, usage_in_bytes=700 * KIB)
    assert machine_memory(root) == (600 * KIB, 450 * KIB)


@pytest.mark.parametrize(
    ("file", "content"),
    [
        ("meminfo", "MemTotal: 1000 kB\nMemFree: 10 kB\n"),
        ("meminfo", "MemTotal: some\nMemAvailable: 800 kB\n"),
        ("meminfo", "MemTotal:\nMemAvailable:\n"),
        ("self/cgroup", "what is this\n"),
        ("self/status", "RssFile: many kB\n"),
    ],
)
def test_what_is_not_understood_is_said_to_be_unknown(root: Path, file: str, content: str) -> None:
    (root / "proc" / file).write_text(content)
    with pytest.raises(CannotOpen, match="is not known") as caught:
        machine_memory(root)
    assert "--memory 24GiB" in caught.value.hint


def test_a_system_that_says_nothing_at_all_is_unknown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def sysconf(name: str) -> int:
        raise OSError(f"no {name}")

    monkeypatch.setattr("os.sysconf", sysconf)
    with pytest.raises(CannotOpen, match="is not known"):
        machine_memory(tmp_path)


def test_this_machine_has_some() -> None:
    there = DeviceMemory.of(torch.device("cpu"))
    assert 2**26 < there.free <= there.total


def test_a_pretended_device_keeps_what_its_driver_takes() -> None:
    assert DeviceMemory.pretended("cuda", 2**34).free == 2**34 - RESERVED
    assert DeviceMemory.pretended("cuda", 1).free == 0
