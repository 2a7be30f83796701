"""The bar over every page: one text for all of them, exact, and no key is lost."""

import copy
import html
import json
import re
from pathlib import Path

import pytest
import torch

import app as entry
from model_hooks import HookedModel, ModelNotFoundError
from model_hooks.cluster.asking import Loopback
from pages.ask import writing
from pages.shell import text_bar
from pages.shell.keys import KEYS
from pages.widgets.components import MAX_CHIPS
from tests.pages.ask.test_draft import written
from tests.pages.conftest import component_of, switched, told, view_of, with_prompt

STRIP = "text_bar_strip"
N_PROMPT = 6
ABOUT_OTHERS = {
    "tokenizer": "a text",
    "generation": "the prompt, and each choice after it",
    "kv_cache": "two runs of its own, after the text",
}
SHORTCUT = re.compile(r"""shortcut(?:=|\()["']([^"']+)["']""")
PLACES = [place for group in entry.PAGES.values() for place in group]
PAGES = [place.folder for place in PLACES if place.has_text]


@pytest.fixture
def hooked(tokenizer, tiny_model):
    """One family is enough here."""
    return HookedModel.wrap(copy.deepcopy(tiny_model), tokenizer, "tiny")


def strip(app):
    return json.loads(component_of(app, STRIP).json)


def press(app, n, log):
    """Have the browser tell its keys: how many there were, and the last ones."""
    return told(app, STRIP, {"keys": {"n": n, "log": log}})


def greedy_tokens(hooked, n):
    ids = torch.tensor([hooked.encode("the cat sat on the mat")])
    output = hooked.model.generate(
        ids, max_new_tokens=n, min_new_tokens=n, do_sample=False, pad_token_id=0
    )
    return tuple(output[0, N_PROMPT:].tolist())


@pytest.mark.parametrize("page", PAGES)
def test_every_page_is_about_the_whole_text_and_writes_it_on(open_page, hooked, page):
    app = open_page(page)
    app.button(key="text_bar.step").click().run()
    app.button(key="text_bar.step").click().run()
    assert not app.exception
    assert view_of(app).written == greedy_tokens(hooked, 2)
    whole = [*hooked.encode("the cat sat on the mat"), *view_of(app).written]
    assert strip(app)["n_tokens"] == len(whole) == N_PROMPT + 2
    strips = [json.loads(one.proto.json) for one in app.get("bidi_component") if one.proto.json]
    of_page = [one["tokens"] for one in strips if "tokens" in one and "n_prompt" not in one]
    assert all(len(tokens) >= len(whole) for tokens in of_page)


@pytest.mark.parametrize("page", [page for page in PAGES if page not in ABOUT_OTHERS])
def test_every_page_asks_about_a_run_of_the_whole_text(open_page, hooked, page, monkeypatch):
    asked, answer = [], Loopback.answer

    def heard(host, question):
        asked.append(question)
        return answer(host, question)

    monkeypatch.setattr(Loopback, "answer", heard)
    app = open_page(page, written=".".join(map(str, greedy_tokens(hooked, 2))))
    assert not app.exception
    whole = (*hooked.encode("the cat sat on the mat"), *greedy_tokens(hooked, 2))
    # The bar itself asks about the prompt and what is written, never about a run.
    assert any(question.run.token_ids == whole for question in asked)


def test_pages_keep_what_was_written_on_another(open_page, hooked):
    app = open_page("generation")
    app.button(key="text_bar.step").click().run()
    app = switched(app, "attention")
    assert not app.exception
    assert view_of(app).written == greedy_tokens(hooked, 1)
    assert strip(app)["n_tokens"] == N_PROMPT + 1


def test_ten_keys_are_ten_tokens_however_they_are_told(open_page, hooked):
    app = press(open_page("attention"), 3, "NNN")
    press(app, 10, "N" * 10)
    assert not app.exception
    assert view_of(app).written == greedy_tokens(hooked, 10)
    press(app, 10, "N" * 10)  # told again, as after a click elsewhere
    assert len(view_of(app).written) == 10


def test_keys_do_what_they_say_in_their_order(open_page, hooked):
    app = press(open_page("layers"), 4, "NNBN")
    assert view_of(app).written == greedy_tokens(hooked, 2)
    press(app, 6, "NNBNRN")
    assert view_of(app).written == greedy_tokens(hooked, 1)
    assert not app.exception


def test_a_run_in_stretches_writes_what_one_in_one_piece_writes(open_page, hooked, monkeypatch):
    stretches, write_on = [], writing.write_on

    def hurried(asked, stretch, seconds):
        stretches.append(stretch)
        return write_on(asked, stretch, seconds=0)

    monkeypatch.setattr(writing, "write_on", hurried)
    app = press(open_page("attention", n_per_run=4), 1, "G")
    assert not app.exception
    assert stretches == [(4, 4), (3, 4), (2, 4), (1, 4)]
    assert view_of(app).written == greedy_tokens(hooked, 4)


