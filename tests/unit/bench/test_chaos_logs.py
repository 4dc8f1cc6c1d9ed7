"""What services log of their own faults: each error once, with its end and how often it came."""

from pathlib import Path

from bench.chaos.mutants import ROOT
from bench.chaos.site import Replica, Site

TRACE = '{{"path": "/v1/leases/{}/report", "event": "unexpected error", "exception": "{}{}"}}'


def test_an_error_of_many_requests_is_told_once_with_its_end(tmp_path: Path) -> None:
    replica = Replica("replica", tmp_path, {}, ROOT)
    traces = [TRACE.format(trial, "frame " * 500, "ValueError: no") for trial in range(30)]
    replica.log.write_text("\n".join([*traces, '{"event": "cannot go on"}', '{"event": "fine"}']))
    found = Site(tmp_path, "", None, None, [replica], []).faults_logged()
    assert sorted(line.split(":")[0] for line in found) == [
        "1 times in a log",
        "30 times in a log",
    ]
    assert any(line.endswith('ValueError: no"}') and len(line) < 1000 for line in found)
