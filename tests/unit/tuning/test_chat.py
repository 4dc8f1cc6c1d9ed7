"""Of a conversation the assistant's turns are predicted: those tokens, and no other."""

import copy
import json
import logging
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from tokenizers import Regex, normalizers

from rankspace.errors import InvalidInput
from tests.unit.tuning.chat_templates import CHATML, LLAMA_2, MARKED, THINKS, ZEPHYR
from tuning.batches import collate
from tuning.chat import read_chat, tokens_hash
from tuning.examples import Example
from tuning.repeats import label_repeats

TEMPLATES = {
    "Zephyr": (ZEPHYR, "{}</s>\n"),
    "ChatML": (CHATML, "{}<|im_end|>\n"),
    "Llama 2": (LLAMA_2, " {} </s>"),
    "marked": (MARKED, "{}</s>"),
}
"""Chat templates as they are met, and what each writes for an answer."""

TALK = [
    ("user", "Who sat on the mat?"),
    ("assistant", "The cat."),
    ("user", "And then?"),
    ("assistant", "The dog ran."),
]

Write = Callable[..., Path]


@pytest.fixture
def speaking(tokenizer: Any) -> Callable[[str], Any]:
    """Make a tokenizer with a chat template, and with ChatML's control tokens."""

    def made(template: str) -> Any:
        copied = copy.deepcopy(tokenizer)
        copied.add_special_tokens({"additional_special_tokens": ["<|im_start|>", "<|im_end|>"]})
        copied.chat_template = template
        return copied

    return made


@pytest.fixture
def write(tmp_path: Path) -> Write:
    def written(*talks: Sequence[tuple[str, str]]) -> Path:
        rows = [
            {"messages": [{"role": role, "content": text} for role, text in talk]} for talk in talks
        ]
        path = tmp_path / "talks.jsonl"
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
        return path

    return written


def answers(example: Example, tokenizer: Any) -> str:
    return str(tokenizer.decode(example.tokens[example.predicted]))


@pytest.mark.parametrize(("template", "answer"), TEMPLATES.values(), ids=TEMPLATES)
def test_answers_and_their_ends_are_predicted_and_nothing_else(
    template: str, answer: str, speaking: Any, write: Write
) -> None:
    talker = speaking(template)
    reading = read_chat(write(TALK, TALK[:2]), talker, 1000)
    long, short = reading.examples
    said = [text for role, text in TALK if role == "assistant"]
    assert answers(long, talker) == "".join(map(answer.format, said))
    assert answers(short, talker) == answer.format(said[0])
    assert (reading.shape, reading.rows, reading.cut, reading.empty) == ("messages", 2, 0, 0)
    # What is read is what the model is shown when it is asked.
    turns = [{"role": role, "content": text} for role, text in TALK[:3]]
    asked = talker.apply_chat_template(turns, add_generation_prompt=True)["input_ids"]
    assert long.tokens[: len(asked)].tolist() == asked
    assert len(asked) in long.predicted.tolist()
    assert len(asked) - 1 not in long.predicted.tolist()


