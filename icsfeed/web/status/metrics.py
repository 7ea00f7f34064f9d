"""The server's figures for Prometheus: read when they are asked for, labelled with no feed and no token."""

from collections.abc import Callable, Iterable, Iterator, Mapping
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
from icsfeed.web.state import ServerState

TEXT_FORMAT = "text/plain; version=0.0.4"
"""litestar adds the charset."""


class Figures(Collector):
    """What a server and its workspaces have counted, and how old what they know is."""

    def __init__(self, service: FeedService, server: ServerState) -> None:
        self._service, self._server = service, server

    def collect(self) -> Iterable[Metric]:
        yield from self._process()
        yield from self._plane()
        yield from self._pushes()

    def _process(self) -> Iterator[Metric]:
        server, store = self._server, self._service.store
        info = GaugeMetricFamily("icsfeed_info", "The version that runs.", labels=["version"])
        info.add_metric([__version__], 1)
        yield info
        yield GaugeMetricFamily("icsfeed_uptime_seconds", "Seconds since the start.", server.uptime)
        yield GaugeMetricFamily(
            "icsfeed_configuration_valid",
            "1; 0 while a newer configuration cannot be used.",
            int(not server.loaded.problems),
        )
        yield GaugeMetricFamily(
            "icsfeed_store_healthy", "1; 0 while copies cannot be kept.", int(store.healthy)
        )
        answers = CounterMetricFamily(
            "icsfeed_feed_answers", "Answers at feed addresses, by HTTP status.", labels=["status"]
        )
        for status, count in server.reader_log.answers.items():
            answers.add_metric([str(status)], count)
        yield answers
        webhooks = CounterMetricFamily(
            "icsfeed_webhooks", "Deliveries of Plane's webhooks, by what became of them.", labels=["result"]
        )
        for result, count in server.deliveries.counts.items():
            webhooks.add_metric([result], count)
        yield webhooks
        guesses = CounterMetricFamily(
            "icsfeed_wrong_tokens",
            "Wrong tokens by kind; `refused`: sent while the address was limited, and not looked at.",
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

    def _plane(self) -> Iterator[Metric]:
        requests = CounterMetricFamily(
            "icsfeed_plane_requests", "Requests to Plane, by result.", labels=["workspace", "result"]
        )
        refreshes = SummaryMetricFamily(
            "icsfeed_refresh_seconds", "Refreshes of projects and names.", labels=["workspace"]
        )
        results = CounterMetricFamily(
            "icsfeed_refreshes", "Refreshes, by result.", labels=["workspace", "result"]
        )
        for name, workspace in self._service.workspaces.items():
            for result, count in workspace.plane.answers.items():
                requests.add_metric([name, result], count)
            counts = workspace.refreshes.counts
            refreshes.add_metric([name], counts.total(), workspace.refreshes.seconds)
            for result, count in counts.items():
                results.add_metric([name, result], count)
        yield from (requests, refreshes, results)
        yield from self._gauges()

    def _gauges(self) -> Iterator[Metric]:
        now = self._server.clock()
        gauges: Mapping[str, tuple[str, Callable[[Workspace], float | None]]] = {
            "icsfeed_issues": ("Issues known.", lambda one: one.issue_count),
            "icsfeed_projects": ("Projects known.", lambda one: len(one.resources.all_projects)),
            "icsfeed_copy_age_seconds": ("Age of the oldest project's issues.", lambda one: _age(one, now)),
            "icsfeed_plane_budget_left": ("Requests that Plane allows now.", lambda one: one.budget.left),
            "icsfeed_plane_budget_limit": ("Requests a minute for the key.", lambda one: one.budget.limit),
            "icsfeed_workspace_ready": ("1 when every project has a copy.", lambda one: int(one.is_ready)),
        }
        for name, (text, value_of) in gauges.items():
            gauge = GaugeMetricFamily(name, text, labels=["workspace"])
            for workspace, one in self._service.workspaces.items():
                value = value_of(one)
                if value is not None:
                    gauge.add_metric([workspace], value)
            yield gauge

    def _pushes(self) -> Iterator[Metric]:
        pushed = self._server.pushed
        objects = CounterMetricFamily(
            "icsfeed_push_objects", "Objects of calendars, by what was done.", labels=["target", "result"]
        )
        for (target, word), count in pushed.counts.items():
            objects.add_metric([target, word], count)
        good = GaugeMetricFamily("icsfeed_push_good", "1; 0: the last run failed.", labels=["target"])
        for target, last in pushed.last.items():
            if target in self._service.config.push:
                good.add_metric([target], int(last.report.is_good))
        yield from (objects, good)


def exposition(service: FeedService, server: ServerState) -> bytes:
    """All figures, in Prometheus' text format."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(Figures(service, server))
    return generate_latest(registry)


def _age(workspace: Workspace, now: datetime) -> float | None:
    return (now - workspace.read_at).total_seconds() if workspace.read_at else None
