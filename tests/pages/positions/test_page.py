"""The Positions page shows what this model does about positions, and each number is the model's."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from model_hooks import HookedModel
from model_hooks.read.positions import positions_of
from pages.ask import session
from pages.positions import tries, views
from tests.conftest import tiny_llama
from tests.pages.charts import drawn
from tests.pages.conftest import PROMPT
from tests.tiny_models import build, tiny_tokenizer

rotary = pytest.mark.parametrize("hooked", [tiny_llama], indirect=True, ids=["llama"])
CONFIGS = Path(__file__).parents[3] / "training" / "configs"


@pytest.fixture(autouse=True)
def _nothing_kept(monkeypatch):
    for cache in (views.facts_of, views.compared_at, views.use_of, tries._after, tries._moved,
                  tries._grid, tries._story, tries._own_text, tries._kept):  # fmt: skip
        cache.clear()
    monkeypatch.setattr(tries, "TWINS", {})


def chart(app, alt):
    """The figure whose description begins so."""
    for found in drawn(app):
        if found.alt.startswith(alt):
            return found.figure
    raise AssertionError(f"no figure described as {alt}...")


def numbers(values):
    """Decode an array as it is sent to the browser."""
    if isinstance(values, dict):
        import base64

        return np.frombuffer(base64.b64decode(values["bdata"]), values["dtype"])
    return np.array(values, dtype=float)


def text_of(app):
    return " ".join(element.value for element in [*app.markdown, *app.caption, *app.info])


def open_tab(app, hooked, title):
    first = views.tabs_of(positions_of(hooked))[0]
    app.session_state[f"positions.tabs.{first}"] = title
    return app.run()


@torch.inference_mode()
def output(hooked, ids):
    return torch.softmax(hooked.model(torch.tensor([ids])).logits[0, -1], -1).numpy()


def is_rotary(hooked):
    return hooked.info.position == "rope"


@pytest.fixture
def use_family(monkeypatch):
    """Return a function that makes every model name load a tiny model of a family."""

    def use_family(family: str) -> HookedModel:
        model = HookedModel.wrap(build(family), tiny_tokenizer(), family)
        monkeypatch.setattr(session, "load_model", lambda name: model)
        return model

    return use_family


def test_page_shows_rotation_only_where_there_is_one(open_page, hooked):
    app = open_page("positions")
    assert not app.exception
    titles = [tab.label for tab in app.tabs]
    if is_rotary(hooked):
        assert "turns its queries and keys" in text_of(app)
        assert titles[0] == views.TURNED
    else:
        assert "adds a vector per position" in text_of(app)
        assert "no rotation" in text_of(app)
        assert titles == [views.VECTORS, views.SWAP, views.SHIFT, views.LONGER]
        drawn = chart(app, "The 32 position vectors")["data"][0]["z"]
        np.testing.assert_array_equal(
            numbers(drawn).reshape(32, -1), hooked.model.transformer.wpe.weight.detach().numpy()
        )


@rotary
@pytest.mark.parametrize(("layer", "head"), [(0, 0), (1, 3)])
def test_slider_meets_the_recorded_score(open_page, hooked, trace, layer, head):
    app = open_page("positions", layer=layer, head=head, pos=5)
    assert not app.exception
    app.selectbox(key=views.KEY).set_value(2).run()
    figure = chart(app, "Pairs of query 5 and key 2")
    curve = dict(zip(figure["data"][1]["x"], numbers(figure["data"][1]["y"]), strict=True))
    recorded = trace.layers[layer]
    score = recorded.query[head, 5] @ recorded.key[head // 2, 2] * recorded.scale
    assert curve[5] == pytest.approx(float(score), abs=1e-5)
    assert np.ptp(list(curve.values())) > 1e-3
    app.segmented_control(key="positions.move").set_value(views.BOTH).run()
    assert not app.exception
    flat = numbers(chart(app, "Pairs of query 5")["data"][1]["y"])
    np.testing.assert_allclose(flat, float(score), atol=1e-5)
    assert "Move both, nothing changes" in text_of(app)


@rotary
def test_terms_on_screen_sum_to_the_score(open_page, hooked, trace):
    app = open_tab(open_page("positions", layer=1, head=2, pos=4), hooked, views.PAIRS)
    assert not app.exception
    terms = numbers(chart(app, "What each pair adds")["data"][0]["y"])
    recorded = trace.layers[1]
    score = recorded.query[2, 4] @ recorded.key[1, 3] * recorded.scale
    assert terms.sum() == pytest.approx(float(score), abs=1e-5)
    use = numbers(chart(app, "How much each head")["data"][0]["z"]).reshape(4, -1)
    np.testing.assert_allclose(use.sum(1), 1, atol=1e-5)


@rotary
def test_use_is_the_mean_product_of_lengths(hooked, trace):
    rotation = positions_of(hooked).rotations[0]
    recorded, head = trace.layers[0], 3
    n = len(trace)
    use = views.pair_use_of(views.queries_and_keys(hooked, trace.token_ids.tolist()), rotation, 0)
    total = np.zeros(rotation.n_pairs)
    for query in range(n):
        for key in range(query + 1):
            q, k = recorded.query[head, query], recorded.key[1, key]
            for pair, (a, b) in enumerate(rotation.pairs):
                total[pair] += np.hypot(q[a], q[b]) * np.hypot(k[a], k[b])
    np.testing.assert_allclose(use[head], total / total.sum(), rtol=1e-5)


@rotary
def test_wavelengths_and_another_base(open_page, hooked):
    app = open_tab(open_page("positions"), hooked, views.WAVES)
    app.multiselect(key="positions.bases").set_value([100_000]).run()
    assert not app.exception
    own, other, *_ = chart(app, "Tokens per turn")["data"]
    # d_head is 4: two pairs, theta = 1 and base^(-1/2)
    np.testing.assert_allclose(numbers(own["y"]), 2 * np.pi * np.array([1, 100]), rtol=1e-3)
    np.testing.assert_allclose(numbers(other["y"]), 2 * np.pi * np.array([1, 1e5**0.5]), rtol=1e-6)


def test_swapped_tokens_run_in_their_new_order(open_page, hooked):
    app = open_tab(open_page("positions"), hooked, views.SWAP)
    app.selectbox(key="positions.swap.One token").set_value(1).run()
    app.selectbox(key="positions.swap.The other").set_value(2).run()
    assert not app.exception
    ids = hooked.encode(PROMPT)
    ids[1], ids[2] = ids[2], ids[1]
    drawn = chart(app, "Probabilities of the next token")["data"][1]
    expected = output(hooked, ids)
    top = np.sort(np.maximum(expected, output(hooked, hooked.encode(PROMPT))))[::-1]
    before = numbers(chart(app, "Probabilities of the next token")["data"][0]["x"])
    after = numbers(drawn["x"])
    np.testing.assert_allclose(np.maximum(before, after), top[: len(before)], atol=1e-5)
    app.segmented_control(key="positions.order").set_value(tries.SHUFFLE).run()
    assert not app.exception


def test_moved_text_is_noticed_by_absolute_positions_alone(open_page, hooked):
    app = open_tab(open_page("positions"), hooked, views.SHIFT)
    assert not app.exception
    changed = numbers(chart(app, "Share of the prediction")["data"][0]["y"])
    if is_rotary(hooked):
        assert changed.max() < 1e-5
        assert "notices nothing" in text_of(app)
    else:
        assert changed.max() > 1e-3
        assert "takes a moved text for another one" in text_of(app)


def test_losses_on_screen_are_the_models(open_page, hooked, monkeypatch):
    monkeypatch.setattr(tries, "N_BUCKETS", 1)
    monkeypatch.setattr(tries, "N_WINDOWS", 1)
    app = open_tab(open_page("positions"), hooked, views.LONGER)
    assert not app.exception
    app.select_slider(key="positions.times").set_value(1).run()
    app.multiselect(key="positions.scalings").set_value(["as trained"]).run()
    app.button(key="positions.measure").click().run()
    assert not app.exception
    drawn = numbers(chart(app, "Mean loss")["data"][0]["y"])
    ids = torch.tensor([hooked.encode(tries.STORY.read_text())[: hooked.info.context_size]])
    with torch.inference_mode():
        loss = hooked.model(ids, labels=ids).loss
    assert drawn[0] == pytest.approx(float(loss), abs=1e-4)


def test_table_ends_the_line_and_a_rotation_can_be_stretched(open_page, hooked):
    app = open_tab(open_page("positions"), hooked, views.LONGER)
    app.button(key="positions.measure").click().run()
    assert not app.exception
    lines = chart(app, "Mean loss")["data"]
    if is_rotary(hooked):
        assert [line["name"] for line in lines] == ["storyteller", "storyteller, linear",
                                                    "storyteller, YaRN"]  # fmt: skip
        assert max(lines[0]["x"]) > hooked.info.context_size
        assert "beyond the trained length" in text_of(app)
    else:
        assert max(lines[0]["x"]) < 32
        assert "has no vector for positions from 32 on" in text_of(app)


@rotary
def test_model_writes_its_own_long_text(open_page, hooked):
    app = open_tab(open_page("positions"), hooked, views.LONGER)
    app.segmented_control(key="positions.source").set_value(tries.OWN).run()
    app.select_slider(key="positions.times").set_value(1).run()
    app.button(key="positions.measure").click().run()
    assert not app.exception
    assert chart(app, "Mean loss")["data"]


@rotary
def test_alibi_is_named_and_drawn(open_page, use_family):
    use_family("mpt")
    app = open_page("positions", prompt="w20 w30 w40")
    assert not app.exception
    assert "ALiBi" in text_of(app)
    assert "turns" not in app.tabs[0].label
    first = numbers(chart(app, "What is added to a score")["data"][0]["y"])
    np.testing.assert_allclose(first, -0.25 * np.arange(len(first)), atol=1e-3)


@rotary
def test_layers_without_positions_are_named(open_page, use_family):
    use_family("smollm3")
    app = open_page("positions", prompt="w20 w30 w40", layer=1)
    assert not app.exception
    assert "2 of its layers go without" in text_of(app)
    assert "Layer 1 turns nothing" in text_of(app)


@rotary
def test_hybrid_model_gets_what_can_be_read(open_page, use_family):
    use_family("jamba")
    app = open_page("positions", prompt="w20 w30 w40")
    assert not app.exception
    assert "tells its attention nothing about positions" in text_of(app)
    assert app.tabs[0].label == views.SWAP


@rotary
def test_family_that_hides_its_queries_is_turned_too(open_page, use_family):
    use_family("gptj")
    app = open_page("positions", prompt="w20 w30 w40")
    assert not app.exception
    assert chart(app, "Pairs of query 2 and key 1")["frames"]
    assert "product of query and key" in text_of(app)


def test_one_token_prompt(open_page, hooked):
    app = open_page("positions", prompt="cat")
    assert not app.exception
    for title in views.tabs_of(positions_of(hooked))[1:]:
        open_tab(app, hooked, title)
        assert not app.exception


@rotary
def test_link_beyond_the_model_shows_what_there_is(open_page):
    app = open_page("positions", layer=99, head=99, pos=99)
    assert not app.exception


def test_shuffling_keeps_the_ends_and_the_tokens():
    ids = views.shuffled([0, 1, 2, 3, 4, 5, 9], 1, seed=3)
    assert (ids[0], ids[-1]) == (0, 9)
    assert sorted(ids) == [0, 1, 2, 3, 4, 5, 9]
    assert views.swapped([5, 6, 7], 0, 2) == [7, 6, 5]


def test_trained_length_of_the_twins_is_that_of_their_recipe():
    recipe = json.loads((CONFIGS / "twins.json").read_text())
    assert {"twin": recipe["train"]["sequence_length"]} == views.TRAINED_AT
    assert all(name in recipe["recipes"] for name in ("twin-gelu", "twin-rope"))
