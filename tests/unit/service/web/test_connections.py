"""Who is let in, and who has to make room."""

import resource
from dataclasses import dataclass, field

import pytest

from service import descriptors
from service.access.neighbours import neighbourhood
from service.web.connections import Connections, Patience, Room

PATIENT = Patience(1e9, 1e9)


@dataclass(eq=False)
class Caller:
    """A line in the state that a test wants."""

    address: str = "192.0.2.1"
    is_known: bool = False
    is_idle: bool = True
    is_cut: bool = field(default=False, init=False)

    def is_overdue(self, now: float, patience: Patience) -> bool:
        return False

    def cut(self) -> None:
        self.is_cut = True


def _connections(total: int, each: int, proxy: str = "") -> tuple[Connections, list[str]]:
    reasons: list[str] = []
    return Connections(Room(total, each), PATIENT, proxy.__eq__, reasons.append), reasons


def test_the_oldest_that_owes_something_makes_room_for_its_neighbour() -> None:
    connections, reasons = _connections(total=100, each=2)
    served, silent, fresh = Caller(is_idle=False), Caller(), Caller()
    assert all(connections.enter(one) for one in (served, silent, fresh))
    assert [one.is_cut for one in (served, silent, fresh)] == [False, True, False]
    assert (len(connections), reasons) == (2, ["crowded"])


def test_nobody_is_cut_who_is_owed_an_answer() -> None:
    connections, _ = _connections(total=100, each=2)
    served = [Caller(is_idle=False) for _ in range(2)]
    assert all(connections.enter(one) for one in served)
    assert not connections.enter(Caller())
    assert connections.enter(Caller("192.0.2.2"))
    assert not any(one.is_cut for one in served)


def test_whoever_has_shown_a_key_is_no_stranger() -> None:
    connections, reasons = _connections(total=100, each=2)
    fleet = [Caller() for _ in range(30)]
    for one in fleet:
        assert connections.enter(one)
        one.is_known = True
    assert (len(connections), reasons) == (30, [])


def test_strangers_leave_half_to_others() -> None:
    connections, reasons = _connections(total=10, each=100)
    crowd = [Caller(f"192.0.2.{number}") for number in range(20)]
    assert all(connections.enter(one) for one in crowd)
    assert [one.is_cut for one in crowd] == [True] * 15 + [False] * 5
    assert (len(connections), len(reasons)) == (5, 15)


def test_a_full_house_cuts_strangers_first_and_then_who_asks_nothing() -> None:
    connections, _ = _connections(total=4, each=4)
    busy, resting, another = (Caller(is_known=True, is_idle=idle) for idle in (False, True, False))
    stranger, late, last = Caller(), Caller(), Caller()
    assert all(connections.enter(one) for one in (busy, resting, another, stranger, late))
    assert (stranger.is_cut, resting.is_cut) == (True, False)
    late.is_known, late.is_idle = True, False
    assert connections.enter(last)
    assert (resting.is_cut, busy.is_cut, another.is_cut) == (True, False, False)
    last.is_idle = False
    assert not connections.enter(Caller())


def test_a_proxy_speaks_for_many() -> None:
    connections, reasons = _connections(total=100, each=2, proxy="127.0.0.1")
    assert all(connections.enter(Caller("127.0.0.1")) for _ in range(20))
    assert reasons == []


def test_who_left_makes_room() -> None:
    connections, reasons = _connections(total=4, each=1)
    for _ in range(10):
        caller = Caller()
        assert connections.enter(caller)
        connections.leave(caller)
        connections.leave(caller)
    assert (len(connections), reasons) == (0, [])


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("192.0.2.1", "192.0.2.2", False),
        ("2001:db8::1", "2001:db8:0:0:ffff::2", True),
        ("2001:db8::1", "2001:db8:0:1::1", False),
        ("::ffff:192.0.2.1", "192.0.2.1", True),
        ("::ffff:192.0.2.1", "::ffff:192.0.2.2", False),
        ("unknown", "unknown", True),
    ],
)
def test_neighbours(one: str, other: str, same: bool) -> None:
    assert (neighbourhood(one) == neighbourhood(other)) is same


@pytest.mark.parametrize(
    ("files", "wanted", "threads", "fit"),
    [(1024, 4000, 40, 543), (65_536, 4000, 40, 4000), (256, 4000, 40, 1)],
)
def test_callers_never_take_the_last_descriptors(
    files: int, wanted: int, threads: int, fit: int
) -> None:
    assert descriptors.connections_within(files, wanted, threads) == fit
    enough = descriptors.needed(wanted, threads)
    assert descriptors.connections_within(enough, wanted, threads) == wanted


def test_the_limit_of_descriptors_is_raised_as_far_as_it_may_be() -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(soft, 512), hard))
        assert descriptors.ask_for(600) == 600
        assert resource.getrlimit(resource.RLIMIT_NOFILE) == (600, hard)
        assert descriptors.ask_for(500) >= 500
        assert resource.getrlimit(resource.RLIMIT_NOFILE) == (600, hard)
        assert descriptors.ask_for(hard + 1) == hard
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
