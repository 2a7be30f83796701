"""The Layers page shows the model's own numbers, and each check on it holds."""

import html

import numpy as np
import pytest
import torch

from pages.layers.choices import Choices
from tests.conftest import WORDS
from tests.pages.charts import drawn, numbers
from tests.pages.conftest import PROMPT, choose, view_of, widget

LENS, TAB = range(2)
TABS = ["words", "halves", "parts", "growth"]


def chart(app, index):
    return drawn(app)[index].figure


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
    lines, best = chart(app, TAB)["data"], np.argsort(-expected)[:3]
    assert [html.unescape(line["name"]) for line in lines] == [WORDS[i] for i in best]
    for line, token_id in zip(lines, best, strict=True):
        assert numbers(line["y"])[-1] == pytest.approx(expected[token_id], abs=1e-4)
    assert "Checked: the last row equals" in text_of(app)


def test_the_whole_page_is_about_the_run_with_what_is_switched_off(open_page, hooked):
    app = open_page("layers", interventions="ablate_mlp,1~")
    assert not app.exception
    mlp = hooked.anatomy.blocks[1].module.mlp
    handle = mlp.register_forward_hook(lambda module, args, output: torch.zeros_like(output))
    expected = output(hooked)
    handle.remove()
    drawn = numbers(chart(app, LENS)["data"][0]["z"])
    assert drawn[-1, -1] == pytest.approx(expected.max(), abs=1e-4)
    assert abs(drawn[-1, -1] - output(hooked).max()) > 1e-3
    assert "Checked: the last row equals" in text_of(app)


@pytest.mark.parametrize("pos", [1, 5])
def test_parts_on_screen_sum_to_the_logit(open_page, hooked, pos):
    app = open_page("layers", layers__tab="parts", pos=pos)
    assert not app.exception
    bars = {bar["name"]: numbers(bar["y"]) for bar in chart(app, TAB)["data"]}
    total = sum(values.sum() for name, values in bars.items() if name != "sum so far")
    with torch.inference_mode():
        logits = hooked.model(torch.tensor([hooked.encode(PROMPT)])).logits[0, pos]
    assert total == pytest.approx(float(logits.max()), abs=1e-3)
    assert "Checked: the parts sum to" in text_of(app)


def test_two_logits_are_compared(open_page, hooked):
    app = open_page("layers", layers__tab="parts")
    first, second = np.argsort(-output(hooked))[:2]
    choose(app, "layers.against", WORDS[second])
    assert not app.exception
    bars = {bar["name"]: numbers(bar["y"]) for bar in chart(app, TAB)["data"]}
    ratio = np.log(output(hooked)[first] / output(hooked)[second])
    assert bars["sum so far"][-1] == pytest.approx(ratio, abs=1e-3)


def test_a_logit_is_not_compared_with_itself(open_page, hooked):
    app = open_page("layers", layers__tab="parts")
    _, second = np.argsort(-output(hooked))[:2]
    choose(app, "layers.against", WORDS[second])
    choose(app, "layers.logit_of", WORDS[second])
    assert not app.exception
    assert view_of(app).layers.logit_of == second
    assert view_of(app).layers.against is None
    assert WORDS[second] not in widget(app, "layers.against").options


def test_each_token_of_the_text_keeps_its_own_choice_of_a_logit(open_page, hooked):
    app = open_page("layers", layers__tab="parts", pos=4)
    rare = WORDS[int(np.argmin(output(hooked, 5)))]
    choose(app, "layers.logit_of", rare)
    choose(app, "pos", "2: sat")
    assert view_of(app).layers.logit_of is None
    assert f"Most for {rare}" not in text_of(app)
    choose(app, "pos", "4: the")
    assert f"Most for {rare}" in text_of(app)


def test_norms_on_screen_are_those_of_the_trace(open_page, hooked, trace):
    app = open_page("layers", pos=3, layers__tab="growth")
    expected = [np.linalg.norm(trace.embedding[3])]
    expected += [np.linalg.norm(layer.resid_post[3]) for layer in trace.layers]
    growth = chart(app, TAB)["data"]
    np.testing.assert_allclose(numbers(growth[0]["y"]), expected, rtol=1e-5)
    last = numbers(growth[3]["y"])
    assert last[-1] == pytest.approx(1)


def marked(app, index):
    """Where the marks of a chart begin."""
    return [shape["x0"] for shape in chart(app, index)["layout"].get("shapes", ())]


@pytest.mark.parametrize("pos", [2, 4])
def test_the_column_of_the_chosen_token_is_framed(open_page, pos):
    assert pos - 0.5 in marked(open_page("layers", pos=pos), LENS)


@pytest.mark.parametrize("tab", ["words", "parts", "growth"])
def test_the_chosen_layer_is_marked(open_page, tab):
    first, second = (
        marked(open_page("layers", layer=layer, layers__tab=tab), TAB) for layer in (0, 1)
    )
    assert len(first) == len(second)
    assert max(second) > max(first)


