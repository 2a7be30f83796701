"""Open a page of the app on a tiny model, without a browser."""

from collections.abc import Callable
from pathlib import Path

import pytest
from streamlit.runtime.pages_manager import PagesManager
from streamlit.testing.v1 import AppTest

from model_hooks import HookedModel
from pages.ask import session
from tests.tiny_models import build, tiny_tokenizer

APP = Path(__file__).parents[2] / "app.py"
PROMPT = "the cat sat on the mat"


class ServedPagesManager(PagesManager):
    """Believes, like the server once it imported app.py, that `pages/` is no legacy app."""

    def __init__(self, *args, **kwargs) -> None:
        PagesManager.uses_pages_directory = False
        super().__init__(*args, **kwargs)


@pytest.fixture(autouse=True)
def no_installed_components(monkeypatch):
    """Spare each AppTest the search of all installed packages for components, half its time."""
    monkeypatch.setattr(
        "streamlit.components.v2.manifest_scanner.scan_component_manifests", lambda: []
    )


@pytest.fixture
def tiny_session(monkeypatch, hooked):
    """Make every model name load the tiny model, with empty caches before and after."""
    caches = session.hooked_model, session.token_ids_of, session.trace_of
    for cache in caches:
        cache.clear()
    monkeypatch.setattr(session, "load_model", lambda name: hooked)
    monkeypatch.setattr("pages.shell.sidebar.SETTLE_S", 0)
    monkeypatch.setattr("streamlit.testing.v1.app_test.PagesManager", ServedPagesManager)
    yield
    for cache in caches:
        cache.clear()


@pytest.fixture
def open_page(tiny_session) -> Callable[..., AppTest]:
    """Return a function that opens a page: `open_page("attention", layer=1)`.

    Keyword arguments are fields of the selection, as a link would give them.
    """

    def open_page(page: str | None = None, **link: object) -> AppTest:
        app = AppTest.from_file(APP, default_timeout=30)
        for name, value in {"prompt": PROMPT, **link}.items():
            app.query_params[name] = str(value)
        app.run()
        return app.switch_page(f"pages/{page}/page.py").run() if page else app

    return open_page


@pytest.fixture
def of_unknown_wiring(tiny_session, monkeypatch) -> HookedModel:
    """Load a model whose attention and feedforward cannot be told apart, for any model name."""
    model = HookedModel.wrap(build("longcat_flash"), tiny_tokenizer(), "longcat_flash")
    assert {block.wiring for block in model.anatomy.blocks} == {"unknown"}
    monkeypatch.setattr(session, "load_model", lambda name: model)
    return model
