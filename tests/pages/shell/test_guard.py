"""Whom the guard lets in, what it adds to an answer, and that nobody outside is asked."""

import asyncio
import re
import socket
from concurrent.futures import ThreadPoolExecutor

import pytest
from starlette.responses import PlainTextResponse
from streamlit import config
from streamlit.web import bootstrap

from pages.server.counters import exposition
from pages.server.settings import Settings
from pages.shell.guard import (
    FRAMES,
    GOING_AWAY,
    POLICY_VIOLATION,
    TRY_AGAIN_LATER,
    Guard,
    _counted,
    framed_by,
    may_connect,
    network_of,
    security_headers,
)

HERE = "127.0.0.1:8501"


async def inner(scope, receive, send):
    """An app that lets everybody in, and says which origin it was told."""
    if scope["type"] == "websocket":
        await send({"type": "websocket.accept", "told": dict(scope["headers"]).get(b"origin")})
    else:
        await PlainTextResponse("hello")(scope, receive, send)


async def silence():
    """A client that says nothing."""
    await asyncio.sleep(3600)


def end_of(coroutine):
    """Run it, in a thread of its own: where a browser is driven, this one has a loop that runs."""
    with ThreadPoolExecutor(1) as alone:
        return alone.submit(asyncio.run, coroutine).result()


def answer(kind, method="GET", path="/", guard=None, **headers):
    """What a client is sent: the first message."""
    sent = []

    async def send(message):
        sent.append(message)

    pairs = [(name.encode(), value.encode()) for name, value in headers.items()]
    scope = {"type": kind, "method": method, "path": path, "headers": pairs}
    end_of((guard or Guard(inner))(scope, silence, send))
    return sent[0]


@pytest.fixture
def nobody_is_asked(monkeypatch):
    """Refuse every connection, and see that none was tried."""
    tried = []

    def refuse(*args, **_):
        tried.append(args)
        raise OSError("no network in this test")

    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    monkeypatch.setattr(socket.socket, "connect", refuse)
    yield
    assert tried == []


@pytest.mark.parametrize(
    "origin",
    [
        None,
        f"http://{HERE}",
        "http://localhost:8501",
        "http://localhost:3000",
        "https://127.0.0.1",
    ],
)
@pytest.mark.usefixtures("nobody_is_asked")
def test_own_pages_and_what_is_no_browser_may_connect(origin):
    assert may_connect(origin, HERE)


@pytest.mark.parametrize(
    "origin",
    [
        "http://evil.example",
        "http://127.0.0.1.evil.example",
        "http://localhost@evil.example",
        f"http://evil.example/{HERE}",
        "null",
        "",
        "file://",
        "http://[",
        "http://[::1",
        "//",
    ],
)
@pytest.mark.usefixtures("nobody_is_asked")
def test_foreign_pages_may_not(origin):
    assert not may_connect(origin, HERE)
    assert not may_connect(origin, None)
    refused = answer("websocket", origin=origin, host=HERE)
    assert refused["type"] == "websocket.close"


@pytest.mark.usefixtures("nobody_is_asked")
def test_a_page_at_the_name_that_the_visitor_used_may_connect():
    assert may_connect("https://inlook.school.example", "inlook.school.example")


@pytest.mark.usefixtures("nobody_is_asked")
def test_an_origin_that_the_settings_allow_may_connect(monkeypatch):
    asked = "https://portal.school.example"
    assert not may_connect(asked, HERE)
    values = {"server.corsAllowedOrigins": [asked], "browser.serverAddress": "localhost"}
    monkeypatch.setattr("streamlit.config.get_option", values.__getitem__)
    assert may_connect(asked, HERE)


def test_who_is_let_in_is_not_asked_again():
    let_in = answer("websocket", origin=f"http://{HERE}", host=HERE)
    assert let_in == {"type": "websocket.accept", "told": None}


@pytest.mark.parametrize("method", ["PUT", "POST", "DELETE", "PATCH", "TRACE"])
def test_nothing_is_taken_in(method):
    assert answer("http", method)["status"] == 405


@pytest.mark.parametrize("method", ["GET", "PUT"])
def test_every_answer_has_the_headers(method):
    found = {name.decode(): value.decode() for name, value in answer("http", method)["headers"]}
    for name, value in security_headers().items():
        assert found[name.lower()] == value


def test_nothing_is_loaded_from_elsewhere():
    policy = security_headers()["Content-Security-Policy"]
    rules = dict(rule.split(" ", 1) for rule in policy.split("; "))
    allowed = {source for name, rule in rules.items() for source in rule.split()}
    known = {"'self'", "'none'", "data:", "blob:", "'unsafe-inline'"}
    assert {source for source in allowed - known if not source.startswith("'sha256-")} == set()
    assert "'unsafe-inline'" not in rules["script-src"]
    assert rules["default-src"] == rules["frame-ancestors"] == "'self'"


