"""The Generation page on a tiny model, compared with transformers' own `generate()`."""

import copy
import html
import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from streamlit.delta_generator import DeltaGenerator
from streamlit.runtime.scriptrunner import StopException

from model_hooks import AblateHead, AblateMLP, HookedModel
from pages.shell import text_bar
from tests.conftest import tiny_llama, with_random_weights
from tests.pages.charts import drawn, numbers
from tests.pages.conftest import choose, choose_decoding, view_of, with_prompt
from viz.numbers import percent

TEXT = "the cat sat on the mat"
N_PROMPT = 6


@pytest.fixture
def hooked(tokenizer, tiny_model):
    """One family is enough here: others are the hooked model's matter."""
    return HookedModel.wrap(copy.deepcopy(tiny_model), tokenizer, "tiny")


def press(app, name):
    place = "generation" if name in ("rewind", "forget") else "text_bar"
    app.button(key=f"{place}.{name}").click().run()
    assert not app.exception


def tokens(app):
    strip = next(
        block for block in app.get("bidi_component") if "prompt, generated" in block.proto.json
    )
    return json.loads(strip.proto.json)


def chart(app, which=0):
    return drawn(app)[which].figure


def text_of(app):
    return [element.value for element in (*app.markdown, *app.caption, *app.header)]


def plain(label):
    """What a label says without its escapes, on single spaces."""
    return " ".join(label.replace("\\", "").split())


def written(app):
    return view_of(app).written


def look_at(app, pos):
    """As a click on a token does, which only a browser can make."""
    app.session_state["visit.view"] = replace(view_of(app), pos=pos)
    app.run()


def with_n_per_run(app, n_tokens):
    app.session_state["visit.view"] = replace(view_of(app), n_per_run=n_tokens)
    app.run()


def press_run(app, n_tokens):
    with_n_per_run(app, n_tokens)
    press(app, "run")


def take(app, label):
    """Use the list of what could stand here instead, by its label's beginning."""
    box = next(box for box in app.selectbox if "choose here" in box.label)
    at = next(i for i, option in enumerate(box.options) if option.startswith(label))
    box.set_value(at).run()
    assert not app.exception


def greedy_tokens(hooked, n):
    ids = torch.tensor([hooked.encode(TEXT)])
    output = hooked.model.generate(
        ids, max_new_tokens=n, min_new_tokens=n, do_sample=False, use_cache=True, pad_token_id=0
    )
    return tuple(output[0, N_PROMPT:].tolist())


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


def test_back_rewind_and_restart_shorten_the_text(open_page, hooked):
    app = open_page("generation", written=".".join(map(str, greedy_tokens(hooked, 5))))
    assert "generation.rewind" not in [button.key for button in app.button]
    press(app, "back")
    assert written(app) == greedy_tokens(hooked, 4)
    look_at(app, N_PROMPT + 1)
    press(app, "rewind")
    assert written(app) == greedy_tokens(hooked, 2)
    press(app, "restart")
    assert written(app) == ()
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


def test_another_model_begins_anew(open_page):
    app = open_page("generation", model="one")
    press_run(app, 3)
    app.text_input(key="own_model").set_value("other")
    next(one for one in app.sidebar.button if one.label == "Open").click().run()
    assert not app.exception
    assert view_of(app).model == "other"
    assert written(app) == ()
    assert len(tokens(app)["tokens"]) == N_PROMPT + 1


def test_a_link_brings_text_and_choices_back(open_page, hooked):
    app = open_page("generation", seed=4)
    choose(app, "generation.details", "Cost of each step")
    press_run(app, 5)
    again = open_page("generation", **app.query_params)
    assert view_of(again) == view_of(app)
    assert tokens(again)["tokens"] == tokens(app)["tokens"]
    assert view_of(again).n_per_run == 5
    assert chart(again, 1)["data"][0]["y"] == [6, 1, 1, 1, 1]


def test_a_token_that_is_chosen_counts_as_the_readers_even_if_it_is_the_likeliest(
    open_page, hooked
):
    app = open_page("generation")
    take(app, hooked.token_strings(greedy_tokens(hooked, 1))[0])
    assert written(app) == greedy_tokens(hooked, 1)
    assert any(text.startswith("You chose it.") for text in text_of(app))


def test_forgetting_the_others_leaves_the_text(open_page, hooked):
    app = open_page("generation")
    press_run(app, 2)
    press(app, "restart")
    press(app, "forget")
    assert written(app) == ()
    assert not app.radio
    press(app, "step")
    assert written(app) == greedy_tokens(hooked, 1)


