"""The Block architecture page shows facts of the loaded model, with or without the twins."""

import json
import shutil

import numpy as np
import pandas as pd
import pytest
import torch
from torch.nn import functional as F

from model_hooks import HookedModel
from pages.ask import bundled, session
from pages.block_architecture import norms, twins, views
from pages.feedforward import views as feedforward_views
from tests.conftest import WORDS, tiny_llama, with_random_weights
from tests.pages.charts import drawn, numbers
from tests.pages.conftest import PROMPT
from tests.tiny_models import build, tiny_tokenizer

WHOLE, PLACE, KIND, ACTIVATION, TWINS = (
    "The whole model",
    "Norm before or after",
    "LayerNorm, RMSNorm",
    "ReLU, GELU, SwiGLU",
    "The twins",
)


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


@pytest.fixture(autouse=True)
def _nothing_kept():
    caches = (
        views.facts_of, views.parameters_of, norms.measured, norms.measured_here, norms._fresh,
        norms.norm_on, feedforward_views.neurons_of, twins.twins, twins.runs_of,
        bundled.bundled_model, twins.read_with_both, twins._times,
    )  # fmt: skip
    for cache in caches:
        cache.clear()
    yield
    for cache in caches:
        cache.clear()


@pytest.fixture
def no_twins(monkeypatch, tmp_path):
    """No training folder and no bundled model."""
    monkeypatch.setattr(twins, "TRAINING", tmp_path)
    monkeypatch.setattr(twins, "bundled_models", dict)


@pytest.fixture
def tiny_twins(monkeypatch, tmp_path, pair):
    """Stand-ins for the twins: their recipes, tiny curves of two seeds, and tiny models."""
    (tmp_path / "configs").mkdir()
    (tmp_path / "curves").mkdir()
    shutil.copy(twins.TRAINING / "configs" / "twins.json", tmp_path / "configs")
    recipes = json.loads((tmp_path / "configs" / "twins.json").read_text())["recipes"]
    folders, models = {}, {}
    for i, name in enumerate(recipes):
        for seed in range(2):
            pd.DataFrame(
                {
                    "step": [10, 100, 200],
                    "train_loss": [5.0, 3.0 - 0.1 * i, 2.0 - 0.1 * i],
                    "valid_bits_per_byte": [np.nan, 1.5, 1.0 - 0.01 * i + 0.002 * seed],
                }
            ).to_csv(tmp_path / "curves" / f"{name}-seed{seed}.csv", index=False)
        if name.startswith("twin-"):
            folders[name] = tmp_path / name
            folders[name].mkdir()
            models[name] = pair[i % 2]
            models[name].model.config.save_pretrained(folders[name])
    monkeypatch.setattr(twins, "TRAINING", tmp_path)
    monkeypatch.setattr(twins, "bundled_models", lambda: folders)
    monkeypatch.setattr(bundled, "load_model", models.get)
    return models


def charts(app):
    """The charts on the page by the beginning of what they are described as."""
    return {found.alt: found.figure for found in drawn(app)}


def chart(app, beginning):
    return next(spec for alt, spec in charts(app).items() if alt.startswith(beginning))


def open_tab(app, tab):
    app.session_state["block_architecture.tabs"] = tab
    return app.run()


def text_of(app):
    return " ".join(element.value for element in [*app.markdown, *app.caption, *app.info])


def test_every_tab_draws_without_twins_and_says_so_once(open_page, no_twins):
    app = open_page("block_architecture")
    for tab in (WHOLE, PLACE, KIND, ACTIVATION, TWINS):
        open_tab(app, tab)
        assert not app.exception
        assert text_of(app).count("are not among the bundled models") == (tab in (PLACE, TWINS))


def test_marks_of_the_picture_are_the_differences_on_offer(open_page, no_twins, hooked):
    app = open_page("block_architecture")
    assert not app.exception
    facts = views.block_facts(hooked)[0]
    found, _ = views.numbers_of(facts)
    marks = next(t for t in chart(app, "Block 0")["data"] if t.get("name") == "marks")
    shown = {int(number) for number in numbers(marks["customdata"])}
    assert shown == set(range(1, len(found) + 1))
    control = app.segmented_control(key="block_architecture.difference")
    assert len(control.options) == len(found)
    for number in range(1, len(found) + 1):
        app.segmented_control(key="block_architecture.difference").set_value(number).run()
        assert not app.exception
        assert views.WRITTEN[found[number - 1].topic] in text_of(app)


def test_parameters_on_screen_add_up_to_the_model(open_page, no_twins, hooked):
    app = open_page("block_architecture")
    bars = chart(app, "Parameters per part")["data"][0]
    total = sum(p.numel() for p in {id(p): p for p in hooked.model.parameters()}.values())
    assert numbers(bars["x"]).sum() == total
    assert f"Checked: the parts add up to {total:,}" in text_of(app)


def test_gradients_on_screen_are_those_of_the_loss(open_page, no_twins, hooked):
    app = open_tab(open_page("block_architecture"), PLACE)
    assert not app.exception
    ids = torch.tensor([hooked.encode(PROMPT)])
    output = hooked.model(input_ids=ids, output_hidden_states=True)
    loss = F.cross_entropy(output.logits[0, :-1], ids[0, 1:])
    gradient = torch.autograd.grad(loss, output.hidden_states[0])[0]
    sizes, gradients = chart(app, "Size of the residual stream")["data"]
    assert numbers(gradients["y"])[0] == pytest.approx(
        float(gradient[0].norm(dim=-1).mean()), rel=1e-3
    )
    trace = hooked.trace(PROMPT)
    last = np.linalg.norm(trace.layers[-1].resid_post, axis=-1).mean()
    assert numbers(sizes["y"])[-1] == pytest.approx(last, rel=1e-4)


