"""A file of figures needs nothing else, and runs nothing that a text says."""

import base64
import json
import re

import numpy as np
import pytest

from pages.widgets.chart import plotly_script
from pages.widgets.drawn import Drawn, collecting, note
from pages.widgets.html_file import html_file
from pages.widgets.scripts import BROWSER
from viz import attention_heatmap

EVIL = '</script><script>alert(1)</script><img src=x onerror="alert(1)">&amp;'


@pytest.fixture
def figure():
    return attention_heatmap(np.tri(3, dtype=np.float32), [" a", EVIL, "c"])


def told(html):
    """What the scripts of a file are given, one for each figure."""
    return [json.loads(one) for one in re.findall('application/json">(.*?)</script>', html)]


def without_plotly(html):
    return html.replace(plotly_script().decode(), "")


def test_a_figure_is_given_as_it_is(figure):
    (given,) = told(html_file({"What is read": figure}, "Title"))
    assert given["component"] == "chart"
    assert given["data"]["figure"] == figure.written()
    assert given["data"]["alt"] == "What is read"


def test_plotly_is_there_once_and_where_it_is_needed(figure):
    html = html_file({"one": figure, "two": figure}, "Title")
    assert html.count(plotly_script().decode()) == 1
    assert len(html.encode()) < 5_000_000
    strip = Drawn("token_strip", {"tokens": ["a"], "label": "Tokens"}, "Tokens", True)
    assert len(html_file([strip], "Title").encode()) < 50_000


def test_nothing_is_fetched_from_anywhere(figure):
    html = without_plotly(html_file({EVIL: figure}, "Title"))
    addresses = set(re.findall(r"https?://[^\s\"'<\\]+", html))
    assert addresses == {"http://www.w3.org/2000/svg"} & addresses
    assert not re.search(r"<(link|img|iframe|base)\b|\bsrc=\"|@import|url\((?!\$)", html)


def test_texts_are_shown_as_they_stand(figure):
    html = without_plotly(html_file({EVIL: figure}, EVIL + "\ud800", {EVIL: EVIL}))
    html.encode()
    assert "<script>alert" not in html
    assert "<img" not in html
    n_scripts = html.count("<script")
    assert n_scripts == html.count("</script>")
    plain = without_plotly(html_file({"a": figure}, "b", {"c": "d"}))
    assert n_scripts == plain.count("<script")


def test_bytes_arrive_as_bytes():
    grid = Drawn("head_grid", b"\x00\xff<", "Heads", True)
    (given,) = told(html_file([grid], "Title"))
    assert base64.b64decode(given["bytes"]) == b"\x00\xff<"


@pytest.mark.parametrize("name", sorted(path.stem for path in BROWSER.glob("*.css")))
def test_every_component_can_be_taken_away(name):
    if not (BROWSER / f"{name}.js").exists() or name == "html_file":
        pytest.skip("a style of its own")
    html = without_plotly(html_file([Drawn(name, {}, "", True)], "Title"))
    assert html.count(f"window.inlookComponents.{name} = function") == 1
    assert not re.search(r"^(export|import) ", html, re.MULTILINE)


def test_the_variables_of_both_themes_are_there(figure):
    html = html_file({"a": figure}, "Title")
    assert re.search(r":root \{[^}]*--st-background-color: #ffffff;", html)
    assert re.search(r'data-scheme="dark"\] \{[^}]*--st-background-color: #11161d;', html)
    used = set(re.findall(r"var\(--(st-[a-z-]+)", html))
    assert used - set(re.findall(r"--(st-[a-z-]+):", html)) == set()


def test_versions_are_named(figure):
    assert re.search(r"Made with Inlook \d+\.\d+\.\d+ \(.*torch \d", html_file({"a": figure}, "b"))


def test_nothing_is_collected_where_nobody_asks():
    one = Drawn("chart", {}, "", False)
    note("a", one)
    with collecting() as drawn:
        note("a", one)
        note("b", one)
        note("a", one._replace(says="later"))
    note("c", one)
    assert [(key, each.says) for key, each in drawn.items()] == [("b", ""), ("a", "later")]
