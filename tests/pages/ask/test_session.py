"""What every page stands on: model, prompt and run, and one sentence where there is none."""

import gc

import pytest

from model_hooks import load_model
from model_hooks.errors import BrokenModelError
from pages.ask.opening import open_frozen
from tests.pages.conftest import choose, opened, prompt_of, view_of, widget, with_prompt


def caption_of_count(app):
    return next(c.value for c in app.caption if "tokens" in c.value)


def test_bar_counts_the_tokens(open_page):
    app = open_page("attention")
    assert not app.exception
    assert caption_of_count(app).startswith("6 of ")


def test_link_fills_bar_and_sidebar(open_page):
    app = open_page("attention", prompt="the dog", model="some/model")
    assert prompt_of(app) == "the dog"
    assert "some/model" in widget(app, "model").options


def test_prompt_reaches_the_address(open_page):
    app = open_page("attention", model="some/model")
    with_prompt(app, "the dog sat")
    assert not app.exception
    assert app.query_params["prompt"] == "the dog sat"
    assert app.query_params["model"] == "some/model"


@pytest.mark.parametrize("blank", ["", "   ", "\n\t"])
def test_blank_prompt_gets_a_hint(open_page, blank):
    app = with_prompt(open_page("attention"), blank)
    assert not app.exception
    assert "type a prompt" in app.info[0].value


def test_prompt_beyond_the_context_gets_one_sentence_and_is_kept(open_page):
    prompt = "the " * 25_000
    app = with_prompt(open_page("attention"), prompt)
    assert not app.exception
    assert len(app.error) == 1
    assert "too long" in caption_of_count(app)
    assert prompt_of(app) == prompt


@pytest.mark.parametrize(
    "prompt",
    ["\x00the\x07", "<script>alert(1)</script>", "$x^2$ **b** :red[c]", "👩‍👩‍👧 שלום", "a\u202eb"],
)
def test_odd_prompts_run(open_page, prompt):
    app = open_page("attention", prompt=prompt)
    assert not app.exception
    assert not app.error
    assert prompt_of(app) == prompt


def broken(name):
    raise BrokenModelError("The file a_b.safetensors is *damaged*.")


def test_model_that_fails_says_why_and_keeps_the_sidebar(open_with):
    open_with(broken)
    app = opened("attention", prompt="the dog", model="broken")
    assert not app.exception
    assert app.error[0].value == r"The file a\_b\.safetensors is \*damaged\*\."
    assert prompt_of(app) == "the dog"


def test_the_default_model_can_be_chosen_after_one_that_does_not_load(open_with, hooked):
    open_with(lambda name: broken(name) if name == "broken" else hooked)
    app = opened("attention", model="broken")
    assert app.error
    options = widget(app, "model").options
    choose(app, "model", next(option for option in options if option.startswith("storyteller")))
    assert not app.exception
    assert not app.error
    assert view_of(app).model == "storyteller"


def test_the_prompt_can_be_emptied_after_a_page_that_ended_early(open_page):
    app = open_page("attention", prompt="the " * 25_000)
    assert app.error
    with_prompt(app, "")
    assert view_of(app).prompt == ""
    assert not app.error


def test_what_the_model_lacks_cannot_stay_switched_off(open_page):
    app = open_page("attention", interventions="ablate_head,99,0~")
    assert not app.exception
    assert "layer 99" in app.warning[0].value
    next(button for button in app.button if "Switch everything on" in button.label).click()
    app.run()
    assert not app.warning
    assert view_of(app).interventions == ()


def test_loading_freezes_the_garbage_collector_even_if_it_fails():
    gc.unfreeze()
    open_frozen("storyteller")
    assert gc.get_freeze_count() > 100_000
    gc.unfreeze()
    with pytest.raises(Exception, match="no such"):
        open_frozen("/no such folder")
    assert gc.get_freeze_count() > 100_000
    gc.unfreeze()


def test_every_bundled_model_can_be_opened():
    assert load_model("storyteller").info.n_layers > 1
