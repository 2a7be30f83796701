"""A run stops where it was told to, after that token, and says why."""

import pytest

from model_hooks import Decoding
from model_hooks.experiments.untrained import open_model
from model_hooks.write.writing import WrittenStep
from pages.ask.stops import ENDED, Written, reason
from pages.state.view import Stops
from tests.pages.conftest import opened, view_of

STORY = "Lily and Tim went to the lighthouse. Lily and"


def written(ends=False, word_rank=None, before=" a", token=" b", **told):
    step = WrittenStep(
        **{
            **{"pos": 3, "token_id": 1, "token": token, "decoding": Decoding(), "forced": False},
            **{"reused": False, "probability": 0.25, "raw_probability": 0.25, "rank": 1},
            **{"entropy_bits": 2.0, "rows_computed": 1, "flops": 1, "seconds": 0.0},
            **{"cache_bytes": 0, "prefill": False},
            **told,
        }
    )
    return Written(step, before, before + token, ends, word_rank)


@pytest.mark.parametrize(
    ("stops", "goes_on", "stops_at", "says"),
    [
        (Stops(), written(entropy_bits=20.0, rank=99), written(ends=True), ENDED),
        (Stops(stop_text="a b"), written(token=" c"), written(), "“a b”"),
        (Stops(stop_text=" a"), written(), written(before="", token=" a"), "“ a”"),
        (Stops(stop_off_top=True), written(), written(rank=2), "rank 2"),
        (Stops(stop_entropy=2.5), written(), written(entropy_bits=2.6), "2.60 bits"),
        (Stops(stop_surprise=2.5), written(), written(raw_probability=0.125), "3.00 bits"),
        (Stops(stop_surprise=2.5), written(), written(raw_probability=0.0), "more than 2.50"),
        (
            Stops(stop_word="Tim", stop_rank=3),
            written(word_rank=3),
            written(word_rank=4),
            "“Tim” fell to rank 4",
        ),
    ],
)
def test_each_reason_stops_a_run_beyond_its_limit_and_not_before(stops, goes_on, stops_at, says):
    assert reason(stops, goes_on) is None
    assert says in reason(stops, stops_at)


def run_with(**stops):
    app = opened(prompt=STORY, **stops, n_per_run=12)
    next(one for one in app.button if one.key == "text_bar.run").click().run()
    assert not app.exception
    said = [one.value for one in app.info if "The run stopped" in one.value]
    return app, len(view_of(app).written), said


@pytest.fixture
def storyteller(open_with):
    open_with(open_model)


def test_a_run_stops_at_a_text_across_tokens_and_says_so_once(storyteller):
    plain, n_tokens, said = run_with()
    assert (n_tokens, said) == (12, [])
    app, n_tokens, said = run_with(stop_text="very ha")
    assert n_tokens == 4  # " Tim were very happy"
    assert said == ["The run stopped: “very ha” was written."]
    assert view_of(app).written == view_of(plain).written[:4]
    assert not [one for one in app.run().info if "The run stopped" in one.value]


def test_a_run_stops_where_the_choice_opens_or_a_word_falls(storyteller):
    _, n_tokens, said = run_with(stop_entropy=3.0)
    assert (n_tokens, len(said)) == (2, 1)  # the name is sure, the verb is not
    _, n_tokens, said = run_with(stop_word="Tim", stop_rank=10)
    assert n_tokens == 2
    assert "“Tim” fell to rank" in said[0]
