"""The sidebar says where a model's numbers come from, and a switch takes an adapter off."""

import threading
from dataclasses import replace

import pytest

from model_hooks import HookedModel, ModelNotFoundError, bundled_models
from model_hooks.opening import progress
from model_hooks.opening.installed import SMOLLM2
from model_hooks.opening.names import without_adapter
from pages.ask import computed, session
from pages.shell.presets import OF_SMOLLM2, presets_of
from tests.conftest import tiny_llama, with_random_weights
from tests.pages.conftest import opened, view_of


@pytest.fixture
def named(open_with, tokenizer):
    """Return a function that gives the model of any name some facts about where it is from."""
    hooked = HookedModel.wrap(with_random_weights(tiny_llama), tokenizer, "tiny")
    facts = hooked.info

    def named(**of):
        def open_model(name):
            hooked.info = replace(facts, name=name, **of)
            return hooked

        open_with(open_model)

    return named


def captions(app):
    return " ".join(caption.value for caption in app.sidebar.caption)


def test_unpacked_weights_say_from_how_many_bits_they_are(named):
    named(quantisation="Q4_0")
    assert "the 4.5 bits (Q4_0)" in captions(opened(model="some.gguf"))
    named(quantisation=None)
    assert "bits" not in captions(opened(model="other"))


def test_a_model_from_a_package_says_its_licence_and_has_examples_of_its_own(named):
    named()
    app = opened(model=SMOLLM2.name)
    assert "licence Apache-2.0" in captions(app)
    menu = next(one for one in app.main if "examples" in str(getattr(one, "key", "")))
    assert len(menu.options) == len(OF_SMOLLM2)


def test_a_switch_takes_the_adapter_off_and_puts_it_on_again(named):
    named(adapter="LoRA, rank 4")
    app = opened(model="some/adapter")
    app.sidebar.toggle[0].set_value(False).run()
    assert view_of(app).model == without_adapter("some/adapter")
    assert not app.exception
    assert app.sidebar.toggle[0].value is False
    app.sidebar.toggle[0].set_value(True).run()
    assert view_of(app).model == "some/adapter"


def test_while_weights_are_unpacked_the_page_shows_how_far_it_is(open_with, tokenizer, monkeypatch):
    monkeypatch.setattr(session, "LOOK_S", 0.01)
    hooked = HookedModel.wrap(with_random_weights(tiny_llama), tokenizer, "tiny")
    looked = threading.Event()
    shares = []

    def open_model(name):
        monkeypatch.setitem(progress._done, name, 0.25)
        assert looked.wait(20)
        return hooked

    def whole_percent(share):
        shares.append(share)
        looked.set()
        return "a quarter"

    monkeypatch.setattr(session, "whole_percent", whole_percent)
    open_with(open_model)
    app = opened(model="slow.gguf")
    assert not app.exception
    assert set(shares) == {0.25}


def test_feedforward_offers_a_fact_that_the_model_knows(named):
    named()
    for model, fact in (("storyteller", "The Shawshank"), (SMOLLM2.name, "The capital of France")):
        labels = [button.label for button in opened("feedforward", model=model).button]
        assert any(fact in label for label in labels)
    labels = [button.label for button in opened("feedforward", model="my/own").button]
    assert not any("Try “" in label for label in labels)


def test_who_looks_at_an_open_model_does_not_wait_for_those_who_open_another(named, monkeypatch):
    named()
    app = opened(model="at/hand")

    class Busy:
        """All who could load are loading something that takes long."""

        def submit(self, *given):
            raise AssertionError("nobody is free")

    monkeypatch.setattr(session, "_LOADERS", Busy())
    app.run()
    assert not app.exception
    assert app.title


def test_own_models_stay_in_the_list_by_short_names_and_open_again_on_enter(named):
    named()
    app = opened(model="/home/me/first")

    def listed():
        return app.sidebar.selectbox[0].options

    def enter(typed):
        app.text_input(key="own_model").set_value(typed)
        next(one for one in app.sidebar.button if one.label == "Open").click().run()
        assert not app.exception

    enter('"/home/me/second"')
    assert view_of(app).model == "/home/me/second"
    assert "**second**" in " ".join(one.value for one in app.main.markdown)
    assert {"first", "second"} <= {*listed()}
    app.sidebar.selectbox[0].set_value(0).run()
    assert view_of(app).model in bundled_models()
    assert {"first", "second"} <= {*listed()}
    enter('"/home/me/second"')
    assert view_of(app).model == "/home/me/second"
    enter("/home/you/first")  # two that are called alike are told apart
    assert {"/home/me/first", "/home/you/first", "second"} <= {*listed()}


def test_a_model_that_cannot_be_opened_does_not_stay_in_the_list(open_with, named):
    named()
    app = opened(model="/home/me/first")
    computed.set_host(None)

    def refuse(name):
        raise ModelNotFoundError(f"There is no folder {name!r}.")

    open_with(refuse)
    app.text_input(key="own_model").set_value("/home/me/none")
    next(one for one in app.sidebar.button if one.label == "Open").click().run()
    assert any("There is no folder" in one.value for one in app.error)
    named()
    app.sidebar.selectbox[0].set_value(0).run()
    assert "none" not in app.sidebar.selectbox[0].options


def test_examples_that_tell_of_stories_are_for_models_that_have_read_some():
    titles = {name: {one.title for one in presets_of(name)} for name in ("twin-gqa", "my/own")}
    assert "A film title" in titles["twin-gqa"]
    assert titles["my/own"] == {"Wide open", "Once more", "Made-up words"}
