"""Two runs write in lockstep: each its own way, or B what A wrote, and where they part."""

import pytest

from model_hooks import Decoding, HookedModel
from model_hooks.arrays import softmax
from pages.generation.lockstep import Row, sentence
from pages.state.view import Selection
from tests.conftest import tiny_llama, with_random_weights
from tests.pages.conftest import PROMPT, view_of
from tests.pages.pairs import charts_of, opened_with, said
from viz.numbers import percent

OTHER = "the dog sat on the mat"


@pytest.fixture(scope="module")
def hooked(tokenizer) -> HookedModel:
    """One family is enough for a page."""
    return HookedModel.wrap(with_random_weights(tiny_llama), tokenizer, "tiny")


def press(app, name):
    return next(one for one in app.button if one.key == f"generation.{name}").click().run()


def table(app):
    return next(one.proto.body for one in app.get("html") if "A wrote" in one.proto.body)


def greedy(hooked, prompt, n):
    ids = list(hooked.encode(prompt))
    for _ in range(n):
        ids.append(int(hooked.trace(ids).last_logits.argmax()))
    return tuple(ids[-n:])


def test_both_write_their_own_way(tiny_session, hooked):
    app = opened_with("generation", Selection(prompt=OTHER))
    app = press(press(app, "both"), "both")
    assert not app.exception
    assert view_of(app).written == greedy(hooked, PROMPT, 2)
    assert view_of(app).pinned.written == greedy(hooked, OTHER, 2)
    assert app.query_params["written"] == ".".join(map(str, view_of(app).written))
    assert {"inlook-generation-candidates-a", "inlook-generation-candidates"} <= {*charts_of(app)}


def test_b_is_made_to_write_what_a_wrote_and_says_how_unlikely_it_was(tiny_session, hooked):
    way = Decoding("sample", temperature=3.0, seed=5)
    link = {"prompt": OTHER, "generation__follows": "of_a"}
    app = press(
        opened_with("generation", Selection(prompt=PROMPT, decoding=way), **link), "both_many"
    )
    assert not app.exception
    written = view_of(app).written
    assert written == view_of(app).pinned.written
    assert len(written) > 3
    first = float(softmax(hooked.trace(OTHER).last_logits)[written[0]])
    assert percent(first) in table(app)
    assert f"the same {len(written)} tokens" in said(app)


def test_a_run_that_is_behind_catches_up(tiny_session, hooked):
    app = opened_with("generation", Selection(prompt=PROMPT), written="3.4")
    app = press(app, "both")
    assert not app.exception
    assert view_of(app).written == (3, 4)
    assert view_of(app).pinned.written == greedy(hooked, PROMPT, 1)


def test_where_they_part_is_said_with_the_surprise():
    rows = [
        Row(1, "a", "a", True, 0.5, 0.5, 0.5),
        Row(2, "b", "c", False, 0.5, 0.5, 0.25),
        Row(3, "d", None, False, 0.5, None, None),
    ]
    assert "part at **step 2**" in sentence(rows)
    assert "25.0% (2.00 bits)" in sentence(rows)
    assert "the same 1 token" in sentence(rows[:1])
    assert not sentence(rows[2:])


def test_a_that_cannot_go_on_is_said(open_with, hooked):
    full = Selection(prompt=" ".join(["the"] * hooked.info.context_size))
    open_with(lambda name: hooked)
    app = press(press(opened_with("generation", full), "both"), "both")
    assert not app.exception
    assert any("Run A" in one.value for one in app.error)
