"""The LM head page shows the model's own numbers at every stage, and refuses kindly."""

import base64
import json
import re

import numpy as np
import pytest
import torch
from transformers import (
    MinPLogitsWarper,
    TemperatureLogitsWarper,
    TopKLogitsWarper,
    TopPLogitsWarper,
)

from model_hooks import Decoding, HookedModel
from model_hooks.experiments.continuations import Text
from pages.ask import session
from pages.lm_head import texts, views
from tests.conftest import WORDS, tiny_llama, with_random_weights
from tests.pages.charts import drawn
from tests.pages.conftest import PROMPT

SAMPLE = {"strategy": "sample", "temperature": 0.7, "top_k": 5, "top_p": 0.95, "min_p": 0.02}


@pytest.fixture(scope="module")
def hooked(tokenizer) -> HookedModel:
    """One family is enough for a page; tests/model_hooks has others."""
    return HookedModel.wrap(with_random_weights(tiny_llama), tokenizer, "tiny")


@pytest.fixture(autouse=True)
def _no_kept_numbers():
    for cache in (views.logits_at, views.surprisals_of, views.curves_of):
        cache.clear()


@pytest.fixture
def open_section(open_page):
    """Open a section of the page; further arguments are a link's."""

    def open_section(section, **link):
        app = open_page("lm_head", **link)
        app.session_state["lm_head.tabs"] = section
        app.run()
        assert not app.exception
        return app

    return open_section


def figure(app, index=-1):
    return drawn(app)[index].figure


def numbers(values):
    """Decode an array as it is sent to the browser."""
    if isinstance(values, dict):
        array = np.frombuffer(base64.b64decode(values["bdata"]), values["dtype"])
        return array.reshape([int(n) for n in str(values.get("shape", len(array))).split(",")])
    return np.array(values, dtype=float)


def text_of(app):
    return " ".join(e.value for e in [*app.markdown, *app.caption, *app.info, *app.latex])


@torch.inference_mode()
def logits_after(hooked, end=None):
    """Logits of the model alone."""
    return hooked.model(torch.tensor([hooked.encode(PROMPT)[:end]])).logits[0, -1:]


def by_hand(hooked, end=None):
    """Probabilities after transformers' own processors, one after the other."""
    scores = logits_after(hooked, end)
    for processor in (TemperatureLogitsWarper(0.7), TopKLogitsWarper(5), TopPLogitsWarper(0.95),
                      MinPLogitsWarper(0.02)):  # fmt: skip
        scores = processor(None, scores)
    return torch.softmax(scores, -1)[0].numpy()


@pytest.mark.parametrize("pos", [2, 5])
def test_bars_are_the_probabilities_of_the_processors_applied_by_hand(open_section, hooked, pos):
    app = open_section("Stages", pos=pos, **SAMPLE)
    own, after = figure(app)["data"][:2]
    order = np.argsort(-logits_after(hooked, pos + 1)[0].numpy())
    raw = torch.softmax(logits_after(hooked, pos + 1), -1)[0].numpy()
    np.testing.assert_allclose(numbers(own["x"]), raw[order], atol=1e-5)
    np.testing.assert_allclose(numbers(after["x"]), by_hand(hooked, pos + 1)[order], atol=1e-5)


def test_formulas_hold_the_followed_tokens_numbers(open_section, hooked):
    app = open_section("Stages", **SAMPLE)
    logits, final = logits_after(hooked)[0], by_hand(hooked)
    best = int(logits.argmax())
    shown = text_of(app)
    assert f"$z = {float(logits[best]):.4f}$, rank 1" in shown
    assert f"{float(logits[best]) / 0.7:.4f}$" in shown
    softmax = float(re.search(r"Softmax.* = ([\d.]+)\$", shown).group(1))
    assert softmax == pytest.approx(final[best], abs=1e-5)


def test_removed_token_says_which_filter_and_why(open_section, hooked):
    app = open_section("Stages", **{**SAMPLE, "top_k": 2})
    worst = int(logits_after(hooked)[0].argmin())
    box = next(box for box in app.selectbox if box.label == "Token to follow")
    box.set_value(worst).run()
    assert not app.exception
    assert "rank $7 > k = 2$: **removed**" in text_of(app)
    assert "gets the probability $0$" in text_of(app)


