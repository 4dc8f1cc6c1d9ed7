"""How the model is to be fine-tuned: choices for the recipe, from the data and the memory."""

from collections.abc import Iterator
from dataclasses import dataclass, replace

from rankadaptor.beginning.choice import Alternative, Choice
from rankadaptor.beginning.findings import Findings
from rankadaptor.beginning.lengths import COVERED, Lengths
from rankadaptor.doctor.diagnosis import Diagnosis, diagnose
from rankspace import Study
from rankspace.recipe import Batch, Data, Optimizer, Recipe
from tuning.memory_plan.plan import gib

HELD_OUT_SHARE = 5
"""One example of so many may be held out, where the file is too small for the usual number."""

LEAST_STEPS = 10
"""Steps an epoch should have: the batch is halved for it where there are few examples."""

LEAST_BATCH = 8
"""Examples a step has all the same: the gradients of fewer are mostly noise."""

LEAST_LENGTH = 64
"""Tokens below which a length is not lowered for want of memory."""


@dataclass(frozen=True, slots=True)
class Fit:
    """A recipe that fits into the memory at hand.

    Attributes:
        recipe: Its data, length and batch.
        wanted: The length that the data ask for, which memory may not allow.
        diagnosis: What a trial takes.
    """

    recipe: Recipe
    wanted: int
    diagnosis: Diagnosis


