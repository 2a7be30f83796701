"""The Efficient attention page shows what the model really does under each change."""

import copy
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from model_hooks import AblateHead, AttentionPattern, HookedModel, ShareKVHeads
from model_hooks.experiments import backends as measuring
from model_hooks.experiments.backends import BusyError, Measurement, Progress, Shapes
from pages.efficient_attention import twins
from tests.conftest import tiny_llama
from tests.pages.charts import drawn, numbers
from tests.pages.conftest import alts, choose, view_of, widget
from tests.tiny_models import build, tiny_tokenizer

PROMPT = "the cat sat on the mat"
N = 6
SHARE, MOVE = "kv_heads", "flash"
llama_only = pytest.mark.parametrize("hooked", [tiny_llama], indirect=True, ids=["llama"])


def open_tab(open_page, tab="patterns", **link):
    app = open_page("efficient_attention", efficient_attention__tab=tab, **link)
    assert not app.exception
    return app


def charts(app):
    return [chart.figure for chart in drawn(app)]


def metrics(app):
    return {metric.label: metric for metric in app.metric}


def in_bytes(n):
    return f"{n / 1e3:.3g} kB" if n >= 1e3 else f"{n} bytes"


def plain_logits(hooked, window):
    """The same weights in a model that nothing has hooked, with the mask of a sliding window."""
    model = type(hooked.model)(copy.deepcopy(hooked.model.config)).eval()
    model.load_state_dict(hooked.model.state_dict())
    model.set_attn_implementation("eager")
    query, key = np.indices((N, N))
    allowed = torch.tensor((key <= query) & (query - key < window))
    mask = torch.zeros(1, 1, N, N).masked_fill(~allowed, -1e9)
    with torch.inference_mode():
        return model(torch.tensor([hooked.encode(PROMPT)]), attention_mask=mask).logits[0]


def loss_of(hooked, logits):
    targets = torch.tensor(hooked.encode(PROMPT))[1:]
    return float(torch.nn.functional.cross_entropy(logits[:-1], targets)) / np.log(2)


def test_loss_and_next_token_under_a_window_equal_those_of_a_masked_plain_model(open_page, hooked):
    app = open_tab(open_page)  # a third of six tokens: a window of 2
    before, after = plain_logits(hooked, N), plain_logits(hooked, 2)
    losses = loss_of(hooked, before), loss_of(hooked, after)
    shown = metrics(app)["Loss on the prompt"]
    assert shown.value == f"{losses[1]:.2f} bits"
    assert shown.delta == f"{losses[1] - losses[0]:+.3g} bits"
    was, now = charts(app)[1]["data"]
    truth = [torch.softmax(logits[-1], -1).numpy() for logits in (before, after)]
    order = np.argsort(-np.maximum(*truth), kind="stable")
    np.testing.assert_allclose(numbers(was["x"]), truth[0][order], atol=1e-5)
    np.testing.assert_allclose(numbers(now["x"]), truth[1][order], atol=1e-5)
    changes = numbers(charts(app)[2]["data"][0]["y"])
    assert changes.mean() == pytest.approx(losses[1] - losses[0], abs=1e-4)


def test_what_is_left_is_counted_from_the_mask(open_page, hooked):
    app = open_tab(open_page)
    shown = metrics(app)
    # Six queries of a window of 2 read 1 + 5 x 2 keys of 21; the cache keeps 1 of 6 keys.
    assert shown["Scores left"].value == "52.4%"
    assert shown["Scores left"].delta == "22 of 42 pairs in 2 layers"
    pairs = 11 * 2  # in both layers
    per_pair = hooked.info.n_heads * 2 * 2 * hooked.info.d_head
    assert shown["Operations of attention"].value.startswith(f"{pairs * per_pair / 1e3:.3g}")
    kept = 1 * 2 * 2 * hooked.info.n_kv_heads * hooked.info.d_head * 4
    assert shown["KV cache to keep"].value.startswith(in_bytes(kept))
    cells = numbers(charts(app)[0]["data"][0]["z"])
    assert [(cells == kind).sum() for kind in (3, 2, 1, 0)] == [11, 10, 0, 15]


def test_one_layer_at_a_time_draws_a_run_for_each(open_page, hooked):
    app = open_tab(open_page)
    choose(app, "efficient_attention.by_layer", True)
    assert not app.exception
    bars = charts(app)[3]["data"][0]
    assert bars["x"] == ["layer 0", "layer 1", "all of them"]
    together = loss_of(hooked, plain_logits(hooked, 2)) - loss_of(hooked, plain_logits(hooked, N))
    assert numbers(bars["y"])[2] == pytest.approx(together, abs=1e-4)


