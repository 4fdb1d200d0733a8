"""Figures for Prometheus. No label holds an id or a name: what there is of each is bounded."""

import time
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from typing_extensions import override

from lucid_api.health.models import Component, Status
from lucid_pipeline.archive.manifest import parse_time
from lucid_pipeline.errors import LucidError
from lucid_pipeline.stores.catalog import Catalog, ListedState, Statistics
from lucid_pipeline.stores.catalog import Status as SessionStatus

_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
_OTHER = "other"
_PLAYING = "get_content"
_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 60, 600)


class Metrics:
    """All figures of one service."""

    def __init__(self, catalog: Catalog) -> None:
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        self.registry.register(_SessionCollector(catalog))
        self.requests = Counter(
            "lucid_http_requests",
            "Requests that were answered.",
            ("operation", "method", "status"),
            registry=self.registry,
        )
        self.seconds = Histogram(
            "lucid_http_request_seconds",
            "From a request to the end of its response.",
            ("operation", "method"),
            buckets=_SECONDS,
            registry=self.registry,
        )
        self.sent = Counter(
            "lucid_http_response_bytes", "Bytes of responses' bodies.", ("operation",), registry=self.registry
        )
        self.played = Counter("lucid_played_bytes", "Bytes of recordings that were played.", registry=self.registry)
        self.under_way = Gauge("lucid_http_requests_under_way", "Requests under way.", registry=self.registry)
        self.up = Gauge(
            "lucid_component_up", "Whether a part does its work: 1 or 0.", ("component",), registry=self.registry
        )

    def note_components(self, components: Iterable[Component]) -> None:
        """Note how the service's parts are."""
        for component in components:
            if component.status is not Status.UNUSED:
                self.up.labels(component.name).set(component.status is Status.OK)


class CountRequests:
    """Counts requests, by their operation and not by what they asked for."""

    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
        self._app, self._metrics = app, metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        metrics, began, status, sent = self._metrics, time.monotonic(), 0, 0

        async def send_and_count(message: Message) -> None:
            nonlocal status, sent
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)
            sent += len(message.get("body", b""))

        metrics.under_way.inc()
        try:
            await self._app(scope, receive, send_and_count)
        finally:
            metrics.under_way.dec()
            operation = _operation_of(scope)
            method = scope["method"] if scope["method"] in _METHODS else _OTHER
            metrics.requests.labels(operation, method, str(status or 500)).inc()
            metrics.seconds.labels(operation, method).observe(time.monotonic() - began)
            metrics.sent.labels(operation).inc(sent)
            if operation == _PLAYING and status < 400:
                metrics.played.inc(sent)


def _operation_of(scope: Scope) -> str:
    """The operation's id in the OpenAPI document, or the name of what answers beside it."""
    route = scope.get("route")
    return getattr(route, "operation_id", None) or getattr(route, "name", None) or _OTHER


class _SessionCollector(Collector):
    """Counts of sessions, which the catalog keeps; where it does not answer they are left out."""

    def __init__(self, catalog: Catalog) -> None:
        self._catalog = catalog

    @override
    def collect(self) -> Iterator[GaugeMetricFamily]:
        now = datetime.now(UTC)
        try:
            found = self._catalog.statistics(now.date())
        except LucidError:
            return
        states = GaugeMetricFamily("lucid_sessions", "Sessions, by what they are shown as.", labels=("state",))
        for status in SessionStatus:
            states.add_metric((status.value,), found.sessions.get(status, 0))
        yield states
        yield _gauge("lucid_backlog_sessions", "Sessions that wait for their next stage.", _backlog(found))
        yield _gauge("lucid_sealed_sessions", "Sessions in the archive.", found.sealed.sessions)
        yield _gauge("lucid_stored_bytes", "Bytes of their chunk objects.", found.sealed.stored_bytes)
        yield _gauge("lucid_recorded_bytes", "Bytes of their recordings.", found.sealed.raw_bytes)
        if found.longest_unverified:
            age = (now - parse_time(found.longest_unverified)).total_seconds()
            yield _gauge(
                "lucid_oldest_proof_age_seconds", "Since the session whose turn in the scrub is next was proven.", age
            )


def _backlog(found: Statistics) -> int:
    return sum(found.sessions.get(status, 0) for status in ListedState.WAITING.statuses)


def _gauge(name: str, description: str, value: float) -> GaugeMetricFamily:
    return GaugeMetricFamily(name, description, value=value)
