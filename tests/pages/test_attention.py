"""The Attention page draws the model's own attention and says what it leaves out."""

import json

import numpy as np
import pytest
import torch

PROMPT = "the cat sat on the mat"


def matrix(app):
    """The z of the drawn heatmap, decoded from what is sent to the browser."""
    z = json.loads(app.get("plotly_chart")[0].proto.spec)["data"][0]["z"]
    import base64

    shape = [int(n) for n in z["shape"].split(",")]
    return np.frombuffer(base64.b64decode(z["bdata"]), np.float32).reshape(shape)


def eager_attention(hooked, layer):
    """The attention of transformers' own eager code on the same weights."""
    import copy

    model = type(hooked.model)(copy.deepcopy(hooked.model.config))
    model.load_state_dict(hooked.model.state_dict())
    model.set_attn_implementation("eager")
    ids = torch.tensor([hooked.encode(PROMPT)])
    with torch.inference_mode():
        return model.eval()(ids, output_attentions=True).attentions[layer][0].numpy()


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
    app.toggle(key="hide_sink").set_value(True).run()
    assert not app.exception
    assert (matrix(app)[:, 0] == 0).all()
    np.testing.assert_array_equal(matrix(app)[:, 1:], before[:, 1:])
    assert any("no longer sum to 1" in caption.value for caption in app.caption)


def test_rescaled_rows_sum_to_one_again(open_page):
    app = open_page("attention", layer=1)
    app.toggle(key="hide_sink").set_value(True).run()
    app.segmented_control(key="hide_sink.rows").set_value("Rescale rows").run()
    assert not app.exception
    np.testing.assert_allclose(np.nansum(matrix(app)[1:], -1), 1, atol=1e-5)
    assert not any("no longer sum to 1" in caption.value for caption in app.caption)


def test_a_click_in_the_grid_opens_that_head(open_page):
    app = open_page("attention")
    app.session_state["attention_grid"] = {"picked": [1, 1]}
    app.run()
    assert not app.exception


def test_the_sentence_names_what_the_query_reads_most(open_page, hooked):
    app = open_page("attention", layer=1, head=0, pos=5)
    row = eager_attention(hooked, 1)[0][5]
    assert f"{row.max():.1%}" in next(m.value for m in app.markdown if "reads most" in m.value)


@pytest.mark.parametrize("prompt", ["the", "the " * 30, "<script> **x** $y$ \x00 שלום 👩‍👩‍👧"])
def test_odd_prompts_get_a_page(open_page, prompt):
    app = open_page("attention", prompt=prompt)
    app.toggle(key="hide_sink").set_value(True).run()
    assert not app.exception


@pytest.mark.parametrize("link", [{"layer": 99, "head": 99, "pos": 99}, {"layer": "x"}])
def test_a_link_to_what_this_model_lacks_gets_a_page(open_page, link):
    assert not open_page("attention", **link).exception


def test_empty_prompt_gets_a_hint(open_page):
    app = open_page("attention", prompt="  ")
    assert not app.exception
    assert app.info
