"""The Attention page draws the model's own attention and says what it leaves out."""

import base64
import copy
import json
import struct

import numpy as np
import pytest
import torch

from model_hooks import AblateAttention, AblateMLP, Knockout
from pages.text import visible
from tests.pages import charts
from tests.pages.charts import drawn
from tests.pages.conftest import choose, component_of, told, view_of
from viz.numbers import percent

PROMPT = "the cat sat on the mat"


def numbers(sent, dtype):
    """An array as it is sent to the browser."""
    return np.frombuffer(base64.b64decode(sent["bdata"]), dtype)


def matrix(app):
    """The numbers of the drawn heatmap."""
    z = drawn(app)[0].figure["data"][0]["z"]
    return numbers(z, np.float32).reshape([int(n) for n in z["shape"].split(",")])


def grid_header(app):
    """What is sent to the head grid, without its pixels."""
    sent = next(c.proto.bytes for c in app.get("bidi_component") if c.proto.bytes)
    (length,) = struct.unpack_from("<I", sent)
    return json.loads(sent[4 : 4 + length])


def plain_copy(hooked):
    """The same weights in a fresh model that nothing has hooked."""
    model = type(hooked.model)(copy.deepcopy(hooked.model.config))
    model.load_state_dict(hooked.model.state_dict())
    model.set_attn_implementation("eager")
    return model.eval()


def projection(hooked, layer):
    """What turns the outputs of all heads, side by side, into what attention adds."""
    attention = hooked.anatomy.blocks[layer].attention
    weight = attention.c_proj.weight if hasattr(attention, "c_proj") else attention.o_proj.weight.T
    return weight.detach().numpy()


def changed(hooked, *interventions):
    """The next token's probabilities after a change, in the order of the picture."""
    before, after = (
        torch.softmax(torch.tensor(hooked.trace(PROMPT, done).last_logits).double(), -1).numpy()
        for done in ((), interventions)
    )
    assert np.abs(before - after).max() > 1e-4
    return after[np.argsort(-np.maximum(before, after), kind="stable")]


def eager_attention(hooked, layer):
    """The attention of transformers' own eager code."""
    ids = torch.tensor([hooked.encode(PROMPT)])
    with torch.inference_mode():
        return plain_copy(hooked)(ids, output_attentions=True).attentions[layer][0].numpy()


@pytest.mark.parametrize(("layer", "head"), [(0, 0), (1, 1)])
def test_matrix_equals_the_models_own_eager_attention(open_page, hooked, layer, head):
    app = open_page("attention", layer=layer, head=head)
    assert not app.exception
    drawn = matrix(app)
    expected = eager_attention(hooked, layer)[head]
    below = np.tri(len(drawn), dtype=bool)
    np.testing.assert_allclose(drawn[below], expected[below], atol=1e-5)
    assert np.isnan(drawn[~below]).all()


def test_mean_over_heads_is_drawn_on_request(open_page, hooked):
    app = open_page("attention", layer=1, head="mean")
    assert not app.exception
    expected = eager_attention(hooked, 1).mean(0)
    below = np.tri(len(expected), dtype=bool)
    np.testing.assert_allclose(matrix(app)[below], expected[below], atol=1e-5)


def test_hiding_the_first_token_empties_its_column_and_says_so(open_page):
    app = open_page("attention", layer=1)
    before = matrix(app)
    choose(app, "attention.hide_first", True)
    assert not app.exception
    assert (matrix(app)[:, 0] == 0).all()
    np.testing.assert_array_equal(matrix(app)[:, 1:], before[:, 1:])
    assert any("no longer sum to 1" in caption.value for caption in app.caption)


def test_rescaled_rows_sum_to_one_again(open_page):
    app = open_page("attention", layer=1)
    choose(app, "attention.hide_first", True)
    choose(app, "attention.rows", "Rescale rows")
    assert not app.exception
    np.testing.assert_allclose(np.nansum(matrix(app)[1:], -1), 1, atol=1e-5)
    assert not any("no longer sum to 1" in caption.value for caption in app.caption)


def test_the_sentence_names_what_the_query_reads_most(open_page, hooked):
    app = open_page("attention", layer=1, head=0, pos=5)
    row = eager_attention(hooked, 1)[0][5]
    assert f"{row.max():.1%}" in next(m.value for m in app.markdown if "reads most" in m.value)


