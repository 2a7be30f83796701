"""What holds the pages apart from models and from each other, read from their code."""

import ast
from pathlib import Path

import pytest

import app as entry

PAGES = Path(__file__).parents[2] / "pages"
FOLDERS = {place.folder for group in entry.PAGES.values() for place in group}
LOADS = "pages/ask/opening.py"
"""The only module that holds a model."""

LIVE_MODULES = {"torch", "transformers", "safetensors", "tokenizers"}
LIVE_NAMES = {"HookedModel", "Trace", "LayerTrace", "Generation", "TokenizerView", "load_model"}
LIVE_ATTRIBUTES = {"anatomy", "inference_mode", "past_key_values"}
STATE = {"session_state", "persist_state"}
BUILDS_ON = {
    "server": {"server"},
    "state": {"state"},
    "ask": {"server", "state", "ask"},
    "widgets": {"server", "state", "ask", "widgets"},
    "teach": {"server", "state", "ask", "teach"},
    "shell": {"server", "state", "ask", "widgets", "teach", "shell"},
}
"""Which folders of `pages` each may import; a page may import all of those and itself."""


def modules():
    return sorted(PAGES.rglob("*.py"))


def name_of(path):
    return path.relative_to(PAGES.parent).as_posix()


def imported(tree):
    """Yield (module, name) of everything that is imported."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((alias.name, "") for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from ((node.module or "", alias.name) for alias in node.names)


def live_things(source):
    """What of a model a module touches."""
    tree = ast.parse(source)
    found = {module for module, _ in imported(tree) if module.split(".")[0] in LIVE_MODULES}
    found |= {name for _, name in imported(tree) if name in LIVE_NAMES}
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and node.attr in LIVE_ATTRIBUTES:
            found.add(node.attr)
        inner = getattr(node, "value", None)
        if isinstance(node, ast.Attribute) and node.attr == "model":
            found |= {"model.model"} if getattr(inner, "attr", "") == "model" else set()
    return found


def folder_of(module):
    """The folder of `pages` that a module lies in; empty for what is none of it."""
    parts = module.split(".")
    return parts[1] if parts[0] == "pages" and len(parts) > 1 else ""


def arrows(source, folder):
    """The folders of `pages` that a module imports and may not."""
    allowed = BUILDS_ON.get(folder, {"server", "state", "ask", "widgets", "teach", folder})
    targets = set()
    for module, name in imported(ast.parse(source)):
        targets.add(folder_of(f"{module}.{name}" if module == "pages" else module))
    return {target for target in targets & (FOLDERS | set(BUILDS_ON)) if target not in allowed}


def own_state(source):
    """What of Streamlit's own state a module uses."""
    tree = ast.parse(source)
    attributes = {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
    arguments = {node.arg for node in ast.walk(tree) if isinstance(node, ast.keyword)}
    return (attributes | arguments) & STATE


def assumed_keys(source):
    """The lines that fail where Streamlit keeps nothing under a key."""
    return [
        node.lineno
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.Subscript)
        and isinstance(node.ctx, ast.Load)
        and getattr(node.value, "attr", "") == "session_state"
    ]


@pytest.mark.parametrize("path", modules(), ids=name_of)
def test_no_page_touches_a_model(path):
    if name_of(path) != LOADS:
        assert live_things(path.read_text(encoding="utf-8")) == set()


@pytest.mark.parametrize("path", modules(), ids=name_of)
def test_pages_import_nothing_of_each_other_and_folders_build_on_earlier_ones(path):
    folder = path.relative_to(PAGES).parts[0]
    assert arrows(path.read_text(encoding="utf-8"), folder) == set()


@pytest.mark.parametrize("folder", sorted(FOLDERS))
def test_a_page_keeps_no_state_of_its_own(folder):
    for path in (PAGES / folder).rglob("*.py"):
        assert own_state(path.read_text(encoding="utf-8")) == set(), name_of(path)


@pytest.mark.parametrize("path", modules(), ids=name_of)
def test_pages_read_nothing_of_the_training(path):
    tree = ast.parse(path.read_text(encoding="utf-8"))
    texts = {n.value for n in ast.walk(tree) if isinstance(n, ast.Constant)}
    assert "training" not in texts
    assert not any(module.startswith("training") for module, _ in imported(tree))


def test_nobody_assumes_that_a_widget_has_a_value():
    """A click may arrive for a widget that the last run did not draw."""
    paths = [path for path in modules() if path.parent.name != "state"]
    found = {name_of(path): assumed_keys(path.read_text(encoding="utf-8")) for path in paths}
    found.pop("pages/widgets/next_pages.py")  # each run puts there what it reads
    assert {name: lines for name, lines in found.items() if lines} == {}


def test_there_is_no_clock_in_the_state_of_a_visitor():
    for path in [*(PAGES / "state").glob("*.py"), PAGES / "widgets/bind.py"]:
        assert "time" not in {module for module, _ in imported(ast.parse(path.read_text()))}


@pytest.mark.parametrize(
    ("source", "found"),
    [
        ("import torch.nn", {"torch.nn"}),
        ("from model_hooks import HookedModel", {"HookedModel"}),
        ("def f(of): return of.model.model.dtype", {"model.model"}),
        ("def f(of): return of.anatomy", {"anatomy"}),
    ],
)
def test_what_is_live_is_noticed(source, found):
    assert live_things(source) == found


@pytest.mark.parametrize(
    ("source", "folder", "found"),
    [
        ("from pages.layers.page import draw", "attention", {"layers"}),
        ("from pages import layers", "attention", {"layers"}),
        ("from pages.widgets.bind import bind", "state", {"widgets"}),
        ("from pages.ask.session import run", "attention", set()),
    ],
)
def test_an_arrow_that_runs_back_is_noticed(source, folder, found):
    assert arrows(source, folder) == found


def test_a_key_that_is_assumed_is_noticed():
    assert assumed_keys("a = 1\nst.session_state[key]['picked']") == [2]
    assert assumed_keys("st.session_state[key] = 1\nst.session_state.get(key)") == []


def test_state_of_ones_own_is_noticed():
    assert own_state("st.session_state['x'] = 1") == {"session_state"}
    assert own_state("st.toggle('x', persist_state='session')") == {"persist_state"}
