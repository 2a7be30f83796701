"""The Generation page on a tiny model, compared with transformers' own `generate()`."""

import html

import numpy as np
import pytest
import torch

from model_hooks import AblateHead, AblateMLP, HookedModel
from tests.conftest import tiny_llama, with_random_weights
from tests.pages.charts import numbers
from tests.pages.conftest import choose, choose_decoding, view_of
from tests.pages.generation.looking import (
    N_PROMPT,
    TEXT,
    chart,
    greedy_tokens,
    look_at,
    press,
    press_run,
    take,
    text_of,
    tokens,
    written,
)
from viz.numbers import percent


def test_page_opens_at_the_prompt_with_what_comes_next(open_page):
    app = open_page("generation")
    assert tokens(app)["tokens"][-1] == "?"
    assert any("What comes next" in text for text in text_of(app))
    assert not app.exception


@pytest.mark.parametrize("use_cache", [True, False])
def test_steps_write_what_generate_writes(open_page, hooked, use_cache):
    app = open_page("generation", use_cache=use_cache)
    for _ in range(3):
        press(app, "step")
    assert written(app) == greedy_tokens(hooked, 3)
    assert not app.exception


def test_run_writes_as_many_tokens_as_asked(open_page, hooked):
    app = open_page("generation")
    press_run(app, 7)
    assert written(app) == greedy_tokens(hooked, 7)
    assert "Stop" not in [button.label for button in app.button]
    assert not app.exception


def test_candidates_are_the_models_own_softmax_over_the_whole_vocabulary(open_page, hooked):
    app = open_page("generation")
    with torch.no_grad():
        logits = hooked.model(torch.tensor([hooked.encode(TEXT)])).logits[0, -1]
    expected = torch.softmax(logits.double(), -1).sort(descending=True).values.numpy()
    own = chart(app)["data"][0]["x"]
    np.testing.assert_allclose(own, expected, atol=1e-6)
    assert sum(own) == pytest.approx(1)


def test_sampling_with_a_seed_repeats_exactly_and_another_seed_differs(open_page):
    texts = []
    for seed in (3, 3, 4):
        app = open_page("generation", strategy="sample", temperature=2.0, seed=seed)
        press_run(app, 12)
        texts.append(written(app))
    assert texts[0] == texts[1] != texts[2]


def test_each_step_draws_with_a_random_number_of_its_own(open_with, open_page, tokenizer):
    """Where all tokens are always equally probable, one number for all would write one token."""
    model = with_random_weights(tiny_llama)
    torch.nn.init.zeros_(model.lm_head.weight)
    even = HookedModel.wrap(model, tokenizer, "even")
    open_with(lambda name: even)
    app = open_page("generation", strategy="sample")
    press_run(app, 24)
    assert len(set(written(app))) >= 4


@pytest.mark.parametrize("use_cache", [True, False])
def test_a_model_with_a_head_switched_off_writes_what_it_then_writes(open_page, hooked, use_cache):
    off = (AblateHead(0, 1), AblateMLP(1))
    switched_off = "ablate_head,0,1~ablate_mlp,1~"
    app = open_page("generation", interventions=switched_off, use_cache=use_cache)
    generation = hooked.start(TEXT, interventions=off)
    expected = torch.softmax(torch.tensor(generation.next_logits()).double(), -1)
    shown = numbers(chart(app)["data"][0]["x"])
    np.testing.assert_allclose(shown, expected.sort(descending=True).values, atol=1e-5)
    press_run(app, 8)
    for _ in range(8):
        generation = hooked.step(generation)
    assert written(app) == generation.token_ids[N_PROMPT:]
    assert written(app) != greedy_tokens(hooked, 8)


def test_switching_a_part_off_keeps_the_text_and_says_so(open_page, hooked):
    app = open_page("generation")
    press_run(app, 3)
    app.button(key="switched_off.add").click().run()
    assert not app.exception
    assert view_of(app).interventions == (AblateHead(0, 0),)
    assert written(app) == greedy_tokens(hooked, 3)
    assert any("before parts of the model were switched" in text for text in text_of(app))


def test_prompt_tokens_show_what_the_model_expected_there(open_page, hooked):
    app = open_page("generation", pos=3, layer=1, head="mean")
    with torch.no_grad():
        logits = hooked.model(torch.tensor([hooked.encode(TEXT)])).logits[0, 2]
    expected = torch.softmax(logits.double(), -1).max().item()
    assert chart(app)["data"][0]["x"][0] == pytest.approx(expected, abs=1e-6)
    weights = tokens(app)["weights"]
    read = hooked.trace(TEXT).attention(1).mean(0)[2]
    np.testing.assert_allclose(weights, [*read[:3], *[0] * 4], atol=1e-4)
    assert not any("Take" in box.label for box in app.selectbox)
    assert not app.exception


