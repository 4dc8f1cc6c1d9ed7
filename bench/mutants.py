"""Break the code of trials and evaluations in one place at a time, and see whether a test notices.

    python -m bench.mutants [NAME ...]

Each mutant takes one thing out of a copy of the tree and runs one test file there, which must fail.
Without a NAME all of ``MUTANTS`` are tried. First the files run on the copy as it is: where they
fail already, nothing is proved. Ends with 1 if a mutant survives. The last line is for a machine.
"""

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from rich.console import Console
from rich.markup import escape
from rich.table import Table

ROOT = Path(__file__).resolve().parents[1]
COPIED = (
    "rankspace",
    "tuning",
    "pruning",
    "perfmodel",
    "worker",
    "service",
    "rankadaptor",
    "tests",
    "pyproject.toml",
)
SECONDS = 300
"""A test file takes seconds; one that runs this long hangs."""

BACK_ENDS = "tests/unit/tuning/test_back_ends.py"
CHECKPOINT = "tests/unit/tuning/test_checkpoint.py"
CHECKPOINTS = "tests/unit/worker/checkpoints/test_resuming.py"
KEEPING = "tests/unit/worker/checkpoints/test_keeping.py"
CHAT = "tests/unit/tuning/test_chat.py"
DATA = "tests/unit/tuning/test_data.py"
DEVICE_MEMORY = "tests/unit/tuning/memory_plan/test_device_memory.py"
ELASTIC = "tests/unit/tuning/test_elastic.py"
EVALUATE = "tests/unit/rankadaptor/evaluation/test_evaluate_command.py"
FORMATS = "tests/unit/tuning/test_formats.py"
INPUTS = "tests/unit/worker/test_trial_inputs.py"
LORA = "tests/unit/tuning/lora/test_adapter.py"
LOSSES = "tests/unit/tuning/test_losses.py"
MEMORY_PLAN = "tests/unit/tuning/memory_plan/test_plan.py"
PRODUCT = "tests/unit/tuning/lora/test_product.py"
PLANNING = "tests/unit/worker/trial/test_planning.py"
REPORT = "tests/unit/rankadaptor/evaluation/test_report.py"
RESIDENT = "tests/unit/worker/test_resident.py"
ROWS = "tests/unit/tuning/reading/test_rows.py"
SPLIT = "tests/unit/tuning/test_split.py"
TEXT_FILE = "tests/unit/tuning/reading/test_text_file.py"
TOKENS = "tests/unit/tuning/test_token_cache.py"
TRAINING = "tests/unit/tuning/test_training.py"
UPDATES = "tests/unit/tuning/test_updates.py"
WATCHDOG = "tests/unit/worker/test_watchdog.py"


@dataclass(frozen=True, slots=True)
class Mutant:
    """One broken place.

    Attributes:
        file: Where, relative to the root.
        here: What stands there once.
        instead: What stands there in the mutant.
        tests: The test file that must fail.
    """

    file: str
    here: str
    instead: str
    tests: str


