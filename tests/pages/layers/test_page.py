"""The Layers page shows the model's own numbers, and each check on it holds."""

import numpy as np
import pytest
import torch

from model_hooks import HookedModel
from model_hooks.read.attribution import attribute_logit
from model_hooks.read.lens import read_lens
from pages.ask import session
from pages.layers import views
from pages.widgets.words import find_word
from tests.conftest import WORDS, tiny_llama, with_random_weights
from tests.pages.charts import drawn, numbers
from tests.pages.conftest import PROMPT

LENS, TAB = range(2)
TABS = ["Watched words", "Inside one layer", "What adds up to the score", "The vector itself"]
WORDS_TAB, HALVES_TAB, PARTS_TAB, GROWTH_TAB = TABS


@pytest.fixture(autouse=True)
def _no_kept_readings():
    for cache in (views.lens_of, views.reading_of, views.attribution_of):
        cache.clear()


def chart(app, index):
    return drawn(app)[index].figure


def open_tab(app, title):
    app.session_state["layers.tabs"] = title
    return app.run()


@torch.inference_mode()
def output(hooked, end=None):
    """Probabilities of the next token, from the model alone."""
    ids = torch.tensor([hooked.encode(PROMPT)[:end]])
    return torch.softmax(hooked.model(ids).logits[0, -1], -1).numpy()


def text_of(app):
    return " ".join(element.value for element in [*app.markdown, *app.caption, *app.info])


@pytest.mark.parametrize("pos", [2, 5])
def test_last_row_and_last_points_are_the_models_output(open_page, hooked, pos):
    app = open_page("layers", pos=pos)
    assert not app.exception
    expected = output(hooked, pos + 1)
    drawn = numbers(chart(app, LENS)["data"][0]["z"])
    assert drawn[-1, pos] == pytest.approx(expected.max(), abs=1e-4)
    watched = app.multiselect(key="words").value
    assert watched == list(np.argsort(-expected)[:3])
    for line, token_id in zip(chart(app, TAB)["data"], watched, strict=True):
        assert numbers(line["y"])[-1] == pytest.approx(expected[token_id], abs=1e-4)
    assert "Checked: the last row equals" in text_of(app)


def test_parts_on_screen_sum_to_the_logit(open_page, hooked):
    app = open_tab(open_page("layers"), PARTS_TAB)
    assert not app.exception
    bars = {bar["name"]: numbers(bar["y"]) for bar in chart(app, TAB)["data"]}
    total = sum(values.sum() for name, values in bars.items() if name != "sum so far")
    with torch.inference_mode():
        logits = hooked.model(torch.tensor([hooked.encode(PROMPT)])).logits[0, -1]
    assert total == pytest.approx(float(logits.max()), abs=1e-3)
    assert "Checked: the parts sum to" in text_of(app)


def test_two_logits_are_compared(open_page, hooked):
    app = open_tab(open_page("layers"), PARTS_TAB)
    first, second = np.argsort(-output(hooked))[:2]
    app.selectbox(key=f"layers.logit.{first}.against").set_value(int(second)).run()
    assert not app.exception
    bars = {bar["name"]: numbers(bar["y"]) for bar in chart(app, TAB)["data"]}
    ratio = np.log(output(hooked)[first] / output(hooked)[second])
    assert bars["sum so far"][-1] == pytest.approx(ratio, abs=1e-3)


def test_norms_on_screen_are_those_of_the_trace(open_page, hooked, trace):
    app = open_tab(open_page("layers", pos=3), GROWTH_TAB)
    expected = [np.linalg.norm(trace.embedding[3])]
    expected += [np.linalg.norm(layer.resid_post[3]) for layer in trace.layers]
    growth = chart(app, TAB)["data"]
    np.testing.assert_allclose(numbers(growth[0]["y"]), expected, rtol=1e-5)
    last = numbers(growth[3]["y"])
    assert last[-1] == pytest.approx(1)


def test_every_view_of_the_table_draws(open_page):
    app = open_page("layers")
    app.toggle(key="layers.halves").set_value(True).run()
    assert numbers(chart(app, LENS)["data"][0]["z"]).shape == (5, 6)
    for show in ("probability", "rank"):
        app.segmented_control(key="layers.show").set_value(show).run()
        assert not app.exception
    app.segmented_control(key="layers.measure").set_value("rank").run()
    assert not app.exception