def test_first_token_says_that_nothing_predicts_it(open_page):
    app = open_page("generation", pos=0)
    assert any("never predicts it" in info.value for info in app.info)
    assert not app.exception


def test_shade_is_the_models_own_eager_attention(open_page, hooked, trace):
    app = open_page("generation", layer=1, head="mean")
    weights = tokens(app)["weights"]
    expected = trace.attention(1)[:, -1].mean(0)
    np.testing.assert_allclose(weights[:-1], expected, atol=1e-4)
    assert weights[-1] == 0


def test_costs_tell_the_cache_from_no_cache(open_page, hooked):
    for use_cache, expected in ((True, [6, 1, 1]), (False, [6, 7, 8])):
        app = open_page("generation", use_cache=use_cache)
        choose(app, "generation.details", "Cost of each step")
        for _ in range(3):
            press(app, "step")
        rows, milliseconds, kilobytes = (panel["y"] for panel in chart(app, 1)["data"])
        assert rows == expected
        assert all(0 < time < 60_000 for time in milliseconds)
        held = sum(layer.key.nbytes + layer.value.nbytes for layer in hooked.trace(TEXT).layers)
        assert kilobytes == [held * n / N_PROMPT / 1e3 * use_cache for n in (6, 7, 8)]
        assert not app.exception


def test_replay_holds_every_step_with_its_own_choice(open_page, hooked):
    link = {"strategy": "sample", "temperature": 2.0, "generation__details": "replay"}
    app = open_page("generation", **link)
    press_run(app, 12)
    ids, frames = (*hooked.encode(TEXT), *written(app)), chart(app, 1)["frames"]
    assert [frame["name"] for frame in frames] == [str(n) for n in range(1, 13)]
    with torch.no_grad():
        logits = hooked.model(torch.tensor([ids])).logits[0, N_PROMPT - 1 : -1]
    warm = torch.softmax(logits.double() / 2, -1)
    for i, frame in enumerate(frames):
        before = " ".join(hooked.token_strings(ids[: N_PROMPT + i])[-16:])
        assert frame["layout"]["title"]["text"] == f"…{html.escape(before[-40:])}<b> ?</b>"
        order = logits[i].argsort(descending=True)
        np.testing.assert_allclose(numbers(frame["data"][1]["x"]), warm[i][order], atol=1e-5)
    app = choose_decoding(app, "temperature", 0.5)  # what was picked was picked at 2.0
    assert chart(app, 1)["frames"] == frames


def test_each_step_is_told_as_it_was_made(open_page, hooked):
    app = open_page("generation", strategy="sample", temperature=0.5)
    labels = next(box for box in app.selectbox if "choose here" in box.label).options
    with torch.no_grad():
        logits = hooked.model(torch.tensor([hooked.encode(TEXT)])).logits[0, -1]
    cold = torch.softmax(logits.double() / 0.5, -1)
    for label, token_id in zip(labels, logits.argsort(descending=True).tolist(), strict=True):
        token = hooked.token_strings([token_id])[0]
        assert label == f"{token}   {percent(float(cold[token_id]))}"
    press(app, "step")
    look_at(app, N_PROMPT + 1)
    take(app, "<unk>")
    assert [mark for mark in tokens(app)["marks"] if mark] == ["1", "2 yours", "next"]
    for pos, story in {N_PROMPT: "Drawn at random", N_PROMPT + 1: "You chose it."}.items():
        look_at(app, pos)
        assert any(text.startswith(story) for text in text_of(app))
    assert rf"Token {N_PROMPT + 1}: \<unk\>" in text_of(app)
    assert not app.exception


def test_full_context_is_one_sentence_and_keeps_the_text(open_page, hooked):
    size = hooked.info.context_size
    app = open_page("generation")
    press_run(app, size)
    assert len(written(app)) == size - N_PROMPT + 1
    assert ["context is full" in error.value for error in app.error] == [True]
    assert not app.exception


@pytest.mark.parametrize("prompt", ["", "   ", "the " * 500])
def test_prompt_that_cannot_run_ends_the_page_with_a_sentence(open_page, prompt):
    app = open_page("generation", prompt=prompt)
    assert len(app.error) + len(app.info) == 1
    assert not app.exception


def test_a_position_without_numbers_is_one_sentence(open_page, without_numbers_at):
    without_numbers_at(2)
    app = open_page("generation", pos=3)
    assert not app.exception
    assert len(app.error) == 1
    press(app, "step")
    assert len(written(app)) == 1
    assert not app.error


def test_a_model_whose_tail_cannot_be_run_alone_still_writes(open_page, without_tail):
    app = open_page("generation", pos=3)
    assert len(app.error) == 1
    press(app, "step")
    assert not app.error
