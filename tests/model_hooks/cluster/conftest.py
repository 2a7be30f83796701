"""Serve models over HTTP in this process."""

import contextlib
import socket
import threading
import time

import pytest
import uvicorn
from starlette.applications import Starlette
from starlette.routing import Route

from model_hooks import HookedModel
from model_hooks.cluster.places import path_of
from model_hooks.cluster.serving import Desk
from model_hooks.host import Host
from tests.conftest import tiny_llama, with_random_weights

TOKEN = "a token of the tests"


def free_port():
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return found.getsockname()[1]


@contextlib.contextmanager
def served(desk, port=None, models=("tiny",)):
    """Let a desk answer at an address, which this yields."""
    port = port or free_port()
    routes = [Route(path_of(one), desk.answer, methods=["GET", "POST"]) for one in models]
    server = uvicorn.Server(
        uvicorn.Config(Starlette(routes=routes), port=port, log_level="error", ws="none")
    )
    server.config.timeout_graceful_shutdown = 1
    thread = threading.Thread(target=server.run)
    thread.start()
    while not server.started:
        time.sleep(0.01)
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        server.should_exit = True
        thread.join()


@pytest.fixture
def host(hooked):
    return Host(lambda name: hooked)


@pytest.fixture
def llama_host(tokenizer):
    return Host(lambda name: HookedModel.wrap(with_random_weights(tiny_llama), tokenizer, "tiny"))


@pytest.fixture
def address(llama_host):
    """Where the tiny model answers."""
    with served(Desk(llama_host, TOKEN)) as address:
        yield address
