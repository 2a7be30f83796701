"""What may a stranger's web page do with Inlook, and what may Inlook's own page load?

Streamlit leaves its doors open: any page may show an app in a frame, every visitor may upload
files, and a websocket from a foreign page makes the server ask an address service on the internet
who it is itself. Here they are closed before Streamlit sees a request.
"""

import base64
import hashlib
import logging
import os
import re
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import urlsplit

import streamlit
from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from streamlit import config

FRAMES = "INLOOK_FRAMED_BY"
"""The environment variable that names who may show Inlook in a frame, such as
`https://school.example`; several are parted by spaces."""
METHODS = ("GET", "HEAD", "OPTIONS")
"""No page takes files or forms."""
THIS_MACHINE = ("localhost", "127.0.0.1", "0.0.0.0")
POLICY_VIOLATION = 1008
_ORIGIN = re.compile(r"https?://[\w.*-]+(:(\d+|\*))?", re.ASCII)
_INLINE_SCRIPT = re.compile(r"<script>(.*?)</script>", re.DOTALL)


class Guard:
    """Refuses what no page of Inlook needs, and tells the browser to refuse the rest."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self._headers = security_headers()

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

        refusal = PlainTextResponse("Inlook takes no files and no forms.", 405)
        inner = self._app if scope["method"] in METHODS else refusal
        await inner(scope, receive, send_with_headers)

    async def _connect(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = Headers(scope=scope)
        if not may_connect(headers.get("origin"), headers.get("host")):
            await send({"type": "websocket.close", "code": POLICY_VIOLATION})
            return
        # It is decided. Streamlit would ask outside before it looks at its own list of origins.
        rest = [(name, value) for name, value in scope["headers"] if name.lower() != b"origin"]
        await self._app({**scope, "headers": rest}, receive, send)


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
