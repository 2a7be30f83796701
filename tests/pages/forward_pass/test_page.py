"""The forward pass page: what it shows is what an independent run of the model computes."""

import json
import re

import numpy as np
import pytest
import torch

from model_hooks import Decoding, HookedModel
from model_hooks.run.attention import RecordedAttention
from pages.forward_pass.flow import MAX_LANES, lanes_to_draw
from tests.pages.charts import drawn, numbers
from tests.pages.conftest import PROMPT, choose, opened, told, view_of, with_prompt
from tests.tiny_models import build, tiny_tokenizer
from viz.numbers import percent

N_TOKENS = 6
STAGES = ["tokenizer", "embedding", "blocks", "lm_head", "choice"]


def picture(app):
    """What the picture of the forward pass was told to draw."""
    return next(
        data
        for element in app.get("bidi_component")
        if "stages" in (data := json.loads(element.proto.json))
    )


def walk(app):
    """Yield the app at each stage, going on with the page's own button."""
    for stage in STAGES:
        assert picture(app)["stage"] == stage
        yield app
        if stage != STAGES[-1]:
            app.button(key="forward.right").click().run()


def figure(app, alt):
    """The figure whose text alternative begins so."""
    for found in drawn(app):
        if found.alt.startswith(alt):
            return found.figure
    raise AssertionError(f"no figure {alt!r}")


def chart(app, alt):
    """Its data."""
    return figure(app, alt)["data"]


def markdown(app):
    return " ".join(text.value for text in app.markdown)


@pytest.fixture
def eager(hooked, trace):
    """The same prompt through the model itself, without Inlook's recording."""
    ids = torch.tensor([trace.token_ids.tolist()])
    with torch.inference_mode():
        return hooked.model(input_ids=ids, output_hidden_states=True, use_cache=False)


def test_every_stage_says_where_its_numbers_come_from(open_page):
    for app in walk(open_page(pos=0)):
        assert app.title[0].value == "Forward pass"
        assert any(":material/database:" in caption.value for caption in app.caption)
        assert not app.exception


def test_picture_names_the_shapes_of_this_model_and_prompt(open_page, hooked):
    app = open_page()
    d_model, vocab = hooked.info.d_model, hooked.info.vocab_size
    shapes = [stage["shape"] for stage in picture(app)["stages"]]
    assert shapes == ["[6]", f"[6, {d_model}]", f"[6, {d_model}]", f"[1, {vocab}]", "1 ID"]
    assert not app.exception


def test_picture_shows_the_models_probabilities_and_its_greedy_pick(open_page, eager):
    app = open_page()
    expected = torch.softmax(eager.logits[0, -1].double(), -1).numpy()
    shown = picture(app)
    listed = {row["id"]: row["p"] for row in shown["candidates"] if row["id"] is not None}
    for token_id, probability in listed.items():
        assert probability == pytest.approx(expected[token_id], rel=1e-3)
    assert sum(row["p"] for row in shown["candidates"]) == pytest.approx(1, abs=1e-3)
    assert shown["chosen"]["id"] == expected.argmax()
    assert shown["chosen"]["note"] == "Greedy: the most probable token."
    assert not app.exception


def test_picture_shows_what_each_layer_adds_and_reads(open_page, trace):
    app = open_page(pos=4)
    for layer, shown in zip(trace.layers, picture(app)["layers"], strict=True):
        for name, vectors in {
            "pre": layer.resid_pre,
            "attn": layer.attn_out,
            "mlp": layer.mlp_out,
            "post": layer.resid_post,
        }.items():
            np.testing.assert_allclose(shown[name], np.linalg.norm(vectors, axis=-1), rtol=1e-3)
        np.testing.assert_allclose(shown["reads"], layer.attention.mean(0)[4], atol=1e-3)
        assert sum(shown["reads"]) == pytest.approx(1, abs=0.01)
    assert not app.exception


@pytest.mark.parametrize("stage", ["tokenizer", "lm_head"])
def test_the_picture_computes_only_the_row_of_the_chosen_lane(open_page, monkeypatch, stage):
    asked, original = [], RecordedAttention.weights_for

    def counting(call, keys):
        asked.append(call.n_rows)
        return original(call, keys)

    def whole(*args):
        raise AssertionError("nobody looks at all rows of a head")

    monkeypatch.setattr(RecordedAttention, "weights_for", counting)
    monkeypatch.setattr(RecordedAttention, "formula", whole)
    app = open_page(stage=stage, pos=3)
    assert not app.exception
    assert asked == [1, 1]
    assert all(layer["reads"] for layer in picture(app)["layers"])


