"""Answer: what one door said to one bad input."""

import json
import subprocess
import sys
from dataclasses import dataclass
from typing import Any

import httpx

ENVIRONMENT = {"PATH": "/usr/bin:/bin", "RANKADAPTOR_KEY": "rka_none_none", "HOME": "/nonexistent"}


@dataclass(frozen=True)
class Answer:
    """One refusal.

    Attributes:
        door: Where the input came in.
        given: What was wrong with it.
        code: Exit code or HTTP status.
        error: Class of the error.
        detail: What it said.
        fix: What to do.
    """

    door: str
    given: str
    code: int
    error: str
    detail: str
    fix: str

    @property
    def is_refusal(self) -> bool:
        """Whether it is an error of ours, and says so by its code."""
        return bool(self.error) and (self.code >= 400 or 0 < self.code < 126)


def run(door: str, given: str, *command: str) -> Answer:
    """Give a command line to the real program."""
    result = subprocess.run(
        [sys.executable, "-m", "rankadaptor.cli", *command, *(["--json"] * _speaks_json(command))],
        capture_output=True,
        text=True,
        check=False,
        env=ENVIRONMENT,
    )
    last = (result.stderr.strip().splitlines() or [""])[-1]
    try:
        body = json.loads(last)
    except ValueError:
        body = _spoken(result.stderr)
    detail, fix = body.get("detail", last), body.get("hint", "")
    return Answer(door, given, result.returncode, body.get("error", ""), detail, fix)


def _speaks_json(command: tuple[str, ...]) -> bool:
    return command[0] not in ("serve", "worker", "db")


def _spoken(text: str) -> dict[str, str]:
    """Read the two lines that a person sees."""
    head, _, fix = " ".join(text.split()).partition(" fix: ")
    error, _, detail = head.partition(": ")
    return {"error": error, "detail": detail, "hint": fix} if fix else {}


def ask(
    http: httpx.Client, given: str, method: str, path: str, body: Any, key: str | None
) -> Answer:
    """Send one request; bytes go as they are, anything else as JSON."""
    content = body if isinstance(body, bytes) or body is None else json.dumps(body).encode()
    headers = {"Content-Type": "application/json"}
    if key:
        headers["Authorization"] = f"Bearer {key}"
    answer = http.request(method, path, content=content, headers=headers)
    said = answer.json() if answer.content else {}
    told = (said.get(name, "") for name in ("error", "detail", "hint"))  # none where it was taken
    return Answer("REST", given, answer.status_code, *told)