@llama_only
def test_a_window_of_nothing_and_one_longer_than_the_text_get_one_sentence(open_page):
    app = open_tab(open_page)
    choose(app, "efficient_attention.window", 0)
    assert not app.exception
    assert "could not even read itself" in app.warning[0].value
    choose(app, "efficient_attention.window", 100)
    assert not app.exception
    assert "holds the whole text (6 tokens)" in app.info[0].value


@llama_only
@pytest.mark.parametrize(
    ("kind", "n_left"),
    [("Full", 21), ("Window + first tokens", 15), ("Strided", 17), ("Blocks", 9)],
)
def test_every_pattern_gets_a_picture(open_page, kind, n_left):
    app = open_tab(open_page)
    choose(app, "efficient_attention.kind", kind)
    assert not app.exception
    assert (numbers(charts(app)[0]["data"][0]["z"]) == 3).sum() == n_left


@llama_only
def test_a_model_with_a_window_of_its_own_shows_it(open_page, open_with):
    gemma = HookedModel.wrap(build("gemma2"), tiny_tokenizer())
    open_with(lambda name: gemma)
    app = open_tab(open_page, prompt=" ".join(f"w{i}" for i in range(20, 40)), layer=0)
    choose(app, "efficient_attention.kind", "Full")
    assert "sliding window of 8 tokens in 2 of its 4 layers" in app.info[0].value
    cells = numbers(charts(app)[0]["data"][0]["z"])
    assert (cells[19] == [1] * 12 + [3] * 8).all()


@llama_only
@pytest.mark.parametrize("tab", ["patterns", SHARE, MOVE])
def test_a_family_with_attention_of_its_own_gets_one_sentence(
    open_page, open_with, monkeypatch, tab
):
    monkeypatch.setattr(twins, "bundled_models", dict)
    bloom = HookedModel.wrap(build("bloom"), tiny_tokenizer())
    open_with(lambda name: bloom)
    app = open_tab(open_page, tab, prompt="w20 w21 w22")
    said = [message.value for message in (*app.warning, *app.info)]
    assert (
        len([text for text in said if "a way of its own" in text or "keeps its queries" in text])
        == 1
    )


@llama_only
def test_a_hybrid_names_its_layers_without_attention(open_page, open_with):
    jamba = HookedModel.wrap(build("jamba"), tiny_tokenizer())
    open_with(lambda name: jamba)
    app = open_tab(open_page, prompt="w20 w21 w22 w23")
    assert any("Layers 0 and 2 have no attention" in info.value for info in app.info)


@llama_only
@pytest.mark.parametrize(
    "prompt", ["the", "the " * 30, "<script> **x** $y$ \x00 שלום 👩‍👩‍👧 \n`a`|b"]
)
def test_odd_prompts_get_a_page(open_page, prompt):
    for tab in ("patterns", SHARE, MOVE):
        open_tab(open_page, tab, prompt=prompt)


def test_averaged_kv_heads_show_the_run_and_what_it_saves(open_page, hooked):
    app = open_tab(open_page, SHARE)
    n_groups = hooked.info.n_kv_heads // 2
    after = hooked.trace(PROMPT, [ShareKVHeads(n_groups)]).last_logits
    truth = torch.softmax(torch.tensor(after), -1).numpy()
    drawn = numbers(charts(app)[1]["data"][1]["x"])
    np.testing.assert_allclose(np.sort(drawn), np.sort(truth), atol=1e-5)
    per_token = 2 * 2 * n_groups * hooked.info.d_head * 4  # layers, key and value, bytes
    shown = metrics(app)["KV cache per token"]
    assert shown.value.startswith(f"{per_token}")
    assert shown.delta == "-50.0%"
    choose(app, "efficient_attention.groups", f"{hooked.info.n_kv_heads} (as it is)")
    assert not app.exception
    assert "KV cache per token" not in metrics(app)


@llama_only
def test_without_the_twins_one_sentence_says_so(open_page, monkeypatch):
    monkeypatch.setattr(twins, "bundled_models", dict)
    app = open_tab(open_page, SHARE)
    assert any("not bundled in this copy" in caption.value for caption in app.caption)


