"""How much is there to do on this server, in numbers that Prometheus collects?

Nothing here says who asks, or what.
"""

from collections.abc import Callable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from pages.server.visitors import n_visitors

REGISTRY = CollectorRegistry()
CLICKS = Counter(
    "inlook_clicks", "What visitors asked a page for: clicks, and visits.", registry=REGISTRY
)
ANSWER_SECONDS = Histogram(
    "inlook_answer_seconds",
    "Time that one answer of a model took, or one value of a long run, without waiting for a turn.",
    buckets=(0.01, 0.03, 0.1, 0.3, 1, 3, 10, 30),
    registry=REGISTRY,
)


def gauge(name: str, says: str, of: Callable[[], float]) -> None:
    """Let a number be collected; the last function that is given for a name counts.

    Args:
        name: Such as `inlook_queue`.
        says: What the number is.
        of: Returns it; called when it is collected.
    """
    if name not in _GAUGES:
        _GAUGES[name] = Gauge(name, says, registry=REGISTRY)
    _GAUGES[name].set_function(of)


def exposition() -> bytes:
    """Return all numbers in Prometheus' text format."""
    return generate_latest(REGISTRY)


_GAUGES: dict[str, Gauge] = {}
gauge("inlook_visitors", "Browser tabs that are connected.", n_visitors)