@pytest.mark.parametrize("prompt", ["the", "the " * 30, "<script> **x** $y$ \x00 שלום 👩‍👩‍👧"])
def test_odd_prompts_get_a_page(open_page, prompt):
    app = open_page("attention", prompt=prompt)
    choose(app, "attention.hide_first", True)
    assert not app.exception
    for tab in ("arithmetic", "ablation"):
        assert not open_page("attention", prompt=prompt, attention__tab=tab).exception


@pytest.mark.parametrize("link", [{"layer": 99, "head": 99, "pos": 99}, {"layer": "x"}])
def test_a_link_to_what_this_model_lacks_gets_a_page(open_page, link):
    assert not open_page("attention", **link).exception


def test_empty_prompt_gets_a_hint(open_page):
    app = open_page("attention", prompt="  ")
    assert not app.exception
    assert app.info


def test_sorted_grid_lists_every_head_by_its_score(open_page, hooked):
    app = open_page("attention")
    choose(app, "attention.sort", "Previous token")
    assert not app.exception
    scores = {
        (layer, head): float(np.mean(np.diagonal(pattern, -1)))
        for layer in range(2)
        for head, pattern in enumerate(eager_attention(hooked, layer))
    }
    order = sorted(scores, key=lambda at: -scores[at])
    sent = grid_header(app)["captions"]
    assert [tuple(caption[:2]) for caption in sent] == order
    assert sent[0][2] == f"{max(scores.values()):.3g}"


def test_sorting_by_repetition_says_so_when_nothing_repeats(open_page):
    app = open_page("attention", prompt="cat sat on")
    choose(app, "attention.sort", "Induction")
    assert not app.exception
    assert any("needs a token that repeats" in caption.value for caption in app.caption)


