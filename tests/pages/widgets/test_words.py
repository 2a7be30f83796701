"""Words to watch: which token a typed word is, what is watched at first, and what is offered."""

from dataclasses import replace

import numpy as np
import pytest
from streamlit.testing.v1 import AppTest
from tokenizers import Tokenizer, decoders, pre_tokenizers
from tokenizers.models import BPE
from transformers import PreTrainedTokenizerFast
from transformers.convert_slow_tokenizer import bytes_to_unicode

from model_hooks import HookedModel
from pages.state.view import View
from pages.widgets import words
from pages.widgets.words import (
    MAX_WORDS,
    N_OFFERED,
    candidate_ids,
    find_word,
    token_labels,
    token_name,
    token_names,
    token_texts,
    watched_ids,
)
from tests.conftest import WORDS
from tests.model_hooks.text.decoders import KINDS
from tests.pages.conftest import choose, view_of, widget
from tests.tiny_models import build

MERGES = [("c", "a"), ("ca", "t"), ("Ġ", "cat"), ("Ġ", "d"), ("d", "o"), ("do", "g")]
CAT, SPACED_CAT, DOG = 257, 258, 261


@pytest.fixture
def seen(tiny_session, monkeypatch):
    """Return a function that sets what the visitor sees."""

    def see(**fields):
        monkeypatch.setattr(words, "view", lambda: replace(View(), **fields))

    see()
    return see


@pytest.fixture(scope="module")
def of_bytes():
    """A model whose tokenizer knows `cat` with and without a space, and `dog` without one."""
    vocab = {char: byte for byte, char in bytes_to_unicode().items()}
    vocab |= {left + right: 256 + rank for rank, (left, right) in enumerate(MERGES)}
    backend = Tokenizer(BPE(vocab, MERGES))
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    backend.decoder = decoders.ByteLevel()
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=backend)
    return HookedModel.wrap(build("llama"), tokenizer, "of_bytes")


def log_probs(best=(), n_tokens=7):
    """Log-probabilities in which some tokens lead, in this order."""
    found = np.full(n_tokens, -9.0)
    found[list(best)] = -np.arange(len(best)) / 10
    return found


@pytest.mark.parametrize("text", ["cat", " cat"])
def test_a_word_is_found_with_or_without_its_space(seen, text):
    assert find_word(text, log_probs()).token_ids == (WORDS.index("cat"),)


@pytest.mark.parametrize("text", ["", "   "])
def test_nothing_typed_is_no_word(seen, text):
    assert find_word(text, log_probs()).token_ids == ()


def test_a_word_of_several_tokens_comes_with_its_pieces(seen):
    found = find_word("mat dog", log_probs())
    assert found.token_ids == (WORDS.index("mat"), WORDS.index("dog"))
    assert [piece.strip() for piece in found.pieces] == ["mat", "dog"]


@pytest.mark.parametrize("likely", [CAT, SPACED_CAT])
def test_of_two_single_tokens_the_more_probable_one_counts(seen, open_with, of_bytes, likely):
    open_with(lambda name: of_bytes)
    assert find_word("cat", log_probs([likely], 262)).token_ids == (likely,)


def test_the_reading_with_fewer_tokens_counts_however_probable(seen, open_with, of_bytes):
    open_with(lambda name: of_bytes)
    spaced = of_bytes.encode(" dog")
    assert len(spaced) > 1
    assert find_word("dog", log_probs(spaced[:1], 262)).token_ids == (DOG,)


def test_a_space_that_was_typed_is_meant(seen, open_with, of_bytes):
    open_with(lambda name: of_bytes)
    assert find_word(" cat", log_probs([CAT], 262)).token_ids == (SPACED_CAT,)


def test_candidates_are_the_most_probable_and_then_the_others_each_once():
    best = [40, 3, 17, 28, 5, 1, 2, 44, 33, 20, 9]
    offered = candidate_ids(log_probs(best, 50), [3, 48, 9])
    assert offered == [*best[:N_OFFERED], 48, 9]


def test_equal_probabilities_are_offered_by_token_id():
    assert candidate_ids(log_probs()) == list(range(len(WORDS)))


def test_at_first_the_three_most_probable_tokens_are_watched(seen):
    assert watched_ids(log_probs([4, 2, 6, 1])) == [4, 2, 6]


@pytest.mark.parametrize("watched", [(), (5,), (0, 6)])
def test_what_was_chosen_is_watched_even_if_it_is_nothing(seen, watched):
    seen(watched=watched)
    assert watched_ids(log_probs([4, 2, 6])) == list(watched)