def test_taking_another_token_makes_a_branch_that_can_be_left_and_revisited(open_page, hooked):
    app = open_page("generation")
    press(app, "step")
    first = written(app)
    other = next(i for i in range(hooked.info.vocab_size) if (i,) != first)
    take(app, hooked.token_strings([other])[0])
    assert written(app) == (other,)
    radio = next(radio for radio in app.radio if "Every text" in radio.label)
    names = [hooked.token_strings(ids)[0] for ids in (first, [other])]
    assert [plain(option) for option in radio.options] == [f"1 token: {name}" for name in names]
    radio.set_value(0).run()
    assert written(app) == first
    assert not app.exception


def test_other_options_keep_the_text_and_apply_to_the_next_step(open_page, hooked):
    app = open_page("generation")
    press(app, "step")
    app = choose_decoding(app, "strategy", "Sample")
    app = choose_decoding(app, "temperature", 0.1)
    assert written(app) == greedy_tokens(hooked, 1)
    assert any("picked with other options" in text for text in text_of(app))
    press(app, "step")
    assert len(written(app)) == 2
    assert not app.exception


def test_another_prompt_starts_anew_and_keeps_the_options(open_page):
    app = open_page("generation", strategy="sample", temperature=0.5)
    press(app, "step")
    with_prompt(app, "the dog")
    assert written(app) == ()
    assert view_of(app).decoding.temperature == 0.5
    assert tokens(app)["tokens"] == ["the", "dog", "?"]
    assert not app.exception


def test_a_step_that_comes_with_another_prompt_is_made_on_it(open_page):
    app = open_page("generation")
    press_run(app, 3)
    app.button(key="text_bar.step").click()
    with_prompt(app, "the dog")
    assert len(written(app)) == 1
    assert tokens(app)["tokens"][:2] == ["the", "dog"]


@pytest.mark.parametrize("click", ["back", "restart"])
def test_a_move_that_was_meant_for_another_prompt_is_not_made(open_page, click):
    app = open_page("generation")
    press_run(app, 3)
    with_prompt(app, "the dog")
    press_run(app, 2)
    app.button(key=f"text_bar.{click}").click()
    with_prompt(app, TEXT)
    assert written(app) == ()
    assert len(tokens(app)["tokens"]) == N_PROMPT + 1
    assert not app.error


def test_a_run_that_is_ended_from_outside_leaves_its_tokens_and_a_whole_page(
    open_page, hooked, monkeypatch
):
    """As Streamlit's own Stop ends it: where something is sent to the browser."""
    app, shown = open_page("generation"), DeltaGenerator.html

    def third_time(place, body):
        if "3 of 9 tokens" in str(body):
            monkeypatch.undo()
            raise StopException
        return shown(place, body)

    with_n_per_run(app, 9)
    monkeypatch.setattr(text_bar, "UPDATE_S", 0)
    monkeypatch.setattr(DeltaGenerator, "html", third_time)
    press(app, "run")
    assert written(app) == greedy_tokens(hooked, 3)
    assert not any(button.disabled for button in app.button)
    assert any(heading.value == "Try next" for heading in app.header)
    assert any("What comes next" in text or "Picked" in text for text in text_of(app))
    press(app, "step")
    assert written(app) == greedy_tokens(hooked, 4)
    assert len(tokens(app)["tokens"]) == N_PROMPT + 4 + 1


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


def test_a_long_branch_is_named_by_its_end(open_page, hooked):
    ids = greedy_tokens(hooked, 14)
    app = open_page("generation", written=".".join(map(str, ids)))
    press(app, "back")
    radio = next(radio for radio in app.radio if "Every text" in radio.label)
    end = " ".join(hooked.token_strings(ids[-12:]))
    assert [plain(option) for option in radio.options] == [f"14 tokens: … {end}"]


def test_full_context_is_one_sentence_and_keeps_the_text(open_page, hooked):
    size = hooked.info.context_size
    app = open_page("generation")
    press_run(app, size)
    assert len(written(app)) == size - N_PROMPT + 1
    assert ["context is full" in error.value for error in app.error] == [True]
    assert not app.exception


def test_links_text_with_impossible_tokens_is_cut_with_a_reason(open_page, hooked):
    good = greedy_tokens(hooked, 1)[0]
    app = open_page("generation", written=f"{good}.999999.1")
    assert written(app) == (good,)
    assert any("out of range" in error.value for error in app.error)
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


def test_two_sessions_never_share_a_text(open_page):
    one, other = open_page("generation"), open_page("generation")
    press(one, "step")
    other.run()
    assert (len(written(one)), written(other)) == (1, ())
