"""The Block architecture page shows facts of the loaded model, with or without the twins."""

import json
import re
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from model_hooks import AblateHead, AblateMLP, HookedModel, bundled, loading
from model_hooks.parts.differences import differences
from model_hooks.read.architecture import block_facts
from pages.block_architecture import norm_place, twins
from pages.block_architecture.explanations import WRITTEN
from pages.state.link import encode
from pages.state.view import View
from pages.text import escape_markdown
from tests.conftest import WORDS, tiny_llama, with_random_weights
from tests.pages.charts import drawn, numbers
from tests.pages.conftest import PROMPT, choose, view_of, widget
from tests.tiny_models import build, tiny_tokenizer

ROOT = Path(__file__).parents[3]
TABS = ("whole", "place", "kind", "activation", "twins")


@pytest.fixture(scope="module")
def hooked(tokenizer):
    """One model instead of two: what differs between families is tested below the page."""
    return HookedModel.wrap(with_random_weights(tiny_llama), tokenizer, "tiny")


@pytest.fixture(scope="module")
def pair(tokenizer):
    """Two models with different weights, to stand in for all twins by turns."""
    models = [with_random_weights(tiny_llama) for _ in range(2)]
    with torch.no_grad():
        models[1].lm_head.weight.mul_(-1)
    return [HookedModel.wrap(model, tokenizer, "twin") for model in models]


def _forget_what_is_bundled():
    bundled.training_runs.cache_clear()
    bundled.bundled_sizes.cache_clear()


@pytest.fixture
def no_twins(monkeypatch, tmp_path):
    """No bundled model, and nothing known of training."""
    monkeypatch.setattr(bundled, "TRAINING", tmp_path / "training.json")
    monkeypatch.setattr(loading, "BUNDLED", tmp_path)
    _forget_what_is_bundled()
    yield
    _forget_what_is_bundled()


@pytest.fixture
def tiny_twins(no_twins, open_with, pair, hooked, tmp_path):
    """Stand-ins for the twins: their changes, tiny curves of two seeds, and tiny models."""
    known = json.loads((ROOT / "models" / "training.json").read_text(encoding="utf-8"))
    models = {}
    for i, (name, run) in enumerate(known.items()):
        run["steps"] = [10, 100, 200]
        run["train_losses"] = [5.0, 3.0 - 0.1 * i, 2.0 - 0.1 * i]
        run["final_bits_per_byte"] = [1.0 - 0.01 * i, 1.002 - 0.01 * i]
        run["trained_length"] = 4 if name == "twin-gqa" else 128
        if name.startswith("twin-"):
            models[name] = pair[len(models) % 2]
            models[name].model.config.save_pretrained(tmp_path / name)
    (tmp_path / "training.json").write_text(json.dumps(known), encoding="utf-8")
    open_with(lambda name: models.get(name, hooked))
    return models


def charts(app):
    """The charts on the page by the beginning of what they are described as."""
    return {found.alt: found.figure for found in drawn(app)}


def chart(app, beginning):
    return next(spec for alt, spec in charts(app).items() if alt.startswith(beginning))


def text_of(app):
    return " ".join(element.value for element in [*app.markdown, *app.caption, *app.info])


def open_tab(open_page, tab, **link):
    return open_page("block_architecture", block_architecture__tab=tab, **link)


@pytest.mark.parametrize("tab", TABS)
def test_a_tab_draws_without_twins_and_says_so_once(open_page, no_twins, tab):
    app = open_tab(open_page, tab)
    assert not app.exception
    assert text_of(app).count("are not among the bundled models") == (tab in ("place", "twins"))


def test_marks_of_the_picture_are_the_differences_on_offer(open_page, no_twins, hooked):
    app = open_page("block_architecture", layer=0)
    assert not app.exception
    found = differences(block_facts(hooked)[0])
    marks = next(t for t in chart(app, "Block 0")["data"] if t.get("name") == "marks")
    shown = {int(number) for number in numbers(marks["customdata"])}
    assert shown == set(range(1, len(found) + 1))
    offered = widget(app, "block_architecture.difference").options
    written = [f"{number} · {WRITTEN[of.topic]}" for number, of in enumerate(found, 1)]
    assert list(offered) == written
    for of, label in zip(found, written, strict=True):
        choose(app, "block_architecture.difference", label)
        assert not app.exception
        assert f"**{WRITTEN[of.topic]}.** 2017: {escape_markdown(of.then)}" in text_of(app)
        assert view_of(app).block_architecture.difference in (of.topic, None)


