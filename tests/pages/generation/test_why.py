"""Why this token: what the page says is what the runs say, asked for once and only on a click."""

from urllib.parse import parse_qs

import numpy as np
import pytest

from model_hooks import HookedModel, Knockout
from model_hooks.arrays import softmax
from model_hooks.experiments.untrained import open_model
from model_hooks.read import hiding
from tests.pages.conftest import opened, view_of
from tests.tiny_models import build, tiny_prompt, tiny_tokenizer

LIGHTHOUSE = "Lily and Tim went to the lighthouse. Lily and"


@pytest.fixture
def hidden_runs(monkeypatch):
    """What was hidden so far: one entry per word."""
    ran, run = [], hiding._hidden

    def counted(model, token_ids, words, interventions):
        ran.extend(words)
        return run(model, token_ids, words, interventions)

    monkeypatch.setattr(hiding, "_hidden", counted)
    return ran


@pytest.fixture
def storyteller(open_with):
    model = open_model("storyteller")
    open_with(lambda name: model)
    return model


def press_why(app):
    app.button(key="generation.why").click().run()
    assert not app.exception
    return app


def html_of(app):
    return " ".join(element.value for element in app.get("html"))


def said(app):
    return " ".join(element.value for element in (*app.markdown, *app.caption, *app.info))


def links(app):
    return {one.proto.label: one.proto for one in app.get("page_link")}


def test_the_lighthouse_is_explained_by_the_name_that_was_read(storyteller, hidden_runs):
    app = opened("generation", prompt=LIGHTHOUSE)
    assert "It read the answer most from <b>·Tim</b>: +7.9" in html_of(app)
    assert not hidden_runs
    press_why(app)
    assert "Without **·Tim**, the answer **·Tim** falls from 97.9% to 3.77%" in said(app)
    assert "both ways name the same word" in said(app)
    assert "The last token, **·and**, cannot be hidden" in said(app)
    assert len([word for word in hidden_runs if word != (1,)]) >= 6
    assert not app.exception


def test_numbers_are_those_of_knockouts(storyteller):
    app = press_why(opened("generation", prompt=LIGHTHOUSE))
    ids = storyteller.encode(LIGHTHOUSE)
    links_cut = [Knockout(query, 3) for query in range(4, len(ids))]
    probabilities = softmax(storyteller.trace(ids, links_cut).last_logits)
    tim = int(storyteller.trace(ids).last_logits.argmax())
    assert f"{100 * probabilities[tim]:.2f}%" in html_of(app)
    tom = int(np.argmax(probabilities))
    assert f"{100 * probabilities[tom]:.1f}%" in html_of(app)
    assert not app.exception


def test_a_link_restores_the_answer_and_a_step_puts_it_away(storyteller, hidden_runs):
    app = opened("generation", prompt=LIGHTHOUSE, generation__why=1)
    assert "Without **·Tim**" in said(app)
    n_before = len(hidden_runs)
    app.run()
    assert len(hidden_runs) == n_before  # kept
    app.button(key="text_bar.step").click().run()
    assert not view_of(app).generation.why
    assert "Without **" not in said(app)
    assert len(hidden_runs) == n_before
    app.button(key="text_bar.back").click().run()
    assert view_of(app).generation.why
    assert len(hidden_runs) == n_before
    assert not app.exception


def test_heads_and_layers_are_linked_to_the_pages_that_show_them(storyteller):
    app = press_why(opened("generation", prompt=LIGHTHOUSE, layer=1, head=1))
    found = links(app)
    best = next(link for label, link in found.items() if label.startswith("Layer 4, head 4"))
    assert "most from ·Tim" in best.label
    assert best.page == "what-each-head-reads"
    assert parse_qs(best.query_string)["set"] == ["layer~head"]
    head = next(link for label, link in found.items() if label.startswith("Layer 4, head 5"))
    assert parse_qs(head.query_string)["head"] == ["5"]
    layer = next(link for label, link in found.items() if label.startswith("Attention of layer 3"))
    assert layer.page == "layer-by-layer"
    assert parse_qs(layer.query_string)["layer"] == ["3"]
    assert not app.exception


def test_a_written_token_is_explained_from_the_text_before_it(storyteller):
    app = opened("generation", prompt=LIGHTHOUSE)
    app.button(key="text_bar.step").click().run()  # the newest token is looked at
    assert "It read the answer most from <b>·Tim</b>: +7.9" in html_of(app)
    press_why(app)
    assert "Without **·Tim**, the answer **·Tim** falls from 97.9%" in said(app)
    head = next(link for label, link in links(app).items() if label.startswith("Layer 4, head 4"))
    assert parse_qs(head.query_string)["pos"] == ["12"]  # the position that read
    assert not app.exception


@pytest.mark.parametrize("pos", [0, 1, 3])
def test_tokens_of_the_prompt_are_explained_too(open_page, pos):
    app = open_page("generation", pos=pos)
    if pos:
        press_why(app)
        assert "cannot be hidden: it is the one that asks" in said(app)
    else:
        assert not [button for button in app.button if button.key == "generation.why"]
    assert not app.exception


def test_the_first_word_of_a_model_without_an_opening_token_is_left_out(open_page, hidden_runs):
    app = press_why(open_page("generation"))
    assert "The first word, **the" in said(app)
    asked = {word for word in hidden_runs if len(word) == 1}
    assert (0,) not in asked
    assert not app.exception


@pytest.mark.parametrize(
    ("family", "says"),
    [("bloom", "computes attention in a way of its own"), ("olmo2", "cannot be hidden")],
)
def test_where_something_cannot_be_told_the_rest_is(open_with, family, says):
    model = HookedModel.wrap(build(family), tiny_tokenizer(), family)
    open_with(lambda name: model)
    prompt = model.decode(tiny_prompt(9))
    app = opened("generation", prompt=prompt)
    assert "It read the answer" not in html_of(app)
    press_why(app)
    assert says in said(app)
    assert not app.exception


def test_a_model_whose_tail_cannot_be_run_alone_still_hides_words(without_tail):
    app = press_why(opened("generation"))
    assert "cannot be hidden" in said(app)
    assert not app.exception