def test_keys_that_are_switched_off_are_not_heard_but_the_buttons_are(open_page, hooked):
    app = open_page("attention", keys=False)
    assert strip(app)["keys"] is False
    assert strip(app)["buttons"] == {f"text_bar-{name}": key for name, key in BUTTONS}
    press(app, 2, "NN")
    assert view_of(app).written == greedy_tokens(hooked, 2)
    assert not app.exception


BUTTONS = (("step", "N"), ("back", "B"), ("restart", "R"))


@pytest.mark.parametrize("n_written", [0, 2])
def test_the_token_to_come_is_the_models_own_likeliest(open_page, hooked, n_written):
    app = press(open_page("attention"), n_written, "N" * n_written)
    ids = torch.tensor([[*hooked.encode("the cat sat on the mat"), *view_of(app).written]])
    with torch.no_grad():
        probabilities = torch.softmax(hooked.model(ids).logits[0, -1].double(), -1)
    text, share = strip(app)["next"]
    assert text == hooked.token_strings([int(probabilities.argmax())])[0].replace(" ", "·")
    assert float(share.removesuffix("%")) == pytest.approx(
        100 * probabilities.max().item(), rel=6e-3
    )


def test_a_click_on_a_token_chooses_it_on_every_page(open_page):
    app = told(open_page("layers"), STRIP, picked=3)
    assert view_of(app).pos == 3
    assert view_of(switched(app, "attention")).pos == 3
    assert not app.exception


@pytest.mark.parametrize(("page", "pos"), [("attention", None), ("generation", N_PROMPT)])
def test_the_token_to_come_is_looked_at_where_it_is_chosen(open_page, page, pos):
    app = told(open_page(page), STRIP, picked=N_PROMPT)
    assert view_of(app).pos == pos
    assert not app.exception


def test_another_prompt_has_its_last_token_chosen_and_nothing_written(open_page):
    app = open_page("attention", pos=1)
    app.button(key="text_bar.step").click().run()
    told(app, STRIP, picked=4)
    with_prompt(app, "the dog ran")
    assert (view_of(app).pos, view_of(app).written) == (None, ())
    assert strip(app)["selected"] == 2
    assert not app.exception


@pytest.mark.parametrize("prompt", ["", "  \n ", "the " * 500])
def test_a_prompt_that_cannot_run_stays_and_can_be_edited(open_page, prompt):
    app = open_page("attention", prompt=prompt)
    assert strip(app)["prompt"] == prompt
    with_prompt(app, "the dog ran")
    assert not app.exception
    assert not app.error
    assert strip(app)["n_tokens"] == 3


def test_a_model_that_cannot_be_loaded_leaves_the_prompt(open_page, open_with):
    def refuse(name):
        raise ModelNotFoundError("There is no such model.")

    open_with(refuse)
    app = open_page("attention")
    assert not app.exception
    assert strip(app)["prompt"] == "the cat sat on the mat"
    assert app.button(key="text_bar.step").disabled


def test_a_full_context_is_one_sentence_once(open_page, hooked):
    size = hooked.info.context_size
    app = open_page("attention", prompt="the " * size)
    app.button(key="text_bar.step").click().run()
    assert not app.error  # the newest token may stand where none can follow
    app.button(key="text_bar.step").click().run()
    assert ["context is full" in error.value for error in app.error] == [True]
    app.run()
    assert not app.error
    assert not app.exception


def test_long_texts_send_the_tokens_around_the_chosen_one(open_page, hooked):
    n_tokens = min(hooked.info.context_size, MAX_CHIPS + 50)
    app = open_page("attention", prompt="the " * n_tokens, pos=0)
    sent = strip(app)
    assert len(sent["tokens"]) == min(MAX_CHIPS, n_tokens)
    assert sent["first"] <= sent["selected"] < sent["first"] + len(sent["tokens"])
    assert sent["n_tokens"] == n_tokens


def test_what_a_run_shows_is_text():
    tokens = "<b>", "</span><script>", "&amp;"
    shown = text_bar._running(1, 2, [(token, True) for token in tokens])
    assert ">1 of 2 tokens</b>" in shown
    for token in tokens:
        assert f">{html.escape(token)}</span>" in shown


def test_a_run_is_shown_after_the_text_before_it(monkeypatch):
    monkeypatch.setattr(text_bar, "_tokens_of", lambda model, ids: [f"p{one}" for one in ids])
    shown = text_bar._end_of(written((1, 2)))
    assert shown == [("p7", False), ("p8", False), ("1", True), ("2", True)]
    assert text_bar._end_of(written(range(200)))[0] == (str(200 - text_bar.TAIL_TOKENS), True)


def test_no_page_takes_a_key_of_the_bar():
    taken = {key.replace(" ", "") for key in KEYS}
    paths = sorted(Path(text_bar.__file__).parents[1].rglob("*.py"))
    used = [key for path in paths for key in SHORTCUT.findall(path.read_text(encoding="utf-8"))]
    assert used
    assert not taken & set(used)


@pytest.mark.parametrize("page", ["lm_head", "attention"])
def test_how_far_a_run_writes_is_chosen_on_every_page(open_page, page):
    app = switched(open_page(), page)
    assert not app.exception
    assert [one.key for one in app.get("popover")].count("text_bar.how") == 1