def test_frames_are_allowed_only_where_asked(monkeypatch, caplog):
    assert security_headers()["X-Frame-Options"] == "SAMEORIGIN"
    monkeypatch.setenv(
        FRAMES, "https://school.example http://127.0.0.1:99 *; script-src javascript:"
    )
    assert framed_by() == ("https://school.example", "http://127.0.0.1:99")
    assert "javascript:" in caplog.text
    headers = security_headers()
    assert "X-Frame-Options" not in headers
    policy = headers["Content-Security-Policy"]
    assert policy.endswith("frame-ancestors 'self' https://school.example http://127.0.0.1:99")


@pytest.mark.usefixtures("nobody_is_asked")
def test_a_server_without_a_browser_asks_nobody_at_its_start(monkeypatch, capsys):
    monkeypatch.setattr(
        config,
        "get_option",
        lambda name, own=config.get_option: True if name == "server.headless" else own(name),
    )
    bootstrap._print_url(False)
    assert "http://localhost" in capsys.readouterr().out


@pytest.fixture
def allows(monkeypatch):
    """Return a function that lets this server have other settings."""
    return lambda **said: monkeypatch.setattr(
        "pages.shell.guard.settings", lambda: Settings(**said)
    )


FOREIGN = [
    "evil.example",
    "evil.example:8501",
    "127.0.0.1.evil.example",
    "",
    "127.0.0.1@evil.example",
]


@pytest.mark.parametrize("host", FOREIGN)
def test_a_foreign_name_is_refused_where_names_are_known(host, allows):
    allows(hosts=("inlook.example",))
    assert answer("http", host=host)["status"] == 421
    refused = answer("websocket", host=host, origin=f"http://{host}")
    assert refused == {"type": "websocket.close", "code": POLICY_VIOLATION}


@pytest.mark.parametrize(
    "host", ["inlook.example", "INLOOK.example:8501", "localhost:8501", HERE, "[::1]:8501", "a.b.c"]
)
def test_own_names_and_addresses_are_let_in(host, allows):
    allows(hosts=("inlook.example", "*.b.c"))
    assert answer("http", host=host)["status"] == 200
    assert answer("websocket", host=host)["type"] == "websocket.accept"


def test_a_laptop_has_any_name(allows):
    allows()
    assert answer("http", host="evil.example")["status"] == 200


def test_whoever_asks_how_the_server_is_needs_no_name(allows):
    allows(hosts=())
    assert answer("http", path="/healthz")["status"] == 200
    assert answer("http", path="/healthz/")["status"] == 421


def test_streamlits_own_counters_are_not_for_strangers(allows):
    allows(public=True)
    assert answer("http", path="/_stcore/metrics")["status"] == 404
    allows()
    assert answer("http", path="/_stcore/metrics")["status"] == 200


def test_a_full_server_says_so(allows):
    allows(visitors=1)
    guard = Guard(inner)
    guard._n_connected = 1
    assert answer("websocket", guard=guard)["code"] == TRY_AGAIN_LATER
    assert answer("http", guard=guard, accept="text/html")["status"] == 503
    assert answer("http", guard=guard, accept="*/*")["status"] == 200


@pytest.mark.parametrize(
    ("address", "network"),
    [
        ("93.184.216.34", "93.184.216.34"),
        ("2606:2800:220:1::7", "2606:2800:220:1::/64"),
        ("127.0.0.1", ""),
        ("10.1.2.3", ""),
        ("192.168.0.7", ""),
        ("::1", ""),
        ("no address", ""),
        ("", ""),
    ],
)
def test_only_addresses_of_the_internet_are_counted(address, network):
    assert network_of(address) == network


def test_one_address_has_no_more_than_its_tabs_and_they_are_given_back(allows):
    allows(tabs=2)
    opened, closing = [], asyncio.Event()

    async def stays(scope, receive, send):
        await send({"type": "websocket.accept"})
        await closing.wait()

    guard = Guard(stays)

    async def tab(address):
        sent = []

        async def send(message):
            sent.append(message)

        scope = {"type": "websocket", "path": "/", "headers": [], "client": (address, 1)}
        opened.append(asyncio.create_task(guard(scope, silence, send)))
        await asyncio.sleep(0)
        return sent[0]["type"]

    async def come_and_go():
        found = [await tab("93.184.216.34") for _ in range(3)]
        found += [await tab(address) for address in ("93.184.216.35", *["10.0.0.1"] * 3)]
        closing.set()
        await asyncio.gather(*opened)
        return found, await tab("93.184.216.34")

    found, later = end_of(come_and_go())
    assert found == ["websocket.accept"] * 2 + ["websocket.close"] + ["websocket.accept"] * 4
    assert later == "websocket.accept"


def test_a_connection_on_which_nothing_comes_ends(allows, monkeypatch):
    allows(idle_minutes=1)
    monkeypatch.setattr("pages.shell.guard.MINUTE_S", 0.05)
    sent = []

    async def send(message):
        sent.append(message)

    message = end_of(_counted(silence, send)())
    assert message["type"] == "websocket.disconnect"
    assert sent == [{"type": "websocket.close", "code": GOING_AWAY}]


def test_clicks_are_counted():
    async def receive():
        return {"type": "websocket.receive", "bytes": b""}

    def counted():
        return float(re.search(rb"inlook_clicks_total ([\d.]+)", exposition())[1])

    before = counted()
    assert end_of(_counted(receive, silence)())["type"] == "websocket.receive"
    assert counted() == before + 1