def test_softmax_of_huge_scores_stays_a_number():
    scores = np.array([4000.0, 3999.0], np.float32)
    stages = Decoding().stages(scores, [0])
    line = views.stage_lines(stages, Decoding(), 0)[1]
    assert "0.731059" in line
    assert "inf" not in line
    assert "nan" not in line


def test_one_score_is_checked_against_the_models_logit(open_section, hooked):
    app = open_section("One score", pos=3)
    vector, row, product = (numbers(strip["z"])[0] for strip in figure(app)["data"])
    logits = logits_after(hooked, 4)[0]
    assert float(vector @ row) == pytest.approx(float(logits.max()), abs=1e-4)
    assert product.sum() == pytest.approx(float(logits.max()), abs=1e-4)
    assert "Check: this gives" in text_of(app)


def test_all_tokens_are_drawn_with_the_cut_off(open_section, hooked):
    app = open_section("All tokens", **SAMPLE)
    drawn = figure(app)
    n_kept = int((by_hand(hooked) > 0).sum())
    assert drawn["layout"]["shapes"][0]["x0"] == n_kept + 0.5
    assert sum(len(trace["x"]) for trace in drawn["data"][:2]) > 0
    assert f"{n_kept} of {len(WORDS)} tokens are left" in text_of(app)


def test_entropy_marks_the_present_temperature(open_section, hooked):
    app = open_section("Temperature", strategy="sample", temperature=0.7)
    curve, now = figure(app)["data"]
    p = torch.softmax(logits_after(hooked)[0].double() / 0.7, -1).numpy()
    expected = -(p * np.log2(p)).sum()
    assert numbers(now["y"])[0] == pytest.approx(expected, abs=1e-4)
    at = numbers(curve["x"]).tolist().index(0.7)
    assert numbers(curve["y"])[at] == pytest.approx(expected, abs=1e-4)


def test_surprisal_under_each_token_is_its_negative_log_probability(open_section, hooked):
    app = open_section("Surprisal", pos=4)
    strips = [json.loads(box.proto.json) for box in app.get("bidi_component")]
    notes = next(strip["notes"] for strip in strips if strip.get("notes"))
    ids = hooked.encode(PROMPT)
    expected = [-torch.log_softmax(logits_after(hooked, i)[0], -1)[ids[i]] / np.log(2)
                for i in range(1, len(ids))]  # fmt: skip
    assert notes == ["", *(f"{float(bits):.1f}" for bits in expected)]
    app.button(key="lm_head.before").click().run()
    assert not app.exception
    followed = next(box.value for box in app.selectbox if box.label == "Token to follow")
    assert followed == ids[4]


def test_draws_add_up_and_differ_when_drawn_again(open_section):
    app = open_section("Draws", strategy="sample")
    first = numbers(figure(app)["data"][0]["x"])
    assert first.sum() == 200
    app.button(key="lm_head.again").click().run()
    assert not app.exception
    second = numbers(figure(app)["data"][0]["x"])
    assert second.sum() == 200
    assert (first != second).any()


def test_greedy_says_that_draws_are_of_sampling_and_switches(open_section):
    app = open_section("Draws")
    assert "Greedy decoding is on" in text_of(app)
    app.button(key="lm_head.to_sampling").click().run()
    assert not app.exception
    assert "Greedy decoding is on" not in text_of(app)


def test_tree_counts_texts_of_the_generation_page(open_section, hooked):
    app = open_section("Many texts", strategy="sample", seed=4)
    app.number_input(key="lm_head.n_texts").set_value(6)
    app.number_input(key="lm_head.n_tokens").set_value(5).run()
    assert not app.exception
    greedy, sampled = figure(app)["data"]
    first = [next(hooked.generate(PROMPT, Decoding("sample", seed=4 + i), 1)) for i in range(6)]
    for token_id in {step.token_id for step in first}:
        count = sum(step.token_id == token_id for step in first)
        assert numbers(sampled["values"])[sampled["ids"].index(str(token_id))] == count
    assert set(numbers(greedy["values"])) == {6}
    assert app.dataframe[0].value.times.sum() == 12


