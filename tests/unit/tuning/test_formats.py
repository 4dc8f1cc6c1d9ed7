"""Every shape, as the tool that writes it lays it out, comes to the examples it says."""

import copy
import gzip
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from rankspace.data_shape import DataFormat
from rankspace.recipe import Data
from rankspace.trial import Split
from tests.unit.tuning.chat_templates import ZEPHYR
from tuning.data import Dataset, prepare
from tuning.readers import PROMPT, read_completions

COUNT = 24

ALPACA = [{"instruction": f"Say {i}", "input": "", "output": f"It is {i}."} for i in range(COUNT)]
DOLLY = [
    {"instruction": f"Say {i}", "context": "", "response": f"It is {i}.", "category": "open_qa"}
    for i in range(COUNT)
]
PAIRS = [{"prompt": f"Say {i}:", "completion": f" It is {i}."} for i in range(COUNT)]
MESSAGES = [
    {
        "messages": [
            {"role": "user", "content": f"Say {i}"},
            {"role": "assistant", "content": f"It is {i}."},
        ]
    }
    for i in range(COUNT)
]
SHAREGPT = [
    {
        "id": f"identity_{i}",
        "conversations": [
            {"from": "human", "value": f"Say {i}"},
            {"from": "gpt", "value": f"It is {i}."},
        ],
    }
    for i in range(COUNT)
]


def lines(rows: list[Any]) -> str:
    return "".join(json.dumps(row) + "\n" for row in rows)


def csv(rows: list[Any]) -> str:
    header = list(rows[0])
    cells = [header, *([row[name] for name in header] for row in rows)]
    return "".join(",".join(f'"{cell}"' for cell in line) + "\r\n" for line in cells)


INSTRUCTED = (PROMPT, "It is {}.</s>")
LAYOUTS: dict[str, tuple[DataFormat, str, str | bytes, tuple[str, str]]] = {
    "alpaca.jsonl": ("instruction", "alpaca", lines(ALPACA), INSTRUCTED),
    "alpaca_data.json": ("instruction", "alpaca", json.dumps(ALPACA, indent=4), INSTRUCTED),
    "alpaca.csv": ("instruction", "alpaca", csv(ALPACA), INSTRUCTED),
    "alpaca.json.gz": ("instruction", "alpaca", gzip.compress(lines(ALPACA).encode()), INSTRUCTED),
    "databricks-dolly-15k.jsonl": ("instruction", "dolly", lines(DOLLY), INSTRUCTED),
    "pairs.jsonl": (
        "completion",
        "prompt-completion",
        lines(PAIRS),
        ("{instruction}:", " It is {}.</s>"),
    ),
    "messages.jsonl": (
        "chat",
        "messages",
        lines(MESSAGES),
        ("<|user|>\n{instruction}</s>\n<|assistant|>\n", "It is {}.</s>\n"),
    ),
    "sharegpt.json": (
        "chat",
        "sharegpt",
        json.dumps(SHAREGPT, indent=2),
        ("<|user|>\n{instruction}</s>\n<|assistant|>\n", "It is {}.</s>\n"),
    ),
}


@pytest.fixture
def talker(tokenizer: Any) -> Any:
    copied = copy.deepcopy(tokenizer)
    copied.chat_template = ZEPHYR
    return copied


@pytest.fixture
def prepared(tmp_path: Path, talker: Any) -> Callable[[str, str | bytes, DataFormat], Dataset]:
    def made(name: str, content: str | bytes, form: DataFormat) -> Dataset:
        path = tmp_path / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return prepare(Data(str(path), form, 8), 1000, talker)

    return made


@pytest.mark.parametrize("name", LAYOUTS)
def test_a_file_comes_to_its_questions_and_answers(name: str, prepared: Any, talker: Any) -> None:
    form, shape, content, (asked, answered) = LAYOUTS[name]
    dataset = prepared(name, content, form)
    counts = dataset.counts
    assert (counts.shape, counts.rows, counts.train) == (shape, COUNT, COUNT - 8)
    assert (counts.dropped, counts.cut, counts.repeats, counts.empty) == (0, 0, 0, 0)
    examples = [*dataset.train, *(e for part in Split for e in dataset.held_out[part])]
    assert counts.tokens == sum(len(example.tokens) for example in examples)
    found = {
        (talker.decode(e.tokens[: e.prompt]), talker.decode(e.tokens[e.predicted]))
        for e in examples
    }
    assert found == {
        (asked.format(instruction=f"Say {i}"), answered.format(i)) for i in range(COUNT)
    }


@pytest.mark.parametrize("name", LAYOUTS)
def test_rows_that_come_again_stay_on_one_side(name: str, prepared: Any) -> None:
    form, _, content, _ = LAYOUTS[name]
    if name.endswith((".csv", ".gz", ".json")):
        pytest.skip("written by lines: the other layouts come to the same rows")
    dataset = prepared(name, str(content) * 3, form)
    assert dataset.counts.repeats == 2 * COUNT
    parts = [dataset.train, *dataset.held_out.values()]
    said = [{example.said for example in part} for part in parts]
    assert sum(map(len, said)) == COUNT


def test_what_is_said_of_data_is_counted(prepared: Any) -> None:
    rows = [*PAIRS, {"prompt": "Say nothing:", "completion": " \n"}]
    rows.append({"prompt": "Say <s>:", "completion": " </s></s>"})
    counts = prepared("pairs.jsonl", lines(rows), "completion").counts
    assert (counts.empty, counts.control) == (1, 3)
    assert counts.sentence.startswith(f"{COUNT + 2} rows of prompt and completion; ")
    assert "1 rows have an answer that says nothing" in counts.sentence
    assert "control tokens are spelled 3 times, and taken for text" in counts.sentence
    assert f"{counts.tokens:,} tokens in all" in counts.sentence


def test_of_text_the_windows_are_counted(prepared: Any) -> None:
    text = "".join(f"{i:05d} </s> " for i in range(3000))
    counts = prepared("a.txt", text, "text").counts
    assert (counts.shape, counts.control, counts.tokens) == ("text", 3000, 33_000)
    rows = lines([{"text": f"{i:05d}" * 20} for i in range(300)])
    assert prepared("c4.json.gz", gzip.compress(rows.encode()), "text").counts.shape == "text-rows"


class Merging:
    """Joins the letters ``ab``, wherever they stand, to one token."""

    eos_token_id = 0
    added_tokens_decoder: dict[int, Any] = {}  # noqa: RUF012 - a stand-in for a tokenizer

    def __call__(self, texts: list[str], **options: Any) -> Any:
        return {"input_ids": [list(text.replace("ab", "\1").encode()) for text in texts]}


@pytest.mark.parametrize(
    ("prompt", "completion", "read", "predicted"),
    [
        ("xa", "bc", [ord("x")], [1, ord("c"), 0]),
        ("xa", "c", [ord("x"), ord("a")], [ord("c"), 0]),
        ("ab", "", [1], [0]),
        ("", "abc", [1], [ord("c"), 0]),
    ],
)
def test_a_token_of_prompt_and_answer_is_predicted(
    tmp_path: Path, prompt: str, completion: str, read: list[int], predicted: list[int]
) -> None:
    path = tmp_path / "pairs.jsonl"
    path.write_text(lines([{"prompt": prompt, "completion": completion}]))
    (example,) = read_completions(path, Merging(), 100)
    assert example.tokens[: example.prompt].tolist() == read
    assert example.tokens[example.predicted].tolist() == predicted