def test_norm_on_screen_is_the_modules_own(open_page, no_twins, hooked):
    app = open_tab(open_page("block_architecture", pos=3, layer=1), KIND)
    assert not app.exception
    facts = views.block_facts(hooked)[1]
    path = app.selectbox(key="block_architecture.norm").value
    assert path == facts.main_norms[0].path
    vector = hooked.trace(PROMPT).layers[1].resid_pre[3]
    with torch.inference_mode():
        own = hooked.model.get_submodule(path)(torch.tensor(vector)[None])[0]
    strips = numbers(chart(app, "The first numbers")["data"][0]["customdata"])
    np.testing.assert_allclose(strips[0], vector, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(strips[-1], own.numpy(), rtol=1e-3, atol=1e-4)
    assert "Checked: the steps of" in text_of(app)


def test_share_of_neurons_off_is_that_of_the_pre_activations(open_page, no_twins, hooked):
    app = open_tab(open_page("block_architecture", pos=2), ACTIVATION)
    assert not app.exception
    neurons = hooked.neurons(hooked.trace(PROMPT), 0)
    share = (neurons.pre_activation[2] <= 0).mean()
    assert f"**{share:.0%}** of the {neurons.activation.shape[1]:,} neurons" in text_of(app)


def test_twins_are_compared_where_they_are(open_page, tiny_twins):
    app = open_tab(open_page("block_architecture"), PLACE)
    assert not app.exception
    lines = chart(app, "Size of the residual stream")["data"]
    assert {line["name"] for line in lines} == set(norms.NAMES.values())
    losses = chart(app, "Training loss")["data"]
    assert [line["name"] for line in losses] == list(norms.WARMUP_RUNS.values())
    app.segmented_control(key="block_architecture.weights").set_value(norms.FRESH).run()
    assert not app.exception

    open_tab(app, TWINS)
    assert not app.exception
    assert len(app.table[0].value) == len(tiny_twins)
    spread = chart(app, "Where every seed")
    np.testing.assert_allclose(numbers(spread["data"][1]["x"]), [1.0, 1.002])
    app.segmented_control(key="block_architecture.twins").set_value(twins.PAIR).run()
    assert not app.exception
    assert "**The one change:** normalisation before each sublayer" in text_of(app)
    model = tiny_twins["twin-pre-norm"]
    ids = model.encode(PROMPT)
    with torch.inference_mode():
        logits = model.model(torch.tensor([ids])).logits[0]
    truth = torch.softmax(logits, -1)[range(len(ids) - 1), ids[1:]]
    other = chart(app, "Probability that")["data"][1]
    np.testing.assert_allclose(numbers(other["y"]), truth.numpy(), rtol=1e-3)
    app.selectbox(key="block_architecture.second").set_value("twin-gqa").run()
    assert app.selectbox(key="block_architecture.first").value == "twin-swiglu"
    assert not app.exception


def test_speed_of_the_twins_is_measured_when_asked(open_page, tiny_twins, monkeypatch):
    app = open_tab(open_page("block_architecture"), TWINS)
    monkeypatch.setattr(twins, "MAX_TOKENS", 8)
    monkeypatch.setattr(twins, "speed_ids", lambda: [i % len(WORDS) for i in range(8)])
    app.button(key="block_architecture.speed.button").click().run()
    assert not app.exception
    assert all(cell.endswith(" ms") for cell in app.table[0].value["reads 128 tokens in"])


def test_cache_in_the_table_is_what_a_step_keeps(tmp_path, tokenizer):
    model = with_random_weights(tiny_llama)
    model.config.save_pretrained(tmp_path)
    hooked = HookedModel.wrap(model, tokenizer, "tiny")
    *_, step = hooked.generate("the cat sat", max_new_tokens=2)
    in_float32 = step.cache_bytes / step.pos
    assert twins.cache_bytes_per_token(tmp_path) == in_float32 / 2


@pytest.mark.parametrize("prompt", ["cat", "**the** <script>alert(1)</script> cat $x$ \n mat"])
def test_short_and_strange_prompts(open_page, no_twins, prompt):
    app = open_page("block_architecture", prompt=prompt)
    for tab in (PLACE, KIND, ACTIVATION):
        open_tab(app, tab)
        assert not app.exception


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    ("model_type", "sentence"),
    [("jamba", "2 of 4 blocks are built like this one"), ("gemma3n_text", "could not be read"),
     ("mixtral", "All 4 blocks are built like this")],
)  # fmt: skip
def test_unusual_blocks_show_what_can_be_read(
    open_page, no_twins, monkeypatch, model_type, sentence
):
    odd = HookedModel.wrap(build(model_type), tiny_tokenizer(), model_type)
    monkeypatch.setattr(session, "load_model", lambda name: odd)
    app = open_page("block_architecture", prompt="w12 w20 w33 w12")
    assert sentence in text_of(app)
    for tab in (WHOLE, PLACE, KIND):
        open_tab(app, tab)
        assert not app.exception