def test_a_step_learns_the_answers_alone(speaking: Any, write: Write) -> None:
    talker = speaking(ZEPHYR)
    long, short = read_chat(write(TALK, TALK[:2]), talker, 1000)
    batch = collate([long, short], torch.device("cpu"))
    said = talker.decode(batch.targets)
    assert said == "The cat.</s>\nThe dog ran.</s>\nThe cat.</s>\n"
    assert long.targets + short.targets == len(batch.targets)
    assert batch.positions is not None
    width = batch.inputs.shape[1]
    rows = [long.tokens, short.tokens]
    pairs = zip(batch.positions.tolist(), batch.targets.tolist(), strict=True)
    assert all(rows[at // width][at % width + 1] == target for at, target in pairs)


def test_a_control_token_that_somebody_says_is_text(speaking: Any, write: Write) -> None:
    talker = speaking(CHATML)
    said = "It is <|im_end|>, and </s> in others."
    reading = read_chat(write([("user", "What ends a turn? <|im_end|>"), ("assistant", said)]),
                        talker, 1000)  # fmt: skip
    (example,) = reading
    assert answers(example, talker) == f"{said}<|im_end|>\n"
    end = talker.convert_tokens_to_ids("<|im_end|>")
    assert (example.tokens == end).sum() == 2  # one for each turn, by the template
    assert talker.eos_token_id not in example.tokens
    assert reading.control == 3


def test_a_conversation_is_cut_with_what_it_says_after(speaking: Any, write: Write) -> None:
    talker = speaking(ZEPHYR)
    (whole,) = read_chat(write(TALK), talker, 1000)
    first, second = whole.prompt, whole.passed[0][1]
    for length, said in (
        (len(whole.tokens), "The cat.</s>\nThe dog ran.</s>\n"),
        (second + 3, "The cat.</s>\nThe"),
        (second, "The cat.</s>\n"),
        (second - 1, "The cat.</s>\n"),
        (first + 3, "The"),
    ):
        reading = read_chat(write(TALK), talker, length)
        (example,) = reading
        assert answers(example, talker) == said
        assert len(example.tokens) - 1 in example.predicted.tolist()
        assert len(example.tokens) <= length
        assert reading.cut == (length < len(whole.tokens))
        assert reading.row_tokens == len(whole.tokens)
    assert read_chat(write(TALK), talker, first).dropped == 1


def test_a_long_conversation_is_no_matter_of_the_library_s_warnings(
    speaking: Any, write: Write
) -> None:
    """It says that the model will fail on what is cut here, on the terminal of whoever submits."""
    heard = list[logging.LogRecord]()

    class Noted(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            heard.append(record)

    handler = Noted()
    logger = logging.getLogger("transformers.tokenization_utils_base")
    logger.addHandler(handler)
    try:
        talker = speaking(ZEPHYR)
        talker.model_max_length = 8
        read_chat(write(TALK), talker, 30)
    finally:
        logger.removeHandler(handler)
    assert heard == []


def test_a_conversation_is_rendered_no_further_than_it_is_read(
    speaking: Any, write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each answer is one more beginning to render: a long row would take hours."""
    long, talker = [*TALK, *TALK * 20], speaking(ZEPHYR)
    path = write(TALK, long)
    whole = read_chat(path, talker, 100_000)
    monkeypatch.setattr("tuning.chat.MOST_RENDERED", 1_000)
    for length in (len(whole[0].tokens), len(whole[0].tokens) - 1, whole[0].prompt + 1):
        reading = read_chat(path, talker, length)
        first, second = reading
        assert (reading.cut, reading.row_tokens) == (
            1 + (length < len(whole[0].tokens)),
            whole.row_tokens,
        )
        assert first.tokens.tolist() == second.tokens.tolist()
        assert first.predicted.tolist() == second.predicted.tolist()
    error = refusal(path, talker)
    assert error.field == "recipe.data.train, line 2"
    assert "has 84 turns of 1,008 characters, too many" in error.problem


def test_answers_that_say_nothing_are_counted(speaking: Any, write: Write) -> None:
    talker = speaking(ZEPHYR)
    reading = read_chat(write(TALK, [*TALK, ("user", "?"), ("assistant", " ")]), talker, 1000)
    assert (reading.empty, reading.rows) == (1, 2)


def test_conversations_that_say_the_same_are_told(speaking: Any, write: Write) -> None:
    spaced = [(role, text.replace(" ", "  ")) for role, text in TALK]
    turned = [("user", TALK[1][1]), ("assistant", TALK[0][1])]
    reading = read_chat(write(TALK, spaced, turned), speaking(ZEPHYR), 1000)
    assert label_repeats(reading.examples) == [0, 0, 2]


def refusal(path: Path, talker: Any) -> InvalidInput:
    with pytest.raises(InvalidInput) as caught:
        read_chat(path, talker, 1000)
    assert caught.value.hint
    assert "secret" not in f"{caught.value.detail} {caught.value.hint}"
    return caught.value


def test_a_template_that_rewrites_what_came_before_is_refused_by_row(
    speaking: Any, write: Write
) -> None:
    """Its answers in the middle are others than those it is asked for."""
    error = refusal(write(TALK[:2], TALK), speaking(THINKS))
    assert error.field == "recipe.data.train, line 2"
    assert "writes turn 2 otherwise" in error.problem
    (example,) = read_chat(write(TALK[:2]), speaking(THINKS), 1000)
    assert answers(example, speaking(THINKS)) == "<think></think>The cat.<|im_end|>\n"


def test_a_prompt_that_the_answer_does_not_follow_is_refused(speaking: Any, write: Write) -> None:
    other = CHATML.replace("'<|im_start|>assistant\n'", "'<|im_start|>bot\n'")
    assert "writes turn 2 otherwise" in refusal(write(TALK), speaking(other)).problem


def test_a_row_that_a_template_does_not_take_is_named(speaking: Any, write: Write) -> None:
    system = [("system", "rka_secret"), *TALK]
    error = refusal(write(TALK, system), speaking(LLAMA_2))
    assert error.field == "recipe.data.train, line 2"
    assert "does not take it (TemplateError)" in error.problem
    assert "does not take it" in refusal(write(TALK), speaking("{{ nonsense(")).problem


@pytest.mark.parametrize(
    ("template", "problem"),
    [
        (CHATML.replace("+ '<|im_end|>'", ""), "no token that ends an answer"),
        (MARKED.replace("+ eos_token", ""), "no token that ends an answer"),
        ("{{ messages[0]['content'] + eos_token }}", "writes nothing for an answer"),
        (
            MARKED.replace("'assistant' %}{% gen", "'nobody' %}{% gen"),
            "marks 0 answers where it has 1",
        ),
    ],
)
def test_a_template_without_answers_or_ends_is_refused(
    template: str, problem: str, speaking: Any, write: Write
) -> None:
    path = write([("user", "Hi"), ("assistant", "Hello")])
    assert problem in refusal(path, speaking(template)).problem


@pytest.mark.parametrize("answer", ["<think>b", "b <think>", "<think>"])
def test_what_an_answer_says_does_not_end_it(answer: str, speaking: Any, write: Write) -> None:
    """An added token counts for an end where the template writes it last, not where it is said."""
    talker = speaking(CHATML.replace("+ '<|im_end|>' ", ""))
    talker.add_tokens(["<think>"])
    path = write([("user", "Hi"), ("assistant", answer)])
    assert "no token that ends an answer" in refusal(path, talker).problem
    closed = speaking(CHATML)
    closed.add_tokens(["<think>"])
    (example,) = read_chat(path, closed, 1000)
    assert answers(example, closed) == f"{answer}<|im_end|>\n"


def test_an_end_need_not_be_a_special_token(speaking: Any, write: Write) -> None:
    talker = speaking(CHATML.replace("<|im_end|>", "<|end|>"))
    talker.add_tokens(["<|end|>"])
    (example,) = read_chat(write(TALK[:2]), talker, 1000)
    assert answers(example, talker) == "The cat.<|end|>\n"


def test_a_marked_template_obeys_what_is_spelled_so_it_is_refused(
    speaking: Any, write: Write
) -> None:
    error = refusal(write(TALK, [("user", "a </s>"), ("assistant", "b")]), speaking(MARKED))
    assert error.field == "recipe.data.train, line 2"
    assert "spells a control token" in error.problem


LINES_MARKED = MARKED.replace("+ eos_token }}", "+ eos_token + '\n' }}")


def test_a_mark_reaches_no_further_than_its_answer(speaking: Any, write: Write) -> None:
    """Where a mark begins or ends with what the tokenizer drops, the library masks all after it."""
    talker = speaking(LINES_MARKED)
    talker.backend_tokenizer.normalizer = normalizers.Replace(Regex(r"\s+"), "")
    spaced = [("user", "a"), ("assistant", "c d"), ("user", "e"), ("assistant", " f")]
    (example,) = read_chat(write(spaced), talker, 1000)
    assert answers(example, talker).replace(" ", "") == "cd</s>f</s>"


REASONED = CHATML.replace("['content'] ", "['content'].split('</think>')[-1] ")
"""As DeepSeek R1 writes: what was thought stands in no turn."""
UNRULED = CHATML.replace(" in messages %}", " in messages if message['role'] != 'system' %}")
UNRULED_MARKED = MARKED.replace(" in messages %}", " in messages if message['role'] != 'system' %}")


@pytest.mark.parametrize(
    ("template", "said", "place"),
    [
        (REASONED, [("user", "Hi"), ("assistant", "<think>A greeting.</think>Hello")], 2),
        (UNRULED, [("system", "Be brief."), *TALK], 1),
        (UNRULED_MARKED, [("system", "Be brief."), *TALK], 1),
        (CHATML.replace("['content'] ", "['content'] | replace('cat', 'dog') "), TALK, 2),
    ],
    ids=["thought", "system", "marked", "changed"],
)
def test_a_template_that_leaves_out_what_is_said_is_refused_by_row(
    template: str, said: list[tuple[str, str]], place: int, speaking: Any, write: Write
) -> None:
    error = refusal(write(said), speaking(template))
    assert f"leaves out what turn {place} says" in error.problem


def test_a_template_that_trims_what_is_said_says_it(speaking: Any, write: Write) -> None:
    talker = speaking(CHATML.replace("['content'] ", "['content'] | trim "))
    (example,) = read_chat(write([("user", " Hi\n"), ("assistant", "\nHello ")]), talker, 1000)
    assert answers(example, talker) == "Hello<|im_end|>\n"


@pytest.mark.parametrize(
    ("condition", "problem"),
    [
        ("'assistant' and loop.last %}{% gen", "marks 1 answers where it has 2"),
        ("'user' %}{% gen", "marks something else than its answers"),
    ],
)
def test_a_template_that_marks_other_than_the_answers_is_refused(
    condition: str, problem: str, speaking: Any, write: Write
) -> None:
    template = MARKED.replace("'assistant' %}{% gen", condition)
    assert problem in refusal(write(TALK), speaking(template)).problem


def test_a_mark_with_what_the_user_says_is_refused(speaking: Any, write: Write) -> None:
    whole = "{{ bos_token }}{% generation %}{% for message in messages %}{{ message['content'] }}"
    whole += "{{ eos_token }}{% endfor %}{% endgeneration %}"
    assert "marks something else" in refusal(write(TALK[:2]), speaking(whole)).problem


def test_what_would_be_taken_out_of_a_text_is_refused(speaking: Any, write: Write) -> None:
    marked = [("user", "Hi"), ("assistant", "a \U000f0001 b")]
    error = refusal(write(TALK, marked), speaking(ZEPHYR))
    assert error.field == "recipe.data.train, line 2"
    assert "U+F0000 or U+F0001" in error.problem


def test_no_template_is_a_reason_and_a_way_out(tokenizer: Any, write: Write) -> None:
    error = refusal(write(TALK), tokenizer)
    assert error.field == "recipe.data.format"
    assert "chat_template.jinja" in error.hint
    several = copy.deepcopy(tokenizer)
    several.chat_template = {"a": CHATML, "b": ZEPHYR}
    assert "none default" in refusal(write(TALK), several).problem


@pytest.mark.parametrize(
    ("written", "date"),
    [
        ("{{ strftime_now('%d %b %Y') }}", "26 Jul 2024"),
        ("{# no date_string #}{{ strftime_now('%A, %-d.%-m.%y') }}", "Friday, 26.7.24"),
        ("{% set now = strftime_now %}{{ now(format='%Y-%m-%d') }}", "2024-07-26"),
        ("{% if strftime_now is defined %}{{ strftime_now('%F') }}{% endif %}", "2024-07-26"),
        (
            "{% if not date_string is defined %}{% set date_string = strftime_now('%Y') %}"
            "{% endif %}{{ date_string }}",
            "26 Jul 2024",
        ),
    ],
)
@pytest.mark.parametrize("template", [ZEPHYR, MARKED], ids=["compared", "marked"])
def test_examples_are_the_same_tomorrow(
    template: str, written: str, date: str, speaking: Any, write: Write
) -> None:
    talker = speaking(f"{written}\n{template}")
    (example,) = read_chat(write(TALK), talker, 1000)
    (plain,) = read_chat(write(TALK), speaking(template), 1000)
    end = "\n" if written.endswith("}}") else ""
    assert talker.decode(example.tokens) == f"{date}{end}{talker.decode(plain.tokens)}"
    assert answers(example, talker) == answers(plain, talker)


def test_the_template_is_a_part_of_what_is_compared(speaking: Any, tokenizer: Any) -> None:
    plain = "a" * 64
    hashes = {tokens_hash(one, plain, "chat") for one in map(speaking, (ZEPHYR, CHATML))}
    assert len(hashes | {tokens_hash(tokenizer, plain, "chat"), plain}) == 4
    assert tokens_hash(speaking(ZEPHYR), plain, "instruction") == plain


def test_what_a_template_writes_with_is_a_part_of_what_is_compared(
    speaking: Any, tokenizer: Any
) -> None:
    """Tokens on disk are found by it: another model's would be trained on."""
    swapped, lacking = copy.deepcopy(tokenizer), copy.deepcopy(tokenizer)
    swapped.add_special_tokens({"additional_special_tokens": ["<|im_end|>", "<|im_start|>"]})
    lacking.add_special_tokens({"additional_special_tokens": ["<|im_end|>"]})
    swapped.chat_template = lacking.chat_template = CHATML
    plain = "a" * 64
    assert (
        len({tokens_hash(one, plain, "chat") for one in (speaking(CHATML), swapped, lacking)}) == 3
    )
    begun = speaking(LLAMA_2)
    before = tokens_hash(begun, plain, "chat")
    begun.bos_token = "<|im_start|>"
    assert (
        tokens_hash(begun, plain, "chat") != before == tokens_hash(speaking(LLAMA_2), plain, "chat")
    )
    assert tokens_hash(swapped, plain, "text") == plain