MUTANTS: Mapping[str, Mutant] = MappingProxyType(
    {
        "gradients are not clipped": Mutant(
            "tuning/training.py",
            "torch.nn.utils.clip_grad_norm_(self._parameters, self._settings.gradient_clip)",
            "pass",
            UPDATES,
        ),
        "weight decay is ignored": Mutant(
            "tuning/training.py",
            "weight_decay=optimizer.weight_decay",
            "weight_decay=0.0",
            UPDATES,
        ),
        "the learning rate stays at its peak": Mutant(
            "tuning/training.py",
            'group["lr"] = learning_rate(self._settings, step, self._steps)',
            'group["lr"] = self._settings.learning_rate',
            UPDATES,
        ),
        "gradients are kept from step to step": Mutant(
            "tuning/training.py",
            "        self._adamw.step()\n        self._adamw.zero_grad()\n",
            "        self._adamw.step()\n",
            UPDATES,
        ),
        "gradients are kept when a step is repeated": Mutant(
            "tuning/training.py",
            "            self._adamw.zero_grad()\n            memory.release",
            "            memory.release",
            TRAINING,
        ),
        "an adapter's own copy of its input is not counted": Mutant(
            "tuning/memory_plan/activations.py",
            "return training.width * sum(inputs[kind] for kind in ranks)",
            "return 0",
            MEMORY_PLAN,
        ),
        "blocks before the first adapter are counted": Mutant(
            "tuning/memory_plan/activations.py",
            "first = min(ranks, default=len(model.blocks))",
            "first = 0",
            MEMORY_PLAN,
        ),
        "a plan leaves nothing free": Mutant(
            "tuning/memory_plan/plan.py", "(1 - HEADROOM) * free", "free", MEMORY_PLAN
        ),
        "the groups around a process are forgotten": Mutant(
            "tuning/memory_plan/device_memory.py",
            "total, free = min(total, limit), min(free, limit - used)",
            "pass",
            DEVICE_MEMORY,
        ),
        "a trial of which nothing seems to fit gets no example": Mutant(
            "worker/trial/planning.py", "micro = max(1, fitting)", "micro = fitting", PLANNING
        ),
        "a freed heap counts as taken": Mutant(
            "worker/trial/planning.py", "    memory.trim(device)", "    pass", PLANNING
        ),
        "a checkpoint's micro-batch is taken as it is": Mutant(
            "tuning/training.py",
            "min(self.micro, state.micro)",
            "state.micro",
            CHECKPOINT,
        ),
        "autocast never": Mutant(
            "tuning/training.py", "if dtype is torch.bfloat16:", "if False:", TRAINING
        ),
        "autocast always": Mutant(
            "tuning/training.py", "if dtype is torch.bfloat16:", "if True:", TRAINING
        ),
        "measured without autocast": Mutant(
            "tuning/measuring.py",
            "with autocast(device, model.dtype):",
            "with autocast(device, torch.float32):",
            TRAINING,
        ),
        "the scale follows the rank": Mutant(
            "tuning/peft_back_end.py",
            "alpha_pattern={key: alpha_per_rank * rank for key, rank in patterns.items()},",
            "alpha_pattern={},",
            BACK_ENDS,
        ),
        "an unused row of an elastic adapter is trained": Mutant(
            "tuning/lora/linear.py", "if rank == self.largest:", "if True:", ELASTIC
        ),
        "an adapter computes with old copies": Mutant(
            "tuning/lora/masters.py", "self._copy.copy_(self._values)", "pass", LORA
        ),
        "the gradient of A is not scaled": Mutant(
            "tuning/lora/product.py",
            "above.mm(second).mul_(ctx.scale)",
            "above.mm(second)",
            PRODUCT,
        ),
        "the slope of a capped logit is one": Mutant(
            "tuning/losses.py", "gradient.mul_(logits.div_", "(logits.div_", LOSSES
        ),
        "the gradient of a sum is handed back": Mutant(
            "tuning/losses.py", "of_hidden.float() * gradient", "of_hidden", LOSSES
        ),
        "the loss of a pair is a sum": Mutant(
            "tuning/training.py", "targets = len(forms) * sum", "targets = sum", ELASTIC
        ),
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
        "the base is float32 always": Mutant(
            "worker/trial/resident.py",
            "return named.get(recipe.dtype, automatic)",
            "return torch.float32",
            RESIDENT,
        ),
        "the base stays whatever its type": Mutant(
            "worker/trial/resident.py",
            "key != self._key or",
            "key[:2] != (self._key or ())[:2] or",
            RESIDENT,
        ),
        "a tokenizer stays whatever its model": Mutant(
            "worker/trial/resident.py",
            "key != self._key or",
            "key[::2] != (self._key or ())[::2] or",
            INPUTS,
        ),
        "a tokenizer stays whatever is asked for": Mutant(
            "worker/trial/resident.py", " or self._has_other_tokens(assignment):", ":", INPUTS
        ),
        "other data are trained on": Mutant(
            "worker/trial/evaluation.py", "check_inputs(assignment, inputs)", "pass", INPUTS
        ),
        "one weight of each tensor is compared": Mutant(
            "worker/trial/resident.py", "_SAMPLES = 256", "_SAMPLES = 1", RESIDENT
        ),
        "the optimiser begins anew at a checkpoint": Mutant(
            "tuning/training.py", "if moments is not None:", "if moments is None:", CHECKPOINT
        ),
        "the data begin anew at a checkpoint": Mutant(
            "tuning/training.py",
            "islice(batches, run.taken, None)",
            "islice(batches, 0, None)",
            CHECKPOINT,
        ),
        "a damaged checkpoint is believed": Mutant(
            "tuning/checkpoint/file.py",
            'if document.get("sha256") != _hash(told, found):',
            "if False:",
            CHECKPOINT,
        ),
        "numbers of a checkpoint need not be finite": Mutant(
            "tuning/checkpoint/file.py",
            "if not bool(torch.isfinite(tensor).all()):",
            "if False:",
            CHECKPOINT,
        ),
        "another's checkpoint is believed": Mutant(
            "tuning/checkpoint/file.py",
            "is_own = found.st_uid == os.geteuid() and",
            "is_own =",
            CHECKPOINT,
        ),
        "a checkpoint that others may read is believed": Mutant(
            "tuning/checkpoint/file.py", "and not found.st_mode & 0o077", "", CHECKPOINT
        ),
        "a checkpoint may be no file": Mutant(
            "tuning/checkpoint/file.py",
            "if not stat.S_ISREG(found.st_mode) or not is_own:",
            "if not is_own:",
            CHECKPOINT,
        ),
        "a checkpoint may be where others write": Mutant(
            "tuning/checkpoint/file.py", "or where.st_mode & 0o022", "", CHECKPOINT
        ),
        "any checkpoint is gone on from, not the furthest": Mutant(
            "worker/trial/checkpoints.py",
            "key=lambda state: state.step, default",
            "key=lambda state: -state.step, default",
            KEEPING,
        ),
        "the adapter needs no room beside a checkpoint": Mutant(
            "worker/trial/checkpoints.py",
            "self._bounds.bytes + _adapter_bytes(self._bounds) + MARGIN",
            "self._bounds.bytes + MARGIN",
            KEEPING,
        ),
        "a checkpoint of anything is gone on from": Mutant(
            "tuning/checkpoint/file.py",
            'if told["statement"] != wanted:',
            "if False:",
            CHECKPOINTS,
        ),
        "a checkpoint is of any data": Mutant(
            "worker/trial/checkpoints.py", "        **inputs.stated(),\n", "", CHECKPOINTS
        ),
        "a checkpoint outlives its trial": Mutant(
            "worker/lease/spool.py",
            "checkpoint_files.forget(self._directory, report.study_id, report.trial_id)",
            "pass",
            KEEPING,
        ),
        "the watchdog hears no move": Mutant(
            "worker/lease/watchdog.py",
            "if time.monotonic() - self._set_at >= self._every:",
            "if False:",
            WATCHDOG,
        ),
        "no token begins a context": Mutant(
            "rankadaptor/evaluation/questions.py",
            "_begin(tokenizer) if questions.begins else None",
            "None",
            REPORT,
        ),
        "files of one name are one text": Mutant(
            "rankadaptor/evaluation/questions.py",
            "distinct([path for _, path in named])",
            "tuple(path.name for _, path in named)",
            REPORT,
        ),
        "the usual window has no bound": Mutant(
            "rankadaptor/evaluation/questions.py",
            "min(LONGEST_USUAL, *known) if",
            "min(known) if",
            EVALUATE,
        ),
        "every metric is the accuracy": Mutant(
            "rankadaptor/evaluation/report.py",
            '"value": one.accuracy(metric)',
            '"value": one.accuracy(Metric.ACC)',
            REPORT,
        ),
        "a cut context is not told": Mutant(
            "rankadaptor/evaluation/view.py",
            "if task.cut:",
            "if False:",
            REPORT,
        ),
        "control tokens of a text are not told": Mutant(
            "rankadaptor/evaluation/view.py",
            "if one.control:",
            "if False:",
            REPORT,
        ),
        "control tokens of a task are not told": Mutant(
            "rankadaptor/evaluation/view.py",
            "if task.control:",
            "if False:",
            REPORT,
        ),
        "an adapter without ranks is not told": Mutant(
            "rankadaptor/evaluation/evaluation.py",
            "if adapter and not self.adapter:",
            "if False:",
            EVALUATE,
        ),
        "an adapter of other shapes is found late": Mutant(
            "rankadaptor/evaluation/evaluation.py",
            "check_adapter(surveyed[subject.model], adapter)",
            "pass",
            EVALUATE,
        ),
        "an adapter of another model is used": Mutant(
            "rankadaptor/evaluation/subject.py",
            "if stated is not None and stated != fingerprint:",
            "if False:",
            EVALUATE,
        ),
        "what is finished is lost": Mutant(
            "rankadaptor/evaluation/evaluation.py",
            "if not found:",
            "if True:",
            REPORT,
        ),
    }
)


