from service.planning.turns import Turns


def _given(turns: Turns, slices: int, seconds: dict[str, float]) -> dict[str, float]:
    """Time each project is given when all of them wait all the time."""
    given = dict.fromkeys(seconds, 0.0)
    for _ in range(slices):
        project = turns.next(seconds)
        assert project is not None
        turns.charge(project, seconds[project])
        given[project] += seconds[project]
    return given


def test_nobody_waits_for_nothing() -> None:
    assert Turns().next([]) is None


def test_projects_get_equal_time_however_long_their_slices_are() -> None:
    given = _given(Turns(), 1_000, {"long": 5.0, "short": 0.1})
    assert abs(given["long"] - given["short"]) <= 5.0


def test_equals_go_in_the_order_they_came() -> None:
    turns = Turns()
    assert [turns.next(["b", "a"]), turns.next(["a", "b"])] == ["b", "a"]


def test_a_project_that_was_idle_has_saved_nothing_up() -> None:
    turns = Turns()
    _given(turns, 100, {"busy": 1.0})
    given = _given(turns, 100, {"busy": 1.0, "late": 1.0})
    assert abs(given["busy"] - given["late"]) <= 1.0


def test_what_was_taken_long_ago_is_forgotten() -> None:
    turns = Turns()
    for number in range(1_000):
        turns.charge(f"p{number}", 1.0)
        _given(turns, 2, {"other": 1.0})
    assert len(turns._ends) < 10
