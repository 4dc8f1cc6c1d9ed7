import tracemalloc
from pathlib import Path

import pytest

from rankadaptor.strict_yaml import MAX_PROBLEM, MAX_VALUES, UnreadableYaml, read_yaml
from rankadaptor.study_file import MAX_BYTES, read_study
from rankspace.errors import InvalidInput, UnreadableInput
from rankspace.evaluation.recovery_metric import RecoveryMetric
from rankspace.study import Study

STUDY = """
name: tiny
model: model
recipe:
  data: {train: text.txt, format: text}
"""


@pytest.fixture
def place(tmp_path: Path) -> Path:
    (tmp_path / "model").mkdir()
    (tmp_path / "text.txt").write_text("words")
    return tmp_path


def write(place: Path, text: str | bytes) -> Path:
    file = place / "study.yaml"
    file.write_bytes(text if isinstance(text, bytes) else text.encode())
    return file


def test_paths_are_relative_to_the_file(place: Path) -> None:
    study = read_study(write(place, STUDY))
    assert study.model == str(place / "model")
    assert study.recipe.data.train == str(place / "text.txt")


@pytest.mark.parametrize(
    ("text", "field", "problem"),
    [
        (STUDY.replace("model: model", "model: modell"), "model", "no such directory"),
        (STUDY.replace("text.txt", "test.txt"), "recipe.data.train", "no such file"),
        (STUDY + "serach: {}", "serach", "unknown field"),
        ("name: [", "FILE", "while parsing"),
        (STUDY + "name: again", "FILE", "'name' is written twice"),
        (b"name: \xff", "FILE", "not UTF-8"),
        ("- a\n- b", "", "must be a group of fields"),
        ("", "", "must be a group of fields"),
        ("!!python/object/apply:os.system ['true']", "FILE", "could not determine a constructor"),
        ("x" * 300_000, "FILE", "too large"),
        (STUDY.replace("tiny", "2024-99-99"), "FILE", "month must be"),
        (STUDY.replace("tiny", "9" * 5000), "FILE", "a number is too long"),
        (STUDY.replace("tiny", "0x" + "f" * 5000), "FILE", "a number is too long"),
        (STUDY.replace("tiny", "1" + ":59" * 5000), "FILE", "a number is too long"),
        (STUDY.replace("tiny", "!!int ''"), "FILE", "out of range"),
        (STUDY.replace("tiny", "!!bool maybe"), "FILE", "maybe"),
        (STUDY.replace("tiny", "!!timestamp later"), "FILE", "NoneType"),
        (STUDY.replace("tiny", '"\\ud800"'), "FILE", "surrogates not allowed"),
        ("[" * 1000, "FILE", "nested too deeply"),
        ("{a: " * 1000, "FILE", "nested too deeply"),
        ("name: &a [*a]", "FILE", "aliases would spell out more than 200,000 values"),
        (STUDY + "more: &a {x: 1}\n<<: *a", "FILE", "<<"),
        ("? [a]\n: b", "FILE", "unhashable"),
        (STUDY.replace("model: model", 'model: "a\\0b"'), "model", "null"),
        (STUDY.replace("model: model", "model: ~nosuchuser/x"), "model", "home"),
    ],
)
def test_a_bad_file_names_field_and_problem(
    place: Path, text: str | bytes, field: str, problem: str
) -> None:
    with pytest.raises(InvalidInput) as caught:
        read_study(write(place, text))
    assert caught.value.field == field
    assert problem in caught.value.detail
    assert caught.value.hint


def _bomb(levels: int, link: str) -> str:
    """Lists, or groups that merge, each of which names the one before it ten times."""
    names = (", ".join([f"*a{level - 1}"] * 10) for level in range(1, levels))
    lines = [f"- &a{level} {link % name}" for level, name in enumerate(names, 1)]
    return "\n".join(["name:", "- &a0 {a: 1}", *lines])