def test_sizes_are_weights_times_the_norm_of_each_value_through_the_projection(open_page, hooked):
    app = open_page("attention", layer=1, head=1)
    choose(app, "attention.measure", "Weight x size of value")
    assert not app.exception
    recorded = hooked.trace(PROMPT).layers[1]
    d_value = recorded.value.shape[-1]
    rows = projection(hooked, 1)[d_value : 2 * d_value]
    norms = np.linalg.norm(
        recorded.value[len(recorded.value) // len(recorded.query)] @ rows, axis=1
    )
    expected = eager_attention(hooked, 1)[1] * norms
    below = np.tri(len(expected), dtype=bool)
    np.testing.assert_allclose(matrix(app)[below], expected[below], rtol=1e-3, atol=1e-5)


def test_rollout_rows_sum_to_one(open_page):
    app = open_page("attention", layer=1)
    choose(app, "attention.measure", "Rollout")
    assert not app.exception
    np.testing.assert_allclose(np.nansum(matrix(app), -1), 1, atol=1e-5)


def test_sum_over_chosen_tokens_equals_the_sum_of_their_cells(open_page, hooked):
    app = open_page("attention", layer=1, head=0)
    choose(app, "attention.queries", ["4: the", "5: mat", "3: on"])
    choose(app, "attention.keys", ["0: the", "2: sat"])
    assert not app.exception
    weights = eager_attention(hooked, 1)[0]
    total = weights[np.ix_([4, 5, 3], [0, 2])].sum()
    said = f"put **{total:.3g}** on the chosen keys, **{percent(total / 3)}** of what they have"
    assert any(said in m.value for m in app.markdown)
    for key, expected in {
        "attention_sum.read": weights[[4, 5, 3]].mean(0),
        "attention_sum.readers": weights[:, [0, 2]].sum(1),
    }.items():
        sent = json.loads(component_of(app, key).json)["weights"]
        np.testing.assert_allclose(sent, expected, atol=1e-4)


def test_arithmetic_ends_at_the_models_own_weight_and_is_checked(open_page, hooked):
    app = open_page("attention", layer=1, head=1, pos=4, attention__tab="arithmetic")
    weight = eager_attention(hooked, 1)[1][4, 2]
    choose(app, "attention.key", f"2: sat ({100 * weight:.3g}%)")
    assert not app.exception
    assert any(f"= {weight:.4f}" in formula.value for formula in app.latex)
    checks = [caption.value for caption in app.caption if "Checked:" in caption.value]
    assert len(checks) == 2
    assert all(":green[" in check for check in checks)


def test_arithmetic_draws_this_heads_own_vectors(open_page, hooked):
    app = open_page(
        "attention", layer=1, head=1, pos=4, attention__key=2, attention__tab="arithmetic"
    )
    assert not app.exception
    layer = hooked.trace(PROMPT).layers[1]
    kv_head = len(layer.key) // 2 if len(layer.key) == len(layer.query) else 0
    query, key = layer.query[1, 4], layer.key[kv_head, 2]
    weights, values = eager_attention(hooked, 1)[1][4, :5], layer.value[kv_head, :5]
    found = {chart.key: chart.figure["data"] for chart in drawn(app)}
    strips = [charts.numbers(one["z"]).ravel() for one in found["inlook-attention-dot-product"]]
    for strip, expected in zip(strips, (query, key, query * key), strict=True):
        np.testing.assert_allclose(strip, expected, rtol=1e-4, atol=1e-6)
    total = charts.numbers(found["inlook-attention-weighted-sum"][0]["z"])[-1]
    np.testing.assert_allclose(total, weights @ values, rtol=1e-3, atol=1e-5)
    rows = projection(hooked, 1)[len(total) : 2 * len(total)]
    size = np.linalg.norm(total @ rows)
    assert any(f"Their size is **{size:.3f}**" in text.value for text in app.markdown)


def test_the_mean_of_all_heads_has_no_arithmetic(open_page):
    app = open_page("attention", head="mean", attention__tab="arithmetic")
    assert any("has no arithmetic of its own" in caption.value for caption in app.caption)


def test_switching_a_head_off_equals_zeroing_its_rows_of_the_projection(open_page, hooked):
    app = open_page("attention", layer=0, head=1, attention__tab="ablation")
    choose(app, "attention.part", "This head")
    assert not app.exception
    model = plain_copy(hooked)
    path = hooked.anatomy.blocks[0].attention_path
    attention = model.get_submodule(path)
    d_value = hooked.info.d_head
    rows = (
        attention.c_proj.weight.data
        if hasattr(attention, "c_proj")
        else attention.o_proj.weight.data.T
    )
    rows[d_value : 2 * d_value] = 0
    with torch.inference_mode():
        ids = torch.tensor([hooked.encode(PROMPT)])
        expected = [
            torch.softmax(m(ids).logits[0, -1], -1).numpy() for m in (plain_copy(hooked), model)
        ]
    order = np.argsort(-np.maximum(*expected), kind="stable")
    before, after = drawn(app)[-1].figure["data"]
    np.testing.assert_allclose(numbers(before["x"], np.float64), expected[0][order], atol=1e-5)
    np.testing.assert_allclose(numbers(after["x"], np.float64), expected[1][order], atol=1e-5)
    assert np.abs(expected[0] - expected[1]).max() > 1e-3


def test_cutting_one_link_equals_masking_its_score_by_hand(open_page, hooked):
    app = open_page("attention", layer=0, head=1, pos=5, attention__tab="ablation")
    choose(app, "attention.part", "One link")
    choose(app, "attention.link_key", "2: sat")
    assert not app.exception
    ids = torch.tensor([hooked.encode(PROMPT)])
    mask = torch.zeros(1, 1, 6, 6).masked_fill(~torch.ones(6, 6, dtype=torch.bool).tril(), -1e9)
    mask[..., 5, 2] = -1e9
    with torch.inference_mode():
        logits = plain_copy(hooked)(ids, attention_mask=mask).logits[0, -1]
    expected = torch.softmax(logits, -1).numpy()
    after = drawn(app)[-1].figure["data"][1]
    np.testing.assert_allclose(
        np.sort(numbers(after["x"], np.float64)), np.sort(expected), atol=1e-5
    )
    for where, cut in {"This layer": Knockout(5, 2, 0), "This head": Knockout(5, 2, 0, 1)}.items():
        choose(app, "attention.where", where)
        assert not app.exception
        after = drawn(app)[-1].figure["data"][1]
        np.testing.assert_allclose(numbers(after["x"], np.float64), changed(hooked, cut), atol=1e-5)


def test_the_halves_of_a_layer_are_switched_off_one_by_one(open_page, hooked):
    app = open_page("attention", layer=1, attention__tab="ablation")
    halves = {"Its layer's attention": AblateAttention(1), "Its feedforward": AblateMLP(1)}
    for name, half in halves.items():
        choose(app, "attention.part", name)
        assert not app.exception
        after = drawn(app)[-1].figure["data"][1]
        np.testing.assert_allclose(
            numbers(after["x"], np.float64), changed(hooked, half), atol=1e-5
        )


def test_a_click_in_the_grid_opens_that_head(open_page):
    app = told(open_page("attention"), "attention_grid", picked=[1, 0])
    assert not app.exception
    assert (view_of(app).layer, view_of(app).head) == (1, 0)


def test_a_click_in_the_matrix_follows_its_query_and_key(open_page):
    app = open_page("attention", layer=1, head=0)
    point = {"x": 1, "y": 3, "customdata": None, "cell": [3, 1]}
    told(app, "attention_matrix", clicked=point)
    assert not app.exception
    view = view_of(app)
    assert (view.pos, view.attention.key, view.attention.tab) == (3, 1, "arithmetic")
    assert any(":blue[on]" in text.value and ":orange[cat]" in text.value for text in app.markdown)


def test_one_token_has_no_link_to_cut(open_page):
    app = open_page("attention", prompt="cat", attention__tab="ablation")
    choose(app, "attention.part", "One link")
    assert not app.exception
    assert any("takes two tokens" in caption.value for caption in app.caption)


def test_the_sharpest_head_is_named_and_opened(open_page, trace):
    app = open_page("attention", layer=0, head=0)
    weights = np.stack([trace.attention(layer)[:, 5, 1:5] for layer in (0, 1)])
    layer, head, _ = np.unravel_index(weights.argmax(), weights.shape)
    said = next(one.value for one in app.markdown if "sharpest look" in one.value)
    assert f"**layer {layer}, head {head}**" in said
    if (layer, head) != (0, 0):
        app.button(key="attention.open_sharpest").click().run()
    assert (view_of(app).layer, view_of(app).head) == (layer, head)
    assert app.button(key="attention.open_sharpest").disabled
    assert not app.exception


def test_a_part_of_a_text_keeps_its_positions(open_page, hooked, monkeypatch):
    monkeypatch.setattr("pages.attention.matrix.SPAN_FROM", 4)
    app = open_page("attention", layer=1, head=0, pos=3, attention__span="2.5")
    assert not app.exception
    expected, below = eager_attention(hooked, 1)[0][2:6, 2:6], np.tri(4, dtype=bool)
    np.testing.assert_allclose(matrix(app)[below], expected[below], atol=1e-5)
    lines = json.loads(component_of(app, "attention_lines").json)
    assert (lines["start"], lines["selected"], lines["tokens"]) == (2, 1, PROMPT.split()[2:6])
    told(app, "attention_lines", picked=2)
    assert view_of(app).pos == 4


def test_of_a_long_text_a_window_is_asked_for_and_shown_and_a_token_elsewhere_moves_it(
    open_page, hooked, monkeypatch
):
    for module in ("widgets.long_text", "attention.matrix", "attention.all_heads"):
        monkeypatch.setattr(f"pages.{module}.WHOLE_UP_TO", 10)
    monkeypatch.setattr("pages.widgets.long_text.WINDOW", 8)
    prompt = " ".join(["the cat sat on the mat"] * 4)
    weights = hooked.trace(prompt).attention(1, 1)
    n_tokens = len(weights)
    app = open_page("attention", prompt=prompt, layer=1, head=1, attention__measure="rollout")
    assert not app.exception
    assert f"The text has {n_tokens} tokens" in app.info[0].value
    assert f"tokens {n_tokens - 8} to {n_tokens - 1}:" in app.info[0].value
    assert any("up to 10 tokens" in caption.value for caption in app.caption)
    np.testing.assert_allclose(np.nan_to_num(matrix(app)), weights[-8:, -8:], atol=1e-6)
    read = percent(float(weights[-1].max()))
    assert any("reads most from" in one.value and read in one.value for one in app.markdown)
    choose(app, "pos", f"5: {visible(hooked.trace(prompt).tokens[5])}")
    assert not app.exception
    np.testing.assert_allclose(np.nan_to_num(matrix(app)), weights[:8, :8], atol=1e-6)
    choose(app, "attention.sort", "Induction")
    assert any("more than 10 tokens" in caption.value for caption in app.caption)
    assert not app.exception
