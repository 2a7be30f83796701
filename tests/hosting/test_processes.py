"""Several processes behind one address: visitors stay with theirs, and what ends starts again."""

import contextlib
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request

import psutil
import pytest

from hosting.__main__ import LETTERS, ROOT, configuration, n_processes
from pages.teach import classes
from tests.visiting import answers

PATH = f"{os.environ.get('PATH', '')}:/usr/sbin"
HAPROXY = shutil.which("haproxy", path=PATH)
needs_haproxy = pytest.mark.skipif(
    HAPROXY is None and not os.environ.get("CI"), reason="HAProxy is not installed"
)


@pytest.mark.parametrize("said", ["0", "-1", "two", "", "1.5", "9" * 20])
def test_a_number_that_makes_no_sense_is_one_sentence(said):
    with pytest.raises(SystemExit, match=r"INLOOK_PROCESSES=.* is no number from 1 to 64\."):
        n_processes(said)


@needs_haproxy
@pytest.mark.parametrize("n", [1, 5])
def test_haproxy_takes_the_configuration(tmp_path, n):
    text = configuration("127.0.0.1", 8501, range(9001, 9001 + n))
    assert len(re.findall(r"^\s+server ", text, re.MULTILINE)) == n
    (tmp_path / "haproxy.cfg").write_text(text)
    assert HAPROXY is not None
    subprocess.run([HAPROXY, "-c", "-f", str(tmp_path / "haproxy.cfg")], check=True)


@pytest.fixture(scope="module")
def running():
    """The address of two processes, and the process that looks after them."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    environment = {**os.environ, "INLOOK_PROCESSES": "2", "HF_HUB_OFFLINE": "1", "PATH": PATH}
    command = [sys.executable, "-m", "hosting", "--address=127.0.0.1", f"--port={port}"]
    parent = subprocess.Popen(command, cwd=ROOT, env=environment)
    try:
        wait_for(lambda: status(f"http://127.0.0.1:{port}/healthz") == 200)
        yield f"127.0.0.1:{port}", psutil.Process(parent.pid)
    finally:
        children = psutil.Process(parent.pid).children(recursive=True)
        parent.send_signal(signal.SIGTERM)
        assert parent.wait(30) == 0
        assert [child for child in children if child.is_running()] == []


def wait_for(true, seconds=90):
    until = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < until
        time.sleep(0.2)


def status(url):
    try:
        with urllib.request.urlopen(url, timeout=5) as answer:
            return answer.status
    except OSError:
        return None


def servers(parent):
    """The processes of Inlook, by the port that each listens on."""
    found = {}
    for child in parent.children():
        with contextlib.suppress(psutil.Error):  # it ended a moment ago
            if port := re.search(r"server\.port=(\d+)", " ".join(child.cmdline())):
                found[port[1]] = child
    return found


def cookie(address, query="", had=None):
    """The cookie that is given for an address, and to whom has one already."""
    asked = urllib.request.Request(f"http://{address}/{query}", headers={"Cookie": had or ""})
    with urllib.request.urlopen(asked) as answer:
        return re.search(r"INLOOK=(\w+)", " ".join(answer.headers.get_all("Set-Cookie")))[0]


def visit(address, of, **view):
    """Open a page; return what is written on it."""
    told = answers(f"http://{address}", view, {"Cookie": of})
    return " ".join(str(one.delta) for one in told)


def both_have_room(address):
    """Whether HAProxy, which looks once a second, sends new visitors to each process."""
    return len({cookie(address) for _ in range(4)}) == 2


@pytest.mark.slow
@needs_haproxy
def test_visitors_are_spread_stay_and_come_back_when_their_process_is_killed(running):
    address, parent = running
    before = servers(parent)
    assert len(before) == 2
    wait_for(lambda: both_have_room(address))
    cookies = {cookie(address) for _ in range(6)}
    assert len(cookies) == 2
    mine = cookies.pop()

    def text():
        return visit(address, mine, prompt="three blind mice")

    assert "three blind mice" in text()
    for process in before.values():  # whichever was mine
        process.kill()
        assert "three blind mice" in eventually(text)
        wait_for(lambda: len([one for one in servers(parent).values() if alive(one)]) == 2)
        wait_for(lambda: all(status(f"http://127.0.0.1:{port}/healthz") for port in before))
    after = servers(parent)
    assert after.keys() == before.keys()
    assert {one.pid for one in after.values()}.isdisjoint(one.pid for one in before.values())


@pytest.mark.slow
@needs_haproxy
def test_counters_stay_inside(running):
    address, _ = running
    assert status(f"http://{address}/metrics") is None
    assert status(f"http://{address}/vendor/plotly.min.js") == 200


@pytest.mark.slow
@needs_haproxy
@pytest.mark.parametrize("had", [None, "INLOOK=0", "INLOOK=1"])
def test_the_link_of_a_class_leads_to_its_process(running, had):
    address, parent = running
    wait_for(lambda: both_have_room(address))  # another test kills them
    told = {cookie(address, f"?code={LETTERS[i].lower()}bcdefghj", had) for i in range(2)}
    assert told == {"INLOOK=0", "INLOOK=1"}
    assert cookie(address, f"?code={LETTERS[1]}BCDEFGHJ&student=x", had) == "INLOOK=1"
    letters = {one.environ()["INLOOK_PROCESS_LETTER"] for one in servers(parent).values()}
    assert letters == set(LETTERS[:2])


def test_codes_begin_with_letters_that_codes_have():
    assert classes.LETTERS == LETTERS
    opened = classes.Classes(letter=LETTERS[1]).start()
    assert opened.code[0] == LETTERS[1]
    assert len(opened.code) == classes.CODE_LENGTH + 1


def alive(process):
    return process.is_running() and process.status() != psutil.STATUS_ZOMBIE


def eventually(visit_):
    """Visit as a browser does, which tries again."""
    until = time.monotonic() + 60
    while True:
        try:
            return visit_()
        except Exception:
            if time.monotonic() > until:
                raise
            time.sleep(0.5)
