"""Metrics: what one application counts while it runs."""

from collections.abc import Callable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector

QUICK = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
"""Upper ends in seconds; the last are for claims, which may wait for work."""

SLOW = (0.001, 0.005, 0.025, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 15.0, 60.0)


class Metrics:
    """Counters and histograms on a registry of their own: several applications share a process.

    A label's values are few and known beforehand: states, purposes, outcomes, routes. Never a
    study, a worker or a path.
    """

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        self.accepted_reports = self._counter(
            "accepted_report", "Reports that became a trial's one result.", "outcome"
        )
        _begin(self.accepted_reports, "done", "failed")
        self.duplicate_reports = self._counter(
            "duplicate_report", "Reports that were accepted before."
        )
        self.stale_reports = self._counter(
            "stale_report", "Reports refused because the trial was someone else's, or over."
        )
        self.implausible_interim = self._counter(
            "implausible_interim", "Pairs of step and loss in heartbeats that cannot be."
        )
        self.expired_leases = self._counter(
            "lease_expired", "Trials taken from workers that fell silent."
        )
        self.gpu_seconds = self._counter(
            "gpu_seconds", "Time workers held trials, once the attempt has ended.", "outcome"
        )
        _begin(self.gpu_seconds, "done", "failed", "released", "expired")
        self.open_connections = Gauge(
            "rankadaptor_connections_open", "Connections that are open.", registry=self.registry
        )
        self.cut_connections = self._counter(
            "connection_cut", "Connections that were silent too long, or too many.", "reason"
        )
        _begin(self.cut_connections, "slow", "crowded")
        self.requests = self._histogram(
            "http_request_seconds", "Time to answer.", QUICK, "method", "route", "status"
        )
        self.planning = self._histogram("planning_seconds", "Time of one planning step.", SLOW)
        self.planning_restarts = self._counter(
            "planning_restart", "Starts of the planning process after one that had ended."
        )

    def watch_housekeeping(self, succeeded_at: Callable[[], float]) -> None:
        """Ask ``succeeded_at`` at each scrape; it answers in seconds since 1970."""
        Gauge(
            "rankadaptor_housekeeping_last_success_timestamp_seconds",
            "When housekeeping last did all it has to.",
            registry=self.registry,
        ).set_function(succeeded_at)

    def watch_streams(self, count: Callable[[], int]) -> None:
        """Ask ``count`` at each scrape."""
        Gauge(
            "rankadaptor_streams_open",
            "Event streams that are open.",
            registry=self.registry,
        ).set_function(count)

    def _counter(self, name: str, meaning: str, *labels: str) -> Counter:
        return Counter(f"rankadaptor_{name}_total", meaning, labels, registry=self.registry)

    def _histogram(
        self, name: str, meaning: str, buckets: tuple[float, ...], *labels: str
    ) -> Histogram:
        return Histogram(
            f"rankadaptor_{name}", meaning, labels, buckets=buckets, registry=self.registry
        )


def _begin(counter: Counter, *values: str) -> None:
    """Show zeros from the start: a rate does not see a series' first value."""
    for value in values:
        counter.labels(value)
