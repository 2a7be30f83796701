"""The Positions page shows what this model does about positions, and each number is the model's."""

import numpy as np
import pytest
import torch

from model_hooks import AblateHead, HookedModel
from model_hooks.read.positions import positions_of
from pages.positions import long_lines, longer, others
from pages.positions.page import DEEPER, tabs_of
from pages.widgets.run_whole import TWINS_RUN_WHOLE
from tests.conftest import tiny_llama
from tests.pages.charts import drawn, numbers
from tests.pages.conftest import PROMPT, choose, view_of, widget
from tests.tiny_models import build, tiny_tokenizer

rotary = pytest.mark.parametrize("hooked", [tiny_llama], indirect=True, ids=["llama"])
TRAINED_TIMES = "{} \N{MULTIPLICATION SIGN} trained"


@pytest.fixture(autouse=True)
def no_twins(monkeypatch):
    monkeypatch.setattr(others, "TWINS", {})


def chart(app, alt):
    """The figure whose description begins so."""
    for found in drawn(app):
        if found.alt.startswith(alt):
            return found.figure
    raise AssertionError(f"no figure described as {alt}...")


def text_of(app):
    return " ".join(element.value for element in [*app.markdown, *app.caption, *app.info])


def open_tab(open_page, tab, **link):
    app = open_page("positions", positions__tab=tab, **link)
    assert not app.exception
    return app


@torch.inference_mode()
def output(hooked, ids):
    return torch.softmax(hooked.model(torch.tensor([ids])).logits[0, -1], -1).numpy()


def is_rotary(hooked):
    return hooked.info.position == "rope"


@pytest.fixture
def use_family(open_page, open_with):
    """Return a function that makes every model name load a tiny model of a family."""

    def use_family(family: str) -> HookedModel:
        model = HookedModel.wrap(build(family), tiny_tokenizer(), family)
        open_with(lambda name: model)
        return model

    return use_family


def test_page_shows_rotation_only_where_there_is_one(open_page, hooked):
    app = open_page("positions")
    assert not app.exception
    titles = [tab.label for tab in app.tabs]
    if is_rotary(hooked):
        assert "turns its queries and keys" in text_of(app)
        assert titles[0] == DEEPER["turned"].title
    else:
        assert "adds a vector per position" in text_of(app)
        assert "no rotation" in text_of(app)
        assert titles == [DEEPER[name].title for name in ("vectors", "swap", "shift", "longer")]
        drawn = chart(app, "The 32 position vectors")["data"][0]["z"]
        np.testing.assert_array_equal(
            numbers(drawn).reshape(32, -1), hooked.model.transformer.wpe.weight.detach().numpy()
        )


