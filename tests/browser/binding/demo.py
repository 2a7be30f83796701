"""A small app with every kind of bound widget: three pages, one view, a fragment, a dialog."""

import json
import time
from dataclasses import asdict

import streamlit as st

from pages.state.view import value_of
from pages.state.visit import begin, link, page_name, put, uses, view
from pages.widgets.bind import bind, expander, tabs
from pages.widgets.fragment import fragment
from tests.browser.binding.demo_view import View

HEADS = {"small": 4, "big": 16}
WORDS = ["cat", "dog", "a~b", "50%", "*"]
STRIP_JS = """export default function({ data, parentElement, setTriggerValue }) {
  let box = parentElement.querySelector('.strip');
  if (!box) {
    box = document.createElement('div');
    box.className = 'strip';
    parentElement.append(box);
  }
  box.replaceChildren(...Array.from({ length: data.n }, (_, i) => {
    const tok = document.createElement('button');
    tok.className = 'tok'; tok.textContent = i; tok.ariaCurrent = String(i === data.selected);
    tok.onclick = () => {
      for (const other of box.children) other.ariaCurrent = String(other === tok);
      setTriggerValue('picked', i);
    };
    return tok;
  }));
}
"""
strip = st.components.v2.component(
    "demo_strip", js=STRIP_JS, css=".tok { margin: 1px; }\n.tok[aria-current=true] { color: red; }"
)


def component(draw, field, data):
    """Draw a component that shows a field as `selected` and sends a trigger "picked"."""
    key = f"{page_name()}.{field}.component"

    def take():
        if (picked := (st.session_state.get(key) or {}).get("picked")) is not None:
            put(**{field: picked})

    uses(field)
    draw(key=key, data={**data, "selected": value_of(view(), field)}, on_picked_change=take)


def boxed(field, kind, draw):
    """Draw a widget in a box that tests find, and note the value that the script uses."""
    with st.container(key=f"w-{field.replace('.', '_')}-{kind}"):
        value = draw()
    used.append([field, kind, value])
    return value


def layer_box(key_slot=""):
    boxed(
        "layer",
        "selectbox",
        lambda: bind(st.selectbox, "Layer", "layer", options=range(12), slot=key_slot),
    )


def head_pick(kind, widget, **arguments):
    heads = [None, *range(HEADS[view().model])]
    boxed(
        "head",
        kind,
        lambda: bind(
            widget,
            "Head",
            "head",
            options=heads,
            format_func=lambda head: "Mean" if head is None else f"H{head}",
            **arguments,
        ),
    )


def decoding():
    """Draw the widgets that move from a popover to a column."""
    boxed(
        "strategy",
        "segmented",
        lambda: bind(
            st.segmented_control,
            "Strategy",
            "strategy",
            options=["greedy", "sample"],
            required=True,
        ),
    )
    boxed(
        "temperature",
        "slider",
        lambda: bind(
            st.slider, "Temperature", "temperature", min_value=0.1, max_value=2.0, step=0.05
        ),
    )
    boxed(
        "top_p",
        "slider",
        lambda: bind(
            st.slider, "Top-p", "top_p", min_value=0.05, max_value=1.0, step=0.05, none_is=1.0
        ),
    )


def next_head():
    """Change a field by program."""
    put(head=((view().head or 0) + 1) % HEADS[view().model])


def first():
    """Show the first page."""
    st.header("First")
    layer_box()
    boxed("layer", "strip", lambda: component(strip, "layer", {"n": 12}) or view().layer)
    head_pick("segmented", st.segmented_control, required=True)
    st.button("Next head", on_click=next_head)
    st.button("Reset", on_click=lambda: put(temperature=1.0, layer=0, head=0))
    boxed(
        "temperature",
        "slider",
        lambda: bind(
            st.slider, "Temperature", "temperature", min_value=0.1, max_value=2.0, step=0.05
        ),
    )
    boxed(
        "one.measure",
        "radio",
        lambda: bind(st.radio, "Measure", "one.measure", options=["entropy", "top", "loss"]),
    )
    boxed(
        "one.zoom",
        "number",
        lambda: bind(st.number_input, "Zoom", "one.zoom", min_value=0.5, max_value=4.0, step=0.5),
    )
    with st.container(key="w-one_open-expander"), expander("More", "one.open"):
        boxed("cache", "toggle", lambda: bind(st.toggle, "Cache", "cache"))
    used.append(["one.open", "expander", view().one.open])