def test_a_block_shows_the_patterns_of_its_layer(open_page, trace):
    app = open_page(stage="blocks", layer=1, pos=4)
    assert not app.exception
    [heatmap] = [one for one in chart(app, "Mean attention pattern") if one["type"] == "heatmap"][
        :1
    ]
    shown, mean = numbers(heatmap["z"]), trace.attention(1).mean(0)
    below = np.tri(N_TOKENS, dtype=bool)
    np.testing.assert_allclose(shown[below], mean[below], atol=1e-5)
    assert any(
        f"**{100 * mean[4].max():.1f}%** of its attention" in text.value for text in app.markdown
    )


def test_a_block_shows_the_sizes_of_its_own_parts_for_the_chosen_token(open_page, trace):
    app = open_page(stage="blocks", layer=1, pos=4)
    assert not app.exception
    sizes = {
        name: [float(np.linalg.norm(getattr(layer, name)[4])) for layer in trace.layers]
        for name in ("resid_pre", "attn_out", "mlp_out", "resid_post")
    }
    notes = [note["text"] for note in figure(app, "Block 1")["layout"]["annotations"]]
    assert f"enters: {sizes['resid_pre'][1]:.3g}" in notes
    assert f"leaves: {sizes['resid_post'][1]:.3g}" in notes
    for part, name in {"Attention": "attn_out", "Feedforward": "mlp_out"}.items():
        [note] = [note for note in notes if part in note]
        assert f"{sizes[name][1]:.3g}" in note
    bars = chart(app, "Sizes of what is added")
    for mark, name in zip(bars, ("attn_out", "mlp_out", "resid_post"), strict=True):
        np.testing.assert_allclose(numbers(mark["y"]), sizes[name], rtol=1e-4)


def test_of_a_long_text_a_block_draws_the_tokens_up_to_the_chosen_one(
    open_page, trace, monkeypatch
):
    monkeypatch.setattr("pages.forward_pass.block.MAX_PATTERN", 3)
    mean = trace.attention(1).mean(0)
    for pos, start in {0: 0, 4: 2}.items():
        app = open_page(stage="blocks", layer=1, pos=pos)
        assert not app.exception
        shown = numbers(chart(app, "Mean attention pattern")[0]["z"])
        below, rows = np.tri(3, dtype=bool), slice(start, start + 3)
        np.testing.assert_allclose(shown[below], mean[rows, rows][below], atol=1e-5)


def test_a_click_on_a_layer_opens_it(open_page):
    app = open_page(stage="blocks", layer=1)
    told(app, "forward.layers", clicked={"x": 0, "y": 0, "customdata": 0, "cell": None})
    assert not app.exception
    assert view_of(app).layer == 0


def test_embedding_strip_is_what_enters_the_first_block(open_page, eager, trace):
    app = open_page(stage="embedding", pos=2)
    [strip] = chart(app, "The 16 numbers of the embedding of token 2")
    expected = eager.hidden_states[0][0, 2].numpy()
    np.testing.assert_allclose(numbers(strip["z"]).ravel(), expected, rtol=1e-5)
    assert not app.exception
    assert f"(row {trace.token_ids[2]})" in markdown(app)
    assert f"It begins with `[{', '.join(f'{number:.3f}' for number in expected[:4])}, …]`" in (
        markdown(app)
    )


@pytest.mark.parametrize("pos", [1, 4])
def test_the_tokenizer_spells_the_chosen_token(open_page, pos):
    app = open_page(stage="tokenizer", pos=pos)
    word = PROMPT.split()[pos]
    spelled = " ".join(f"{byte:02X}" for byte in word.encode())
    assert f"Token {pos} is `{word}`" in markdown(app)
    assert f"spelled in bytes `{spelled}`." in markdown(app)
    assert not app.exception


@pytest.mark.parametrize(("what", "value"), [("pos", 2), ("layer", 1), ("stage", "blocks")])
def test_a_click_in_the_picture_goes_where_it_says(open_page, what, value):
    app = told(open_page(), "forward.flow", picked=[what, value])
    assert not app.exception
    assert picture(app)[what] == value


@pytest.mark.parametrize("pos", [1, 5])
def test_lm_head_shows_the_prediction_of_the_chosen_lane(open_page, eager, hooked, pos):
    app = open_page(stage="lm_head", pos=pos)
    [bars] = chart(app, "Probabilities of the most probable next tokens")
    expected = torch.softmax(eager.logits[0, pos].double(), -1).numpy()
    np.testing.assert_allclose(np.sort(numbers(bars["x"])), np.sort(expected), rtol=1e-4)
    assert ("is not used" in markdown(app)) == (pos == 1)
    assert not app.exception
    if pos == 1:
        actual = int(hooked.encode("sat")[0])
        rank = int((expected > expected[actual]).sum()) + 1
        said = f"`sat`. This lane gave it **{percent(expected[actual])}**, rank {rank}."
        assert said in markdown(app)