def test_sizes_in_words_are_those_of_the_chosen_token(open_page, no_twins, hooked):
    app = open_page("block_architecture", pos=2, layer=1)
    trace = hooked.trace(PROMPT)
    first, last = (np.linalg.norm(v[2]) for v in (trace.embedding, trace.layer_output(-1)))
    assert f"from size {first:.3g} (embedding) to {last:.3g} (after the last" in text_of(app)
    choose(app, "block_architecture.difference", "2 · Kind of norm")
    vector = trace.layers[1].resid_pre[2].astype(float)
    share = 1 - np.linalg.norm(vector - vector.mean()) ** 2 / np.linalg.norm(vector) ** 2
    assert f"**{share**0.5:.1%}** of the vector's size" in text_of(app)


@pytest.mark.filterwarnings("ignore")
def test_parts_side_by_side_are_told_with_their_own_sizes(open_page, no_twins, open_with):
    falcon = HookedModel.wrap(build("falcon"), tiny_tokenizer(), "falcon")
    open_with(lambda name: falcon)
    app = open_page(
        "block_architecture",
        prompt="w12 w20 w33",
        pos=1,
        layer=1,
        block_architecture__difference="wiring",
    )
    layer = falcon.trace("w12 w20 w33").layers[1]
    attention, feedforward = (np.linalg.norm(v[1]) for v in (layer.attn_out, layer.mlp_out))
    assert f"a vector of size {attention:.3g}, the feedforward one of" in text_of(app)
    assert f"one of size {feedforward:.3g}" in text_of(app)


def test_parameters_on_screen_add_up_to_the_model(open_page, no_twins, hooked):
    app = open_page("block_architecture")
    bars = chart(app, "Parameters per part")["data"][0]
    total = sum(p.numel() for p in {id(p): p for p in hooked.model.parameters()}.values())
    assert numbers(bars["x"]).sum() == total
    assert f"Checked: the parts add up to {total:,}" in text_of(app)


def loss_of(model, ids):
    """The loss on a text, and its gradient at what enters the first block."""
    output = model(input_ids=ids, output_hidden_states=True)
    loss = F.cross_entropy(output.logits[0, :-1], ids[0, 1:])
    return loss.item(), torch.autograd.grad(loss, output.hidden_states[0])[0]


def test_gradients_on_screen_are_those_of_the_loss(open_page, no_twins, hooked):
    app = open_tab(open_page, "place")
    assert not app.exception
    _, gradient = loss_of(hooked.model, torch.tensor([hooked.encode(PROMPT)]))
    sizes, gradients = chart(app, "Size of the residual stream")["data"]
    assert numbers(gradients["y"])[0] == pytest.approx(
        float(gradient[0].norm(dim=-1).mean()), rel=1e-3
    )
    trace = hooked.trace(PROMPT)
    last = np.linalg.norm(trace.layers[-1].resid_post, axis=-1).mean()
    assert numbers(sizes["y"])[-1] == pytest.approx(last, rel=1e-4)


def test_fresh_weights_know_nothing_of_the_text(open_page, no_twins, hooked):
    app = choose(open_tab(open_page, "place"), "block_architecture.weights", "before training")
    assert not app.exception
    line = next(m.value for m in app.markdown if "the stream goes from" in m.value)
    loss = float(line.partition("(loss ")[2].partition(" bits")[0])
    assert loss == pytest.approx(np.log2(len(WORDS)), rel=0.1)
    assert view_of(app).block_architecture.weights == "fresh"


def test_norm_on_screen_is_the_modules_own(open_page, no_twins, hooked):
    app = open_tab(open_page, "kind", pos=3, layer=1)
    assert not app.exception
    norms = block_facts(hooked)[1].main_norms
    offered = list(widget(app, "block_architecture.norm").options)
    assert offered == [f"{norm.place} ({norm.path.rpartition('.')[2]})" for norm in norms]
    trace = hooked.trace(PROMPT).layers[1]
    for norm, label, vector in zip(norms, offered, (trace.resid_pre, trace.resid_mid), strict=True):
        choose(app, "block_architecture.norm", label)
        with torch.inference_mode():
            own = hooked.model.get_submodule(norm.path)(torch.tensor(vector[3])[None])[0]
        strips = numbers(chart(app, "The first numbers")["data"][0]["customdata"])
        np.testing.assert_allclose(strips[0], vector[3], rtol=1e-4, atol=1e-5)
        np.testing.assert_allclose(strips[-1], own.numpy(), rtol=1e-3, atol=1e-4)
        assert "Checked: the steps of" in text_of(app)


