"""What was read once is remembered, within a number of characters."""

from concurrent.futures import ThreadPoolExecutor

from service.storage.readings import Readings


class Reader:
    def __init__(self) -> None:
        self.read: list[str] = []

    def __call__(self, text: str) -> list[str]:
        self.read.append(text)
        return [text]


def test_a_text_is_read_once() -> None:
    reader = Reader()
    readings = Readings(reader, most=10)
    assert readings("abc") is readings("abc")
    assert reader.read == ["abc"]


def test_those_read_least_lately_go_first() -> None:
    reader = Reader()
    readings = Readings(reader, most=10)
    for text in ("aaaa", "bbbb", "aaaa", "cccc", "aaaa"):
        assert readings(text) == [text]
    assert reader.read == ["aaaa", "bbbb", "cccc"]
    readings("bbbb")
    readings("aaaa")
    assert reader.read == ["aaaa", "bbbb", "cccc", "bbbb"]


def test_what_is_too_long_drives_nothing_out() -> None:
    reader = Reader()
    readings = Readings(reader, most=10)
    for text in ("aaaa", "x" * 11, "aaaa", "x" * 11):
        readings(text)
    assert reader.read == ["aaaa", "x" * 11, "x" * 11]


def test_readers_on_many_threads_count_each_text_once() -> None:
    readings = Readings(Reader(), most=100)
    texts = [f"{at % 20:05}" for at in range(2_000)]
    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(readings, texts)) == [[text] for text in texts]
    assert readings._characters == sum(map(len, readings._known)) == 100
