"""The Feedforward page shows the model's own numbers, and its sums hold."""

import json

import numpy as np
import pytest
import torch

from model_hooks import HookedModel
from model_hooks.arrays import softmax
from model_hooks.read.neurons import neuron_effects
from pages.feedforward.experts import MAX_COLUMNS
from pages.feedforward.hidden import N_STRONGEST
from pages.feedforward.page import SHAWSHANK
from tests.conftest import WORDS
from tests.pages.charts import drawn, numbers
from tests.pages.conftest import PROMPT, choose, view_of, widget
from tests.tiny_models import build, tiny_tokenizer

TABS = ["neurons", "activation", "off"]
STEPS, TAB = range(2)


def chart(app, index):
    return drawn(app)[index].figure["data"]


def text_of(app):
    return " ".join(e.value for e in [*app.markdown, *app.caption, *app.info])


@pytest.mark.parametrize("order", ["effect", "size"])
@pytest.mark.parametrize("pos", [3, 5])
def test_the_strongest_neurons_on_screen_are_those_of_the_model(
    open_page, hooked, trace, pos, order
):
    app = open_page("feedforward", layer=1, pos=pos, feedforward__order=order)
    assert not app.exception
    word = int(hooked.logits(trace)[pos].argmax())
    effects = neuron_effects(hooked, trace, 1, word, pos)
    values = effects.effects if order == "effect" else effects.sizes
    strongest = np.argsort(-np.abs(values), kind="stable")[:N_STRONGEST]
    [bars] = [data for data in chart(app, TAB) if data["type"] == "bar"]
    assert numbers(bars["customdata"]).tolist() == strongest.tolist()
    np.testing.assert_allclose(numbers(bars["x"]), values[strongest], rtol=1e-4)
    assert "Checked" in text_of(app)


@pytest.mark.parametrize("layer", [0, 1])
def test_the_chosen_layer_and_neuron_are_marked(open_page, layer):
    app = open_page("feedforward", layer=layer)
    [band] = drawn(app)[STEPS].figure["layout"]["shapes"]
    assert band["x0"] < layer < band["x1"]
    neuron = int(numbers(chart(app, TAB)[0]["customdata"])[2])
    choose(app, "feedforward.neuron", neuron)
    labels = drawn(app)[TAB].figure["layout"]["yaxis"]["ticktext"]
    assert [f"▸ {neuron}<" in label for label in labels].index(True) == 2
    assert sum("▸" in label for label in labels) == 1


def test_a_neuron_pushes_what_the_models_tail_makes_of_it(open_page, hooked, trace):
    """The truth: the logits with the neuron's vector left out, the final norm held."""
    app = open_page("feedforward", layer=1, pos=2, feedforward__neuron=4)
    neurons = hooked.neurons(trace, 1)
    write = neurons.activation[2, 4] * neurons.output_rows[4].astype(np.float64)
    after = trace.layers[1].resid_post[2].astype(np.float64)
    model = hooked.model
    if hasattr(model, "transformer"):
        norm, centred = model.transformer.ln_f, write - write.mean()
        divided = centred / np.sqrt(after.var() + norm.eps)
    else:
        norm = model.model.norm
        divided = write / np.sqrt((after**2).mean() + norm.variance_epsilon)
    by_hand = model.lm_head.weight.detach().numpy() @ (divided * norm.weight.detach().numpy())
    [bars] = [drawn.figure["data"][0] for drawn in drawn(app) if "neuron 4 promotes" in drawn.alt]
    ranked = np.sort(by_hand)[::-1]
    np.testing.assert_allclose(numbers(bars["x"]), [*ranked[:3], *ranked[-3:]], atol=1e-4)


def test_a_neurons_activation_stands_under_every_token(open_page, hooked, trace):
    app = open_page("feedforward", layer=0, feedforward__neuron=6)
    sent = [json.loads(one.proto.json) for one in app.get("bidi_component") if one.proto.json]
    [strip] = [one for one in sent if "neuron 6 at every token" in one.get("label", "")]
    expected = hooked.neurons(trace, 0).activation[:, 6]
    np.testing.assert_allclose([float(note) for note in strip["notes"]], expected, atol=5e-3)


