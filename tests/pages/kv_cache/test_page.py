"""The KV cache page on tiny models, compared with transformers' own runs."""

import numpy as np
import pytest
import torch

from model_hooks import AblateHead
from pages.kv_cache import steps_taken
from pages.kv_cache.steps_taken import OPENING_STEPS as OPENING
from pages.state.view import changed_copy
from tests.pages.charts import numbers
from tests.pages.conftest import (
    choose,
    choose_decoding,
    view_of,
    widget,
    with_prompt,
)
from tests.pages.kv_cache.looking import (
    N_PROMPT,
    TEXT,
    cache_of,
    chart,
    drawn_after,
    greedy,
    kept,
    labels,
    link_of,
    most_probable,
    open_tab,
    press,
    said,
    strip,
    tables,
    taken,
    written,
)


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
