"""What a running server lets in and says, asked without a browser."""

import http.client
import urllib.error
import urllib.request
from urllib.parse import urlsplit

import pytest
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

from pages.shell.guard import security_headers

STREAM = "/_stcore/stream"


def socket_address(url):
    return f"ws://{urlsplit(url).netloc}{STREAM}"


def put(url, path, body):
    client = http.client.HTTPConnection(urlsplit(url).netloc, timeout=30)
    kind = {"Content-Type": "multipart/form-data; boundary=x"}
    try:
        client.request("PUT", path, body, kind)
        return client.getresponse().status
    except (BrokenPipeError, ConnectionResetError):  # it did not even read it
        return 405
    finally:
        client.close()


@pytest.mark.parametrize("path", ["/", "/what-each-head-reads", "/_stcore/health", "/no/such.js"])
def test_every_answer_says_what_a_browser_may_do(app_url, path):
    try:
        answer = urllib.request.urlopen(app_url + path)
    except urllib.error.HTTPError as error:
        answer = error
    with answer:
        assert {name: answer.headers[name] for name in security_headers()} == security_headers()


@pytest.mark.parametrize("n_bytes", [10, 5_000_000])
def test_no_visitor_can_leave_a_file(app_url, n_bytes):
    head = b'--x\r\nContent-Disposition: form-data; name="f"; filename="a"\r\n\r\n'
    body = head + b"A" * n_bytes + b"\r\n--x--\r\n"
    assert put(app_url, "/_stcore/upload_file/any/one", body) == 405


def test_only_own_pages_open_a_websocket(app_url):
    with connect(socket_address(app_url), origin=app_url, proxy=None):
        pass
    with pytest.raises(InvalidStatus) as refused:
        connect(socket_address(app_url), origin="http://evil.example", proxy=None)
    assert refused.value.response.status_code == 403


def test_the_browser_takes_the_policy_as_it_is_meant(page):
    tried = """() => new Promise(done => {
        const picture = new Image();
        picture.onload = () => done("loaded");
        document.addEventListener("securitypolicyviolation", e => done(e.effectiveDirective));
        picture.src = "http://127.0.0.1:9/x.png";
    })"""
    assert page.evaluate(tried) == "img-src"