def fit(found: Findings) -> Fit:
    """Choose length, held-out part and batch; the length is halved until one example fits.

    Raises:
        InvalidInput: Not one example fits; says what takes the memory.
    """
    default = Recipe(Data(found.data, found.format))
    kinds = {matrix.module for matrix in found.model.matrices}
    modules = tuple(kind for kind in default.modules if kind in kinds)
    lengths, most = found.lengths, found.positions
    wanted = lengths.covering(most) if lengths else min(default.sequence_length, most)
    length = wanted
    while True:
        count = lengths.examples(length) if lengths else None
        recipe = replace(
            default,
            data=replace(default.data, held_out=held_out(count)),
            sequence_length=length,
            batch=batch(count),
            modules=modules,
        )
        study = Study("init", found.model.path, recipe)
        diagnosis, refusal = diagnose(study, found.device, found.memory)
        if refusal is None:
            return Fit(recipe, wanted, diagnosis)
        if not _may_be(length // 2, lengths):
            raise refusal
        length //= 2


def _may_be(length: int, lengths: Lengths | None) -> bool:
    """Whether a length that memory asks for leaves something to learn from most examples."""
    if length < LEAST_LENGTH:
        return False
    return lengths is None or 2 * lengths.examples(length) > len(lengths.tokens)


def held_out(examples: int | None) -> int:
    """Return how many to hold out of so many; None where nobody has counted them."""
    usual = Data("none").held_out
    return usual if examples is None else max(2, min(usual, examples // HELD_OUT_SHARE))


def batch(examples: int | None) -> Batch:
    """Return the usual batch, or half of it as often as few examples ask for."""
    size = Batch().examples
    if examples is not None:
        train = examples - held_out(examples)
        while size // 2 >= LEAST_BATCH and train < LEAST_STEPS * size:
            size //= 2
    return Batch(size)


def recipe_choices(found: Findings, fitted: Fit) -> Iterator[Choice]:
    """Yield a choice for every field of the recipe that a person may want to know of."""
    recipe = fitted.recipe
    yield from _data(found, recipe)
    yield _length(found, fitted)
    yield from _batch(found, fitted)
    yield _rate()
    yield _modules(found, recipe)
    yield Choice(
        "recipe.dtype",
        None,
        "Base weights are bfloat16 on a GPU and float32 on a CPU, unless you say it:",
        (Alternative("float32", "twice the memory; for a small model or an old GPU"),),
    )


def _data(found: Findings, recipe: Recipe) -> Iterator[Choice]:
    data = recipe.data
    yield Choice(
        "recipe.data.train",
        data.train,
        "Every worker opens the file under this path, which is absolute for that; do not write to "
        "it while the study runs: trials on another one are refused.",
    )
    yield Choice("recipe.data.format", data.format, _FORMATS[data.format])
    half = data.held_out // 2
    precision = f"the mean of {half:,} has a standard error of {half**-0.5:.1%} of their spread"
    few = ""
    if data.held_out < Data("none").held_out:
        few = f" No more than one example in {HELD_OUT_SHARE}, as there are few: more data would"
        few += " make scores more certain."
    yield Choice(
        "recipe.data.held_out",
        data.held_out,
        "Examples that nothing trains on, half to choose by and half for the final scores: "
        f"{precision} from example to example (vectors are compared on the same ones, which is "
        f"finer).{few}",
    )


_FORMATS = {
    "instruction": "Recognised by the first row; trained on are the answers, in Alpaca's template.",
    "completion": "Recognised by the first row; trained on is what follows the prompt.",
    "chat": "Recognised by the first row; trained on are the assistant's turns, as the model's "
    "chat template writes them.",
    "text": "Every token is trained on.",
}


def _length(found: Findings, fitted: Fit) -> Choice:
    length, lengths = fitted.recipe.sequence_length, found.lengths
    instead = []
    if lengths and not lengths.is_stream:
        longest = min(lengths.quantile(1.0), found.positions)
        if longest > length:
            instead.append(Alternative(longest, "cuts nothing; a pass takes more memory and time"))
    elif 2 * length <= found.positions:
        instead.append(Alternative(2 * length, "longer windows; twice the memory of a pass"))
    return Choice("recipe.sequence_length", length, _length_said(found, fitted), tuple(instead))


def _length_said(found: Findings, fitted: Fit) -> str:
    length, lengths = fitted.recipe.sequence_length, found.lengths
    most = f"The model is made for {found.positions:,}."
    short = ""
    if length < fitted.wanted:
        short = f" {fitted.wanted:,} tokens would not fit into the memory: halved until one did."
    if lengths is None:
        usual = "Tokens of an example: the usual value, as the file is large and was not read."
        return f"{usual} {most}{short}"
    if lengths.is_stream:
        usual = "Tokens of a window, into which the text is cut without loss: the usual value."
        return f"{usual} {most}{short}"
    return f"Tokens of an example; {_cut(lengths, length)}. {most}{short}"


def _cut(lengths: Lengths, length: int) -> str:
    cut, count = lengths.cut(length), len(lengths.tokens)
    covered = f"half of the examples have {lengths.quantile(0.5):,} or fewer, "
    covered += f"{COVERED:.0%} have {lengths.quantile(COVERED):,} or fewer"
    dropped = count - lengths.examples(length)
    lost = f", and {dropped:,} lose their answer and are dropped" if dropped else ""
    return (
        f"{covered}, {cut:,} of {count:,} are cut{lost}; the longest has {lengths.quantile(1.0):,}"
    )


def _batch(found: Findings, fitted: Fit) -> Iterator[Choice]:
    batch, usual = fitted.recipe.batch, Batch().examples
    few = f", fewer than the usual {usual} as the file is small" if batch.examples < usual else ""
    yield Choice(
        "recipe.batch.examples",
        batch.examples,
        f"Per optimiser step{few}: it belongs to the recipe, and changes results.",
    )
    diagnosis = fitted.diagnosis
    yield Choice(
        "recipe.batch.micro",
        batch.micro,
        f"Per forward pass, as each worker's device has it: of the longest examples "
        f"{diagnosis.micro} with {gib(diagnosis.device.free)} of {diagnosis.device.name}, where a "
        f"trial takes {gib(diagnosis.use.total)} at most. It changes speed and memory only.",
        (Alternative(4, "examples on every device, however short they are"),),
    )


def _rate() -> Choice:
    rate = Optimizer().learning_rate
    return Choice(
        "recipe.optimizer.learning_rate",
        rate,
        "The usual peak for models of billions of parameters; verify.rates says whether the "
        "verdict hangs on it.",
        (Alternative(10 * rate, "small models want more; the demo's takes 0.01"),),
    )


def _modules(found: Findings, recipe: Recipe) -> Choice:
    """Named only where the model lacks some of the usual ones."""
    usual = Recipe(recipe.data).modules
    lacking = [kind for kind in usual if kind not in recipe.modules]
    attention = [
        kind for kind in ("q_proj", "k_proj", "v_proj", "o_proj") if kind in recipe.modules
    ]
    instead = Alternative(attention, "attention only") if attention else None
    said = "Kinds of matrices that may carry an adapter: all that there are"
    said += f"; no block has {', '.join(lacking)}." if lacking else ", unless you name some."
    value = list(recipe.modules) if lacking else None
    return Choice("recipe.modules", value, said, (instead,) if instead else ())
