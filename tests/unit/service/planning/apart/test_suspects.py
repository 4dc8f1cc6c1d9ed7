"""Who is charged with the end of the process, and who only was there."""

import threading
from concurrent.futures import ThreadPoolExecutor

from service.planning.apart.suspects import Suspects
from tests.waiting import wait_for


def test_who_was_alone_is_charged() -> None:
    suspects = Suspects()
    for times in (1, 2, 3):
        with suspects.work("a"):
            assert suspects.ended(object(), "a") == times
    assert suspects.charges("a") == 3
    suspects.clear("a")
    assert suspects.charges("a") == 0


def test_of_several_nobody_is_charged() -> None:
    suspects, life = Suspects(), object()
    with suspects.work("a"), suspects.work("b"):
        assert suspects.ended(life, "a") == 0
    assert suspects.ended(life, "b") == 0  # it hears of the same end later


def test_suspects_go_on_one_at_a_time_and_the_guilty_one_is_found() -> None:
    suspects, life = Suspects(), object()
    with suspects.work("innocent"), suspects.work("deadly"):
        suspects.ended(life, "innocent")
        suspects.ended(life, "deadly")
    at_once: list[int] = []
    lock = threading.Lock()

    def work(on: str) -> int:
        with suspects.work(on):
            with lock:
                at_once.append(len(suspects._under_way))
            if on == "deadly":
                return suspects.ended(object(), on)
            suspects.clear(on)
            return 0

    with ThreadPoolExecutor(2) as pool:
        charged = list(pool.map(work, ["innocent", "deadly"]))
    assert at_once == [1, 1]
    assert charged == [0, 1]


def test_others_wait_for_a_suspect_that_waits() -> None:
    suspects, hold = Suspects(), threading.Event()
    order: list[str] = []
    with suspects.work("suspect"), suspects.work("other"):
        suspects.ended(object(), "suspect")

    def work(on: str) -> None:
        with suspects.work(on):
            order.append(on)
            if on == "first":
                hold.wait(60)

    with ThreadPoolExecutor(3) as pool:
        pool.submit(work, "first")
        wait_for(lambda: order)
        pool.submit(work, "suspect")
        wait_for(lambda: suspects._waiting)
        pool.submit(work, "later")
        hold.set()
    assert order == ["first", "suspect", "later"]