@pytest.mark.parametrize("watched", [(len(WORDS),), (1, 9999), (-1,)])
def test_words_that_this_model_lacks_are_not_watched(seen, watched):
    seen(watched=watched)
    assert watched_ids(log_probs([4, 2, 6])) == [4, 2, 6]


def test_texts_stand_as_they_are_and_labels_show_their_spaces(seen, open_with, of_bytes):
    open_with(lambda name: of_bytes)
    assert token_texts([SPACED_CAT, CAT, SPACED_CAT]) == {SPACED_CAT: " cat", CAT: "cat"}
    assert token_labels([SPACED_CAT]) == {SPACED_CAT: "·cat"}
    assert token_name(SPACED_CAT) == "·cat"


def test_names_that_look_alike_get_their_id(seen, monkeypatch):
    monkeypatch.setattr(words, "_each_token", lambda model, ids: tuple("xyx"[i] for i in ids))
    assert token_names([0, 1, 2]) == {0: "x (ID 0)", 1: "y", 2: "x (ID 2)"}


def page(best):
    """Draw both controls over a distribution in which some tokens lead: the body of an app."""
    from dataclasses import dataclass

    import numpy as np
    import streamlit as st

    from pages.state.view import of_page, whole_view
    from pages.state.visit import begin
    from pages.widgets.words import pick_word, pick_words

    if "kind" not in st.session_state:

        @of_page("trial")
        @dataclass(frozen=True)
        class Choices:
            word: int | None = None
            typed: str = ""

        st.session_state["kind"] = whole_view()
    begin(st.session_state["kind"], "trial")
    log_probs = np.full(7, -9.0)
    log_probs[list(best)] = -np.arange(len(best)) / 10
    st.session_state["got"] = pick_words(log_probs), pick_word(log_probs, "trial.word")


@pytest.fixture
def trial(tiny_session, monkeypatch):
    monkeypatch.setattr("pages.state.view._PARTS", {})

    def trial(best=(4, 2, 6)):
        app = AppTest.from_function(page, args=(best,), default_timeout=30).run()
        assert not app.exception
        return app

    return trial


def got(app):
    assert not app.exception
    return app.session_state["got"]


def test_at_first_the_most_probable_ones_are_chosen(trial):
    assert got(trial()) == ([4, 2, 6], 4)


def test_a_typed_word_is_watched_and_the_box_is_empty_again(trial):
    app = choose(trial(), "typed", "mat")
    assert got(app)[0] == [4, 2, 6, WORDS.index("mat")]
    assert widget(app, "typed").value == ""


def test_with_five_words_no_more_can_be_typed(trial):
    app = trial()
    for word in ("mat", "the"):
        assert not widget(app, "typed").disabled
        choose(app, "typed", word)
    assert len(got(app)[0]) == MAX_WORDS
    assert widget(app, "typed").disabled


def test_a_chosen_or_typed_word_is_followed(trial):
    app = choose(trial(), "trial.word", WORDS[2])
    assert got(app)[1] == 2
    choose(app, "trial.typed", "mat")
    assert got(app)[1] == WORDS.index("mat")
    assert widget(app, "trial.typed").value == ""


def test_a_word_of_several_tokens_is_explained_and_its_first_one_offered(trial):
    app = choose(trial(), "trial.typed", "mat dog")
    assert got(app)[1] == 4
    assert "is 2 tokens here: **mat** + **dog**" in app.info[0].value
    app.button(key="trial.typed.first").click().run()
    assert got(app)[1] == WORDS.index("mat")
    assert view_of(app).trial.typed == ""
    assert not app.info


def test_what_is_watched_is_offered_to_follow(trial):
    app = choose(trial(), "watched", [WORDS[1]])
    assert WORDS[1] in widget(app, "trial.word").options
    assert got(app)[0] == [1]


@pytest.mark.parametrize("text", ["ay", "ing", " pl", "p"])
def test_a_word_inside_a_word_is_found_by_what_the_tokenizer_puts_there(seen, open_with, text):
    tokenizer = KINDS["word_piece"]() if text == "ing" else KINDS["replace_fuse_strip"]()
    open_with(lambda name: HookedModel.wrap(build("llama"), tokenizer, "pieces"))
    inside = tokenizer(f"s{text}", add_special_tokens=False)["input_ids"][-1]
    found = find_word(text, log_probs([inside], len(tokenizer)))
    assert (found.token_ids, found.pieces) == ((inside,), (text,))
