"""When does a connection end on which nobody asks for anything?

uvicorn ends one that has been answered and asks for nothing more. One that never asks, or sends the
beginning of a request letter by letter, it keeps for ever; a server has room for some thousands.
"""

from typing import Any

from uvicorn.protocols.http import h11_impl

PATIENCE_S = 20.0
"""From the beginning of a connection to the end of its first request's head."""


def end_silent_connections() -> None:
    """Let each connection that is made from now on ask for something in time."""
    for protocol in _protocols():
        if not hasattr(protocol, "is_watched"):
            protocol.connection_made = _watched(protocol.connection_made)
            protocol.is_watched = True


def _protocols() -> list[Any]:
    """Those that uvicorn may choose; the quicker one is a package of its own."""
    found: list[Any] = [h11_impl.H11Protocol]
    try:
        from uvicorn.protocols.http import httptools_impl
    except ImportError:
        return found
    return [*found, httptools_impl.HttpToolsProtocol]


def _watched(made: Any) -> Any:
    def connection_made(self: Any, transport: Any) -> None:
        made(self, transport)

        def look() -> None:
            # A websocket has another protocol by then, a request that began has its cycle.
            if transport.get_protocol() is self and self.cycle is None:
                transport.close()

        self.loop.call_later(PATIENCE_S, look)

    return connection_made
