"""The tour tells of this run what an independent one computes."""

import re

import pytest
import torch

from pages.forward_pass.tour import longest_cut_word
from tests.pages.conftest import opened


def told(app):
    return next(one.value for one in app.markdown if "Stop" in one.value)


def first_percent(text):
    return float(re.search(r"([\d.]+)%", text)[1])


@pytest.mark.parametrize(
    ("tokens", "word"),
    [
        (("the", " light", "h", "ouse", "."), (" light", "h", "ouse")),
        (("<s>", "a", " b"), ()),
        (("un", "do", " re", "do", "ne"), (" re", "do", "ne")),
        ((), ()),
    ],
)
def test_a_cut_word_is_made_of_pieces_without_a_space_between(tokens, word):
    assert longest_cut_word(tokens) == word


def test_five_stops_tell_the_numbers_of_the_run(open_page, hooked):
    app = open_page("forward_pass")
    app.button(key="forward.show_me").click().run()
    trace = hooked.trace(hooked.encode("the cat sat on the mat"))
    run = hooked.model(torch.tensor([trace.token_ids.tolist()]))
    seen = []
    for _ in range(4):
        seen.append(told(app))
        app.button(key="forward.tour_next").click().run()
    seen.append(told(app))
    assert not app.exception
    assert [re.search(r"Stop (\d) of 5", one)[1] for one in seen] == list("12345")
    assert "6 tokens" in seen[0]
    assert f"{hooked.info.d_model} numbers" in seen[1]
    read = trace.attention(1)[:, -1].mean(0)  # the tiny models have no layer 4
    assert first_percent(seen[2]) == pytest.approx(100 * read[1:].max().item(), rel=5e-3)
    best = torch.softmax(run.logits[0, -1].double(), -1).max().item()
    assert first_percent(seen[3]) == pytest.approx(100 * best, rel=5e-3)
    assert app.button(key="forward.tour_next").disabled
    app.button(key="forward.tour_end").click().run()
    assert any("Inlook opens a language model" in one.value for one in app.markdown)
    assert not app.exception


def test_a_lane_is_told_of_where_it_is_chosen(open_page):
    app = open_page("forward_pass", forward_pass__tour=True, stage="blocks", pos=3)
    assert re.search(r"chosen lane, `.?on`", told(app))
    assert not app.exception


@pytest.mark.parametrize("name", ["storyteller"])
def test_the_first_screen_says_which_model_is_open(name):
    app = opened("forward_pass", model=name)
    about = next(one.value for one in app.markdown if "Inlook opens" in one.value)
    assert name in about
    assert "children's stories" in about
    assert not app.exception