@llama_only
def test_the_twins_are_compared_converted_and_trained(open_page, open_with, hooked, monkeypatch):
    models = {
        name: HookedModel.wrap(
            build("llama", num_attention_heads=4, num_key_value_heads=n), tiny_tokenizer(), name
        )
        for name, n in zip(twins.TWINS, (4, 2, 1), strict=True)
    }
    monkeypatch.setattr(twins, "bundled_models", lambda: models)
    open_with(lambda name: models.get(name, hooked))
    app = open_tab(open_page, SHARE, prompt="w20 w21 w22 w23 w24")
    table = app.dataframe[0].value
    kinds = {4: "4 (multi-head)", 2: "2 (grouped)", 1: "1 (multi-query)"}
    assert table["KV heads"].tolist() == [kinds[n] for n in (4, 2, 1, 2, 1)]
    assert table["Cache per token (bytes, float32)"].tolist() == [512 * n for n in (4, 2, 1, 2, 1)]
    curves = Path(__file__).parents[3] / "training" / "curves"
    ends = [
        [float(pd.read_csv(path)["valid_bits_per_byte"].iloc[-1]) for path in paths]
        for paths in (sorted(curves.glob(f"{name}-seed*.csv")) for name in twins.TWINS)
    ]
    said = table["Unseen stories (bits per byte)"].tolist()[:3]
    assert said == pytest.approx([np.mean(one) for one in ends])
    assert table["Seeds"].tolist()[:3] == [*map(len, ends)]
    model = models["twin-swiglu"]
    ids = model.encode("w20 w21 w22 w23 w24")
    logits = torch.tensor(model.logits(model.trace(ids, [ShareKVHeads(1)])))
    loss = torch.nn.functional.cross_entropy(logits[:-1], torch.tensor(ids[1:])) / np.log(2)
    assert table["Your prompt (bits per token)"].iloc[4] == pytest.approx(float(loss), abs=1e-4)
    trained, converted = charts(app)[-1]["data"]
    assert len(trained["x"]) == 3
    assert converted["y"][0] is None


