"""Metrics for Prometheus, read when they are requested."""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from datetime import datetime

from prometheus_client import CollectorRegistry
from prometheus_client.exposition import generate_latest
from prometheus_client.metrics_core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    Metric,
    SummaryMetricFamily,
)
from prometheus_client.registry import Collector

from icsfeed import __version__
from icsfeed.cache.workspace import Workspace
from icsfeed.feeds.service import FeedService
from icsfeed.push.report import PushStats
from icsfeed.web.state import ServerState

TEXT_FORMAT = "text/plain; version=0.0.4"
"""litestar adds the charset."""


class ServerMetrics(Collector):
    """What a server has counted of requests."""

    def __init__(self, service: FeedService, server: ServerState) -> None:
        self._service, self._server = service, server

    def collect(self) -> Iterator[Metric]:
        server = self._server
        yield _gauge("icsfeed_info", "The version that runs.", "version", {__version__: 1})
        yield GaugeMetricFamily("icsfeed_uptime_seconds", "Seconds since the start.", server.uptime)
        is_valid, is_healthy = not server.loaded.problems, self._service.store.healthy
        text = "1; 0 while a newer configuration is rejected."
        yield GaugeMetricFamily("icsfeed_configuration_valid", text, int(is_valid))
        text = "1; 0 while snapshots cannot be saved."
        yield GaugeMetricFamily("icsfeed_store_healthy", text, int(is_healthy))
        answers = {(str(status),): count for status, count in server.reader_log.answers.items()}
        text = "Answers at feed addresses, by HTTP status."
        yield _counter("icsfeed_feed_answers", text, ["status"], answers.items())
        deliveries = {(result,): count for result, count in server.deliveries.counts.items()}
        text = "Deliveries of Plane's webhooks, by result."
        yield _counter("icsfeed_webhooks", text, ["result"], deliveries.items())
        kinds = {
            "admin": server.admin_guesses.counts,
            "proxy": server.proxy_guesses.counts,
            "link": server.token_throttle.counts,
        }
        results = ("wrong", "refused")
        guesses = {(kind, result): counts[result] for kind, counts in kinds.items() for result in results}
        text = "Wrong tokens by kind; `refused`: not checked, while the address was limited."
        yield _counter("icsfeed_wrong_tokens", text, ["kind", "result"], guesses.items())


class PlaneMetrics(Collector):
    """What workspaces have asked of Plane, and how old what they know is. `now`: in UTC."""

    def __init__(self, workspaces: Mapping[str, Workspace], now: datetime) -> None:
        self._workspaces, self._now = workspaces, now

    def collect(self) -> Iterator[Metric]:
        requests: dict[tuple[str, ...], int] = {}
        results: dict[tuple[str, ...], int] = {}
        refreshes = SummaryMetricFamily(
            "icsfeed_refresh_seconds", "Refreshes of projects and names.", labels=["workspace"]
        )
        for name, workspace in self._workspaces.items():
            counts = workspace.refreshes.counts
            requests |= {(name, result): count for result, count in workspace.plane.answers.items()}
            results |= {(name, result): count for result, count in counts.items()}
            refreshes.add_metric([name], counts.total(), workspace.refreshes.seconds)
        labels = ["workspace", "result"]
        yield _counter("icsfeed_plane_requests", "Requests to Plane, by result.", labels, requests.items())
        yield refreshes
        yield _counter("icsfeed_refreshes", "Refreshes, by result.", labels, results.items())
        gauges: Mapping[str, tuple[str, Callable[[Workspace], float | None]]] = {
            "icsfeed_issues": ("Issues in memory.", lambda workspace: workspace.issue_count),
            "icsfeed_projects": (
                "Projects in memory.",
                lambda workspace: len(workspace.resources.all_projects),
            ),
            "icsfeed_copy_age_seconds": (
                "Age of the oldest project's issues.",
                lambda workspace: (
                    (self._now - workspace.read_at).total_seconds() if workspace.read_at else None
                ),
            ),
            "icsfeed_plane_budget_left": (
                "Requests that Plane allows now.",
                lambda workspace: workspace.budget.left,
            ),
            "icsfeed_plane_budget_limit": (
                "Requests a minute for the key.",
                lambda workspace: workspace.budget.limit,
            ),
            "icsfeed_workspace_ready": (
                "1 when every project has been read.",
                lambda workspace: int(workspace.is_ready),
            ),
        }
        for name, (text, value_of) in gauges.items():
            values = {workspace_name: value_of(one) for workspace_name, one in self._workspaces.items()}
            yield _gauge(name, text, "workspace", values)


class PushMetrics(Collector):
    """What pushes have done. `targets`: those of the configuration now."""

    def __init__(self, pushed: PushStats, targets: Collection[str]) -> None:
        self._pushed, self._targets = pushed, targets

    def collect(self) -> Iterator[Metric]:
        text, labels = "Calendar objects, by what was done.", ["target", "result"]
        yield _counter("icsfeed_push_objects", text, labels, self._pushed.counts.items())
        # A target that was removed from the configuration must not alert for its last failure.
        runs = {target: run for target, run in self._pushed.last.items() if target in self._targets}
        good = {target: int(run.report.is_good) for target, run in runs.items()}
        yield _gauge("icsfeed_push_good", "1; 0: the last run failed.", "target", good)


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
    """Return all metrics in Prometheus' text format. None is labelled with a feed's name or a token."""
    # Not the process-wide registry, in which a replaced configuration would stay.
    registry = CollectorRegistry(auto_describe=False)
    registry.register(ServerMetrics(service, server))
    registry.register(PlaneMetrics(service.workspaces, server.clock()))
    registry.register(PushMetrics(server.pushed, service.config.push))
    return generate_latest(registry)
