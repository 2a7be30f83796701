"""The KV cache page on tiny models, compared with transformers' own runs."""

import base64
import copy
import itertools

import numpy as np
import pytest
import torch

from model_hooks import HookedModel
from pages.ask import session
from pages.kv_cache import runs as kv_cache_run
from tests.pages.charts import drawn
from tests.tiny_models import build, tiny_tokenizer

TEXT = "the cat sat on the mat"
WORDS = "w11 w12 w13 w14 w15 w16 w17 w18 w19"
N_PROMPT = 6
OPENING = kv_cache_run.OPENING_STEPS
CONTENTS, SIZES, FULL = "What is in the cache", "How large it gets", "When the context is full"


@pytest.fixture
def hooked(tokenizer, tiny_model):
    """One family is enough here: others are the hooked model's matter."""
    return HookedModel.wrap(copy.deepcopy(tiny_model), tokenizer, "tiny")


@pytest.fixture
def open_family(open_page, monkeypatch):
    """Return a function that opens the page on a tiny model of another type."""

    def open_family(model_type):
        model = HookedModel.wrap(build(model_type), tiny_tokenizer(), model_type)
        monkeypatch.setattr(session, "load_model", lambda name: model)
        return open_page("kv_cache", prompt=WORDS)

    return open_family


def press(app, name):
    return app.button(key=f"kv_cache.{name}").click().run()


def go_to(app, tab):
    app.session_state["kv_cache.tabs"] = tab
    return app.run()


def said(app):
    elements = (*app.markdown, *app.caption, *app.info, *app.warning, *app.error)
    return "\n".join(element.value for element in elements) + "\n".join(tables(app))


def tables(app):
    return [element.proto.body for element in app.get("html")]


def charts(app):
    return [chart.figure for chart in drawn(app)]


def chart(app, axis):
    """The chart with this title on its first x axis."""
    return next(
        spec for spec in charts(app) if spec["layout"]["xaxis"].get("title", {}).get("text") == axis
    )


def numbers(drawn):
    """A list, or what Plotly packs an array of float64 into."""
    if isinstance(drawn, dict):
        drawn = np.frombuffer(base64.b64decode(drawn["bdata"]), drawn["dtype"]).tolist()
    return drawn


def greedy(hooked, n):
    ids = torch.tensor([hooked.encode(TEXT)])
    output = hooked.model.generate(
        ids, max_new_tokens=n, min_new_tokens=n, do_sample=False, pad_token_id=0
    )
    return tuple(output[0, N_PROMPT:].tolist())


def written(app):
    return tuple(step.token_id for step in app.session_state["kv_cache.pair"].on.steps)


def test_page_opens_with_steps_that_write_what_generate_writes(open_page, hooked):
    app = open_page("kv_cache")
    assert written(app) == greedy(hooked, OPENING)
    assert f"Same tokens in all {OPENING} steps" in said(app)
    assert not app.exception


def test_step_and_restart_move_both_runs(open_page, hooked):
    app = press(open_page("kv_cache"), "next")
    assert written(app) == greedy(hooked, OPENING + 1)
    app = press(app, "restart")
    assert written(app) == greedy(hooked, 1)
    app = press(app, "next")
    assert written(app) == greedy(hooked, 2)
    assert not app.exception


def test_facts_of_a_step_are_its_own(open_page, hooked):
    app = open_page("kv_cache")
    app.slider(key="kv_cache.slider").set_value(3).run()
    facts = next(table for table in tables(app) if "Positions computed" in table)
    assert "<th scope='row'>Positions computed</th><td>1</td><td>8</td>" in facts
    assert "<td>7 in each layer</td><td>none</td>" in facts
    info = hooked.info
    n_bytes = 2 * info.n_layers * info.n_kv_heads * info.d_head * 4 * 8
    assert f"<td>{n_bytes / 1e3:.3g} kB</td>" in facts
    assert not app.exception


def test_another_prompt_or_decoding_starts_anew(open_page):
    app = open_page("kv_cache")
    press(app, "next")
    app.text_area(key="prompt").set_value("the dog").run()
    pair = app.session_state["kv_cache.pair"]
    assert len(pair.on.prompt_ids) == 2
    assert len(pair) == OPENING
    assert app.number_input(key="kv_cache.n_prompt").value == 2
    assert not app.exception


def test_race_shows_the_ratio_of_what_it_measured(open_page):
    app = open_page("kv_cache")
    app.number_input(key="kv_cache.n_prompt").set_value(20).run()
    app.number_input(key="kv_cache.n_tokens").set_value(5).run()
    app = press(app, "run")
    race = app.session_state["kv_cache.result"].race
    assert race.seconds(True).shape == (3, 5)
    assert len(race.rounds[0].on.prompt_ids) == 20
    assert any(f"<b>{np.median(race.ratios):.1f}<" in table for table in tables(app))
    ratios = numbers(chart(app, "tokens written")["data"][-1]["y"])
    assert len(ratios) == 5
    assert ratios[-1] == pytest.approx(np.median(race.ratios))
    assert app.button(key="kv_cache.stop").disabled
    assert not app.exception


def test_stopped_race_shows_what_it_has(open_page, monkeypatch):
    run = kv_cache_run.timing.race
    monkeypatch.setattr(
        kv_cache_run.timing, "race", lambda *settings: itertools.islice(run(*settings), 6)
    )
    app = open_page("kv_cache")
    app.number_input(key="kv_cache.n_tokens").set_value(4).run()
    app = press(app, "run")
    assert "Stopped in round 2 of 3" in said(app)
    assert "4 tokens in 1 complete round" in said(app)
    assert not app.exception


