"""What may a stranger's web page do with Inlook, and what may Inlook's own page load?

Streamlit leaves its doors open: any page may show an app in a frame, every visitor may upload
files, and a websocket from a foreign page makes the server ask an address service on the internet
who it is itself. Here they are closed before Streamlit sees a request.
"""

import asyncio
import base64
import hashlib
import ipaddress
import logging
import os
import re
from collections import Counter
from collections.abc import Mapping
from math import inf
from pathlib import Path
from urllib.parse import urlsplit

import streamlit
from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from streamlit import config

from pages.server.counters import CLICKS
from pages.server.health import HEALTH
from pages.server.settings import settings

FRAMES = "INLOOK_FRAMED_BY"
"""The environment variable that names who may show Inlook in a frame, such as
`https://school.example`; several are parted by spaces."""
METHODS = ("GET", "HEAD", "OPTIONS")
"""No page takes files or forms."""
THIS_MACHINE = ("localhost", "127.0.0.1", "0.0.0.0")
POLICY_VIOLATION, GOING_AWAY, TRY_AGAIN_LATER = 1008, 1001, 1013
MINUTE_S = 60.0
OWN_METRICS = "/_stcore/metrics"
"""Streamlit's own counters, which tell strangers how the app is built."""
_ORIGIN = re.compile(r"https?://[\w.*-]+(:(\d+|\*))?", re.ASCII)
_INLINE_SCRIPT = re.compile(r"<script>(.*?)</script>", re.DOTALL)


