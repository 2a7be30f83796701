"""The KV cache page on tiny models, compared with transformers' own runs."""

import copy
import functools
import itertools
import json

import numpy as np
import pytest
import streamlit as st
import torch

from model_hooks import AblateHead, HookedModel
from model_hooks.experiments import race as experiment
from model_hooks.experiments.untrained import UNTRAINED_GPT2
from pages.kv_cache import race as racing
from pages.kv_cache import steps_taken
from pages.kv_cache.steps_taken import OPENING_STEPS as OPENING
from pages.state.link import encode
from pages.state.view import View, changed_copy
from tests.pages.charts import drawn, numbers
from tests.pages.conftest import (
    choose,
    choose_decoding,
    component_of,
    view_of,
    widget,
    with_prompt,
)
from tests.tiny_models import build, tiny_tokenizer

TEXT = "the cat sat on the mat"
WORDS = "w11 w12 w13 w14 w15 w16 w17 w18 w19"
N_PROMPT = 6


@pytest.fixture
def hooked(tokenizer, tiny_model):
    """One family is enough here: others are the hooked model's matter."""
    return HookedModel.wrap(copy.deepcopy(tiny_model), tokenizer, "tiny")


@pytest.fixture
def open_family(open_page, open_with):
    """Return a function that opens the page on a tiny model of another type."""

    def open_family(model_type, **link):
        model = HookedModel.wrap(build(model_type), tiny_tokenizer(), model_type)
        open_with(lambda name: model)
        return open_page("kv_cache", prompt=WORDS, **link)

    return open_family


def press(app, name):
    return app.button(key=f"kv_cache.{name}").click().run()


def open_tab(open_page, tab, **link):
    return open_page("kv_cache", kv_cache__tab=tab, **link)


def said(app):
    elements = (*app.markdown, *app.caption, *app.info, *app.warning, *app.error)
    return "\n".join(element.value for element in elements) + "\n".join(tables(app))


def tables(app):
    return [element.proto.body for element in app.get("html")]


def chart(app, axis):
    """The chart with this title on its first x axis."""
    figures = [chart.figure for chart in drawn(app)]
    return next(
        spec for spec in figures if spec["layout"]["xaxis"].get("title", {}).get("text") == axis
    )


def strip(app):
    return json.loads(component_of(app, "kv_cache.tokens").json)


def greedy(hooked, n):
    ids = torch.tensor([hooked.encode(TEXT)])
    output = hooked.model.generate(
        ids, max_new_tokens=n, min_new_tokens=n, do_sample=False, pad_token_id=0
    )
    return tuple(output[0, N_PROMPT:].tolist())


def kept(app, name):
    return app.session_state["kept"][f"kept.kv_cache.{name}"]


def taken(app):
    """The runs of this visitor."""
    return kept(app, "taken").pair


def written(app):
    return tuple(step.token_id for step in taken(app).on.steps)


def change_race(monkeypatch, change):
    """Let something happen to what a race yields."""
    run = experiment.race

    @functools.wraps(run)
    def changed(*asked):
        return change(run(*asked))

    monkeypatch.setattr(experiment, "race", changed)


def test_page_opens_with_steps_that_write_what_generate_writes(open_page, hooked):
    app = open_page("kv_cache")
    assert written(app) == greedy(hooked, OPENING)
    assert f"Same tokens in all {OPENING} steps" in said(app)
    assert not app.exception


def test_step_and_restart_move_both_runs(open_page, hooked):
    app = press(open_page("kv_cache"), "next")
    assert written(app) == greedy(hooked, OPENING + 1)
    assert "**Step 7** writes" in said(app)
    app = press(app, "restart")
    assert written(app) == greedy(hooked, 1)
    app = press(app, "next")
    assert written(app) == greedy(hooked, 2)
    assert not app.exception


def test_facts_of_a_step_are_its_own(open_page, hooked):
    app = open_page("kv_cache")
    choose(app, "kv_cache.step", 3)
    facts = next(table for table in tables(app) if "Positions computed" in table)
    assert "<th scope='row'>Positions computed</th><td>1</td><td>8</td>" in facts
    assert "<td>7 in each layer</td><td>none</td>" in facts
    info = hooked.info
    n_bytes = 2 * info.n_layers * info.n_kv_heads * info.d_head * 4 * 8
    assert f"<td>{n_bytes / 1e3:.3g} kB</td>" in facts
    on, off = (1e3 * run.steps[2].seconds for run in (taken(app).on, taken(app).off))
    assert f"<td>{on:.3g} ms</td><td>{off:.3g} ms</td>" in facts
    assert strip(app)["selected"] == N_PROMPT + 2
    assert strip(app)["marks"][N_PROMPT + 2] == "3"
    assert not app.exception


