"""The Feedforward page shows the model's own numbers, and its sums hold."""

import numpy as np
import pytest
import torch

from model_hooks import HookedModel
from model_hooks.read.neurons import neuron_effects
from pages.ask import session
from pages.feedforward import views
from tests.conftest import WORDS, tiny_llama, with_random_weights
from tests.pages.charts import drawn, numbers
from tests.tiny_models import build, tiny_tokenizer

NEURONS, ACTIVATION, OFF = "The neurons", "The activation function", "Switch it off"
STEPS, TAB = range(2)


@pytest.fixture(autouse=True)
def _nothing_kept():
    caches = (
        views.output_of, views.lens_of, views.neurons_of, views.effects_of, views.pushes_of,
        views.without_each, views.without_of, views.routing_of,
    )  # fmt: skip
    for cache in caches:
        cache.clear()


def open_tab(app, title):
    app.session_state["feedforward.tabs"] = title
    return app.run()


def chart(app, index):
    return drawn(app)[index].figure["data"]


def text_of(app):
    return " ".join(e.value for e in [*app.markdown, *app.caption, *app.info])


def test_the_strongest_neurons_on_screen_are_those_of_the_model(open_page, hooked, trace):
    app = open_page("feedforward", layer=1, pos=5)
    assert not app.exception
    word = int(np.argmax(trace.last_logits))
    effects = neuron_effects(hooked, trace, 1, word, 5).effects
    strongest = np.argsort(-np.abs(effects))[: views.N_NEURONS]
    [bars] = [data for data in chart(app, TAB) if data["type"] == "bar"]
    assert numbers(bars["customdata"]).tolist() == strongest.tolist()
    np.testing.assert_allclose(numbers(bars["x"]), effects[strongest], rtol=1e-4)
    assert "Checked" in text_of(app)


def test_a_chosen_neuron_is_followed(open_page):
    app = open_page("feedforward", layer=0)
    box = next(w for w in app.number_input if w.label.startswith("Neuron of layer 0"))
    box.set_value(3).run()
    assert not app.exception
    assert "Where else does neuron 3 fire?" in text_of(app)


def test_dots_on_the_curve_are_the_recorded_numbers(open_page, hooked, trace):
    app = open_tab(open_page("feedforward", layer=0, pos=2), ACTIVATION)
    assert not app.exception
    neurons = hooked.neurons(trace, 0)
    dots = next(data for data in chart(app, TAB) if data["mode"] == "markers")
    np.testing.assert_allclose(numbers(dots["x"]), neurons.pre_activation[2], rtol=1e-5)
    np.testing.assert_allclose(numbers(dots["y"]), neurons.activated[2], rtol=1e-5, atol=1e-7)
    assert ("Gate and up" in " ".join(chart.alt for chart in drawn(app))) == (neurons.gated)


def test_switching_off_shows_what_zeroing_by_hand_gives(open_page, hooked, trace):
    app = open_tab(open_page("feedforward", layer=0), OFF)
    assert not app.exception
    word = int(np.argmax(trace.last_logits))
    for layer, shown in enumerate(numbers(chart(app, TAB)[0]["y"])):
        mlp = hooked.anatomy.blocks[layer].module.mlp
        handle = mlp.register_forward_hook(lambda module, args, output: torch.zeros_like(output))
        with torch.no_grad():
            logits = hooked.model(torch.tensor([trace.token_ids.tolist()])).logits[0, -1]
        handle.remove()
        assert shown == pytest.approx(float(logits.softmax(-1)[word]), abs=1e-5)


def test_the_film_is_one_click_away(open_page):
    app = open_page("feedforward")
    app.button(key="feedforward.shawshank").click().run()
    assert not app.exception
    assert views.SHAWSHANK in app.text_area[0].value


def test_a_word_of_several_tokens_gets_one_sentence(open_page):
    app = open_page("feedforward")
    app.text_input(key="feedforward.word.new").set_value("mat dog").run()
    assert not app.exception
    assert [info for info in app.info if "2 tokens" in info.value]


@pytest.mark.parametrize("prompt", ["cat", "the cat sat on " * 8])
def test_short_and_long_prompts_draw_every_tab(open_page, prompt):
    app = open_page("feedforward", prompt=prompt)
    for title in (NEURONS, ACTIVATION, OFF):
        assert not open_tab(app, title).exception


def test_a_mixture_of_experts_shows_the_routers_choice(tiny_session, monkeypatch, open_page):
    model = HookedModel.wrap(build("mixtral"), tiny_tokenizer(), "mixtral")
    monkeypatch.setattr(session, "load_model", lambda name: model)
    app = open_page("feedforward", layer=0)
    assert not app.exception
    [heatmap] = [data for data in chart(app, TAB) if data["type"] == "heatmap"]
    ids = model.encode(app.text_area[0].value)
    with torch.no_grad():
        logits = model.model(torch.tensor([ids]), output_router_logits=True).router_logits[0]
    n_chosen = model.model.config.num_experts_per_tok
    drawn = numbers(heatmap["z"])
    for pos, row in enumerate(logits):
        ran = np.flatnonzero(np.isfinite(drawn[:, pos]))
        assert sorted(ran) == sorted(row.topk(n_chosen).indices.tolist())
    open_tab(app, NEURONS)
    assert not app.exception
    assert "experts" in text_of(app)


def test_a_family_whose_parts_are_unknown_is_no_crash(of_unknown_wiring, open_page):
    app = open_page("feedforward", layer=0)
    for title in (NEURONS, ACTIVATION, OFF):
        assert not open_tab(app, title).exception


def test_numbers_that_are_none_get_one_sentence(open_page, tokenizer, monkeypatch):
    model = with_random_weights(tiny_llama)
    with torch.no_grad():
        model.model.embed_tokens.weight[WORDS.index("on")] = float("nan")
    broken = HookedModel.wrap(model, tokenizer, "broken")
    monkeypatch.setattr(session, "load_model", lambda name: broken)
    app = open_page("feedforward")
    assert not app.exception
    assert "not numbers" in app.error[0].value
