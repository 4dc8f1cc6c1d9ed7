"""Command lines that something is wrong with."""

from collections.abc import Iterator
from pathlib import Path

from bench.bad_input.answer import Answer, run

NOWHERE = "http://127.0.0.1:9"


def answers(place: Path) -> Iterator[Answer]:
    """What the program says, its exit code included."""
    base, text, made = str(place / "base"), str(place / "text.txt"), str(place / "made" / "m")
    cut = ["compress", "taylor", base, made, "--text", text, "--samples", "2", "--length", "16"]
    lines: dict[str, list[str]] = {
        "unknown pruner": ["compress", "tailor", base, made, "--text", text],
        "ratio of 1.5": [*cut, "--ratio", "1.5"],
        "block 9 of 3": [*cut, "--blocks", "9"],
        "blocks not a list": [*cut, "--blocks", "one"],
        "a device nobody has": [*cut, "--device", "gpu"],
        "a card that is not there": [*cut, "--device", "cuda:7"],
        "no samples": [*cut[:6], "--samples", "0", "--length", "16"],
        "a window longer than the text": [*cut[:6], "--samples", "2", "--length", "1000000"],
        "text missing": [*cut[:5], str(place / "none.txt")],
        "text is a directory": [*cut[:5], str(place)],
        "target is in use": [*cut[:3], str(place / "logs"), *cut[4:]],
        "model missing": ["compress", "taylor", str(place / "none"), made, "--text", text],
        "no service there": ["status", "--url", NOWHERE],
        "an address that is none": ["status", "--url", "localhost:8731"],
        "an address of another kind": ["status", "--url", "ftp://127.0.0.1"],
        "a host nobody knows": ["status", "--url", "http://no.such.host.invalid:1"],
        "no study there to watch": ["verdict", "st_none", "--url", NOWHERE],
        "a study file that is not there": ["submit", str(place / "none.yaml"), "--check"],
        "a study file that is a directory": ["submit", str(place), "--check"],
        "open to the world": ["serve", "--host", "0.0.0.0"],
        "a port that is none": ["serve", "--port", "99999"],
        "an address that is not here": ["serve", "--host", "192.0.2.1"],
        "a worker without a service": ["worker", "--url", "not a url"],
        "a profile of no model": ["profile", str(place / "none"), "--text", text],
        "a history that is none": ["meta", "train", "--studies", text, "--out", made],
        "a database that is none": ["db", "check", "--database-url", "nosql://here"],
    }
    for given, command in lines.items():
        yield run("command", given, *command)