def test_stopped_run_keeps_its_texts_and_goes_on(open_section):
    app = open_section("Many texts", strategy="sample")
    written = app.session_state["lm_head.texts"]
    written.sampled, written.stopped = written.sampled[:3], True
    app.run()
    assert "Stopped after 3 of 20 texts" in text_of(app)
    app.button(key="lm_head.texts.go_on").click().run()
    assert not app.exception
    assert len(app.session_state["lm_head.texts"].sampled) == 20


def test_beams_on_screen_are_those_of_the_search(open_section):
    app = open_section("Beam search")
    for n_shown in (10, 3):
        app.slider(key="lm_head.shown.10.4").set_value(n_shown).run()
        assert not app.exception
        marks = [t for t in figure(app)["data"] if t["mode"] == "markers" and t["name"] != "greedy"]
        assert max(max(numbers(trace["x"])) for trace in marks) == n_shown
        assert sum(len(numbers(trace["x"])) for trace in marks) == 4 * n_shown
    app.segmented_control(key="lm_head.score_by").set_value("mean").run()
    assert not app.exception
    assert ":green[:material/check_circle:] Check: the winner's sum" in text_of(app)


@pytest.mark.parametrize(("best", "greedy", "says"), [
    (-3.0, -4.0, "Beam search wins**: its text is **2.72 times"),
    (-4.0, -3.0, "Greedy's sum is larger**: its text is 2.72 times"),
])  # fmt: skip
def test_verdict_follows_the_sums(best, greedy, says):
    found = texts.BeamSearch((1,), 2, 0.0, (), (Text((1, 2), (best, 0.0)),), (best,))
    assert says in texts.verdict(found, Text((3, 4), (greedy, 0.0)))


@pytest.mark.parametrize(("ids", "share"), [((1, 2, 1, 2, 1), 0.5), ((1, 2, 3), 0.0), ((1,), 0.0),
                                            ((), 0.0)])  # fmt: skip
def test_repetition_is_the_share_of_pairs_that_came_before(ids, share):
    assert texts.repetition(ids) == share


def test_one_token_prompt(open_section):
    app = open_section("One score", prompt="cat")
    for section in ("Stages", "All tokens", "Surprisal", "Draws", "Many texts", "Beam search"):
        app.session_state["lm_head.tabs"] = section
        app.run()
        assert not app.exception
        assert not app.error


def test_full_context_is_one_sentence(open_section, hooked):
    full = " ".join(["cat"] * hooked.info.context_size)
    app = open_section("Surprisal", prompt=full)
    for section in ("Many texts", "Beam search"):
        app.session_state["lm_head.tabs"] = section
        app.run()
        assert not app.exception
        assert "The context is full" in text_of(app)


def test_nearly_full_context_offers_what_fits(open_section, hooked):
    app = open_section("Beam search", prompt=" ".join(["cat"] * (hooked.info.context_size - 2)))
    assert not app.error
    assert app.number_input(key="lm_head.n_steps").value == 2


def test_options_out_of_range_are_pulled_in(open_section):
    link = {"temperature": 0, "top_k": 10**9, "top_p": 0, "min_p": 7, "pos": 99}
    app = open_section("Stages", strategy="sample", repetition_penalty=-1, **link)
    assert not app.error
    assert "over the one token left" in text_of(app)


def test_numbers_that_are_none_get_one_sentence(open_page, tokenizer, monkeypatch):
    model = with_random_weights(tiny_llama)
    with torch.no_grad():
        model.model.embed_tokens.weight[WORDS.index("on")] = float("nan")
    broken = HookedModel.wrap(model, tokenizer, "broken")
    monkeypatch.setattr(session, "load_model", lambda name: broken)
    app = open_page("lm_head")
    assert not app.exception
    assert [error.value for error in app.error] == [views.NO_NUMBERS]
    app.session_state["lm_head.tabs"] = "Many texts"
    app.query_params["pos"] = "1"
    app.run()
    assert not app.exception