def test_share_of_neurons_off_is_that_of_the_pre_activations(open_page, no_twins, hooked):
    app = open_tab(open_page, "activation", layer=0, pos=2)
    assert not app.exception
    neurons = hooked.neurons(hooked.trace(PROMPT), 0)
    share = (neurons.pre_activation[2] <= 0).mean()
    assert f"**{100 * share:.1f}%** of the {neurons.activation.shape[1]:,} neurons" in text_of(app)
    given = neurons.activated[2] * neurons.up[2]
    off = (np.abs(given) <= np.abs(given).max() / 100).mean()
    assert f"{100 * off:.3g}% of the neurons give less than a hundredth" in text_of(app)
    row_sizes = np.linalg.norm(neurons.output_rows, axis=1)
    sizes = np.abs(neurons.activation[2]) * row_sizes
    top = int(sizes.argmax())
    gate, up = neurons.activated[2, top], neurons.activation[2, top] / neurons.activated[2, top]
    assert (
        f"Neuron {top} adds most: gate {gate:.3g} × up {up:.3g} × its output row of size "  # noqa: RUF001
        f"{row_sizes[top]:.3g} = a vector of size **{sizes[top]:.3g}**"
    ) in text_of(app)


def test_numbers_are_those_of_the_run_with_parts_switched_off(open_page, no_twins, hooked):
    off = (AblateMLP(0), AblateHead(1, 2))
    changed = hooked.trace(PROMPT, off)
    app = open_tab(open_page, "kind", layer=1, interventions=link_of(off))
    vector = changed.layers[1].resid_pre[-1]
    assert not np.allclose(vector, hooked.trace(PROMPT).layers[1].resid_pre[-1])
    strips = numbers(chart(app, "The first numbers")["data"][0]["customdata"])
    np.testing.assert_allclose(strips[0], vector, rtol=1e-4, atol=1e-5)
    app = open_tab(open_page, "place", interventions=link_of(off))
    sizes, _ = chart(app, "Size of the residual stream")["data"]
    last = np.linalg.norm(changed.layers[-1].resid_post, axis=-1).mean()
    assert numbers(sizes["y"])[-1] == pytest.approx(last, rel=1e-4)


def link_of(interventions):
    return encode(View(interventions=interventions))["interventions"]


def test_place_of_the_norm_compares_the_twins(open_page, tiny_twins):
    app = open_tab(open_page, "place")
    assert not app.exception
    lines = chart(app, "Size of the residual stream")["data"]
    assert {line["name"] for line in lines} == set(norm_place.NAMES.values())
    losses = chart(app, "Training loss")["data"]
    assert [line["name"] for line in losses] == list(norm_place.WARMUP_RUNS.values())
    model = tiny_twins["twin-pre-norm"]
    loss, _ = loss_of(model.model, torch.tensor([model.encode(PROMPT)]))
    assert f"(loss {loss / np.log(2):.2f} bits per token)" in text_of(app)
    choose(app, "block_architecture.weights", "before training")
    assert not app.exception


def test_table_of_the_twins_has_a_row_for_each_and_shows_every_seed(open_page, tiny_twins):
    app = open_tab(open_page, "twins")
    assert not app.exception
    table = app.table[0].value
    assert list(table.index) == list(tiny_twins)
    assert table["bits per byte"].iloc[0] == "0.991"
    assert table["seeds"].iloc[0] == "2, 0.002 apart"
    spread = chart(app, "Where every seed")
    np.testing.assert_allclose(numbers(spread["data"][1]["x"]), [0.99, 0.992])


def test_what_is_known_of_training_is_shown_without_the_models(open_page, tiny_twins, tmp_path):
    for name in tiny_twins:
        (tmp_path / name / "config.json").unlink()
    app = open_tab(open_page, "twins")
    assert not app.exception
    assert set(app.table[0].value["parameters"]) == {""}
    assert "are not among the bundled models" in text_of(app)
    assert chart(app, "Where every seed")
    app = open_tab(open_page, "twins", block_architecture__twins="pair")
    assert not app.exception
    assert chart(app, "Training loss of twin-original-2017")
    assert "The same prompt through both" not in text_of(app)


