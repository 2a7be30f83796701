"""Is this server well, for those who send visitors to it, and how much has it to do?"""

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route
from streamlit.runtime import Runtime

from pages.server.counters import exposition
from pages.server.settings import settings

HEALTH, METRICS = "/healthz", "/metrics"
FORMAT = "text/plain; version=0.0.4; charset=utf-8"


async def _health(request: Request) -> Response:
    is_well, _ = await Runtime.instance().is_ready_for_browser_connection
    return PlainTextResponse("ok" if is_well else "not ready", 200 if is_well else 503)


async def _metrics(request: Request) -> Response:
    if not settings().metrics:
        return PlainTextResponse("Counters are off: INLOOK_METRICS=1 switches them on.", 404)
    return Response(exposition(), headers={"Content-Type": FORMAT})


HEALTH_ROUTES = [Route(HEALTH, _health), Route(METRICS, _metrics)]