class Guard:
    """Refuses what no page of Inlook needs, and tells the browser to refuse the rest."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self._headers = security_headers()
        self._n_connected = 0
        self._n_from: Counter[str] = Counter()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer with a refusal, or hand the request on and add headers to its answer."""
        if scope["type"] == "websocket":
            await self._connect(scope, receive, send)
            return
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(self._headers)
            await send(message)

        await (self._refusal(scope) or self._app)(scope, receive, send_with_headers)

    def _refusal(self, scope: Scope) -> PlainTextResponse | None:
        headers, path = Headers(scope=scope), scope["path"]
        if scope["method"] not in METHODS:
            return PlainTextResponse("Inlook takes no files and no forms.", 405)
        if path != HEALTH and not is_own_name(headers.get("host")):
            return PlainTextResponse(
                "This server has another name: its owner can add this one to INLOOK_HOSTS.", 421
            )
        if settings().public and path.rstrip("/").endswith(OWN_METRICS):
            return PlainTextResponse("Not here.", 404)
        if self._is_full() and "text/html" in headers.get("accept", ""):
            return PlainTextResponse(
                "As many people as this server takes are here: please try again in a few minutes.",
                503,
                {"Retry-After": "120"},
            )
        return None

    def _is_full(self) -> bool:
        most = settings().visitors
        return most is not None and self._n_connected >= most

    async def _connect(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = Headers(scope=scope)
        host = headers.get("host")
        if not (is_own_name(host) and may_connect(headers.get("origin"), host)):
            await send({"type": "websocket.close", "code": POLICY_VIOLATION})
            return
        place = network_of((scope.get("client") or ("",))[0])
        if self._is_full() or (place and self._n_from[place] >= (settings().tabs or inf)):
            await send({"type": "websocket.close", "code": TRY_AGAIN_LATER})
            return
        # It is decided. Streamlit would ask outside before it looks at its own list of origins.
        rest = [(name, value) for name, value in scope["headers"] if name.lower() != b"origin"]
        self._n_connected += 1
        self._n_from[place] += 1
        try:
            await self._app({**scope, "headers": rest}, _counted(receive, send), send)
        finally:
            self._n_connected -= 1
            self._n_from -= Counter([place])  # which forgets a name at 0


def _counted(receive: Receive, send: Send) -> Receive:
    """Count what a visitor asks for; let a connection end on which nothing comes for long."""
    minutes = settings().idle_minutes

    async def counted() -> Message:
        try:
            message = await asyncio.wait_for(receive(), minutes and MINUTE_S * minutes)
        except TimeoutError:
            await send({"type": "websocket.close", "code": GOING_AWAY})
            return {"type": "websocket.disconnect", "code": GOING_AWAY}
        if message["type"] == "websocket.receive":
            CLICKS.inc()
        return message

    return counted


def network_of(address: str) -> str:
    """Return what belongs to one person, household or school: an address of the internet.

    Nothing for others, since a proxy, or a whole class, may stand behind them. IPv6 gives everybody
    a network of their own.
    """
    try:
        found = ipaddress.ip_address(address)
    except ValueError:
        return ""
    if not found.is_global:
        return ""
    return address if found.version == 4 else str(ipaddress.ip_network((found, 64), strict=False))


def is_own_name(host: str | None) -> bool:
    """Tell whether a visitor called this server by a name of its own.

    A foreign name may be led to any address by whoever owns it, and its pages then count as this
    server's. A numeric address cannot.

    Args:
        host: As the browser says: a name or an address, perhaps with a port.
    """
    if (hosts := settings().hosts) is None:
        return True
    try:
        name = (urlsplit(f"//{host or ''}").hostname or "").rstrip(".")
    except ValueError:
        return False
    known = (*hosts, *config.get_option("server.allowedHosts"), *THIS_MACHINE)
    known += (config.get_option("browser.serverAddress"),)
    return _is_address(name) or any(_fits(name, one.strip().lower()) for one in known if one)


def _is_address(name: str) -> bool:
    try:
        return bool(ipaddress.ip_address(name))
    except ValueError:
        return False


def _fits(name: str, pattern: str) -> bool:
    return name.endswith(pattern[1:]) if pattern.startswith("*.") else name == pattern


def may_connect(origin: str | None, host: str | None) -> bool:
    """Tell whether a page of this origin may open a websocket; nobody outside is asked.

    Args:
        origin: As the browser says; None from what is no browser.
        host: What the visitor calls this server.
    """
    if origin is None:
        return True
    try:
        place = urlsplit(origin)
        names = (*THIS_MACHINE, config.get_option("browser.serverAddress").lower())
        return place.netloc == host or place.hostname in names or origin in _allowed_origins()
    except ValueError:
        return False


def security_headers() -> Mapping[str, str]:
    """Return the headers of every answer.

    The page loads nothing from elsewhere, and tells no other site its address, which holds the
    prompt.
    """
    frames = framed_by()
    rules = {
        "default-src": "'self'",
        "script-src": f"'self' blob: {' '.join(_own_inline_scripts())}",
        "style-src": "'self' 'unsafe-inline'",
        "img-src": "'self' data: blob:",
        "font-src": "'self' data:",
        "media-src": "'self' data: blob:",
        "connect-src": "'self' data: blob:",
        "worker-src": "'self' blob:",
        "object-src": "'none'",
        "base-uri": "'self'",
        "form-action": "'self'",
        "frame-ancestors": " ".join(("'self'", *frames)),
    }
    headers = {
        "Content-Security-Policy": "; ".join(f"{name} {rule}" for name, rule in rules.items()),
        "Referrer-Policy": "same-origin",
        "X-Content-Type-Options": "nosniff",
    }
    return headers if frames else {**headers, "X-Frame-Options": "SAMEORIGIN"}


def framed_by() -> tuple[str, ...]:
    """Return who else may show Inlook in a frame; nobody unless the setting says so."""
    said = os.environ.get(FRAMES, "").split()
    for origin in said:
        if not _ORIGIN.fullmatch(origin):
            logging.getLogger("inlook").warning(
                "%s names %r, which is no origin such as https://school.example: left out.",
                FRAMES,
                origin,
            )
    return tuple(origin for origin in said if _ORIGIN.fullmatch(origin))


def _allowed_origins() -> set[str]:
    return {origin.strip() for origin in config.get_option("server.corsAllowedOrigins")}


def _own_inline_scripts() -> list[str]:
    """The fingerprints of the scripts that Streamlit's page has in its text; no others run."""
    page = Path(streamlit.__file__).with_name("static") / "index.html"
    scripts = _INLINE_SCRIPT.findall(page.read_text(encoding="utf-8"))
    prints = [hashlib.sha256(script.encode()).digest() for script in scripts]
    return [f"'sha256-{base64.b64encode(one).decode()}'" for one in prints]
