"""The LM head page shows the model's own numbers at every stage, and refuses kindly."""

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

from model_hooks import AblateHead, Decoding, HookedModel
from tests.conftest import WORDS, tiny_llama, with_random_weights
from tests.pages.charts import drawn, numbers
from tests.pages.conftest import PROMPT, choose, view_of, widget
from viz.numbers import bits, percent

SECTIONS = (
    "one_score",
    "stages",
    "all_tokens",
    "temperature",
    "surprisal",
    "draws",
    "texts",
    "beams",
)
SAMPLE = {"strategy": "sample", "temperature": 0.7, "top_k": 5, "top_p": 0.95, "min_p": 0.02}


@pytest.fixture(scope="module")
def hooked(tokenizer) -> HookedModel:
    """One family is enough for a page; tests/model_hooks has others."""
    return HookedModel.wrap(with_random_weights(tiny_llama), tokenizer, "tiny")


@pytest.fixture
def open_section(open_page):
    """Open a section of the page; further arguments are a link's."""

    def open_section(section, **link):
        app = open_page("lm_head", lm_head__tab=section, **link)
        assert not app.exception
        return app

    return open_section


def figure(app, index=-1):
    return drawn(app)[index].figure


def follow(app, token_id):
    options = widget(app, "lm_head.followed").options
    choose(app, "lm_head.followed", next(o for o in options if o.endswith(f"(ID {token_id})")))
    assert not app.exception


def followed(app):
    """The label of the token that is followed."""
    box = widget(app, "lm_head.followed")
    return box.options[box.value]


def text_of(app):
    return " ".join(e.value for e in [*app.markdown, *app.caption, *app.info, *app.latex])


@torch.inference_mode()
def logits_after(hooked, end=None):
    """Logits of the model alone."""
    return hooked.model(torch.tensor([hooked.encode(PROMPT)[:end]])).logits[0, -1:]


def by_hand(hooked, end=None):
    """Probabilities after transformers' own processors, one after the other."""
    scores = logits_after(hooked, end)
    for processor in (
        TemperatureLogitsWarper(0.7),
        TopKLogitsWarper(5),
        TopPLogitsWarper(0.95),
        MinPLogitsWarper(0.02),
    ):
        scores = processor(None, scores)
    return torch.softmax(scores, -1)[0].numpy()


@pytest.mark.parametrize("pos", [2, 5])
def test_bars_are_the_probabilities_of_the_processors_applied_by_hand(open_section, hooked, pos):
    app = open_section("stages", pos=pos, **SAMPLE)
    own, after = figure(app)["data"][:2]
    order = np.argsort(-logits_after(hooked, pos + 1)[0].numpy())
    raw = torch.softmax(logits_after(hooked, pos + 1), -1)[0].numpy()
    np.testing.assert_allclose(numbers(own["x"]), raw[order], atol=1e-5)
    final = by_hand(hooked, pos + 1)
    np.testing.assert_allclose(numbers(after["x"]), final[order], atol=1e-5)
    names = [WORDS[token_id] for token_id in order]
    labels = [
        f"{name}   {percent(float(final[token_id]))} (ID {token_id})"
        for name, token_id in zip(names, order, strict=True)
    ]
    assert widget(app, "lm_head.followed").options == labels
    entropy = -(final * np.log2(final, where=final > 0, out=np.zeros_like(final))).sum()
    n_left = int((final > 0).sum())
    assert f"{n_left} of them may still be picked. **{names[0]}** leads with" in text_of(app)
    assert f"**{percent(float(final.max()))}**; the choice is as open as" in text_of(app)
    assert f"({bits(entropy)})" in text_of(app)


def test_formulas_hold_the_followed_tokens_numbers(open_section, hooked):
    app = open_section("stages", **SAMPLE)
    logits, final = logits_after(hooked)[0], by_hand(hooked)
    best = int(logits.argmax())
    shown = text_of(app)
    assert f"$z = {float(logits[best]):.4f}$, rank 1" in shown
    assert f"{float(logits[best]) / 0.7:.4f}$" in shown
    softmax = float(re.search(r"Softmax.* = ([\d.]+)\$", shown).group(1))
    assert softmax == pytest.approx(final[best], abs=1e-5)


def test_removed_token_says_which_filter_and_why(open_section, hooked):
    app = open_section("stages", **{**SAMPLE, "top_k": 2})
    follow(app, int(logits_after(hooked)[0].argmin()))
    assert "rank $7 > k = 2$: **removed**" in text_of(app)
    assert "gets the probability $0$" in text_of(app)


def test_one_score_is_checked_against_the_models_logit(open_section, hooked):
    app = open_section("one_score", pos=3)
    vector, row, product = (numbers(strip["z"])[0] for strip in figure(app)["data"])
    logits = logits_after(hooked, 4)[0]
    assert float(vector @ row) == pytest.approx(float(logits.max()), abs=1e-4)
    assert product.sum() == pytest.approx(float(logits.max()), abs=1e-4)
    assert "Checked: this gives" in text_of(app)