@rotary
@pytest.mark.parametrize(("layer", "head"), [(0, 0), (1, 3)])
def test_slider_meets_the_recorded_score(open_page, hooked, trace, layer, head):
    app = open_page("positions", layer=layer, head=head, pos=5)
    assert not app.exception
    choose(app, "positions.key", "2: sat")
    figure = chart(app, "Pairs of query 5 and key 2")
    curve = dict(zip(figure["data"][1]["x"], numbers(figure["data"][1]["y"]), strict=True))
    recorded = trace.layers[layer]
    score = recorded.query[head, 5] @ recorded.key[head // 2, 2] * recorded.scale
    assert curve[5] == pytest.approx(float(score), abs=1e-5)
    assert min(curve) == 2  # where the key stands
    assert figure["layout"]["sliders"][0]["active"] == 5 - 2
    assert np.ptp(list(curve.values())) > 1e-3
    choose(app, "positions.move", "query and key together")
    assert not app.exception
    flat = numbers(chart(app, "Pairs of query 5")["data"][1]["y"])
    np.testing.assert_allclose(flat, float(score), atol=1e-5)
    assert "Move both, nothing changes" in text_of(app)


@rotary
def test_the_scores_of_a_long_text_are_not_all_computed_once_more(open_page, hooked, monkeypatch):
    monkeypatch.setattr("pages.positions.turned.WHOLE_UP_TO", 3)
    monkeypatch.setattr("pages.positions.turned._moved_scores", None)
    app = open_tab(open_page, "turned")
    assert "Of a text of more than 3 tokens" in text_of(app)


@rotary
def test_terms_on_screen_sum_to_the_score(open_page, hooked, trace):
    app = open_tab(open_page, "pairs", layer=1, head=2, pos=4)
    assert not app.exception
    terms = numbers(chart(app, "What each pair adds")["data"][0]["y"])
    recorded = trace.layers[1]
    score = recorded.query[2, 4] @ recorded.key[1, 3] * recorded.scale
    assert terms.sum() == pytest.approx(float(score), abs=1e-5)
    use = numbers(chart(app, "How much each head")["data"][0]["z"]).reshape(4, -1)
    np.testing.assert_allclose(use.sum(1), 1, atol=1e-5)


@rotary
def test_wavelengths_and_another_base(open_page, hooked):
    app = open_tab(open_page, "waves")
    choose(app, "positions.bases", ["100,000"])
    assert not app.exception
    own, other, *_ = chart(app, "Tokens per turn")["data"]
    # d_head is 4: two pairs, theta = 1 and base^(-1/2)
    np.testing.assert_allclose(numbers(own["y"]), 2 * np.pi * np.array([1, 100]), rtol=1e-3)
    np.testing.assert_allclose(numbers(other["y"]), 2 * np.pi * np.array([1, 1e5**0.5]), rtol=1e-6)


def test_swapped_tokens_run_in_their_new_order(open_page, hooked):
    app = open_tab(open_page, "swap")
    choose(app, "positions.first", "1: cat")
    choose(app, "positions.second", "2: sat")
    assert not app.exception
    ids = hooked.encode(PROMPT)
    ids[1], ids[2] = ids[2], ids[1]
    drawn = chart(app, "Probabilities of the next token")["data"][1]
    expected = output(hooked, ids)
    top = np.sort(np.maximum(expected, output(hooked, hooked.encode(PROMPT))))[::-1]
    before = numbers(chart(app, "Probabilities of the next token")["data"][0]["x"])
    after = numbers(drawn["x"])
    np.testing.assert_allclose(np.maximum(before, after), top[: len(before)], atol=1e-5)
    choose(app, "positions.order", "Shuffle all but the last")
    assert not app.exception


def test_moved_text_is_noticed_by_absolute_positions_alone(open_page, hooked):
    app = open_tab(open_page, "shift")
    assert not app.exception
    changed = numbers(chart(app, "Share of the prediction")["data"][0]["y"])
    if is_rotary(hooked):
        assert changed.max() < 1e-5
        assert "notices nothing" in text_of(app)
    else:
        assert changed.max() > 1e-3
        assert "takes a moved text for another one" in text_of(app)


def test_the_chosen_move_is_on_the_line_with_what_the_model_itself_predicts(open_page, hooked):
    app = open_tab(open_page, "shift", positions__by=7)
    line = chart(app, "Share of the prediction")["data"][0]
    changed = dict(zip(line["x"], numbers(line["y"]), strict=True))
    ids = torch.tensor([hooked.encode(PROMPT)])
    with torch.inference_mode():
        logits = hooked.model(ids, position_ids=torch.arange(7, 7 + ids.shape[1])[None]).logits
    moved = torch.softmax(logits[0, -1].double(), -1).numpy()
    expected = 1 - np.minimum(moved, output(hooked, ids[0].tolist())).sum()
    assert changed[7] == pytest.approx(expected, abs=1e-5)


def test_losses_on_screen_are_the_models(open_page, hooked, monkeypatch):
    monkeypatch.setattr(longer, "N_BUCKETS", 1)
    monkeypatch.setattr(long_lines, "N_WINDOWS", 1)
    app = open_tab(open_page, "longer")
    assert not app.exception
    choose(app, "positions.times", TRAINED_TIMES.format(1))
    choose(app, "positions.stretches", ["as trained"])
    app.button(key="positions_measure").click().run()
    assert not app.exception
    drawn = numbers(chart(app, "Mean loss")["data"][0]["y"])
    ids = torch.tensor([hooked.encode(long_lines.STORY.read_text())[: hooked.info.context_size]])
    with torch.inference_mode():
        loss = hooked.model(ids, labels=ids).loss
    assert drawn[0] == pytest.approx(float(loss) / np.log(2), abs=1e-4)


def test_table_ends_the_line_and_a_rotation_can_be_stretched(open_page, hooked):
    app = open_tab(open_page, "longer")
    app.button(key="positions_measure").click().run()
    assert not app.exception
    lines = chart(app, "Mean loss")["data"]
    if is_rotary(hooked):
        names = ["storyteller", "storyteller, linear", "storyteller, YaRN"]
        assert [line["name"] for line in lines] == names
        assert max(lines[0]["x"]) > hooked.info.context_size
        assert "beyond the trained length" in text_of(app)
    else:
        assert max(lines[0]["x"]) < 32
        assert "has no vector for positions from 32 on" in text_of(app)


@rotary
def test_model_writes_its_own_long_text(open_page, hooked):
    app = open_tab(open_page, "longer")
    choose(app, "positions.source", "The model's own")
    choose(app, "positions.times", TRAINED_TIMES.format(1))
    app.button(key="positions_measure").click().run()
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
    assert app.tabs[0].label == DEEPER["swap"].title


@rotary
def test_family_that_hides_its_queries_is_turned_too(open_page, use_family):
    use_family("gptj")
    app = open_page("positions", prompt="w20 w30 w40")
    assert not app.exception
    assert chart(app, "Pairs of query 2 and key 1")["frames"]
    assert "product of query and key" in text_of(app)


def test_one_token_prompt(open_page, hooked):
    for tab in tabs_of(positions_of(hooked)):
        open_tab(open_page, tab, prompt="cat")


@rotary
def test_link_beyond_the_model_shows_what_there_is(open_page):
    app = open_page("positions", layer=99, head=99, pos=99)
    assert not app.exception


@rotary
@pytest.mark.parametrize("prompt", ["the " * 30, "<script> **x** $y$ \x00 שלום 👩‍👩‍👧 \n`a`|b"])
def test_odd_prompts_get_a_page(open_page, prompt):
    for tab in ("turned", "pairs", "swap", "shift"):
        open_tab(open_page, tab, prompt=prompt)


def switched_off(*heads):
    """What a link says of heads that are switched off in layer 0."""
    return "".join(f"ablate_head,0,{head}~" for head in heads)


@rotary
def test_scores_are_those_of_the_model_as_it_is_switched(open_page, hooked):
    app = open_tab(open_page, "turned", layer=1, head=0, pos=5, interventions=switched_off(0, 1, 2))
    changed = hooked.trace(PROMPT, [AblateHead(0, head) for head in range(3)]).layers[1]
    figure = chart(app, "Pairs of query 5 and key 4")
    curve = dict(zip(figure["data"][1]["x"], numbers(figure["data"][1]["y"]), strict=True))
    score = float(changed.query[0, 5] @ changed.key[0, 4] * changed.scale)
    assert curve[5] == pytest.approx(score, abs=1e-5)


@rotary
def test_swapped_and_moved_texts_run_in_the_model_as_it_is_switched(open_page, hooked):
    change = [AblateHead(0, head) for head in range(3)]
    app = open_tab(
        open_page,
        "swap",
        interventions=switched_off(0, 1, 2),
        positions__first=1,
        positions__second=2,
    )
    ids = hooked.encode(PROMPT)
    ids[1], ids[2] = ids[2], ids[1]
    expected = torch.softmax(torch.tensor(hooked.trace(ids, change).last_logits), -1).numpy()
    after = numbers(chart(app, "Probabilities of the next token")["data"][1]["x"])
    np.testing.assert_allclose(np.sort(after), np.sort(expected)[-len(after) :], atol=1e-5)
    app = open_tab(open_page, "shift", interventions=switched_off(0, 1, 2))
    expected = torch.softmax(torch.tensor(hooked.trace(PROMPT, change).last_logits), -1).numpy()
    for bars in chart(app, "Probabilities of the next token")["data"]:
        shown = numbers(bars["x"])
        np.testing.assert_allclose(np.sort(shown), np.sort(expected)[-len(shown) :], atol=1e-5)


@rotary
def test_twins_are_moved_and_read_as_they_are(open_page, hooked, monkeypatch):
    monkeypatch.setattr(others, "TWINS", {"twin-rope": "rotary positions"})
    app = open_tab(open_page, "shift", interventions=switched_off(0))
    assert TWINS_RUN_WHOLE in text_of(app)
    names = [line["name"] for line in chart(app, "Share of the prediction")["data"]]
    assert names == ["storyteller", "twin-rope (rotary positions)"]
    choose(app, "positions.listed", "twin-rope")
    expected = output(hooked, hooked.encode(PROMPT))
    shown = numbers(chart(app, "Probabilities of the next token")["data"][0]["x"])
    np.testing.assert_allclose(np.sort(shown), np.sort(expected)[-len(shown) :], atol=1e-5)
    app = open_tab(open_page, "longer", interventions=switched_off(0), positions__times=1)
    choose(app, "positions.stretches", ["as trained"])
    app.button(key="positions_measure").click().run()
    own, twin = (numbers(line["y"]) for line in chart(app, "Mean loss")["data"])
    assert np.abs(own - twin).max() > 1e-3


@rotary
def test_measured_lines_stay_while_others_wait_for_the_button(open_page):
    app = open_tab(open_page, "longer", positions__times=1, positions__stretches="as_trained~")
    assert "1 line to measure" in text_of(app)
    app.button(key="positions_measure").click().run()
    assert "to measure" not in text_of(app)
    choose(app, "positions.times", TRAINED_TIMES.format(2))
    assert "1 line to measure" in text_of(app)
    choose(app, "positions.times", TRAINED_TIMES.format(1))
    assert len(chart(app, "Mean loss")["data"]) == 1
    assert "to measure" not in text_of(app)


@rotary
def test_a_link_restores_what_was_chosen(open_page):
    app = open_tab(open_page, "pairs", layer=1, pos=5, positions__key=1, positions__move="both")
    assert "query 5 and key 1" in drawn(app)[0].alt
    app = open_tab(open_page, "waves", positions__bases="500000.1000000")
    assert widget(app, "positions.bases").value == [3, 4]
    app = open_tab(open_page, "longer", positions__models="storyteller~", positions__source="own")
    chosen = view_of(app).positions
    assert (chosen.models, chosen.source) == (("storyteller",), "own")