def test_ranks_of_watched_words_end_at_their_place_in_the_output(open_page, hooked):
    app = open_page("layers", layers__measure="rank", watched="6.1")
    assert not app.exception
    places = np.argsort(np.argsort(-output(hooked))) + 1
    ends = [numbers(line["y"])[-1] for line in chart(app, TAB)["data"]]
    np.testing.assert_allclose(ends, places[[6, 1]])


@torch.inference_mode()
def test_the_halves_of_a_layer_are_the_lens_before_between_and_after(open_page, hooked, trace):
    app = open_page("layers", layer=1, pos=3, layers__tab="halves")
    assert not app.exception
    model = hooked.model
    norm = model.transformer.ln_f if hasattr(model, "transformer") else model.model.norm
    layer = trace.layers[1]
    states = torch.tensor(np.stack([layer.resid_pre, layer.resid_mid, layer.resid_post]))[:, 3]
    expected = torch.softmax(model.lm_head(norm(states)), -1).numpy()
    for bars, row in zip(chart(app, TAB)["data"], expected, strict=True):
        tokens = [WORDS.index(html.unescape(name)) for name in bars["customdata"]]
        np.testing.assert_allclose(numbers(bars["x"]), row[tokens], atol=1e-5)


def test_every_view_of_the_table_draws(open_page):
    app = open_page("layers")
    choose(app, "layers.halves", True)
    assert numbers(chart(app, LENS)["data"][0]["z"]).shape == (5, 6)
    for show in ("Probability", "Rank"):
        choose(app, "layers.show", show)
        assert not app.exception
    choose(app, "layers.measure", "Rank")
    assert not app.exception


def test_known_word_is_watched_and_five_are_the_most(open_page):
    app = open_page("layers")
    for word in WORDS[1:]:
        if not widget(app, "typed").disabled:
            choose(app, "typed", word)
    assert not app.exception
    assert len(view_of(app).watched) == 5
    assert len(chart(app, TAB)["data"]) == 5
    choose(app, "watched", [])
    assert not app.exception
    assert any("Choose a word" in info.value for info in app.info)


def test_word_of_several_tokens_gets_one_sentence_and_its_first_token(open_page):
    app = open_page("layers")
    choose(app, "watched", [])
    choose(app, "typed", "mat dog")
    assert [info.value for info in app.info if "2 tokens" in info.value]
    app.button(key="typed.first").click().run()
    assert not app.exception
    assert view_of(app).watched == (WORDS.index("mat"),)
    assert not [info.value for info in app.info if "2 tokens" in info.value]


def test_one_token_prompt(open_page):
    app = open_page("layers", prompt="cat")
    assert not app.exception
    assert numbers(chart(app, LENS)["data"][0]["z"]).shape == (3, 1)


def test_long_prompt_is_a_window_around_the_token_or_all_of_it(open_page):
    app = open_page("layers", prompt="the cat sat on " * 8, pos=20)
    assert not app.exception
    columns = chart(app, LENS)["data"][0]["x"]
    assert len(columns) == 12
    assert "20: the" in columns
    choose(app, "layers.span", "All tokens")
    assert not app.exception
    assert len(chart(app, LENS)["data"][0]["x"]) == 32


@pytest.mark.parametrize("tab", TABS)
def test_link_beyond_the_model_shows_what_there_is(open_page, tab):
    app = open_page("layers", layer=99, pos=99, layers__logit_of=99, layers__tab=tab)
    assert not app.exception
    assert len(drawn(app)) == 2


def test_a_link_restores_every_choice(open_page):
    wanted = {
        "layers__show": "rank",
        "layers__halves": "1",
        "layers__tab": "parts",
        "layers__measure": "rank",
        "layers__logit_of": "3",
        "layers__against": "4",
    }
    app = open_page("layers", **wanted)
    assert not app.exception
    assert view_of(app).layers == Choices("rank", True, "around", "parts", "rank", 3, 4)
    ranks = 10 ** numbers(chart(app, LENS)["data"][0]["z"])
    assert ranks.shape == (5, 6)
    np.testing.assert_allclose(ranks[-1], 1)
    assert "“sat” minus “on”" in str(chart(app, TAB))


def test_numbers_that_are_none_get_one_sentence(open_page, without_numbers_at):
    without_numbers_at(2)
    app = open_page("layers", pos=2)
    assert not app.exception
    assert len(app.error) == 1
    assert "range of float32" in app.error[0].value
    app = open_page("layers", pos=4)
    assert not app.exception
    assert not app.error
    assert "range of float32" in app.info[0].value  # the table holds the other token too
    assert "the model ends on" in text_of(app)


def test_a_family_whose_tail_cannot_be_run_alone_gets_one_sentence(open_page, without_tail):
    app = open_page("layers")
    assert not app.exception
    assert "no telling what its layers would predict" in app.error[0].value


def test_no_parts_are_drawn_where_they_cannot_be_told_apart(open_page, of_unknown_wiring):
    app = open_page("layers", layer=0, layers__tab="parts")
    assert not app.exception
    assert "cannot be told apart" in text_of(app)
    assert widget(app, "layers.halves").disabled
    figures = " ".join(chart.alt for chart in drawn(app))
    assert "adds to the logit" not in figures
