"""Metrics for Prometheus, read when they are requested."""

from collections.abc import Callable, Collection, Iterator, Mapping
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
        server, store = self._server, self._service.store
        info = GaugeMetricFamily("icsfeed_info", "The version that runs.", labels=["version"])
        info.add_metric([__version__], 1)
        yield info
        yield GaugeMetricFamily("icsfeed_uptime_seconds", "Seconds since the start.", server.uptime)
        yield GaugeMetricFamily(
            "icsfeed_configuration_valid",
            "1; 0 while a newer configuration is rejected.",
            int(not server.loaded.problems),
        )
        yield GaugeMetricFamily(
            "icsfeed_store_healthy", "1; 0 while snapshots cannot be saved.", int(store.healthy)
        )
        answers = CounterMetricFamily(
            "icsfeed_feed_answers", "Answers at feed addresses, by HTTP status.", labels=["status"]
        )
        for status, count in server.reader_log.answers.items():
            answers.add_metric([str(status)], count)
        yield answers
        webhooks = CounterMetricFamily(
            "icsfeed_webhooks", "Deliveries of Plane's webhooks, by result.", labels=["result"]
        )
        for result, count in server.deliveries.counts.items():
            webhooks.add_metric([result], count)
        yield webhooks
        guesses = CounterMetricFamily(
            "icsfeed_wrong_tokens",
            "Wrong tokens by kind; `refused`: not checked, while the address was limited.",
            labels=["kind", "result"],
        )
        kinds = {
            "admin": server.admin_guesses.counts,
            "proxy": server.proxy_guesses.counts,
            "link": server.token_throttle.counts,
        }
        for kind, counts in kinds.items():
            for result in ("wrong", "refused"):
                guesses.add_metric([kind, result], counts[result])
        yield guesses


class PlaneMetrics(Collector):
    """What workspaces have asked of Plane, and how old what they know is. `now`: in UTC."""

    def __init__(self, workspaces: Mapping[str, Workspace], now: datetime) -> None:
        self._workspaces, self._now = workspaces, now

    def collect(self) -> Iterator[Metric]:
        requests = CounterMetricFamily(
            "icsfeed_plane_requests", "Requests to Plane, by result.", labels=["workspace", "result"]
        )
        refreshes = SummaryMetricFamily(
            "icsfeed_refresh_seconds", "Refreshes of projects and names.", labels=["workspace"]
        )
        results = CounterMetricFamily(
            "icsfeed_refreshes", "Refreshes, by result.", labels=["workspace", "result"]
        )
        for name, workspace in self._workspaces.items():
            for result, count in workspace.plane.answers.items():
                requests.add_metric([name, result], count)
            counts = workspace.refreshes.counts
            refreshes.add_metric([name], counts.total(), workspace.refreshes.seconds)
            for result, count in counts.items():
                results.add_metric([name, result], count)
        yield from (requests, refreshes, results)
        gauges: Mapping[str, tuple[str, Callable[[Workspace], float | None]]] = {
            "icsfeed_issues": ("Issues in memory.", lambda workspace: workspace.issue_count),
            "icsfeed_projects": (
                "Projects in memory.",
                lambda workspace: len(workspace.known.projects.get("") or ()),
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
            gauge = GaugeMetricFamily(name, text, labels=["workspace"])
            for workspace_name, workspace in self._workspaces.items():
                value = value_of(workspace)
                if value is not None:
                    gauge.add_metric([workspace_name], value)
            yield gauge


class PushMetrics(Collector):
    """What pushes have done. `targets`: those of the configuration now."""

    def __init__(self, pushed: PushStats, targets: Collection[str]) -> None:
        self._pushed, self._targets = pushed, targets

    def collect(self) -> Iterator[Metric]:
        objects = CounterMetricFamily(
            "icsfeed_push_objects", "Calendar objects, by what was done.", labels=["target", "result"]
        )
        for (target, word), count in self._pushed.counts.items():
            objects.add_metric([target, word], count)
        good = GaugeMetricFamily("icsfeed_push_good", "1; 0: the last run failed.", labels=["target"])
        for target, last in self._pushed.last.items():
            # A target that was removed from the configuration must not alert for its last failure.
            if target in self._targets:
                good.add_metric([target], int(last.report.is_good))
        yield from (objects, good)


def exposition(service: FeedService, server: ServerState) -> bytes:
    """Return all metrics in Prometheus' text format. None is labelled with a feed's name or a token."""
    # Not the process-wide registry, in which a replaced configuration would stay.
    registry = CollectorRegistry(auto_describe=False)
    registry.register(ServerMetrics(service, server))
    registry.register(PlaneMetrics(service.workspaces, server.clock()))
    registry.register(PushMetrics(server.pushed, service.config.push))
    return generate_latest(registry)
