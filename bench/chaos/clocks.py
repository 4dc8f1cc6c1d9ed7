"""Wall clocks that are set while real programs read them: a small library, preloaded."""

import shutil
import struct
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from bench.chaos.history import CLOCK_STEP_SECONDS
from tests.services import Missing

SOURCE = Path(__file__).with_name("clock.c")


@dataclass
class Clock:
    """One machine's wall clock; right at first.

    Attributes:
        library: What its programs are started with; see ``build``.
        file: How far it is ahead stands there.
        ahead: Seconds, negative when it is behind.
    """

    library: Path
    file: Path
    ahead: int = 0

    def __post_init__(self) -> None:
        self.file.write_bytes(struct.pack("q", self.ahead))

    @property
    def environment(self) -> Mapping[str, str]:
        """Of a program that is to believe in it."""
        return {"LD_PRELOAD": str(self.library), "CHAOS_CLOCK": str(self.file)}

    def jump(self, *, is_forward: bool) -> None:
        """Set it an hour on or back; whoever reads it next sees that."""
        self.ahead += CLOCK_STEP_SECONDS if is_forward else -CLOCK_STEP_SECONDS
        with self.file.open("r+b", buffering=0) as file:
            file.write(struct.pack("q", self.ahead))


def build(home: Path) -> Path:
    """Compile the library into ``home``.

    Raises:
        Missing: There is no C compiler.
    """
    compiler = shutil.which("cc") or shutil.which("gcc") or shutil.which("clang")
    if compiler is None:
        raise Missing("no C compiler to make clocks jump with: install gcc")
    library = home / "clock.so"
    command = [compiler, "-shared", "-fPIC", "-O1", "-o", str(library), str(SOURCE), "-ldl"]
    subprocess.run(command, check=True, capture_output=True)
    return library
