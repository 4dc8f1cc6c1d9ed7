"""Training files that something is wrong with, in the shapes that people happen to have."""

import gzip
import json
from collections.abc import Iterator, Mapping
from pathlib import Path

from bench.bad_input.answer import Answer, run

ROW = {"instruction": "Say one.", "input": "", "output": "one"}
ROWS = "".join(json.dumps(ROW | {"output": f"one {at}"}) + "\n" for at in range(40))
TURNS = [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello"}]
SHARED = {"conversations": [{"from": "human", "value": "Hi"}, {"from": "gpt", "value": "Hello"}]}
WEB = {"text": "A page.", "timestamp": "2026-01-01", "url": "http://a.example"}


def _lines(value: object, count: int = 40) -> str:
    return (json.dumps(value) + "\n") * count


INSTRUCTIONS: Mapping[str, str | bytes] = {
    "no rows": "",
    "white space only": " \n\t\n",
    "prose": "Once upon a time.\n" * 40,
    "a row that is no object": ROWS + "[1]\n",
    "a row cut off": ROWS[:-20],
    "a number as output": ROWS + json.dumps(ROW | {"output": 1}) + "\n",
    "a list as input": ROWS + json.dumps(ROW | {"input": ["a"]}) + "\n",
    "null as instruction": ROWS + json.dumps(ROW | {"instruction": None}) + "\n",
    "no output": _lines({"instruction": "Say one."}),
    "half a character": ROWS + '{"instruction": "\\ud83d", "output": "x"}\n',
    "one JSON array": json.dumps([ROW] * 40),
    "messages": _lines({"messages": TURNS}),
    "ShareGPT": _lines(SHARED),
    "prompt and completion": _lines({"prompt": "Say one.", "completion": "one"}),
    "CSV": "instruction,input,output\n" + "Say one.,,one\n" * 40,
    "gzip": gzip.compress(ROWS.encode()),
    "parquet": b"PAR1" + bytes(200) + b"PAR1",
    "a zip archive": b"PK\x03\x04" + bytes(200),
    "UTF-16": ROWS.encode("utf-16"),
    "Latin-1": ROWS.replace("one.", "café.").encode("latin-1"),
    "a file of zeros": bytes(4096),
}

TEXTS: Mapping[str, str | bytes] = {
    "a text of one word": "one",
    "rows of instructions as text": ROWS,
    "a text in gzip": gzip.compress(b"one two three " * 400),
    "a text in UTF-16": ("one two three " * 400).encode("utf-16"),
    "a text in Latin-1": ("café " * 400).encode("latin-1"),
}


def answers(place: Path) -> Iterator[Answer]:
    """What ``submit --check`` says."""
    for kind, contents in (("instruction", INSTRUCTIONS), ("text", TEXTS)):
        for given, content in contents.items():
            data = place / ("rows.jsonl" if kind == "instruction" else "rows.txt")
            data.write_bytes(content if isinstance(content, bytes) else content.encode())
            yield _checked(place, given, f"{{train: {data.name}, format: {kind}, held_out: 4}}")
    for given, data_text in SETTINGS.items():
        yield _checked(place, given, data_text)


SETTINGS: Mapping[str, str] = {
    "no such file": "{train: none.txt, format: text, held_out: 4}",
    "a directory": "{train: pruned, format: text, held_out: 4}",
    "a device": "{train: /dev/zero, format: text, held_out: 4}",
    "the service's key": "{train: service/admin.key, format: text, held_out: 4}",
    "more held out than there is": "{train: text.txt, format: text, held_out: 100000}",
    "a format nobody knows": "{train: text.txt, format: alpaca, held_out: 4}",
    "rows read as text's format": "{train: text.txt, format: instruction, held_out: 4}",
}


def _checked(place: Path, given: str, data: str) -> Answer:
    file = place / "data.yaml"
    file.write_text(
        f"name: s\nmodel: pruned\nrecipe: {{data: {data}, sequence_length: 16}}\n"
        'search: {budget: {parameters: "uniform:8", trials: 4}}\n'
    )
    return run("data", given, "submit", str(file), "--check")