def test_the_walk_shows_real_scores_and_ends_in_the_models_output(open_page, hooked):
    app = open_tab(open_page, MOVE, layer=1, head=1)
    recorded = hooked.trace(PROMPT).layers[1]
    key = recorded.key[len(recorded.key) // len(recorded.query)]
    scores = recorded.query[1] @ key.T * hooked.info.d_head**-0.5
    scores[~np.tri(N, dtype=bool)] = np.nan
    app.button(key="efficient_next").click().run()
    assert "Step 2 of 6." in next(m.value for m in app.markdown if "Step" in m.value)
    drawn = numbers(charts(app)[1]["data"][0]["z"])
    np.testing.assert_allclose(drawn, scores[2:4, :2], atol=1e-5)
    app.button(key="efficient_back").click().run()
    np.testing.assert_allclose(numbers(charts(app)[1]["data"][0]["z"]), scores[:2, :2], atol=1e-5)
    assert any(":green[" in c.value and "largest difference" in c.value for c in app.caption)


def test_trips_to_memory_are_those_of_the_formulas(open_page, hooked):
    app = open_tab(open_page, MOVE)
    choose(app, "efficient_attention.look", "Count trips to memory")
    assert not app.exception
    d = hooked.info.d_head
    shown = metrics(app)
    standard = 4 * (4 * N * d + 4 * N * N)
    assert shown["Standard, 6 tokens"].value.startswith(in_bytes(standard))
    tiled = 4 * (3 * N * d + 2 * N + N * (3 * d + 4))  # one tile of keys holds them all
    assert shown["Tiled, 6 tokens"].value.startswith(in_bytes(tiled))


@llama_only
def test_tiles_fill_the_fast_memory_that_was_chosen(open_page, hooked):
    app = open_tab(open_page, MOVE, efficient_attention__look="traffic")
    choose(app, "efficient_attention.sram", "4 KiB")
    # 1,024 float32 numbers, a quarter of them for each of Q, K, V and O (Dao et al. 2022, line 1).
    columns = 1024 // (4 * hooked.info.d_head)
    assert metrics(app)["Tile"].value == f"{min(columns, hooked.info.d_head)} x {columns}"


class FakeRun:
    """A measurement that has ended."""

    def __init__(self, shapes, lengths):
        self.shapes, self.lengths, self.n_threads = shapes, lengths, 1
        self.progress = Progress(
            running=False,
            measurements=tuple(
                Measurement(name, n, seconds, seconds, seconds, 3, n_bytes)
                for name, seconds, n_bytes in (("eager", 2.0, 9 * 10**6), ("sdpa flash", 0.5, 10))
                for n in lengths
            ),
            unavailable=(("flex", "it has to be compiled, and no compiler was found"),),
        )

    def left_out(self):
        return ()

    def stop(self):
        pass


def open_times(open_page):
    app = open_tab(open_page, MOVE)
    choose(app, "efficient_attention.look", "Measure this machine")
    assert not app.exception
    return app


@llama_only
def test_measured_backends_are_drawn_and_missing_ones_named(open_page, hooked, monkeypatch):
    monkeypatch.setattr(measuring, "BackendRun", FakeRun)
    app = open_times(open_page)
    app.button(key="efficient_measure").click().run()
    assert not app.exception
    ticket = view_of(app).efficient_attention.measured
    assert measuring.backends_report(hooked, ticket).shapes == Shapes.of(hooked.info)
    assert any("4 times as long, with 9 MB" in m.value for m in app.markdown)
    assert any("**flex** does not run here" in caption.value for caption in app.caption)
    times = [trace["name"] for trace in charts(app)[0]["data"]][::2]
    assert times == ["eager", "sdpa math", "sdpa flash", "flex"]


@llama_only
def test_while_another_visitor_measures_one_sentence_says_so(open_page, monkeypatch):
    def busy(*_):
        raise BusyError("Another measurement is running.")

    monkeypatch.setattr(measuring, "BackendRun", busy)
    app = open_times(open_page)
    app.button(key="efficient_measure").click().run()
    assert not app.exception
    assert "Another measurement" in app.warning[0].value


def switched_off(*heads):
    """What a link says of heads that are switched off in layer 0."""
    return "".join(f"ablate_head,0,{head}~" for head in heads)


@llama_only
def test_a_pattern_is_tried_on_the_model_as_it_is_switched(open_page, hooked):
    app = open_tab(open_page, interventions=switched_off(1, 2))
    change = [AblateHead(0, 1), AblateHead(0, 2)]
    bits = []
    for interventions in (change, [*change, AttentionPattern("window", 2)]):
        trace = hooked.trace(PROMPT, interventions)
        bits.append(loss_of(hooked, torch.tensor(hooked.logits(trace))))
    shown = metrics(app)["Loss on the prompt"]
    assert shown.value == f"{bits[1]:.2f} bits"
    assert shown.delta == f"{bits[1] - bits[0]:+.3g} bits"
    plain = open_tab(open_page)
    assert metrics(plain)["Loss on the prompt"].value != shown.value


@llama_only
def test_the_walk_is_that_of_the_model_as_it_is_switched(open_page, hooked):
    app = open_tab(open_page, MOVE, layer=1, head=0, interventions=switched_off(0, 1, 2, 3))
    recorded = hooked.trace(PROMPT, [AblateHead(0, head) for head in range(4)]).layers[1]
    scores = recorded.query[0] @ recorded.key[0].T * recorded.scale
    scores[~np.tri(N, dtype=bool)] = np.nan
    shown = numbers(charts(app)[1]["data"][0]["z"])
    np.testing.assert_allclose(shown, scores[:2, :2], atol=1e-5)


@llama_only
def test_a_link_restores_what_was_chosen(open_page):
    choices = {"kind": "strided", "window": 2, "stride": 3, "layers": "0.1", "by_layer": 1}
    link = {f"efficient_attention__{name}": value for name, value in choices.items()}
    app = open_tab(open_page, **link)
    assert widget(app, "efficient_attention.window").value == 2
    assert widget(app, "efficient_attention.stride").value == 3
    assert widget(app, "efficient_attention.by_layer").value is True
    assert any("every 3. before in layers 0 and 1" in m for m in alts(app))
    chosen = view_of(app).efficient_attention
    assert (chosen.kind, chosen.layers) == ("strided", (0, 1))


@llama_only
def test_a_size_that_was_not_chosen_goes_with_the_text(open_page):
    for prompt, window in ((PROMPT, 2), (f"{PROMPT} {PROMPT}", 4)):
        app = open_tab(open_page, prompt=prompt)
        assert widget(app, "efficient_attention.window").value == window


@llama_only
def test_steps_end_at_the_last_tile_of_larger_tiles(open_page):
    app = open_tab(open_page, MOVE, efficient_attention__step=6)
    assert app.button(key="efficient_next").disabled
    choose(app, "efficient_attention.rows", "8")
    choose(app, "efficient_attention.columns", "8")
    assert not app.exception
    assert any("Step 1 of 1." in m.value for m in app.markdown)


@llama_only
def test_a_pattern_in_one_layer_leaves_the_mask_of_the_others(open_page):
    for layer, n_taken in ((0, 0), (1, 10)):
        app = open_tab(open_page, layer=layer, efficient_attention__layers="1")
        cells = numbers(charts(app)[0]["data"][0]["z"])
        assert (cells == 2).sum() == n_taken


def test_a_text_too_long_for_a_run_under_a_pattern_is_told_so_and_gets_its_mask(
    open_page, monkeypatch
):
    monkeypatch.setattr("pages.efficient_attention.patterns.MOST_TOKENS", 5)
    monkeypatch.setattr("pages.efficient_attention.patterns.losses", None)
    app = open_page("efficient_attention")
    assert not app.exception
    assert "up to 5 tokens, and this one has 6" in app.info[0].value
    assert drawn(app)
    assert not app.metric