def test_all_tokens_are_drawn_with_the_cut_off(open_section, hooked):
    app = open_section("all_tokens", **SAMPLE)
    drawn = figure(app)
    n_kept = int((by_hand(hooked) > 0).sum())
    assert drawn["layout"]["shapes"][0]["x0"] == n_kept + 0.5
    assert sum(len(trace["x"]) for trace in drawn["data"][:2]) > 0
    assert f"{n_kept} of {len(WORDS)} tokens are left" in text_of(app)


def test_entropy_marks_the_present_temperature(open_section, hooked):
    app = open_section("temperature", strategy="sample", temperature=0.7)
    curve, now = figure(app)["data"]
    p = torch.softmax(logits_after(hooked)[0].double() / 0.7, -1).numpy()
    expected = -(p * np.log2(p)).sum()
    assert numbers(now["y"])[0] == pytest.approx(expected, abs=1e-4)
    at = numbers(curve["x"]).tolist().index(0.7)
    assert numbers(curve["y"])[at] == pytest.approx(expected, abs=1e-4)


def test_filters_have_a_curve_of_their_own(open_section, hooked):
    app = open_section("temperature", **SAMPLE)
    free, filtered, now = figure(app)["data"]
    p = by_hand(hooked)
    expected = -(p[p > 0] * np.log2(p[p > 0])).sum()
    at = numbers(free["x"]).tolist().index(0.7)
    assert numbers(filtered["y"])[at] == pytest.approx(expected, abs=1e-4)
    assert numbers(now["y"])[0] == pytest.approx(expected, abs=1e-4)
    assert numbers(free["y"])[at] > expected + 1e-3


def test_surprisal_under_each_token_is_its_negative_log_probability(open_section, hooked):
    app = open_section("surprisal", pos=4)
    strips = [json.loads(box.proto.json) for box in app.get("bidi_component")]
    notes = next(strip["notes"] for strip in strips if strip.get("notes"))
    ids = hooked.encode(PROMPT)
    expected = [
        -torch.log_softmax(logits_after(hooked, i)[0], -1)[ids[i]] / np.log(2)
        for i in range(1, len(ids))
    ]
    assert notes == ["", *(f"{float(bits):.3g}" for bits in expected)]
    app.button(key="lm_head.before").click().run()
    assert not app.exception
    assert (view_of(app).pos, view_of(app).lm_head.followed) == (3, ids[4])
    assert f"(ID {ids[4]})" in followed(app)


def test_draws_add_up_and_differ_when_drawn_again(open_section):
    app = open_section("draws", strategy="sample")
    first = numbers(figure(app)["data"][0]["x"])
    assert first.sum() == 200
    app.button(key="lm_head.again").click().run()
    assert not app.exception
    second = numbers(figure(app)["data"][0]["x"])
    assert second.sum() == 200
    assert (first != second).any()


def test_greedy_says_that_draws_are_of_sampling_and_switches(open_section):
    app = open_section("draws")
    assert "Greedy decoding is on" in text_of(app)
    app.button(key="lm_head.to_sampling").click().run()
    assert not app.exception
    assert "Greedy decoding is on" not in text_of(app)


def test_tree_counts_texts_of_the_generation_page(open_section, hooked):
    app = open_section("texts", strategy="sample", seed=4)
    choose(app, "lm_head.n_texts", 6)
    choose(app, "lm_head.n_tokens", 5)
    assert not app.exception
    greedy, sampled = figure(app)["data"]
    first = [next(hooked.generate(PROMPT, Decoding("sample", seed=4 + i), 1)) for i in range(6)]
    for token_id in {step.token_id for step in first}:
        count = sum(step.token_id == token_id for step in first)
        assert numbers(sampled["values"])[sampled["ids"].index(str(token_id))] == count
    assert set(numbers(greedy["values"])) == {6}
    assert app.dataframe[0].value.times.sum() == 12


def test_stopped_run_keeps_its_texts_and_goes_on(open_section):
    open_section("texts", strategy="sample", lm_head__n_texts=10)
    app = open_section("texts", strategy="sample", lm_head__n_texts=25, lm_head__stopped=1)
    assert "Stopped after 10 of 25 texts" in text_of(app)
    assert app.dataframe[0].value.times.sum() == 10 + 10
    app.button(key="lm_head.texts.go_on").click().run()
    assert not app.exception
    assert app.dataframe[0].value.times.sum() == 25 + 25


def test_stopped_before_the_first_text_says_so(open_section):
    app = open_section("texts", strategy="sample", lm_head__stopped=1)
    assert "Stopped after 0 of 20 texts" in text_of(app)
    choose(app, "lm_head.n_texts", 21)
    assert not app.exception
    assert not view_of(app).lm_head.stopped
    assert app.dataframe[0].value.times.sum() == 21 + 21


