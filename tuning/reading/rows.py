"""Rows: what one row of a training file asks and answers, whatever shape it is written in."""

from dataclasses import dataclass

from tuning.reading.source import Record

GIVEN = ("input", "context")
"""How the shapes of instructions call what an instruction is about; each reads one of them."""


@dataclass(frozen=True, slots=True)
class Row:
    """An instruction and its answer; ``input`` may be empty."""

    instruction: str
    input: str
    output: str


@dataclass(frozen=True, slots=True)
class Completion:
    """A prompt and what follows it, as they stand."""

    prompt: str
    completion: str


def alpaca(record: Record) -> Row:
    """Read a row of instruction, input and output, as Stanford Alpaca has them."""
    return _instruction(record, "input", "output")


def dolly(record: Record) -> Row:
    """Read a row of instruction, context and response, as Databricks Dolly has them."""
    return _instruction(record, "context", "response")


def completion(record: Record) -> Completion:
    """Read a row of prompt and completion."""
    return Completion(record.text("prompt"), record.text("completion"))


def _instruction(record: Record, given: str, answer: str) -> Row:
    for name in GIVEN:
        if name != given and record.found.get(name) not in (None, ""):
            problem = f"has {name} beside {answer}, which would be left out"
            fix = f"rename it: jq -c '.{given} = .{name} | del(.{name})' FILE > train.jsonl"
            raise record.refusal(problem, f"{fix}; or take it out")
    # Exports write that there is no input as an empty text, as null, or not at all.
    is_given = record.found.get(given) is not None
    return Row(
        record.text("instruction"), record.text(given) if is_given else "", record.text(answer)
    )