def test_the_page_is_about_the_run_with_what_is_switched_off(open_page, hooked):
    app = open_page("feedforward", layer=1, pos=5, interventions="ablate_attention,1~")
    assert not app.exception
    attention = hooked.anatomy.blocks[1].attention
    handle = attention.register_forward_hook(
        lambda module, args, output: (torch.zeros_like(output[0]), *output[1:])
    )
    with torch.no_grad():
        ids = torch.tensor([hooked.encode(PROMPT)])
        logits = hooked.model(ids).logits[0, -1]
    handle.remove()
    plain = torch.tensor(hooked.trace(PROMPT).last_logits)
    assert float((logits - plain).abs().max()) > 1e-3
    word = int(logits.argmax())
    after = chart(app, STEPS)[3]
    probability = float(logits.softmax(-1)[word])
    assert numbers(after["y"])[-1] == pytest.approx(probability, abs=1e-5)
    assert f"**{WORDS[word]}**" in text_of(app)
    assert "Checked" in text_of(app)


def test_a_chosen_neuron_is_followed(open_page):
    app = open_page("feedforward", layer=0)
    choose(app, "feedforward.neuron", 3)
    assert not app.exception
    assert "Where else does neuron 3 fire?" in text_of(app)


def test_each_layer_keeps_its_own_neuron(open_page):
    app = open_page("feedforward", layer=0)
    choose(app, "feedforward.neuron", 3)
    choose(app, "layer", "1")
    assert view_of(app).feedforward.neuron is None
    choose(app, "feedforward.neuron", 7)
    choose(app, "layer", "0")
    assert widget(app, "feedforward.neuron").value == 3
    assert "Where else does neuron 3 fire?" in text_of(app)


def test_dots_on_the_curve_are_the_recorded_numbers(open_page, hooked, trace):
    app = open_page("feedforward", layer=0, pos=2, feedforward__tab="activation")
    assert not app.exception
    neurons = hooked.neurons(trace, 0)
    dots, star = (data for data in chart(app, TAB) if data["mode"] == "markers")
    np.testing.assert_allclose(numbers(dots["x"]), neurons.pre_activation[2], rtol=1e-5)
    np.testing.assert_allclose(numbers(dots["y"]), neurons.activated[2], rtol=1e-5, atol=1e-7)
    chosen = widget(app, "feedforward.neuron").value
    assert numbers(star["x"])[0] == pytest.approx(float(neurons.pre_activation[2, chosen]))
    assert ("Gate and up" in " ".join(chart.alt for chart in drawn(app))) == (neurons.gated)


def test_switching_off_shows_what_zeroing_by_hand_gives(open_page, hooked, trace):
    app = open_page("feedforward", layer=0, pos=3, feedforward__tab="off")
    assert not app.exception
    word = int(hooked.logits(trace)[3].argmax())
    for layer, shown in enumerate(numbers(chart(app, TAB)[0]["y"])):
        mlp = hooked.anatomy.blocks[layer].module.mlp
        handle = mlp.register_forward_hook(lambda module, args, output: torch.zeros_like(output))
        with torch.no_grad():
            logits = hooked.model(torch.tensor([trace.token_ids.tolist()])).logits[0, 3]
        handle.remove()
        assert shown == pytest.approx(float(logits.softmax(-1)[word]), abs=1e-5)
        if layer == 0:
            without = logits.softmax(-1).numpy()
    before, after = drawn(app)[-1].figure["data"]
    plain = softmax(hooked.logits(trace)[3])
    order = np.argsort(-np.maximum(plain, without), kind="stable")
    np.testing.assert_allclose(numbers(before["x"]), plain[order], atol=1e-5)
    np.testing.assert_allclose(numbers(after["x"]), without[order], atol=1e-5)


def test_a_model_that_takes_long_is_asked_for_first(open_page, monkeypatch):
    monkeypatch.setattr("pages.feedforward.switched_off.MAX_WORK", 0)
    app = open_page("feedforward", layer=0, feedforward__tab="off")
    assert not any("without each layer" in chart.alt for chart in drawn(app))
    choose(app, "feedforward.each", True)
    assert not app.exception
    assert any("without each layer" in chart.alt for chart in drawn(app))


def test_the_film_is_one_click_away(open_page):
    app = open_page("feedforward")
    app.button(key="feedforward_fact").click().run()
    assert not app.exception
    assert view_of(app).prompt == SHAWSHANK
    assert view_of(app).pos is None