def test_choosing_a_token_and_a_layer_moves_the_view(open_page):
    app = open_page(stage="blocks")
    choose(app, "pos", "2: sat")
    choose(app, "layer", 1)
    shown = picture(app)
    assert (shown["pos"], shown["layer"], shown["stage"]) == (2, 1, "blocks")
    assert any("Block 1 for token 2" in text.value for text in app.markdown)
    assert not app.exception


def test_back_returns_to_the_stage_before(open_page):
    app = open_page(stage="choice")
    app.button(key="forward.left").click().run()
    assert picture(app)["stage"] == "lm_head"
    assert not app.exception


def test_sampling_in_the_choice_changes_the_pick_everywhere(open_page, hooked, trace):
    app = open_page(stage="choice", strategy="sample", temperature=2.0, top_k=2, seed=7)
    best_two = set(np.argsort(-trace.last_logits)[:2].tolist())
    assert picture(app)["chosen"]["id"] in best_two
    options = Decoding("sample", temperature=2.0, top_k=2, seed=7)
    step = next(hooked.generate(trace.token_ids, options, max_new_tokens=1))
    chosen = picture(app)["chosen"]
    assert (chosen["id"], chosen["note"]) == (step.token_id, "Sampled, seed 7.")
    assert chosen["share"] == percent(step.probability)
    assert "draws one of 2 tokens at random" in markdown(app)
    assert f"(seed 7): **`{step.token}`**, with {percent(step.probability)}." in markdown(app)
    assert not app.exception


def test_what_the_options_removed_is_not_picked(open_page, hooked, trace):
    best = int(trace.last_logits.argmax())

    def drawn_freely(seed):
        return next(hooked.generate(trace.token_ids, Decoding("sample", seed=seed), 1)).token_id

    seed = next(seed for seed in range(99) if drawn_freely(seed) != best)
    app = open_page(stage="choice", strategy="sample", top_k=1, seed=seed)
    assert picture(app)["chosen"]["id"] == best


def test_an_unknown_stage_in_a_link_opens_the_first(open_page):
    app = open_page(stage="nonsense", layer=99, pos=99)
    assert picture(app)["stage"] == "tokenizer"
    assert picture(app)["pos"] == N_TOKENS - 1
    assert not app.exception


@pytest.mark.parametrize("prompt", ["", "   "])
def test_an_empty_prompt_gets_one_sentence(open_page, prompt):
    app = open_page()
    with_prompt(app, prompt)
    assert len(app.info) == 1
    assert not drawn(app)
    assert not app.exception


STRANGE = "👩‍👩‍👧 שלום <script>x</script> **a** $x^2$ `b` :red[c] \n\x00"


def test_strange_prompts_break_no_stage(open_page):
    for app in walk(open_page(prompt=STRANGE)):
        assert not app.exception


def test_a_single_token_has_every_stage(open_page):
    for app in walk(open_page(prompt="cat")):
        assert picture(app)["n_tokens"] == 1
        assert not app.exception


@pytest.mark.parametrize("n_tokens", [1, MAX_LANES, MAX_LANES + 1, 400])
def test_lanes_of_first_chosen_and_last_token_are_always_drawn(n_tokens):
    for pos in {0, n_tokens // 2, n_tokens - 1}:
        reads = [np.full(n_tokens, 1 / n_tokens), None]
        drawn = lanes_to_draw(n_tokens, pos, reads)
        assert {0, pos, n_tokens - 1} <= set(drawn)
        assert drawn == sorted(set(drawn))
        assert len(drawn) <= MAX_LANES
        assert n_tokens > MAX_LANES or drawn == list(range(n_tokens))


def test_hidden_lanes_leave_the_sum_of_their_weights(open_page):
    app = open_page(prompt="cat sat on the mat " * 5, pos=20)
    shown = picture(app)
    assert len(shown["positions"]) < shown["n_tokens"] == 25
    for layer in shown["layers"]:
        assert sum(layer["reads"]) == pytest.approx(1, abs=0.01)
    assert not app.exception


def test_no_parts_are_drawn_where_they_cannot_be_told_apart(of_unknown_wiring):
    app = opened(stage="blocks")
    assert not app.exception
    assert "cannot be told apart" in " ".join(info.value for info in app.info)
    assert "It adds this vector" not in markdown(app)


def test_a_mixture_of_experts_names_the_routers_choice(open_with):
    model = HookedModel.wrap(build("mixtral"), tiny_tokenizer(), "mixtral")
    open_with(lambda name: model)
    app = opened("forward_pass", stage="blocks", layer=1, prompt="w3 w5 w7")
    assert not app.exception
    with torch.no_grad():
        ids = torch.tensor([model.encode("w3 w5 w7")])
        logits = model.model(ids, output_router_logits=True).router_logits[1][-1]
    expected = sorted(logits.topk(2).indices.tolist())
    [line] = [text.value for text in app.markdown if "goes to" in text.value]
    assert sorted(int(n) for n in re.findall(r"expert (\d+)", line)) == expected
