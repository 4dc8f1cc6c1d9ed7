"""The buttons: who sees them, who may press them, and what comes back."""

import re
import shutil
from pathlib import Path
from typing import Any

import pytest

from tests.unit.service.driver import start
from tests.unit.service.web.pages.conftest import NASTY, Shown, browser

ACTIONS = ("pause", "resume", "cancel", "extend", "clone", "delete")


def _buttons(page: str) -> set[str]:
    return set(re.findall(r'method="post" action="[./]*studies/\w+/(\w+)"', page))


def _press(shown: Shown, study: str, action: str, role: str = "member", **more: Any) -> Any:
    path = f"/studies/{study}/{action}"
    return shown.browsers[role].post(path, follow_redirects=False, **more)


def _state(shown: Shown, study: str) -> str:
    return str(shown.service.get(f"/v1/studies/{study}")["state"])


def test_everybody_sees_the_buttons_that_would_not_be_refused(shown: Shown) -> None:
    study = shown.service.submit()
    assert _buttons(shown.text(f"/studies/{study}")) == {"pause", "clone", "cancel"}
    shown.service.post(f"/v1/studies/{study}/pause")
    assert _buttons(shown.text(f"/studies/{study}/trials")) == {"resume", "clone", "cancel"}
    assert _buttons(shown.text(f"/studies/{shown.done}")) == {"extend", "clone", "delete"}
    for path in (f"/studies/{study}", f"/studies/{shown.done}"):
        assert _buttons(shown.text(path, "viewer")) == set()


def test_a_study_is_paused_resumed_cancelled_and_deleted(shown: Shown) -> None:
    study = shown.service.submit()
    for action, state in (("pause", "paused"), ("resume", "searching"), ("cancel", "cancelled")):
        answer = _press(shown, study, action)
        assert (answer.status_code, answer.headers["location"]) == (303, f"../../studies/{study}")
        assert _state(shown, study) == state
    assert _press(shown, study, "delete").headers["location"] == "../../"
    assert shown.get(f"/studies/{study}").status_code == 404


@pytest.mark.parametrize("action", ACTIONS)
def test_a_viewer_and_another_site_change_nothing(shown: Shown, action: str) -> None:
    before = shown.service.get(f"/v1/studies/{shown.done}")
    looked = _press(shown, shown.done, action, "viewer", data={"trials": "1"})
    assert (looked.status_code, "may look, and change nothing" in looked.text) == (403, True)
    elsewhere = {"Sec-Fetch-Site": "cross-site"}
    assert _press(shown, shown.done, action, headers=elsewhere).status_code == 403
    assert shown.service.get(f"/v1/studies/{shown.done}") == before


def test_a_study_of_another_project_is_not_there(shown: Shown) -> None:
    study = shown.service.submit("elsewhere")
    assert _press(shown, study, "pause").status_code == 404
    assert _state(shown, study) == "searching"


def test_a_clone_has_what_was_written_and_the_rest_of_the_original(shown: Shown) -> None:
    answer = _press(shown, shown.done, "clone", data={"name": NASTY, "trials": "9", "seed": ""})
    study = answer.headers["location"].rpartition("/")[2]
    told = shown.service.get(f"/v1/studies/{study}")["study"]
    search = told["search"]
    assert (told["name"], search["budget"]["trials"], search["seed"]) == (NASTY, 9, 0)
    assert NASTY not in shown.text(f"/studies/{study}")


@pytest.mark.parametrize(
    ("action", "data", "status", "said"),
    [
        ("extend", {"trials": "many"}, 422, "is no whole number"),
        ("extend", {"trials": "", "seeds": ""}, 422, "extends nothing"),
        ("extend", {"trials": NASTY}, 422, "&lt;script&gt;"),
        ("clone", {"trials": "0"}, 422, "trials = 0"),
        ("clone", {"name": "a" * 2000}, 422, "more than 1,000 characters"),
        ("pause", {}, 409, "is done"),
        ("extend", {f"f{at}": "1" for at in range(99)}, 400, "cannot be read"),
    ],
)
def test_what_is_refused_comes_back_on_the_page_with_the_fix(
    shown: Shown, action: str, data: dict[str, str], status: int, said: str
) -> None:
    answer = _press(shown, shown.done, action, data=data)
    assert (answer.status_code, said in answer.text) == (status, True)
    assert "Nothing was changed." in answer.text
    written = data.get("trials")
    assert not written or written == NASTY or f'value="{written}"' in answer.text
    assert "data-stream" not in answer.text  # what was refused is not drawn over
    assert NASTY not in answer.text
    assert _state(shown, shown.done) == "done"


def test_the_audit_has_who_pressed_what(shown: Shown) -> None:
    study = shown.service.submit()
    _press(shown, study, "cancel")
    last = shown.service.get("/v1/audit?limit=1000")["items"][-1]
    told = (last["role"], last["route"], last["object"], last["status"])
    assert told == ("member", "/studies/{study}/cancel", study, 303)


def test_a_done_study_is_extended(migrated: Path, tmp_path: Path) -> None:
    service = start(Path(shutil.copytree(migrated, tmp_path / "data")))
    with service.client:
        study = service.submit()
        service.work()
        member = browser(service, service.issue("member", "default"))
        answer = member.post(f"/studies/{study}/extend", data={"trials": "2"})
        assert (answer.status_code, "searching</span>" in answer.text) == (200, True)