def test_another_prompt_or_decoding_starts_anew(open_page):
    app = open_page("kv_cache")
    press(app, "next")
    choose(app, "kv_cache.n_prompt", 30)
    with_prompt(app, "the dog")
    assert len(taken(app).on.prompt_ids) == 2
    assert len(taken(app)) == OPENING
    assert widget(app, "kv_cache.n_prompt").value == 2
    press(app, "next")
    choose_decoding(app, "strategy", "Sample")
    assert taken(app).on.decoding.strategy == "sample"
    assert len(taken(app)) == OPENING
    assert view_of(app).kv_cache.n_steps is None
    assert not app.exception


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


def link_of(*interventions):
    return encode(View(interventions=interventions))["interventions"]


def cache_of(hooked, ids):
    """transformers' own cache after some tokens."""
    with torch.no_grad():
        return hooked.model(torch.tensor([ids]), use_cache=True).past_key_values


@pytest.mark.parametrize("head", [0, 1])
def test_contents_are_the_tensors_of_transformers_own_cache(open_page, hooked, head):
    app = open_tab(open_page, "contents", layer=1)
    choose(app, "kv_cache.kv_head", head)
    assert not app.exception
    ids = hooked.encode(TEXT) + list(greedy(hooked, OPENING - 1))
    layer = cache_of(hooked, ids).layers[1]
    key, value = chart(app, "dimension")["data"]
    np.testing.assert_allclose(numbers(key["z"]), layer.keys[0, head], atol=1e-5)
    np.testing.assert_allclose(numbers(value["z"]), layer.values[0, head], atol=1e-5)
    assert app.dataframe[0].value["Keys"].tolist() == ["1 × 2 × 11 × 4"] * 2  # noqa: RUF001
    assert "Checked: by arithmetic" in said(app)
    assert "just what the tensors take" in said(app)
    words = hooked.token_strings(ids)
    assert labels(app) == [f"{pos}: {word}" for pos, word in enumerate(words)]


def labels(app):
    """What the rows of the drawn vectors are called."""
    return chart(app, "dimension")["layout"]["yaxis"]["ticktext"]


def test_a_sliding_window_keeps_the_newest_positions_and_says_which(open_family):
    app = open_family("gemma3_text", kv_cache__tab="contents", layer=0)
    assert not app.exception
    end = taken(app).on.steps[-1].pos
    assert [int(label.partition(":")[0]) for label in labels(app)] == [*range(end - 7, end)]
    assert labels(app)[0] == f"{end - 7}: w{11 + end - 7}"
    assert "just what the tensors take" in said(app)


def test_sizes_of_a_public_model_follow_the_formula(open_page):
    app = open_tab(open_page, "sizes")
    choose(app, "kv_cache.size_model", "Llama 3.1 8B")
    choose(app, "kv_cache.positions", 1000)
    n_bytes = 2 * 32 * 8 * 128 * 2 * 1000
    assert f"one text of 1,000 positions: **{n_bytes / 1e6:.0f} MB**" in said(app)
    bars = chart(app, "MB")["data"][0]
    assert bars["text"] == ["524 MB", "131 MB", "16.4 MB"]
    assert "Arithmetic, not a measurement" in said(app)
    choose(app, "kv_cache.stored_as", "int4")
    choose(app, "kv_cache.batch", 3)
    assert f"3 texts of 1,000 positions: **{3 * n_bytes / 4 / 1e6:.0f}" in said(app)
    assert not app.exception


def test_sizes_begin_with_the_loaded_model(open_page, hooked):
    app = open_tab(open_page, "sizes")
    info = hooked.info
    n_bytes = 2 * info.n_layers * info.n_kv_heads * info.d_head * 4 * info.context_size
    size = f"**{n_bytes / 1e3:.3g} kB**"
    assert rf"**tiny \(loaded\)**, one text of 64 positions: {size}" in said(app)
    assert app.dataframe[0].value["Model"].tolist()[0] == "tiny (loaded)"


def most_probable(logits):
    """The probabilities that are drawn of logits: those of the most probable tokens."""
    return sorted(torch.softmax(logits.double(), -1).tolist())


def drawn_after(app):
    return sorted(numbers(chart(app, "probability")["data"][1]["x"]).tolist())


def test_dropping_the_oldest_gives_the_distribution_of_the_rest(open_page, hooked):
    app = open_tab(open_page, "full")
    choose(app, "kv_cache.context", 4)
    rest = (hooked.encode(TEXT) + list(greedy(hooked, OPENING)))[-4:]
    with torch.no_grad():
        logits = hooked.model(torch.tensor([rest])).logits[0, -1]
    assert drawn_after(app) == pytest.approx(most_probable(logits), abs=1e-5)
    whole = hooked.trace(hooked.encode(TEXT) + list(greedy(hooked, OPENING))).last_logits
    gap = torch.softmax(torch.tensor(whole), -1) - torch.softmax(logits, -1)
    assert f"**{50 * float(gap.abs().sum()):.1f}%** of the probability moved" in said(app)
    assert not app.exception


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


