"""Open a page of the app on a tiny model, without a browser.

Every question and answer travels as to another machine: nothing live gets across.
"""

import json
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from streamlit.components.v2.bidi_component.main import _make_trigger_id
from streamlit.runtime.pages_manager import PagesManager
from streamlit.testing.v1 import AppTest
from streamlit.util import calc_hash

from model_hooks import HookedModel
from model_hooks.cluster.asking import Loopback
from model_hooks.host import Host
from pages.ask import computed
from pages.state import visit
from tests.conftest import tiny_llama, with_random_weights
from tests.tiny_models import build, tiny_tokenizer

APP = Path(__file__).parents[2] / "app.py"
PROMPT = "the cat sat on the mat"
WIDGETS = (
    "slider",
    "selectbox",
    "segmented_control",
    "radio",
    "toggle",
    "checkbox",
    "multiselect",
    "text_input",
    "text_area",
    "number_input",
    "select_slider",
    "pills",
    "tabs",
    "expander",
)


class ServedPagesManager(PagesManager):
    """Believes, like the server once it imported app.py, that `pages/` is no legacy app."""

    def __init__(self, *args, **kwargs) -> None:
        PagesManager.uses_pages_directory = False
        super().__init__(*args, **kwargs)


@pytest.fixture(autouse=True)
def whole_window(monkeypatch):
    """Draw everything anew after each click: an AppTest sees only what its last run drew."""
    monkeypatch.setattr(visit, "PARTS_ALONE", False)


@pytest.fixture(autouse=True)
def no_installed_components(monkeypatch):
    """Spare each AppTest the search of all installed packages for components, half its time."""
    monkeypatch.setattr(
        "streamlit.components.v2.manifest_scanner.scan_component_manifests", lambda: []
    )


@pytest.fixture
def open_with(monkeypatch):
    """Return a function that makes every model name load what another function returns."""
    monkeypatch.setattr("streamlit.testing.v1.app_test.PagesManager", ServedPagesManager)

    def open_with(open_model: Callable[[str], HookedModel]) -> None:
        computed.set_host(Loopback(Host(open_model)))

    yield open_with
    computed.set_host(None)


@pytest.fixture
def tiny_session(open_with, hooked):
    """Make every model name load the tiny model."""
    open_with(lambda name: hooked)


@pytest.fixture
def open_page(tiny_session) -> Callable[..., AppTest]:
    """Return a function that opens a page: `open_page("attention", layer=1)`.

    Keyword arguments are fields of the view, as a link would give them; dots are written as `__`.
    """
    return opened


@pytest.fixture
def of_unknown_wiring(open_with) -> HookedModel:
    """Load a model whose attention and feedforward cannot be told apart, for any model name."""
    model = HookedModel.wrap(build("longcat_flash"), tiny_tokenizer(), "longcat_flash")
    assert {block.wiring for block in model.anatomy.blocks} == {"unknown"}
    open_with(lambda name: model)
    return model


@pytest.fixture
def without_numbers_at(open_with, tokenizer) -> Callable[[int], None]:
    """Return a function that loads a model whose tail gives no numbers at one position.

    So does a tail in a narrow number format where a vector is very long.
    """

    def without_numbers_at(pos: int) -> None:
        model = with_random_weights(tiny_llama)
        broken = HookedModel.wrap(model, tokenizer, "broken")
        entered = float(broken.trace(PROMPT).layers[-1].resid_post[pos, 0])

        def spoil(norm: Any, given: tuple, out: torch.Tensor) -> torch.Tensor:
            return torch.where((given[0][..., :1] - entered).abs() < 1e-6, torch.nan, out)

        model.model.norm.register_forward_hook(spoil)
        open_with(lambda name: broken)

    return without_numbers_at


@pytest.fixture
def without_tail(open_with, tokenizer) -> None:
    """Load a model whose final norm and LM head cannot be run without its blocks."""
    model = HookedModel.wrap(with_random_weights(tiny_llama), tokenizer, "without_tail")
    model.abilities = replace(model.abilities, has_tail=False)
    open_with(lambda name: model)