def test_a_word_of_several_tokens_gets_one_sentence(open_page):
    app = open_page("feedforward")
    choose(app, "feedforward.typed", "mat dog")
    assert not app.exception
    assert [info for info in app.info if "2 tokens" in info.value]
    app.button(key="feedforward.typed.first").click().run()
    assert not app.exception
    assert view_of(app).feedforward.word == WORDS.index("mat")
    assert not [info for info in app.info if "2 tokens" in info.value]


def test_a_typed_word_is_followed_at_this_token_alone(open_page):
    app = open_page("feedforward", pos=4)
    choose(app, "feedforward.typed", "sat")
    assert not app.exception
    assert "sat before and after" in drawn(app)[STEPS].alt
    choose(app, "pos", "2: sat")
    assert "sat before and after" not in drawn(app)[STEPS].alt
    choose(app, "pos", "4: the")
    assert "sat before and after" in drawn(app)[STEPS].alt


@pytest.mark.parametrize("tab", TABS)
@pytest.mark.parametrize("prompt", ["cat", "the cat sat on " * 8])
def test_short_and_long_prompts_draw_every_tab(open_page, prompt, tab):
    assert not open_page("feedforward", prompt=prompt, feedforward__tab=tab).exception


def test_a_link_restores_every_choice(open_page):
    app = open_page(
        "feedforward",
        layer=1,
        feedforward__tab="activation",
        feedforward__measure="rank",
        feedforward__order="size",
        feedforward__neuron=5,
        feedforward__word=3,
    )
    assert not app.exception
    assert drawn(app)[STEPS].alt.startswith("rank of sat before")
    assert [chart.alt for chart in drawn(app)][TAB].endswith("pre-activations of this token")
    assert widget(app, "feedforward.neuron").value == 5
    assert view_of(app).feedforward.order == "size"


@pytest.mark.parametrize("tab", TABS)
def test_a_link_to_what_this_model_lacks_gets_a_page(open_page, tab):
    app = open_page("feedforward", layer=99, pos=99, feedforward__neuron=9999, feedforward__tab=tab)
    assert not app.exception
    assert len(drawn(app)) >= 2


def test_a_mixture_of_experts_shows_the_routers_choice(open_page, open_with):
    model = HookedModel.wrap(build("mixtral"), tiny_tokenizer(), "mixtral")
    open_with(lambda name: model)
    app = open_page("feedforward", layer=0)
    assert not app.exception
    [heatmap] = [data for data in chart(app, TAB) if data["type"] == "heatmap"]
    ids = model.encode(PROMPT)
    with torch.no_grad():
        logits = model.model(torch.tensor([ids]), output_router_logits=True).router_logits[0]
    n_chosen = model.model.config.num_experts_per_tok
    weights = numbers(heatmap["z"])
    for pos, row in enumerate(logits):
        ran = np.flatnonzero(np.isfinite(weights[:, pos]))
        assert sorted(ran) == sorted(row.topk(n_chosen).indices.tolist())
    long = open_page("feedforward", layer=0, pos=55, prompt="the cat sat on " * 15)
    assert not long.exception
    [heatmap] = [data for data in chart(long, TAB) if data["type"] == "heatmap"]
    assert len(heatmap["x"]) == MAX_COLUMNS
    assert heatmap["x"][-1].startswith("59: ")
    app = open_page("feedforward", layer=0, feedforward__tab="neurons")
    assert not app.exception
    assert "experts" in text_of(app)


@pytest.mark.parametrize("tab", TABS)
def test_a_family_whose_parts_are_unknown_is_no_crash(open_page, of_unknown_wiring, tab):
    assert not open_page("feedforward", layer=0, feedforward__tab=tab).exception


def test_numbers_that_are_none_get_one_sentence(open_page, without_numbers_at):
    without_numbers_at(2)
    app = open_page("feedforward", pos=2)
    assert not app.exception
    assert len(app.error) == 1
    assert "range of float32" in app.error[0].value
    app = open_page("feedforward", pos=4)
    assert not app.exception
    assert not app.error


@pytest.mark.parametrize("tab", TABS)
def test_a_family_whose_tail_cannot_be_run_alone_gets_one_sentence(open_page, without_tail, tab):
    app = open_page("feedforward", layer=0, feedforward__tab=tab)
    assert not app.exception
    assert "no telling what its layers would predict" in app.info[0].value
    assert any("without each" in one.alt for one in drawn(app)) == (tab == "off")