def test_two_twins_read_the_same_prompt(open_page, tiny_twins):
    app = open_tab(open_page, "twins", block_architecture__twins="pair")
    assert not app.exception
    assert "**The one change:** normalisation before each sublayer" in text_of(app)
    model = tiny_twins["twin-pre-norm"]
    ids = model.encode(PROMPT)
    with torch.inference_mode():
        logits = model.model(torch.tensor([ids])).logits[0]
    truth = torch.softmax(logits, -1)
    other = chart(app, "Probability that")["data"][1]
    expected = truth[range(len(ids) - 1), ids[1:]].numpy()
    np.testing.assert_allclose(numbers(other["y"]), expected, rtol=1e-3)
    before, following = chart(app, "Probabilities of the next token")["data"]
    assert (before["name"], following["name"]) == ("twin-original-2017", "twin-pre-norm")
    np.testing.assert_allclose(
        np.sort(numbers(following["x"])), np.sort(truth[-1].numpy()), rtol=1e-3
    )


def test_the_twin_it_is_compared_with_follows_and_can_be_another(open_page, tiny_twins):
    app = open_tab(open_page, "twins", block_architecture__twins="pair")
    choose(app, "block_architecture.first", "twin-mqa")
    assert "differ in more than one choice" in text_of(app)
    choose(app, "block_architecture.second", "twin-gqa")
    first = widget(app, "block_architecture.first")
    assert first.options[first.value] == "twin-swiglu"
    assert "Only the first 4 of 6 tokens" in text_of(app)
    assert not app.exception
    choose(app, "block_architecture.second", "twin-original-2017")
    assert "Choose two different twins" not in text_of(app)
    choose(app, "block_architecture.first", "twin-original-2017")
    assert "Choose two different twins" in text_of(app)
    assert not app.exception


def test_twins_run_whole_and_say_so(open_page, tiny_twins):
    off = link_of((AblateMLP(0),))
    whole = chart(open_tab(open_page, "twins", block_architecture__twins="pair"), "Probability t")
    app = open_tab(open_page, "twins", block_architecture__twins="pair", interventions=off)
    assert "The twins run whole" in text_of(app)
    same = chart(app, "Probability t")
    np.testing.assert_array_equal(*(numbers(c["data"][0]["y"]) for c in (whole, same)))


def test_speed_of_the_twins_is_measured_when_asked(open_page, tiny_twins, monkeypatch):
    monkeypatch.setattr(twins, "SPEED_IDS", tuple(i % len(WORDS) for i in range(8)))
    monkeypatch.setattr(twins, "N_READ", 4)
    app = open_tab(open_page, "twins")
    assert "reads 128 tokens in" not in app.table[0].value
    app.button(key="block_architecture.measure_speed").click().run()
    assert not app.exception
    for column in ("reads 128 tokens in (ms)", "writes tokens per second"):
        for cell in app.table[0].value[column]:
            middle, low, high = (float(n.replace(",", "")) for n in re.findall(r"[\d,.]+", cell))
            assert 0 < low <= middle <= high, cell
    assert app.query_params["block_architecture.speed"] == "1"


@pytest.mark.parametrize("tab", ["place", "kind", "activation", "twins"])
@pytest.mark.parametrize("prompt", ["cat", "**the** <script>alert(1)</script> cat $x$ \n mat"])
def test_short_and_strange_prompts(open_page, tiny_twins, prompt, tab):
    app = open_tab(open_page, tab, prompt=prompt, block_architecture__twins="pair")
    assert not app.exception


@pytest.mark.parametrize("weights", ["trained", "fresh"])
def test_one_token_has_no_gradient_and_the_page_says_why(open_page, no_twins, weights):
    app = open_tab(open_page, "place", prompt="cat", block_architecture__weights=weights)
    assert not app.exception
    assert "A loss needs at least two tokens" in text_of(app).replace("\\", "")
    drawn_sizes = [alt for alt in charts(app) if alt.startswith("Size of the residual stream")]
    assert len(drawn_sizes) == (weights == "trained")


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    ("model_type", "sentence"),
    [
        ("jamba", "2 of 4 blocks are built like this one"),
        ("gemma3n_text", "could not be read"),
        ("mixtral", "All 4 blocks are built like this"),
    ],
)
def test_unusual_blocks_show_what_can_be_read(open_page, no_twins, open_with, model_type, sentence):
    odd = HookedModel.wrap(build(model_type), tiny_tokenizer(), model_type)
    open_with(lambda name: odd)
    for tab in ("whole", "place", "kind"):
        app = open_tab(open_page, tab, prompt="w12 w20 w33 w12")
        assert not app.exception
        assert sentence in text_of(app)
