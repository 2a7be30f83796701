"""The race on the KV cache page: it shows what it measured, and leaves every button working."""

import itertools

import numpy as np
import pytest
import torch

from model_hooks import AblateHead, HookedModel
from model_hooks.experiments.untrained import UNTRAINED_GPT2
from pages.kv_cache import race as racing
from pages.kv_cache.steps_taken import OPENING_STEPS as OPENING
from tests.pages.charts import numbers
from tests.pages.conftest import (
    choose,
)
from tests.pages.kv_cache.looking import (
    N_PROMPT,
    TEXT,
    cache_of,
    change_race,
    chart,
    cut_off_race,
    drawn_after,
    greedy,
    kept,
    link_of,
    most_probable,
    open_tab,
    press,
    said,
    tables,
    taken,
)
from tests.tiny_models import build, tiny_tokenizer


def test_race_shows_the_ratio_of_what_it_measured(open_page):
    app = open_page("kv_cache")
    choose(app, "kv_cache.n_prompt", 20)
    choose(app, "kv_cache.n_tokens", 5)
    app = press(app, "run")
    race = kept(app, "result").race
    assert race.seconds(True).shape == (3, 5)
    assert len(race.rounds[0].on.prompt_ids) == 20
    assert any(f"<b>{np.median(race.ratios):.3g}<" in table for table in tables(app))
    ratios = numbers(chart(app, "tokens written")["data"][-1]["y"])
    assert len(ratios) == 5
    assert ratios[-1] == pytest.approx(np.median(race.ratios))
    assert app.button(key="kv_cache.stop").disabled
    assert not app.exception


def test_stopped_race_shows_what_it_has(open_page, monkeypatch):
    change_race(monkeypatch, lambda races: itertools.islice(races, 6))
    app = open_page("kv_cache")
    choose(app, "kv_cache.n_tokens", 4)
    app = press(app, "run")
    assert "Stopped in round 2 of 3" in said(app)
    assert "4 tokens in 1 complete round" in said(app)
    assert not app.exception


def test_more_tokens_than_the_context_holds_are_refused_in_one_sentence(open_page):
    app = open_page("kv_cache")
    choose(app, "kv_cache.n_tokens", 100)
    assert "this model reads at most 64, so it can write at most 59 here" in said(app)
    assert app.button(key="kv_cache.run").disabled
    assert not app.exception


def test_larger_model_of_random_weights_is_offered_for_timing(
    open_page, hooked, open_with, monkeypatch
):
    model = HookedModel.wrap(build("gpt2"), tiny_tokenizer(), UNTRAINED_GPT2)
    open_with({UNTRAINED_GPT2: model, "storyteller": hooked}.__getitem__)
    monkeypatch.setattr(racing, "GPT2_VOCABULARY", 100)
    app = open_page("kv_cache", interventions=link_of(AblateHead(0, 3)))
    choose(app, "kv_cache.untrained", UNTRAINED_GPT2)
    choose(app, "kv_cache.n_tokens", 3)
    app = press(app, "run")
    assert not app.exception
    assert kept(app, "result").settings.model_name == UNTRAINED_GPT2
    assert kept(app, "result").settings.interventions == ()
    assert "GPT\\-2 size, untrained, prompt of 6 tokens" in said(app)


def test_dropping_from_the_cache_alone_keeps_a_trace_of_what_was_dropped(open_page, hooked):
    app = open_tab(open_page, "full")
    choose(app, "kv_cache.context", 4)
    recomputed = drawn_after(app)
    choose(app, "kv_cache.full", "Drop the oldest from the cache only")
    ids = hooked.encode(TEXT) + list(greedy(hooked, OPENING))
    cache = cache_of(hooked, ids[:-1])
    with torch.no_grad():
        for layer in cache.layers:
            layer.keys, layer.values = layer.keys[:, :, -3:], layer.values[:, :, -3:]
        position = torch.tensor([[len(ids) - 1]])
        logits = hooked.model(
            torch.tensor([ids[-1:]]), past_key_values=cache, position_ids=position, use_cache=True
        ).logits[0, -1]
    assert drawn_after(app) == pytest.approx(most_probable(logits), abs=1e-5)
    assert drawn_after(app) != pytest.approx(recomputed, abs=1e-4)
    assert not app.exception


def test_texts_that_part_are_explained(open_page, hooked, monkeypatch):
    run = HookedModel.run_unrecorded

    def disturbed(self, token_ids, n_cached=0, cache=None, use_cache=True):
        logits, cache = run(self, token_ids, n_cached, cache, use_cache)
        if len(token_ids) == N_PROMPT + 2 and not use_cache:
            logits = -logits
        return logits, cache

    monkeypatch.setattr(HookedModel, "run_unrecorded", disturbed)
    app = open_page("kv_cache")
    assert "The texts part at step 3" in said(app)
    assert "rounding in float32" in said(app)
    margins = [run.steps[2].margin for run in (taken(app).on, taken(app).off)]
    assert margins[0] != margins[1]
    assert f"only {min(margins):.2g} apart" in said(app)
    assert not app.exception


def test_a_race_is_run_once_and_leaves_every_button_working(open_page):
    app = open_page("kv_cache")
    choose(app, "kv_cache.n_tokens", 2)
    choose(app, "kv_cache.n_rounds", 1)
    press(app, "run")
    first = kept(app, "result")
    choose(app, "kv_cache.n_rounds", 2)
    assert kept(app, "result") is first
    press(app, "run")
    assert len(kept(app, "result").race.rounds) == 2


@pytest.mark.parametrize("button", ["run", "stop", "next", "restart"])
def test_a_race_cut_off_in_the_middle_leaves_every_button_working(open_page, monkeypatch, button):
    """As by Streamlit's own Stop: the page stays as it was drawn while the race ran."""
    app = cut_off_race(open_page, monkeypatch)
    assert not app.button(key=f"kv_cache.{button}").disabled
    app = press(app, button)
    assert not app.exception
    assert ("Stopped in round 1 of 1" in said(app)) == (button != "run")
    assert len(kept(app, "result").race.rounds[0]) == (3 if button == "run" else 2)


def test_a_race_asked_for_just_before_another_tab_was_opened_does_not_run(open_page):
    app = open_tab(open_page, "sizes")
    app.session_state["mailbox"] = {"mailbox.kv_cache.race": True}
    app.run()
    assert "mailbox.kv_cache.race" not in app.session_state["mailbox"]
    assert "kept.kv_cache.result" not in app.session_state["kept"]


def test_stop_takes_back_a_race_that_has_not_begun(open_page, monkeypatch):
    """A press of Stop may arrive before the run that was to begin the race got that far."""
    app = cut_off_race(open_page, monkeypatch)
    app.session_state["mailbox"] = {"mailbox.kv_cache.race": True}
    app = press(app, "stop")
    assert not app.exception
    assert len(kept(app, "result").race.rounds[0]) == 2
