"""One state has one value of each quantity, on whatever page it is written."""

import math
from collections import defaultdict

import pytest

import app as entry
from model_hooks.experiments.untrained import open_model
from pages.widgets import quantity
from pages.widgets.quantity import Quantity, heard
from tests.pages.conftest import opened

STORY = "Lily and Tim went to the lighthouse. Lily and"
FOLDERS = [place.folder for group in entry.PAGES.values() for place in group]
TWINS = {"block_architecture.tab": "twins"}
LOOKS = [
    *((folder, {}) for folder in FOLDERS),
    *(("forward_pass", {"stage": stage}) for stage in ("blocks", "lm_head", "choice")),
    *(("attention", {"attention.tab": tab}) for tab in ("arithmetic", "ablation")),
    *(("layers", {"layers.tab": tab}) for tab in ("halves", "parts", "growth")),
    *(("lm_head", {"lm_head.tab": tab}) for tab in ("stages", "all_tokens", "surprisal")),
    *(("kv_cache", {"kv_cache.tab": tab}) for tab in ("contents", "sizes")),
    ("kv_cache", {"kv_cache.tab": "sizes", "kv_cache.positions": 13}),
    ("efficient_attention", {"efficient_attention.tab": "kv_heads"}),
    ("block_architecture", TWINS),
    ("block_architecture", {**TWINS, "block_architecture.twins": "pair"}),
    ("positions", {"positions.tab": "swap"}),
    ("generation", {"generation.why": 1}),
]
"""Pages, and what of them is open."""
STATES = [
    {"layer": 4, "head": 4},
    {
        **{"written": "361.430", "pos": 13, "layer": 4, "head": "mean"},
        **{"strategy": "sample", "temperature": 1.5, "repetition_penalty": 1.3},
    },
]
ON_SEVERAL_PAGES = {
    quantity.TOKENS: 11,
    quantity.CONTEXT: 11,
    quantity.CHANCE: 11,
    quantity.PROBABILITY: 5,
    quantity.ENTROPY: 2,
    quantity.LENS: 2,
    quantity.LOSS: 2,
    quantity.ATTENTION: 2,
    quantity.ADDED: 2,
    quantity.LENGTH: 2,
    quantity.CACHED: 2,
    quantity.BITS_PER_BYTE: 2,
}
"""On how many pages at least one and the same number is written."""


@pytest.fixture
def real_models(open_with):
    """Open the models that came along."""
    open_with(open_model)


def written_on(state):
    """Open all pages on one state: per quantity and what it is of, (page, what it writes)."""
    found = defaultdict(list)
    for folder, more in LOOKS:
        listening = lambda one: found[one.quantity, one.of].append((folder, one))  # noqa: B023, E731
        with heard(listening):
            app = opened(folder, prompt=STORY, **{**state, **more})
        assert not app.exception, (folder, more)
        assert not app.error, (folder, more, app.error[0].value)
    return found


@pytest.mark.slow
@pytest.mark.usefixtures("real_models")
def test_all_pages_write_one_value():
    most: dict[str, int] = defaultdict(int)
    for state in STATES:
        for (name, of), written in written_on(state).items():
            values = [one.value for _, one in written]
            agree = math.isclose(min(values), max(values), rel_tol=1e-4, abs_tol=1e-7)
            assert agree, (name, of, [(page, one.value) for page, one in written])
            most[name] = max(most[name], len({page for page, _ in written}))
    on_several: dict[Quantity, int] = ON_SEVERAL_PAGES
    for of, at_least in on_several.items():
        assert most[of.name] >= at_least, (of.name, most[of.name])