def plant(mutant: Mutant, tree: Path) -> str:
    """Break ``tree`` as ``mutant`` says; return the file's text as it was."""
    path = tree / mutant.file
    text = path.read_text(encoding="utf-8")
    if text.count(mutant.here) != 1:
        problem = f"{mutant.file} holds {text.count(mutant.here)} of {mutant.here!r}, not 1"
        raise ValueError(f"{problem}: mend bench/mutants.py")
    path.write_text(text.replace(mutant.here, mutant.instead), encoding="utf-8")
    return text


def failed_test(tree: Path, *tests: str) -> str:
    """Run ``tests`` in ``tree``; return the name of the first test that failed, "" if none did.

    Raises:
        RuntimeError: The tests could not run.
    """
    # Two versions of a file within one second look alike to Python's cache of compiled files.
    settings = {"PYTHONDONTWRITEBYTECODE": "1", "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    environment = {**os.environ, **settings, "PYTHONPATH": str(tree)}
    plugins = ["-p", "pytest_timeout", "-p", "no:cacheprovider"]
    program = [sys.executable, "-m", "pytest", "-x", "-q", *plugins, *tests]
    ended = subprocess.run(
        program,
        cwd=tree,
        env=environment,
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )
    found = re.search(r"^(?:FAILED|ERROR) \S+::(\S+)", ended.stdout, re.MULTILINE)
    if ended.returncode == 0:
        return ""
    if ended.returncode != 1 or not found:
        raise RuntimeError(f"{' '.join(tests)} did not run:\n{ended.stdout}{ended.stderr}")
    return found[1]


def copy_tree(tree: Path) -> None:
    """Copy what the tests need into ``tree``."""
    for name in COPIED:
        if (ROOT / name).is_file():
            shutil.copy(ROOT / name, tree / name)
        else:
            ignored = shutil.ignore_patterns("__pycache__")
            shutil.copytree(ROOT / name, tree / name, ignore=ignored)


def try_all(names: list[str], tree: Path, table: Table) -> int:
    """Return how many of the mutants ``names`` were killed; one row of ``table`` each."""
    killed = 0
    for name in names:
        mutant = MUTANTS[name]
        began = time.monotonic()
        before = plant(mutant, tree)
        by = failed_test(tree, mutant.tests)
        (tree / mutant.file).write_text(before, encoding="utf-8")
        killed += bool(by)
        print(f"{name}: {by or 'survived'}", file=sys.stderr, flush=True)
        table.add_row(name, escape(by) or "[bold]survived[/]", f"{time.monotonic() - began:.1f}")
    return killed


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"one of {list(MUTANTS)}")
    names = parser.parse_args().names or list(MUTANTS)
    if unknown := [name for name in names if name not in MUTANTS]:
        parser.error(f"no mutant is called {unknown}: use those of {list(MUTANTS)}")
    table = Table("mutant", "killed by", "seconds")
    with tempfile.TemporaryDirectory(prefix="mutants-") as folder:
        tree = Path(folder)
        copy_tree(tree)
        fails = failed_test(tree, *sorted({MUTANTS[name].tests for name in names}))
        if fails:
            sys.exit(f"{fails} fails without a mutant: mend it first")
        killed = try_all(names, tree, table)
    Console(width=120).print(table)
    print(f"mutants={len(names)} killed={killed}")
    sys.exit(killed != len(names))


if __name__ == "__main__":
    main()