def opened(page: str | None = None, **link: object) -> AppTest:
    """Open a page by its folder."""
    app = AppTest.from_file(APP, default_timeout=30)
    for name, value in {"prompt": PROMPT, **link}.items():
        app.query_params[name.replace("__", ".")] = str(value)
    return switched(app, page) if page else app.run()


def switched(app: AppTest, page: str) -> AppTest:
    """Change to a page by its folder."""
    import app as entry

    places = [place for group in entry.PAGES.values() for place in group]
    address = next(place.address for place in places if place.folder == page)
    # Of a page that is a function, AppTest knows no file to switch to.
    app._page_hash = "" if page == places[0].folder else calc_hash(address)
    return app.run()


def widget(app: AppTest, field: str, slot: str = "") -> Any:
    """Return the widget that is bound to a field of the view."""
    kinds = "|".join(WIDGETS)
    bound = re.compile(rf"[a-z_]+\.{re.escape(field)}\.({kinds}){re.escape(slot)}\.\d+")
    found = [one for one in app if bound.fullmatch(str(getattr(one, "key", None)))]
    assert len(found) == 1, f"{len(found)} widgets for {field}: {[one.key for one in found]}"
    return found[0]


def choose(app: AppTest, field: str, value: Any, slot: str = "") -> AppTest:
    """Use the widget of a field: an option by its label, anything else by its value.

    Two widgets for one field are told apart by their slots.
    """
    found = widget(app, field, slot)
    options = list(getattr(found, "options", ()) or ())
    if options and isinstance(value, list):
        found.set_value([options.index(str(one)) for one in value])
    elif options:
        found.set_value(options.index(str(value)))
    else:
        found.set_value(value)
    return app.run()


def component_of(app: AppTest, key: str) -> Any:
    """Return what is sent to the browser for a component of our own."""
    found = [one.proto for one in app.get("bidi_component") if one.proto.id.endswith(f"-{key}")]
    assert len(found) == 1, f"{len(found)} components {key}"
    return found[0]


def told(app: AppTest, key: str, state: Any = None, **events: Any) -> AppTest:
    """Run the app as after events of a component of our own: `told(app, "strip", picked=3)`.

    Args:
        app: The app.
        key: The component's key.
        state: What it has set, by name.
        **events: What it has triggered.
    """
    base = component_of(app, key).id
    states = app._tree.get_widget_states()
    if state is not None:
        states.widgets.add(id=base).json_value = json.dumps(state)
    if events:
        triggers = [{"event": name, "value": value} for name, value in events.items()]
        trigger = states.widgets.add(id=_make_trigger_id(base, "events"))
        trigger.json_trigger_value = json.dumps(triggers)
    return app._run(states)


def with_options(app: AppTest) -> AppTest:
    """Open the part of the bar that says how the next token is picked."""
    app.session_state["text_bar.how"] = True
    return app.run()


def choose_decoding(app: AppTest, option: str, value: Any) -> AppTest:
    """Use a control of how the next token is picked."""
    return choose(with_options(app), f"decoding.{option}", value)


def prompt_of(app: AppTest) -> str:
    """Return the prompt that the bar offers to edit."""
    return json.loads(component_of(app, "text_bar_strip").json)["prompt"]


def with_prompt(app: AppTest, prompt: str) -> AppTest:
    """Type another prompt in the bar."""
    return told(app, "text_bar_strip", prompt=prompt)


def view_of(app: AppTest) -> Any:
    """Return what the visitor sees."""
    return app.session_state["visit.view"]


def alts(app: AppTest) -> list[str]:
    """Return what a screen reader says of each chart."""
    sent = [element.proto.json for element in app.get("bidi_component")]
    return [json.loads(one)["alt"] for one in sent if '"alt"' in one]