def test_beams_on_screen_are_those_of_the_search(open_section):
    app = open_section("beams")
    for n_shown in (10, 3):
        choose(app, "lm_head.n_shown", n_shown)
        assert not app.exception
        marks = [t for t in figure(app)["data"] if t["mode"] == "markers" and t["name"] != "greedy"]
        assert max(max(numbers(trace["x"])) for trace in marks) == n_shown
        assert sum(len(numbers(trace["x"])) for trace in marks) == 4 * n_shown
    choose(app, "lm_head.score_by", "Mean per token")
    assert not app.exception
    assert "length_penalty=1)" in text_of(app)
    assert view_of(app).lm_head.n_shown is None
    assert ":green[:material/check_circle:] Checked: the winner's sum" in text_of(app)


def test_one_token_prompt(open_section):
    for section in SECTIONS:
        app = open_section(section, prompt="cat")
        assert not app.error


def test_full_context_has_room_for_the_one_token_that_need_not_be_read(open_section, hooked):
    full = " ".join(["cat"] * hooked.info.context_size)
    app = open_section("texts", prompt=full)
    assert not app.error
    assert widget(app, "lm_head.n_tokens").value == 1
    app = open_section("beams", prompt=full)
    assert not app.error
    assert ":green[:material/check_circle:] Checked: the winner's sum" in text_of(app)


def test_nearly_full_context_offers_what_fits(open_section, hooked):
    app = open_section("beams", prompt=" ".join(["cat"] * (hooked.info.context_size - 2)))
    assert not app.error
    assert widget(app, "lm_head.n_steps").value == 3
    assert view_of(app).lm_head.n_steps == 10


def test_options_that_no_control_allows_are_pulled_in_or_ignored(open_section):
    link = {"temperature": 0, "top_k": 10**9, "top_p": 0, "min_p": 7, "pos": 99}
    app = open_section("stages", strategy="sample", repetition_penalty=-1, **link)
    assert not app.error
    assert "over the 7 tokens left" in text_of(app)
    assert view_of(app).decoding == Decoding("sample", top_k=len(WORDS))


def test_numbers_that_are_none_get_one_sentence(open_with, open_section, tokenizer):
    model = with_random_weights(tiny_llama)
    with torch.no_grad():
        model.model.embed_tokens.weight[WORDS.index("on")] = float("nan")
    broken = HookedModel.wrap(model, tokenizer, "broken")
    open_with(lambda name: broken)
    app = open_section("one_score")
    assert len(app.error) == 1
    open_section("texts", pos=1)


def test_one_choice_without_numbers_leaves_the_others(open_section, without_numbers_at):
    without_numbers_at(2)
    app = open_section("stages", pos=2)
    assert len(app.error) == 1
    assert "not numbers" in app.error[0].value or "range" in app.error[0].value
    assert not open_section("stages", pos=4).error


@pytest.mark.parametrize("section", SECTIONS)
def test_a_model_whose_tail_cannot_be_run_alone_has_a_sentence_for_it(
    open_section, without_tail, section
):
    assert len(open_section(section).error) <= 1
    assert len(open_section(section, pos=2).error) == 1


@torch.inference_mode()
def test_everything_is_that_of_the_model_without_what_is_switched_off(open_section, hooked):
    off = AblateHead(0, 1)
    link = {"interventions": "ablate_head,0,1~", **SAMPLE}
    trace = hooked.trace(PROMPT, [off])
    stages = Decoding(**SAMPLE).stages(trace.last_logits, trace.token_ids)
    whole = hooked.trace(PROMPT).last_logits
    assert np.abs(trace.last_logits - whole).max() > 1e-3

    app = open_section("stages", **link)
    order = np.argsort(-trace.last_logits)
    after = figure(app)["data"][1]["x"]
    np.testing.assert_allclose(numbers(after), stages[-1].probabilities[order], atol=1e-5)

    app = open_section("texts", lm_head__n_texts=2, lm_head__n_tokens=4, **link)
    rows = app.dataframe[0].value
    generation = hooked.start(PROMPT, interventions=(off,))
    for _ in range(4):
        generation = hooked.step(generation)
    assert rows.text[0] == generation.text
    greedy = sum(float(np.log(step.raw_probability)) for step in generation.steps)
    assert rows.bits[0] == pytest.approx(-greedy / np.log(2), abs=1e-4)

    app = open_section("beams", **link)
    assert ":green[:material/check_circle:] Checked: the winner's sum" in text_of(app)


def test_a_link_opens_what_it_was_copied_from(open_section, open_page):
    app = open_section("draws", strategy="sample", pos=3)
    follow(app, 2)
    choose(app, "lm_head.n_draws", 100)
    app.button(key="lm_head.again").click().run()
    again = open_page("lm_head", **app.query_params)
    assert view_of(again) == view_of(app)
    assert view_of(again).lm_head.followed == 2
    assert figure(again)["data"] == figure(app)["data"]


def test_what_is_followed_belongs_to_the_choice(open_section):
    app = open_section("stages", pos=5)
    follow(app, 2)
    choose(app, "pos", "1: cat")
    assert view_of(app).lm_head.followed is None
    choose(app, "pos", "5: mat")
    assert view_of(app).lm_head.followed == 2
