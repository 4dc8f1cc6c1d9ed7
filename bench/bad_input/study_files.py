"""Study files that something is wrong with."""

from collections.abc import Iterator, Mapping
from pathlib import Path

from bench.bad_input.answer import Answer, run

STUDY = """name: s
model: pruned
recipe: {data: {train: text.txt, format: text, held_out: 4}, sequence_length: 16}
search: {budget: {parameters: "uniform:8", trials: 4}}
"""


def _search(more: str) -> str:
    return STUDY.replace("{budget", f"{{{more}, budget")


def _recipe(more: str) -> str:
    return STUDY.replace("sequence_length: 16", more)


FILES: Mapping[str, str | bytes] = {
    "nothing": "",
    "not YAML": "name: [",
    "a list": "- name: s\n",
    "not UTF-8": b"name: \xff\xfe",
    "UTF-16": STUDY.encode("utf-16"),
    "a tab for indentation": "name: s\nrecipe:\n\tdata: {}\n",
    "a key written twice": STUDY + "name: again\n",
    "a Python object": "!!python/object/apply:os.system ['true']",
    "a billion laughs": "a: &a [x, x]\nb: &b [*a, *a]\nname: [*b, *b]\n",
    "two documents": STUDY + "---\n" + STUDY,
    "misspelt field": STUDY.replace("search:", "serach:"),
    "misspelt field further in": _search("stategy: swap"),
    "no name": STUDY.replace("name: s\n", ""),
    "a name that steers a terminal": STUDY.replace("name: s", 'name: "\\e[2J"'),
    "no training data": STUDY.replace("train: text.txt, ", ""),
    "model directory missing": STUDY.replace("model: pruned", "model: prund"),
    "ranks not increasing": _search("ranks: [4, 2]"),
    "ranks below nothing": _search("ranks: [-1, 2]"),
    "no ranks": _search("ranks: []"),
    "ranks with a fraction": _search("ranks: [1.5, 8]"),
    "a strategy nobody knows": _search("strategy: addditive"),
    "a prior nobody knows": _search("prior: sipped"),
    "a preset nobody knows": f"paper: papr\n{STUDY}",
    "a preset that is no word": f"paper: 1\n{STUDY}",
    "a preset and what contradicts it": f"paper: true\n{_search('granularity: module')}",
    "a negative seed": _search("seed: -1"),
    "an unknown granularity": _search("granularity: per_head"),
    "budget below the cheapest vector": STUDY.replace(
        '{budget: {parameters: "uniform:8"', "{ranks: [2, 4], budget: {parameters: 10"
    ),
    "budget rank not allowed": STUDY.replace("uniform:8", "uniform:7"),
    "a budget of words": STUDY.replace("uniform:8", "plenty"),
    "no trials": STUDY.replace("trials: 4", "trials: 0"),
    "more trials than can be learned": STUDY.replace("trials: 4", "trials: 100000000"),
    "number as text": _recipe('sequence_length: "16"'),
    "1e-4 without a dot": _recipe("optimizer: {learning_rate: 1e-4}, sequence_length: 16"),
    "a learning rate of nothing": _recipe("optimizer: {learning_rate: 0.0}, sequence_length: 16"),
    "an optimizer nobody knows": _recipe("optimizer: {name: lion}, sequence_length: 16"),
    "batches that do not divide": _recipe("batch: {examples: 6, micro: 4}, sequence_length: 16"),
    "modules nobody has": _recipe("modules: [w_proj], sequence_length: 16"),
    "a sequence of one token": _recipe("sequence_length: 1"),
    "a type nobody trains in": _recipe("dtype: float8, sequence_length: 16"),
    "fixed layer unknown": _search("fixed: {model.layers.9: 4}"),
    "fixed pattern of nothing": _search('fixed: {"model.layers.9.*": 4}'),
    "fixed at a rank not allowed": _search("fixed: {model.layers.0.self_attn.q_proj: 7}"),
    "verification too small": STUDY + "verify: {max_trials: 3}\n",
    "a candidate too few": STUDY + "verify: {candidates: 0}\n",
    "a recovery of nothing": STUDY + "recover: {epochs: 0}\n",
}


def answers(place: Path) -> Iterator[Answer]:
    """What ``submit --check`` says."""
    for given, content in FILES.items():
        file = place / "study.yaml"
        file.write_bytes(content if isinstance(content, bytes) else content.encode())
        yield run("study file", given, "submit", str(file), "--check")
