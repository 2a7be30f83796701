"""A connection that asks for nothing ends; one that asks, or is a websocket, does not."""

import asyncio
import contextlib

import pytest
import uvicorn
import websockets
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route, WebSocketRoute

from pages.server import silent
from tests.pages.shell.test_guard import end_of

REQUEST = b"GET / HTTP/1.1\r\nHost: here\r\n"


async def _hello(request):
    return PlainTextResponse("hello")


async def _slow(request):
    await asyncio.sleep(1.0)
    return PlainTextResponse("slow")


async def _echo(socket):
    await socket.accept()
    await socket.send_text(await socket.receive_text())


@contextlib.asynccontextmanager
async def serving(http):
    routes = [Route("/", _hello), Route("/slow", _slow), WebSocketRoute("/ws", _echo)]
    config = uvicorn.Config(
        Starlette(routes=routes), port=0, http=http, ws="websockets-sansio", log_level="critical"
    )
    server = uvicorn.Server(config)
    server.install_signal_handlers = lambda: None
    running = asyncio.create_task(server.serve())
    while not server.started:
        await asyncio.sleep(0.01)
    yield server.servers[0].sockets[0].getsockname()[1]
    server.should_exit = True
    await running


async def said(port, begin, then=b"", after=0.0):
    """What comes before the server ends a connection on which some bytes are sent."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(begin)
    await asyncio.sleep(after)
    writer.write(then)
    found = await asyncio.wait_for(reader.read(), 8)
    writer.close()
    return found


@pytest.mark.parametrize("http", ["h11", "httptools"])
def test_who_asks_for_nothing_is_sent_away_and_nobody_else(http, monkeypatch):
    if http == "httptools":
        pytest.importorskip(http)
    monkeypatch.setattr(silent, "PATIENCE_S", 0.3)
    silent.end_silent_connections()
    silent.end_silent_connections()  # twice is once

    async def all_of_them():
        async with serving(http) as port:
            close = b"Connection: close\r\n\r\n"
            nothing, half = await asyncio.gather(said(port, b""), said(port, REQUEST))
            whole = await said(port, REQUEST + close)
            slow = await said(port, REQUEST.replace(b"/ ", b"/slow ") + close)
            in_time = await said(port, REQUEST, close, after=0.1)
            async with websockets.connect(f"ws://127.0.0.1:{port}/ws", proxy=None) as line:
                await asyncio.sleep(0.6)
                await line.send("still here")
                return nothing, half, whole, slow, in_time, await line.recv()

    nothing, half, whole, slow, in_time, echoed = end_of(all_of_them())
    assert nothing == half == b""
    assert whole.endswith(b"hello")
    assert slow.endswith(b"slow")
    assert in_time.endswith(b"hello")
    assert echoed == "still here"