def test_known_word_is_watched_and_five_are_the_most(open_page):
    app = open_page("layers")
    for word in WORDS[1:]:
        if not app.text_input(key="words.new").disabled:
            app.text_input(key="words.new").set_value(word).run()
    assert not app.exception
    assert len(app.multiselect(key="words").value) == 5
    assert len(chart(app, TAB)["data"]) == 5
    app.multiselect(key="words").set_value([]).run()
    assert not app.exception
    assert any("Choose a word" in info.value for info in app.info)


def test_word_of_several_tokens_gets_one_sentence_and_its_first_token(open_page):
    app = open_page("layers")
    app.multiselect(key="words").set_value([]).run()
    app.text_input(key="words.new").set_value("mat dog").run()
    assert [info.value for info in app.info if "2 tokens" in info.value]
    app.button(key="words.new.first").click().run()
    assert not app.exception
    assert app.multiselect(key="words").value == [WORDS.index("mat")]
    assert not [info.value for info in app.info if "2 tokens" in info.value]


def test_word_is_found_with_or_without_its_space(hooked):
    log_probs = np.zeros(len(WORDS), dtype=np.float32)
    assert find_word(hooked, "cat", log_probs).token_ids == (2,)
    assert find_word(hooked, " cat", log_probs).token_ids == (2,)
    assert find_word(hooked, "", log_probs).token_ids == ()


def test_download_holds_the_same_numbers(hooked, trace):
    lens = read_lens(hooked, trace)
    frame = views.lens_frame(lens, ["embedding", "layer 0", "layer 1"], trace, hooked)
    last = frame[(frame.point == "layer 1") & (frame.pos == 5)].iloc[0]
    assert last.guess == last.final_token == WORDS[int(output(hooked).argmax())]
    assert last.guess_probability == pytest.approx(output(hooked).max(), abs=1e-4)
    assert len(frame) == 3 * 6
    parts = views.parts_frame(attribute_logit(hooked, trace, 2)).set_index("part")["value"]
    assert parts["sum"] == pytest.approx(parts["logit"], abs=1e-4)
    assert parts[["embedding", "attention", "feedforward", "bias"]].sum() == pytest.approx(
        parts["sum"], abs=1e-9
    )


def test_one_token_prompt(open_page):
    app = open_page("layers", prompt="cat")
    assert not app.exception
    assert numbers(chart(app, LENS)["data"][0]["z"]).shape == (3, 1)


def test_long_prompt_is_a_window_around_the_token_or_all_of_it(open_page):
    app = open_page("layers", prompt="the cat sat on " * 8, pos=20)
    assert not app.exception
    columns = chart(app, LENS)["data"][0]["x"]
    assert len(columns) == views.WINDOW
    assert "20: the" in columns
    app.segmented_control(key="layers.span").set_value(views.ALL).run()
    assert not app.exception
    assert len(chart(app, LENS)["data"][0]["x"]) == 32


@pytest.mark.parametrize(("n_tokens", "pos"), [(1, 0), (5, 4), (12, 0), (300, 0), (300, 150),
                                               (300, 299)])  # fmt: skip
def test_window_holds_the_position(n_tokens, pos):
    span = views.window(n_tokens, pos)
    assert 0 <= span.start <= pos < span.stop <= n_tokens
    assert span.stop - span.start == min(n_tokens, views.WINDOW)


def test_link_beyond_the_model_shows_what_there_is(open_page):
    app = open_page("layers", layer=99, pos=99)
    for title in TABS:
        open_tab(app, title)
        assert not app.exception
        assert len(drawn(app)) == 2


def test_numbers_that_are_none_get_one_sentence(open_page, tokenizer, monkeypatch):
    model = with_random_weights(tiny_llama)
    with torch.no_grad():
        model.model.embed_tokens.weight[WORDS.index("on")] = float("nan")
    broken = HookedModel.wrap(model, tokenizer, "broken")
    monkeypatch.setattr(session, "load_model", lambda name: broken)
    app = open_page("layers")
    assert not app.exception
    assert len(app.error) == 1
    assert "not numbers" in app.error[0].value
    app = open_page("layers", prompt="the cat", pos=1)
    assert not app.exception
    assert not app.error


def test_no_parts_are_drawn_where_they_cannot_be_told_apart(of_unknown_wiring, open_page):
    app = open_tab(open_page("layers", layer=0), PARTS_TAB)
    assert not app.exception
    assert "cannot be told apart" in text_of(app)
    assert app.toggle(key="layers.halves").disabled
    figures = " ".join(chart.alt for chart in drawn(app))
    assert "adds to the logit" not in figures
