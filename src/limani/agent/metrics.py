"""What an agent counts, in Prometheus' format."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest


class Metrics:
    """One registry per agent (tests run several in one process)."""

    content_type = "text/plain; version=0.0.4; charset=utf-8"

    def __init__(self) -> None:
        self._registry = registry = CollectorRegistry(auto_describe=False)
        self.requests = Counter(
            "limani_requests", "Requests answered.", ["route", "method", "status"], registry=registry
        )
        self.verdicts = Counter("limani_auth_verdicts", "Decisions about callers.", ["verdict"], registry=registry)
        self.bytes_in = Counter("limani_received_bytes", "Blob bytes received.", ["source"], registry=registry)
        self.bytes_out = Counter("limani_served_bytes", "Blob bytes served.", ["to"], registry=registry)
        self.blobs = Counter("limani_blobs", "Blobs verified and given to an engine.", ["source"], registry=registry)
        self.runs = Histogram(
            "limani_seed_seconds",
            "Seed runs by outcome.",
            ["outcome"],
            buckets=(0.1, 0.5, 1, 5, 15, 60, 300, 1800),
            registry=registry,
        )
        self.running = Gauge("limani_seed_running", "Seed runs under way.", registry=registry)
        self.spool = Gauge("limani_spool_bytes", "Bytes in the spool.", registry=registry)

    def render(self) -> bytes:
        """The exposition."""
        return generate_latest(self._registry)
