"""Client: a service, as a person uses it from Python."""

from collections.abc import Iterator
from types import TracebackType
from typing import Self

from rankadaptor.commands.options import connect
from rankadaptor.commands.submit import prepared, tell_of_need
from rankadaptor.notebook.study_handle import StudyHandle
from rankadaptor.rest.client import RestClient
from rankspace import Study


class Client:
    """Hands out studies that answer by themselves.

    Without arguments it goes where the commands go: to the address and with the key of the
    environment (``RANKADAPTOR_URL``, ``RANKADAPTOR_KEY`` ...), or to the service of this machine.

    >>> with Client() as client:
    ...     study = client.submit(read_study(Path("study.yaml")))
    ...     verdict = study.wait(tell=print)

    Attributes:
        rest: All else that the service does, by ids and in JSON.
    """

    def __init__(self, url: str | None = None, key: str | None = None) -> None:
        """Open it; without ``key`` the one that the environment or this machine has for ``url``.

        Raises:
            Unauthenticated: There is none.
            InvalidInput: ``key`` is empty, or no key: no other is sent in its place.
        """
        self.rest: RestClient = connect(url, key)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"Client({self.rest.url!r})"

    def close(self) -> None:
        self.rest.close()

    def study(self, study_id: str) -> StudyHandle:
        """Return a study by its id; whether there is one is asked when it is used."""
        return StudyHandle(self.rest, study_id)

    def studies(self) -> Iterator[StudyHandle]:
        """Yield the studies that the key may see, newest first."""
        return (StudyHandle(self.rest, str(view["id"])) for view in self.rest.studies())

    def submit(
        self, study: Study, *, origin: str | None = None, idempotency_key: str | None = None
    ) -> StudyHandle:
        """Check a study as ``rankadaptor submit`` does, register its model, and start it.

        Args:
            study: What ``read_study`` returns, or made of the classes of ``rankspace``; paths are
                those of this machine and of the workers.
            origin: Id of a study whose results it begins with.
            idempotency_key: The same again returns the same study.

        Raises:
            InvalidInput: A field cannot be used; names it, its value and the fix.
        """
        checked, model, _, need = prepared(study)
        self.rest.register(model)
        view = self.rest.submit(
            checked, origin=origin, idempotency_key=idempotency_key, gpu_need_gib=need
        )
        tell_of_need(need, view)
        return StudyHandle(self.rest, str(view["id"]))