@pytest.mark.parametrize(
    "link", ["[%s]", "{<<: [%s]}", "{x: [%s]}"], ids=["list", "merge", "group"]
)
def test_aliases_that_multiply_are_refused_before_they_do(place: Path, link: str) -> None:
    file = write(place, _bomb(8, link))
    tracemalloc.start()
    try:
        with pytest.raises(UnreadableInput, match="aliases would spell out more"):
            read_study(file)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 4 << 20


def test_aliases_of_people_are_read(place: Path) -> None:
    shared = "recipe:\n  modules: &kinds [q_proj, v_proj]\n"
    text = STUDY.replace("recipe:\n", shared) + "search: {fixed: &none {}}\n"
    assert read_study(write(place, text)).recipe.modules == ("q_proj", "v_proj")
    assert read_yaml("a: &a [1, 2]\nb: [*a, *a]\n") == {"a": [1, 2], "b": [[1, 2], [1, 2]]}


def test_no_file_without_aliases_has_too_many_values(monkeypatch: pytest.MonkeyPatch) -> None:
    """A sixteenth of the bytes against a sixteenth of the values: the whole takes seconds."""
    monkeypatch.setattr("rankadaptor.strict_yaml.MAX_VALUES", MAX_VALUES // 16)
    assert read_yaml("[" + "x," * (MAX_BYTES // 16 // 2 - 1) + "]")


@pytest.mark.parametrize("text", ["a: *{}", "!{} x", "? {0}\n: 1\n? {0}\n: 2"])
def test_what_is_said_of_a_long_name_is_short(text: str) -> None:
    with pytest.raises(UnreadableYaml) as caught:
        read_yaml(text.format("n" * 100_000))
    assert len(str(caught.value)) <= MAX_PROBLEM


def test_a_large_file_is_not_read(place: Path) -> None:
    file = place / "study.yaml"
    with file.open("wb") as stream:
        stream.truncate(64 << 20)
    tracemalloc.start()
    try:
        with pytest.raises(UnreadableInput, match="too large"):
            read_study(file)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 4 << 20


def test_a_missing_file_is_an_error_of_ours(tmp_path: Path) -> None:
    with pytest.raises(UnreadableInput, match="No such file"):
        read_study(tmp_path / "none.yaml")


@pytest.fixture
def linked(place: Path) -> Path:
    """``models`` leads to ``export/vol7``, where model and data are."""
    volume = place / "export" / "vol7"
    volume.mkdir(parents=True)
    for name in ("model", "text.txt"):
        (place / name).rename(volume / name)
    (volume / "prior.json").write_text("{}")
    (place / "models").symlink_to(volume)
    return place


def _paths(study: Study) -> tuple[str, str, object]:
    return study.model, study.recipe.data.train, study.search.prior


LINKED = STUDY + "search: {prior: prior.json}\n"


def test_links_in_paths_are_left_to_each_machine(linked: Path) -> None:
    text = LINKED.replace("model: model", f"model: {linked}/models/model")
    text = text.replace("text.txt", "models/text.txt").replace("prior.json", "models/prior.json")
    models = linked / "models"
    expected = tuple(str(models / name) for name in ("model", "text.txt", "prior.json"))
    assert _paths(read_study(write(linked, text))) == expected


def test_a_study_that_is_reached_by_a_link_keeps_it(
    linked: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(linked / "models", LINKED)
    expected = tuple(str(linked / "models" / n) for n in ("model", "text.txt", "prior.json"))
    assert _paths(read_study(linked / "models" / "study.yaml")) == expected
    monkeypatch.chdir(linked / "models")
    monkeypatch.setenv("PWD", str(linked / "models"))
    assert _paths(read_study(Path("study.yaml"))) == expected
    monkeypatch.setenv("PWD", str(linked / "elsewhere"))  # of another program: not believed
    real = str(linked / "export" / "vol7" / "model")
    assert read_study(Path("study.yaml")).model == real


def test_paths_in_a_file_that_is_a_link_are_relative_to_where_it_leads(linked: Path) -> None:
    write(linked / "models", LINKED)
    (linked / "study.yaml").symlink_to("models/study.yaml")
    assert read_study(linked / "study.yaml").model == str(linked / "models" / "model")


def test_steps_back_are_taken_as_the_system_takes_them(linked: Path) -> None:
    plain = STUDY.replace("model: model", "model: ./export/../models/model")
    back = plain.replace("text.txt", "models/../vol7/text.txt")  # back from export/vol7
    study = read_study(write(linked, back))
    assert study.model == str(linked / "models" / "model")
    assert study.recipe.data.train == str(linked / "export" / "vol7" / "text.txt")


@pytest.mark.parametrize(
    ("written", "field", "problem"),
    [
        ("prior: none-such.json", "search.prior", "there is no such file"),
        ("prior: model", "search.prior", "there is no such file"),
        ("prior: 7", "search.prior", "must be a text"),
        ("prior: {version: x}", "search.prior.log_worth", "or else taught"),
    ],
)
def test_a_prior_that_is_not_there_is_named(
    place: Path, written: str, field: str, problem: str
) -> None:
    with pytest.raises(InvalidInput) as caught:
        read_study(write(place, f"{STUDY}search: {{{written}}}\n"))
    assert caught.value.field == field
    assert problem in caught.value.detail


@pytest.mark.parametrize("prior", ["shipped", "none"])
def test_a_prior_with_a_name_is_no_file(place: Path, prior: str) -> None:
    study = read_study(write(place, f"{STUDY}search: {{prior: {prior}}}\n"))
    assert study.search.prior == prior


@pytest.mark.parametrize("field", ["model", "recipe.data.train"])
@pytest.mark.parametrize("path", ["x" * 300, "loop/x", "text.txt/x"])
def test_a_path_that_cannot_be_reached_is_named(place: Path, field: str, path: str) -> None:
    (place / "loop").symlink_to("loop")
    old = "model: model" if field == "model" else "text.txt"
    new = f"model: {path}" if field == "model" else path
    with pytest.raises(InvalidInput) as caught:
        read_study(write(place, STUDY.replace(old, new, 1)))
    assert caught.value.field == field


COMMIT = "0123456789abcdef0123456789abcdef01234567"


def test_an_address_on_the_hub_stays_one(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each worker has its own cache."""
    monkeypatch.setenv("HF_HUB_CACHE", str(place / "cache"))
    address = f"hf://datasets/a/b@{COMMIT}/text.txt"
    file = write(place, STUDY.replace("text.txt", f'"{address}"'))
    with pytest.raises(InvalidInput, match=r"recipe\.data\.train.*nothing is fetched"):
        read_study(file)
    cached = place / "cache" / "datasets--a--b" / "snapshots" / COMMIT / "text.txt"
    cached.parent.mkdir(parents=True)
    cached.write_text("words")
    assert read_study(file).recipe.data.train == address


METRICS = """
recover:
  metrics:
    - {perplexity: held.txt, form: wikitext2}
    - {task: own.jsonl, limit: 5}
"""


def test_files_of_metrics_are_relative_to_the_file_and_have_to_be_there(place: Path) -> None:
    (place / "held.txt").write_text("words")
    with pytest.raises(InvalidInput) as missing:
        read_study(write(place, STUDY + METRICS))
    assert missing.value.field == "recover.metrics[1].task"
    (place / "own.jsonl").write_text("{}")
    text, task = read_study(write(place, STUDY + METRICS)).recover.metrics
    assert (text.perplexity, text.form, text.window_tokens) == (
        str(place / "held.txt"),
        "wikitext2",
        128,
    )
    assert (task.task, task.limit) == (str(place / "own.jsonl"), 5)


def test_a_metric_of_another_hash_is_refused(place: Path) -> None:
    metric = RecoveryMetric(task="own.jsonl")
    assert metric.confirmed("recover.metrics[0].task", "a" * 64).sha256 == "a" * 64
    with pytest.raises(InvalidInput, match=r"recover\.metrics\[0\]\.task = 'own.jsonl': has SHA"):
        metric.confirmed("x", "a" * 64).confirmed("recover.metrics[0].task", "b" * 64)
