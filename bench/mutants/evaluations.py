"""Evaluations of models, and what they say of themselves."""

from collections.abc import Mapping
from types import MappingProxyType

from bench.mutants.mutant import Mutant

EVALUATE = "tests/unit/rankadaptor/evaluation/test_evaluate_command.py"
REPORT = "tests/unit/rankadaptor/evaluation/test_report.py"

MUTANTS: Mapping[str, Mutant] = MappingProxyType(
    {
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