def test_more_tokens_than_the_context_holds_are_refused_in_one_sentence(open_page):
    app = open_page("kv_cache")
    app.number_input(key="kv_cache.n_tokens").set_value(100).run()
    assert "this model reads at most 64, so it can write at most 59 here" in said(app)
    assert app.button(key="kv_cache.run").disabled
    assert not app.exception


def test_larger_model_of_random_weights_is_offered_for_timing(open_page, hooked, monkeypatch):
    model = HookedModel.wrap(build("gpt2"), tiny_tokenizer(), "GPT-2 size, untrained")
    monkeypatch.setattr(kv_cache_run, "untrained_gpt2", lambda: model)
    monkeypatch.setattr("pages.kv_cache.race.GPT2_VOCABULARY", 100)
    kv_cache_run.untrained_model.clear()
    app = open_page("kv_cache")
    app.session_state["kv_cache.untrained"] = True
    app.run()
    app.number_input(key="kv_cache.n_tokens").set_value(3).run()
    app = press(app, "run")
    assert app.session_state["kv_cache.result"].race.rounds[0].on.model is model
    assert "GPT\\-2 size, untrained, prompt of 6 tokens" in said(app)
    kv_cache_run.untrained_model.clear()
    assert not app.exception


def test_contents_are_the_tensors_of_transformers_own_cache(open_page, hooked):
    app = go_to(open_page("kv_cache", layer=1), CONTENTS)
    ids = torch.tensor([hooked.encode(TEXT) + list(greedy(hooked, OPENING - 1))])
    with torch.no_grad():
        cache = hooked.model(ids, use_cache=True).past_key_values
    app.session_state["kv_cache.kv_head"] = 1
    app.run()
    drawn = app.session_state["kv_cache.pair"].on.cache.layers[1]
    np.testing.assert_allclose(drawn.keys, cache.layers[1].keys, atol=1e-5)
    assert app.dataframe[0].value["Keys"].tolist() == ["1 × 2 × 11 × 4"] * 2  # noqa: RUF001
    assert "just what the tensors take" in said(app)
    title = chart(app, "dimension")
    assert title["layout"]["yaxis"]["ticktext"][-1].startswith("10: ")
    assert not app.exception


def test_sizes_of_a_public_model_follow_the_formula(open_page):
    app = go_to(open_page("kv_cache"), SIZES)
    options = app.selectbox(key="kv_cache.size_model").options
    app.selectbox(key="kv_cache.size_model").select_index(options.index("Llama 3.1 8B")).run()
    app.number_input(key="kv_cache.size_positions").set_value(1000).run()
    n_bytes = 2 * 32 * 8 * 128 * 2 * 1000
    assert f"one text of 1,000 positions: **{n_bytes / 1e6:.0f} MB**" in said(app)
    bars = chart(app, "MB")["data"][0]
    assert bars["text"] == ["524 MB", "131 MB", "16.4 MB"]
    assert "Arithmetic, not a measurement" in said(app)
    assert not app.exception


def test_dropping_the_oldest_gives_the_distribution_of_the_rest(open_page, hooked):
    app = go_to(open_page("kv_cache"), FULL)
    app.number_input(key="kv_cache.context").set_value(4).run()
    rest = (hooked.encode(TEXT) + list(greedy(hooked, OPENING)))[-4:]
    with torch.no_grad():
        logits = hooked.model(torch.tensor([rest])).logits[0, -1]
    drawn = numbers(chart(app, "probability")["data"][1]["x"])
    expected = torch.softmax(logits.double(), -1).numpy()
    assert sorted(drawn) == pytest.approx(sorted(expected), abs=1e-5)
    assert not app.exception


def test_dropping_from_the_cache_alone_keeps_a_trace_of_what_was_dropped(open_page, hooked):
    app = go_to(open_page("kv_cache"), FULL)
    app.number_input(key="kv_cache.context").set_value(4).run()
    recomputed = numbers(chart(app, "probability")["data"][1]["x"])
    app.session_state["kv_cache.full"] = "forget"
    app.run()
    ids = torch.tensor([hooked.encode(TEXT) + list(greedy(hooked, OPENING))])
    with torch.no_grad():
        cache = hooked.model(ids[:, :-1], use_cache=True).past_key_values
        for layer in cache.layers:
            layer.keys, layer.values = layer.keys[:, :, -3:], layer.values[:, :, -3:]
        position = torch.tensor([[ids.shape[1] - 1]])
        logits = hooked.model(
            ids[:, -1:], past_key_values=cache, position_ids=position, use_cache=True
        ).logits[0, -1]
    forgot = numbers(chart(app, "probability")["data"][1]["x"])
    expected = torch.softmax(logits.double(), -1).numpy()
    assert sorted(forgot) == pytest.approx(sorted(expected), abs=1e-5)
    assert sorted(forgot) != pytest.approx(sorted(recomputed), abs=1e-4)
    assert not app.exception


def test_full_context_refuses_the_next_step_and_says_so(open_page):
    app = open_page("kv_cache", prompt=" ".join(["cat"] * 62))
    assert len(written(app)) == 3
    app = press(app, "next")
    assert "reads at most 64" in said(app)
    assert len(written(app)) == 3
    app = go_to(app, FULL)
    app.session_state["kv_cache.full"] = "refuse"
    app.run()
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
    app = open_family(model_type)
    assert sentence in said(app)
    for tab in (CONTENTS, SIZES, FULL):
        assert not go_to(app, tab).exception


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
    assert not app.exception
