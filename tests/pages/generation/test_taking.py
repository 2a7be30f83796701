"""What a reader does with a text on Generation: branches, moves, links, other options."""

import pytest
from streamlit.delta_generator import DeltaGenerator
from streamlit.runtime.scriptrunner import StopException

from pages.shell import text_bar
from tests.pages.conftest import choose, choose_decoding, view_of, with_prompt
from tests.pages.generation.looking import (
    N_PROMPT,
    TEXT,
    chart,
    greedy_tokens,
    look_at,
    plain,
    press,
    press_run,
    take,
    text_of,
    tokens,
    with_n_per_run,
    written,
)


def test_back_rewind_and_restart_shorten_the_text(open_page, hooked):
    app = open_page("generation", written=".".join(map(str, greedy_tokens(hooked, 5))))
    assert "generation.rewind" not in [button.key for button in app.button]
    press(app, "back")
    assert written(app) == greedy_tokens(hooked, 4)
    look_at(app, N_PROMPT + 1)
    press(app, "rewind")
    assert written(app) == greedy_tokens(hooked, 2)
    press(app, "restart")
    assert written(app) == ()
    assert not app.exception


def test_another_model_begins_anew(open_page):
    app = open_page("generation", model="one")
    press_run(app, 3)
    app.text_input(key="own_model").set_value("other")
    next(one for one in app.sidebar.button if one.label == "Open").click().run()
    assert not app.exception
    assert view_of(app).model == "other"
    assert written(app) == ()
    assert len(tokens(app)["tokens"]) == N_PROMPT + 1


def test_a_link_brings_text_and_choices_back(open_page, hooked):
    app = open_page("generation", seed=4)
    choose(app, "generation.details", "Cost of each step")
    press_run(app, 5)
    again = open_page("generation", **app.query_params)
    assert view_of(again) == view_of(app)
    assert tokens(again)["tokens"] == tokens(app)["tokens"]
    assert view_of(again).n_per_run == 5
    assert chart(again, 1)["data"][0]["y"] == [6, 1, 1, 1, 1]


def test_a_token_that_is_chosen_counts_as_the_readers_even_if_it_is_the_likeliest(
    open_page, hooked
):
    app = open_page("generation")
    take(app, hooked.token_strings(greedy_tokens(hooked, 1))[0])
    assert written(app) == greedy_tokens(hooked, 1)
    assert any(text.startswith("You chose it.") for text in text_of(app))


def test_forgetting_the_others_leaves_the_text(open_page, hooked):
    app = open_page("generation")
    press_run(app, 2)
    press(app, "restart")
    press(app, "forget")
    assert written(app) == ()
    assert not app.radio
    press(app, "step")
    assert written(app) == greedy_tokens(hooked, 1)


def test_taking_another_token_makes_a_branch_that_can_be_left_and_revisited(open_page, hooked):
    app = open_page("generation")
    press(app, "step")
    first = written(app)
    other = next(i for i in range(hooked.info.vocab_size) if (i,) != first)
    take(app, hooked.token_strings([other])[0])
    assert written(app) == (other,)
    radio = next(radio for radio in app.radio if "Every text" in radio.label)
    names = [hooked.token_strings(ids)[0] for ids in (first, [other])]
    assert [plain(option) for option in radio.options] == [f"1 token: {name}" for name in names]
    radio.set_value(0).run()
    assert written(app) == first
    assert not app.exception


def test_other_options_keep_the_text_and_apply_to_the_next_step(open_page, hooked):
    app = open_page("generation")
    press(app, "step")
    app = choose_decoding(app, "strategy", "Sample")
    app = choose_decoding(app, "temperature", 0.1)
    assert written(app) == greedy_tokens(hooked, 1)
    assert any("picked with other options" in text for text in text_of(app))
    press(app, "step")
    assert len(written(app)) == 2
    assert not app.exception


def test_another_prompt_starts_anew_and_keeps_the_options(open_page):
    app = open_page("generation", strategy="sample", temperature=0.5)
    press(app, "step")
    with_prompt(app, "the dog")
    assert written(app) == ()
    assert view_of(app).decoding.temperature == 0.5
    assert tokens(app)["tokens"] == ["the", "dog", "?"]
    assert not app.exception


def test_a_step_that_comes_with_another_prompt_is_made_on_it(open_page):
    app = open_page("generation")
    press_run(app, 3)
    app.button(key="text_bar.step").click()
    with_prompt(app, "the dog")
    assert len(written(app)) == 1
    assert tokens(app)["tokens"][:2] == ["the", "dog"]


@pytest.mark.parametrize("click", ["back", "restart"])
def test_a_move_that_was_meant_for_another_prompt_is_not_made(open_page, click):
    app = open_page("generation")
    press_run(app, 3)
    with_prompt(app, "the dog")
    press_run(app, 2)
    app.button(key=f"text_bar.{click}").click()
    with_prompt(app, TEXT)
    assert written(app) == ()
    assert len(tokens(app)["tokens"]) == N_PROMPT + 1
    assert not app.error


def test_a_run_that_is_ended_from_outside_leaves_its_tokens_and_a_whole_page(
    open_page, hooked, monkeypatch
):
    """As Streamlit's own Stop ends it: where something is sent to the browser."""
    app, shown = open_page("generation"), DeltaGenerator.html

    def third_time(place, body):
        if "3 of 9 tokens" in str(body):
            monkeypatch.undo()
            raise StopException
        return shown(place, body)

    with_n_per_run(app, 9)
    monkeypatch.setattr(text_bar, "UPDATE_S", 0)
    monkeypatch.setattr(DeltaGenerator, "html", third_time)
    press(app, "run")
    assert written(app) == greedy_tokens(hooked, 3)
    assert not any(button.disabled for button in app.button)
    assert any(heading.value == "Try next" for heading in app.header)
    assert any("What comes next" in text or "Picked" in text for text in text_of(app))
    press(app, "step")
    assert written(app) == greedy_tokens(hooked, 4)
    assert len(tokens(app)["tokens"]) == N_PROMPT + 4 + 1


def test_a_long_branch_is_named_by_its_end(open_page, hooked):
    ids = greedy_tokens(hooked, 14)
    app = open_page("generation", written=".".join(map(str, ids)))
    press(app, "back")
    radio = next(radio for radio in app.radio if "Every text" in radio.label)
    end = " ".join(hooked.token_strings(ids[-12:]))
    assert [plain(option) for option in radio.options] == [f"14 tokens: … {end}"]


def test_links_text_with_impossible_tokens_is_cut_with_a_reason(open_page, hooked):
    good = greedy_tokens(hooked, 1)[0]
    app = open_page("generation", written=f"{good}.999999.1")
    assert written(app) == (good,)
    assert any("out of range" in error.value for error in app.error)
    assert not app.exception


def test_two_sessions_never_share_a_text(open_page):
    one, other = open_page("generation"), open_page("generation")
    press(one, "step")
    other.run()
    assert (len(written(one)), written(other)) == (1, ())
