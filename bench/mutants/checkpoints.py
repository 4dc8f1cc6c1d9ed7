"""Checkpoints: what is gone on from, and what is believed."""

from collections.abc import Mapping
from types import MappingProxyType

from bench.mutants.mutant import Mutant

CHECKPOINT = "tests/unit/tuning/test_checkpoint.py"
CHECKPOINTS = "tests/unit/worker/checkpoints/test_resuming.py"
KEEPING = "tests/unit/worker/checkpoints/test_keeping.py"

MUTANTS: Mapping[str, Mutant] = MappingProxyType(
    {
        "a checkpoint's micro-batch is taken as it is": Mutant(
            "tuning/training.py",
            "min(self.passes.examples, state.micro)",
            "state.micro",
            CHECKPOINT,
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
    }
)