@fragment
def stepper():
    """Step without the rest of the page."""
    boxed(
        "two.step", "slider", lambda: bind(st.slider, "Step", "two.step", min_value=0, max_value=9)
    )
    st.html(f"<pre id='fragment'>{view().two.step}</pre>")
    boxed(
        "layer",
        "selectbox2",
        lambda: bind(st.selectbox, "Layer", "layer", options=range(12), slot="fragment"),
    )


def second():
    """Show the second page."""
    st.header("Second")
    boxed(
        "two.stage",
        "segmented",
        lambda: bind(
            st.segmented_control,
            "Stage",
            "two.stage",
            options=["start", "choice", "end"],
            required=True,
        ),
    )
    if view().two.stage == "choice":
        left, _ = st.columns(2)
        with left:
            decoding()
    elif view().two.stage == "start":
        with st.popover("Decoding"):
            decoding()
    with st.container(key="w-two_tab-tabs"):
        boxes = tabs("two.tab", ["Map", "Lines", "Table"])
    used.append(["two.tab", "tabs", view().two.tab])
    for name, box in zip(["Map", "Lines", "Table"], boxes, strict=True):
        with box:
            if box.open:
                st.write(f"inside {name}")
                if name == "Lines":
                    boxed(
                        "two.order",
                        "pills",
                        lambda: bind(
                            st.pills, "Order", "two.order", options=["up", "down"], required=True
                        ),
                    )
    stepper()
    layer_box()


@st.dialog("Choose")
def ask():
    """Ask in a dialog."""
    boxed(
        "three.size", "radio", lambda: bind(st.radio, "Size", "three.size", options=["S", "M", "L"])
    )
    if st.button("Done"):
        st.rerun()


def third():
    """Show the third page."""
    st.header("Third")
    boxed(
        "three.watched",
        "multiselect",
        lambda: bind(st.multiselect, "Watched", "three.watched", options=WORDS),
    )
    boxed("three.name", "text", lambda: bind(st.text_input, "Name", "three.name"))
    head_pick("selectbox", st.selectbox)
    if st.button("Ask"):
        ask()
    st.button("Write", on_click=lambda: put(written=(*view().written, len(view().written))))


PAGES = [
    st.Page(first, default=True),
    st.Page(second, url_path="two"),
    st.Page(third, url_path="three"),
]

used = []
st.set_page_config(layout="wide")
page = st.navigation(PAGES, position="hidden")
begin(View, page.url_path or "one")
with st.sidebar:
    for target in PAGES:
        st.page_link(target, query_params=link())
    st.page_link(PAGES[1], label="Jump", query_params=link(layer=7, **{"two.tab": "Table"}))
    boxed("prompt", "area", lambda: bind(st.text_area, "Prompt", "prompt"))
    boxed(
        "model", "selectbox", lambda: bind(st.selectbox, "Model", "model", options=["small", "big"])
    )
    boxed(
        "slow",
        "number",
        lambda: bind(st.number_input, "Slow", "slow", min_value=0.0, max_value=5.0, step=0.5),
    )
time.sleep(view().slow)
page.run()
st.html(
    f"<pre id='truth'>{json.dumps(asdict(view()))}</pre><pre id='used'>{json.dumps(used)}</pre>"
    f"<pre id='runs'>{st.session_state.setdefault('runs', 0)}</pre>"
)
st.session_state["runs"] += 1
