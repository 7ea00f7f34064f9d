"""Metrics for Prometheus, read when they are requested."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import datetime

from msgspec import Struct
from prometheus_client.exposition import generate_latest
from prometheus_client.metrics_core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    Metric,
    SummaryMetricFamily,
)

from icsfeed import __version__
from icsfeed.cache.workspace import Workspace
from icsfeed.feeds.service import FeedService
from icsfeed.web.state import ServerState

TEXT_FORMAT = "text/plain; version=0.0.4"
"""litestar adds the charset."""

GAUGES: Sequence[tuple[str, str, Callable[[Workspace], float | None]]] = (
    ("issues", "Issues in memory.", lambda workspace: workspace.issue_count),
    ("projects", "Projects in memory.", lambda workspace: len(workspace.resources.all_projects)),
    ("plane_budget_left", "Requests that Plane allows now.", lambda workspace: workspace.budget.left),
    ("plane_budget_limit", "Requests a minute for the key.", lambda workspace: workspace.budget.limit),
    ("workspace_ready", "1 when every project has been read.", lambda workspace: int(workspace.is_ready)),
)
"""Of each workspace: name, meaning and value."""


class Metrics(Struct, frozen=True):
    """All metrics of a server: a collector. None is labelled with a feed's name or a token."""

    service: FeedService
    server: ServerState

    def collect(self) -> Iterator[Metric]:
        """Return what Prometheus asks for."""
        yield from _of_requests(self.service, self.server)
        yield from _of_plane(self.service.workspaces, self.server.clock())
        pushed, targets = self.server.pushed, self.service.config.push
        text = "Calendar objects, by what was done."
        yield _counter("icsfeed_push_objects", text, ("target", "result"), pushed.counts.items())
        # A target that was removed from the configuration must not alert for its last failure.
        good = {target: int(run.report.is_good) for target, run in pushed.last.items() if target in targets}
        yield _gauge("icsfeed_push_good", "1; 0: the last run failed.", "target", good)


def _of_requests(service: FeedService, server: ServerState) -> Iterator[Metric]:
    yield _gauge("icsfeed_info", "The version that runs.", "version", {__version__: 1})
    yield GaugeMetricFamily("icsfeed_uptime_seconds", "Seconds since the start.", server.uptime)
    text = "1; 0 while a newer configuration is rejected."
    yield GaugeMetricFamily("icsfeed_configuration_valid", text, int(not server.loaded.problems))
    text = "1; 0 while snapshots cannot be saved."
    yield GaugeMetricFamily("icsfeed_store_healthy", text, int(service.store.healthy))
    answers = {(str(status),): count for status, count in server.reader_log.answers.items()}
    yield _counter(
        "icsfeed_feed_answers", "Answers at feed addresses, by HTTP status.", ("status",), answers.items()
    )
    deliveries = {(result,): count for result, count in server.deliveries.counts.items()}
    yield _counter(
        "icsfeed_webhooks", "Deliveries of Plane's webhooks, by result.", ("result",), deliveries.items()
    )
    kinds = {
        "admin": server.admin_guesses.counts,
        "proxy": server.proxy_guesses.counts,
        "link": server.token_throttle.counts,
    }
    guesses = {(kind, result): kinds[kind][result] for kind in kinds for result in ("wrong", "refused")}
    text = "Wrong tokens by kind; `refused`: not checked, while the address was limited."
    yield _counter("icsfeed_wrong_tokens", text, ("kind", "result"), guesses.items())


def _of_plane(workspaces: Mapping[str, Workspace], now: datetime) -> Iterator[Metric]:
    """Return what workspaces have asked of Plane, and how old what they know is. `now`: in UTC."""
    requests: dict[tuple[str, ...], int] = {}
    results: dict[tuple[str, ...], int] = {}
    text = "Refreshes of projects and names."
    refreshes = SummaryMetricFamily("icsfeed_refresh_seconds", text, labels=["workspace"])
    for name, workspace in workspaces.items():
        counts = workspace.refreshes.counts
        requests |= {(name, result): count for result, count in workspace.plane.answers.items()}
        results |= {(name, result): count for result, count in counts.items()}
        refreshes.add_metric([name], counts.total(), workspace.refreshes.seconds)
    labels = ("workspace", "result")
    yield _counter("icsfeed_plane_requests", "Requests to Plane, by result.", labels, requests.items())
    yield refreshes
    yield _counter("icsfeed_refreshes", "Refreshes, by result.", labels, results.items())
    for gauge, text, value_of in GAUGES:
        values = {name: value_of(workspace) for name, workspace in workspaces.items()}
        yield _gauge(f"icsfeed_{gauge}", text, "workspace", values)
    ages = {
        name: (now - workspace.read_at).total_seconds()
        for name, workspace in workspaces.items()
        if workspace.read_at
    }
    yield _gauge("icsfeed_copy_age_seconds", "Age of the oldest project's issues.", "workspace", ages)


def _counter(
    name: str, text: str, labels: Sequence[str], counts: Iterable[tuple[tuple[str, ...], int]]
) -> CounterMetricFamily:
    metric = CounterMetricFamily(name, text, labels=labels)
    for values, count in counts:
        metric.add_metric(values, count)
    return metric


def _gauge(name: str, text: str, label: str, values: Mapping[str, float | None]) -> GaugeMetricFamily:
    """Return a gauge with one label; None: the value is not known, and left out."""
    metric = GaugeMetricFamily(name, text, labels=[label])
    for label_value, value in values.items():
        if value is not None:
            metric.add_metric([label_value], value)
    return metric


def exposition(service: FeedService, server: ServerState) -> bytes:
    """Return all metrics in Prometheus' text format."""
    # Without the process-wide registry, in which a replaced configuration would stay.
    return generate_latest(Metrics(service, server))
