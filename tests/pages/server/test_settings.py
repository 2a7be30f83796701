"""What variables allow: nothing is limited by itself, and nonsense is the strict limit."""

from dataclasses import fields

import pytest

from model_hooks import bundled_models
from model_hooks.loading import bundled_adapters
from pages.server.settings import PUBLIC, Settings, read, settings, variable

LIMITS = ("prompt_tokens", "new_tokens", "texts", "beams", "seconds", "at_once", "visitors")
LIMITS += ("tabs", "classes", "students", "idle_minutes", "download_gb")

OWN = (*bundled_models(), *bundled_adapters())


def said(**environment):
    """Read some variables; return what they say and the sentences about them."""
    sentences = []
    return read(environment, sentences.append), sentences


def test_a_laptop_limits_nothing():
    found, sentences = said()
    assert found == Settings()
    assert all(getattr(found, field) is None for field in LIMITS)
    assert sentences == []


def test_a_public_server_limits_everything():
    found, sentences = said(INLOOK_PUBLIC="1")
    assert all(getattr(found, field) >= 1 for field in LIMITS)
    assert found.models == OWN
    assert found.hosts == ()
    assert not found.metrics
    assert sentences == []
    other = {"public", "models", "models_at", "hosts", "metrics"}
    named = {of.name for of in fields(Settings)} - other
    assert named == set(LIMITS)


@pytest.mark.parametrize("field", LIMITS)
def test_each_limit_is_set_and_lifted_by_itself(field):
    name = variable(field)
    assert name.startswith("INLOOK_")
    assert said(**{name: "7"})[0] == Settings(**{field: 7})
    lifted, _ = said(INLOOK_PUBLIC="1", **{name: "none"})
    assert [of for of in LIMITS if getattr(lifted, of) is None] == [field]


@pytest.mark.parametrize("nonsense", ["0", "-1", "abc", "1e3", "9" * 40, "¹"])
def test_a_limit_that_makes_no_sense_is_the_strict_one_and_says_so(nonsense):
    strict, _ = said(INLOOK_PUBLIC="1")
    found, sentences = said(INLOOK_MOST_BEAMS=nonsense)
    assert found.beams == strict.beams
    assert len(sentences) == 1
    assert "INLOOK_MOST_BEAMS" in sentences[0]


@pytest.mark.parametrize(
    ("value", "public", "n_sentences"),
    [("1", True, 0), ("yes", True, 0), ("0", False, 0), ("", False, 0), ("maybe", True, 1)],
)
def test_whoever_says_something_unclear_about_strangers_gets_the_strict_server(
    value, public, n_sentences
):
    found, sentences = said(**{PUBLIC: value})
    assert found.public == public
    assert len(sentences) == n_sentences


def test_a_list_of_models_names_bundled_ones_together_and_others_by_name():
    found, _ = said(INLOOK_ALLOWED_MODELS="bundled, /srv/models/mine ,openai-community/gpt2")
    assert found.models == (*OWN, "/srv/models/mine", "openai-community/gpt2")
    assert said(INLOOK_PUBLIC="1", INLOOK_ALLOWED_MODELS="none")[0].models is None


def test_a_space_knows_what_it_is_called():
    assert said(INLOOK_PUBLIC="1", SPACE_HOST="me-inlook.hf.space")[0].hosts == (
        "me-inlook.hf.space",
    )
    assert said(INLOOK_HOSTS="a.example, b.example")[0].hosts == ("a.example", "b.example")


def test_a_number_is_pulled_to_the_limit():
    assert Settings(beams=3).at_most("beams", 6) == 3
    assert Settings(beams=3).at_most("beams", 2) == 2
    assert Settings().at_most("beams", 6) == 6


def test_this_process_is_a_laptops():
    assert settings() == Settings()


def test_models_elsewhere_have_a_queue_of_their_own():
    far = {"INLOOK_PUBLIC": "1", "INLOOK_MODELS": "http://models:8000"}
    found, sentences = said(**far)
    assert (found.models_at, found.at_once, sentences) == ("http://models:8000", None, [])
    assert said(**far, INLOOK_AT_ONCE="3")[0].at_once == 3
    assert said(INLOOK_PUBLIC="1")[0].models_at == ""
