"""Training data: reading, dividing, what is predicted, what is cached."""

from collections.abc import Mapping
from types import MappingProxyType

from bench.mutants.mutant import Mutant

CHAT = "tests/unit/tuning/test_chat.py"
DATA = "tests/unit/tuning/test_data.py"
FORMATS = "tests/unit/tuning/test_formats.py"
ROWS = "tests/unit/tuning/reading/test_rows.py"
SPLIT = "tests/unit/tuning/test_split.py"
TEXT_FILE = "tests/unit/tuning/reading/test_text_file.py"
TOKENS = "tests/unit/tuning/test_token_cache.py"

MUTANTS: Mapping[str, Mutant] = MappingProxyType(
    {
        "cached data ignore their settings": Mutant(
            "tuning/data.py", "return recipe.data, ", "return recipe.data.train, ", DATA
        ),
        "cached data ignore the length": Mutant(
            "tuning/data.py", "recipe.sequence_length, inputs\n", "inputs\n", DATA
        ),
        "cached data ignore file and tokenizer": Mutant(
            "tuning/data.py",
            "recipe.sequence_length, inputs\n",
            "recipe.sequence_length\n",
            DATA,
        ),
        "what says the same is divided": Mutant(
            "tuning/data.py",
            "labels = label_repeats(reading.examples)",
            "labels = list(range(len(reading)))",
            SPLIT,
        ),
        "white space makes a difference": Mutant(
            "tuning/examples.py", '" ".join(text.split()).encode()', "text.encode()", SPLIT
        ),
        "what is cut to the same is divided": Mutant(
            "tuning/repeats.py",
            "tokens = example.tokens.numpy()",
            "tokens = example.said + example.tokens.numpy()",
            SPLIT,
        ),
        "control tokens of a text are obeyed": Mutant(
            "tuning/readers.py", "split_special_tokens=True", "split_special_tokens=False", DATA
        ),
        "what the user says is predicted": Mutant(
            "tuning/examples.py", "list(pairwise(ends))[::2]", "list(pairwise(ends))", CHAT
        ),
        "a template that rewrites what came before is believed": Mutant(
            "tuning/chat.py",
            "if upto[: len(before)] != before or whole[: len(upto)] != upto:",
            "if False:",
            CHAT,
        ),
        "control tokens of a conversation are obeyed": Mutant(
            "tuning/chat.py",
            'given = {"sanitize_control_tokens": True,',
            'given = {"sanitize_control_tokens": False,',
            CHAT,
        ),
        "a token of prompt and answer is only read": Mutant(
            "tuning/readers.py", "return max(1, sum(1 for _ in same))", "return len(head)", FORMATS
        ),
        "gzip unpacks without end": Mutant(
            "tuning/reading/text_file.py", "if size > MOST_BYTES:", "if False:", TEXT_FILE
        ),
        "damaged tokens are believed": Mutant(
            "tuning/token_cache.py", "!= hashes[name] for", "== 0 for", TOKENS
        ),
        "a line separator ends a row": Mutant(
            "tuning/reading/json_records.py", r'text.split("\n")', "text.splitlines()", ROWS
        ),
    }
)
