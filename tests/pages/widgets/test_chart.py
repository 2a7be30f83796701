"""What a chart sends to the browser, and what comes back from a click."""

import pytest
from starlette.applications import Starlette
from starlette.testclient import TestClient
from streamlit.testing.v1 import AppTest

from pages.widgets.chart import PLOTLY_ROUTE
from tests.pages.charts import drawn


def page(**options):
    import plotly.graph_objects as go
    import streamlit as st

    from pages.widgets.chart import chart

    got = st.session_state.setdefault("got", [])
    if "on_click" in options:
        options["on_click"] = got.append
    if "on_cell" in options:
        options["on_cell"] = got.append
    figure = go.Figure(go.Bar(x=[1, 2], y=["<b>", "b"], marker={"color": "#000001"}))
    chart(figure, key="bars.of_two", alt="Two bars", **options)


def test_figure_is_sent_whole_with_its_placeholders_and_its_name():
    app = AppTest.from_function(page).run()
    assert not app.exception
    (found,) = drawn(app)
    assert found.alt == "Two bars"
    assert found.key == "inlook-bars-of-two"
    assert found.figure["data"][0]["marker"]["color"] == "#000001"
    assert found.figure["data"][0]["y"] == ["<b>", "b"]


@pytest.mark.parametrize("view", [None, ("a", 1)])
def test_same_figure_is_sent_as_the_same_data(view):
    app = AppTest.from_function(page, kwargs={"view": view}).run()
    before = app.get("bidi_component")[0].proto.json
    assert app.run().get("bidi_component")[0].proto.json == before


@pytest.fixture
def clicked(monkeypatch):
    """Return a function that draws a chart, clicks a point of it, and tells what the page got."""

    def clicked(callback: str, **point):
        point = {"x": None, "y": None, "customdata": None, "cell": None, **point}
        monkeypatch.setattr(
            "pages.widgets.chart._chart", lambda key, data, on_clicked_change: on_clicked_change()
        )
        app = AppTest.from_function(page, kwargs={callback: True})
        app.session_state["bars.of_two"] = {"clicked": point}
        app.run()
        assert not app.exception
        return app.session_state["got"]

    return clicked


def test_click_on_a_mark_reaches_the_page(clicked):
    (point,) = clicked("on_click", x=2, y="b", customdata=7)
    assert (point.x, point.y, point.customdata, point.cell) == (2, "b", 7, None)


def test_click_on_a_cell_reaches_the_page_as_row_and_column(clicked):
    assert clicked("on_cell", x="a", y="b", cell=[3, 1]) == [(3, 1)]


@pytest.mark.parametrize("callback", ["on_click", "on_cell"])
def test_click_on_a_chart_that_is_no_longer_drawn_does_nothing(monkeypatch, callback):
    monkeypatch.setattr(
        "pages.widgets.chart._chart", lambda key, data, on_clicked_change: on_clicked_change()
    )
    app = AppTest.from_function(page, kwargs={callback: True}).run()
    assert not app.exception
    assert app.session_state["got"] == []


def test_click_beside_the_cells_of_a_heatmap_does_nothing(clicked):
    assert clicked("on_cell", x=1, y=2) == []


def test_plotly_route_serves_the_packages_own_script():
    client = TestClient(Starlette(routes=[PLOTLY_ROUTE]))
    answer = client.get("/vendor/plotly.min.js?1.2.3")
    assert answer.status_code == 200
    assert "plotly.js v" in answer.text[:200]
    assert int(answer.headers["content-length"]) < 2_000_000