def test_full_context_refuses_the_next_step_and_says_so(open_page):
    app = open_page("kv_cache", prompt=" ".join(["cat"] * 62))
    assert len(written(app)) == 3
    app = press(app, "next")
    assert "reads at most 64" in said(app)
    assert len(written(app)) == 3
    assert view_of(app).kv_cache.n_steps == 3
    press(app, "restart")
    assert len(written(app)) == 1
    assert not app.error
    app = open_tab(open_page, "full", prompt=" ".join(["cat"] * 62), kv_cache__full="refuse")
    assert "The context is full" in said(app)
    assert not app.exception


@pytest.mark.parametrize(
    ("model_type", "sentence"),
    [
        ("openai-gpt", "keeps no keys and values"),
        ("lfm2", "In 2 of 4 layers, this model keeps a state of fixed size"),
        ("gemma3_text", "2 of 4 layers look back at most 8 positions"),
    ],
)
def test_model_with_another_cache_gets_one_clear_sentence(open_family, model_type, sentence):
    for tab in ("race", "contents", "sizes", "full"):
        app = open_family(model_type, kv_cache__tab=tab)
        assert sentence in said(app)
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


def test_a_link_restores_the_steps_that_were_taken_and_the_one_looked_at(open_page, hooked):
    app = press(press(open_page("kv_cache"), "next"), "next")
    choose(app, "kv_cache.step", 4)
    link = {name.replace(".", "__"): value for name, value in app.query_params.items()}
    again = open_page("kv_cache", **link)
    assert written(again) == greedy(hooked, OPENING + 2)
    assert "**Step 4** writes" in said(again)
    assert widget(again, "kv_cache.step").value == 4


@pytest.mark.parametrize(("asked", "there"), [("-3", OPENING), ("0", OPENING), ("1000000000", 59)])
def test_a_link_to_steps_that_cannot_be_gets_those_that_can(open_page, asked, there):
    app = open_page("kv_cache", kv_cache__n_steps=asked)
    assert len(written(app)) == there
    assert not app.error
    assert not app.exception


def test_steps_of_a_link_that_would_take_long_wait_for_a_click(open_page, monkeypatch):
    monkeypatch.setattr(steps_taken, "AGAIN_WORK", 3.5 * steps_taken.STEP_WORK)
    app = open_page("kv_cache", kv_cache__n_steps=20)
    assert len(written(app)) == 3
    assert view_of(app).kv_cache.n_steps == 3
    monkeypatch.setattr(steps_taken, "AGAIN_WORK", 0)
    monkeypatch.setattr(steps_taken, "OPENING_WORK", 0)
    app = open_page("kv_cache", kv_cache__n_steps=20)
    assert len(written(app)) == 0
    assert "press **One more token, both ways**" in said(app)
    assert len(written(press(app, "next"))) == 1
    assert not app.exception


def test_going_back_in_the_history_takes_steps_back_without_losing_them(open_page):
    app = press(press(open_page("kv_cache"), "next"), "next")
    whole = taken(app)
    app.session_state["visit.view"] = changed_copy(view_of(app), {"kv_cache.n_steps": OPENING})
    app.run()
    assert f"Same tokens in all {OPENING} steps" in said(app)
    press(press(app, "next"), "next")
    assert taken(app) == whole


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


def cut_off_race(open_page, monkeypatch):
    """Open the page and let a race of three tokens end after two, as by Streamlit's own Stop."""

    def cut_off(races):
        yield from itertools.islice(races, 2)
        st.stop()

    app = open_page("kv_cache")
    choose(app, "kv_cache.n_tokens", 3)
    choose(app, "kv_cache.n_rounds", 1)
    with monkeypatch.context() as patch:
        change_race(patch, cut_off)
        return press(app, "run")


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


def test_everything_runs_under_what_is_switched_off(open_page, hooked):
    off = (AblateHead(0, 3), AblateHead(1, 0))
    generation = hooked.start(TEXT, interventions=off)
    for _ in range(OPENING):
        generation = hooked.step(generation)
    app = open_page("kv_cache", interventions=link_of(*off), kv_cache__n_tokens=3)
    assert written(app) == generation.token_ids[N_PROMPT:]
    app = press(app, "run")
    assert "every run is recorded" in said(app)
    raced = kept(app, "result").race.rounds[0].on
    assert raced.token_ids[N_PROMPT:] == written(app)[:3]
    app = open_tab(open_page, "contents", layer=1, interventions=link_of(*off))
    trace = hooked.trace(generation.token_ids[:-1], off)
    key, _ = chart(app, "dimension")["data"]
    np.testing.assert_allclose(numbers(key["z"]), trace.layers[1].key[0], atol=1e-5)
    app = open_tab(open_page, "full", kv_cache__context=4, interventions=link_of(*off))
    rest = hooked.trace(generation.token_ids[-4:], off).last_logits
    assert drawn_after(app) == pytest.approx(most_probable(torch.tensor(rest)), abs=1e-5)
    assert not app.exception
