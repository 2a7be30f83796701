"""A running server for strangers, asked without a browser: what is shut, and what it tells."""

import re
import time
import urllib.error
import urllib.request

import pytest
from websockets.exceptions import InvalidStatus

from tests.browser.driving import serve
from tests.visiting import answers, joined

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def log(tmp_path_factory):
    return tmp_path_factory.mktemp("public") / "log.txt"


@pytest.fixture(scope="module")
def url(log):
    with serve(log, INLOOK_PUBLIC="1", INLOOK_METRICS="1", INLOOK_AT_ONCE="1") as url:
        yield url


def asked(url, path, **headers):
    """The status of an answer, and its text."""
    try:
        answer = urllib.request.urlopen(urllib.request.Request(url + path, headers=headers))
    except urllib.error.HTTPError as error:
        answer = error
    with answer:
        return answer.status, answer.read().decode()


def visit(url, until="script_finished", **view):
    """Open the front page with a view; return the texts of the errors on it."""
    texts = []
    for told in answers(url, view, until=until):
        element = told.delta.new_element
        if element.WhichOneof("type") in ("alert", "exception"):
            texts.append(element.alert.body or str(element.exception))
    return texts


def test_health_and_counters_are_told(url):
    assert asked(url, "/healthz") == (200, "ok")
    assert asked(url, "/healthz", Accept="text/html") == (200, "ok")
    visit(url)
    status, counters = asked(url, "/metrics")
    assert status == 200
    for name in ("visitors", "queue", "running", "models_bytes", "answers_bytes", "clicks_total"):
        assert re.search(rf"^inlook_{name} [\d.e+]+$", counters, re.MULTILINE), name
    assert float(re.search(r"^inlook_models_bytes (\S+)$", counters, re.MULTILINE)[1]) > 1e6
    assert float(re.search(r"^inlook_answer_seconds_count (\S+)$", counters, re.MULTILINE)[1]) > 0


def test_foreign_names_and_pages_are_refused(url):
    assert asked(url, "/", Host="evil.example")[0] == 421
    assert asked(url, "/")[0] == 200
    for headers in ({"Host": "evil.example"}, {"Origin": "http://evil.example"}):
        with pytest.raises(InvalidStatus):
            joined(url, headers)


@pytest.mark.parametrize("model", ["/etc", "gpt2", "./models/storyteller", "../main/models"])
def test_nothing_off_the_list_is_opened_and_refusals_are_alike(url, model):
    (said,) = {text for text in visit(url, model=model) if "model" in text}
    assert said == "This server opens only the models on its list\\: choose one in the sidebar\\."


def test_nobodys_text_is_in_the_log(url, log):
    visit(url, prompt="canary " * 5)
    visit(url, prompt="canary " * 4000)
    visit(url, model="canary")
    assert "canary" not in log.read_text()


def test_the_work_of_one_who_left_ends(url):
    def busy():
        return float(re.search(r"^inlook_clicks_total (\S+)$", asked(url, "/metrics")[1], re.M)[1])

    before = busy()
    visit(url, until="new_session", prompt="Once upon a time")
    assert busy() == before + 1
    until = time.monotonic() + 30
    while "inlook_visitors 0.0" not in asked(url, "/metrics")[1]:
        assert time.monotonic() < until
        time.sleep(0.2)
