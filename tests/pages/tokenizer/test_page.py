"""The Tokenizer page shows what the model's own tokenizer does with the prompt."""

import json

import pytest
from tokenizers import Tokenizer, normalizers, pre_tokenizers
from tokenizers.models import WordPiece
from transformers import PreTrainedTokenizerFast

from model_hooks import HookedModel
from model_hooks.read.tokenizers import SINGLE_BYTES
from pages.tokenizer.page import MAX_CHIPS
from tests.pages.charts import drawn
from tests.pages.conftest import choose, opened, view_of, widget
from tests.pages.tokenizer.conftest import END
from tests.tiny_models import build


def strip(app, label="Tokens of the prompt"):
    """What the browser is told to draw."""
    sent = [json.loads(component.proto.json) for component in app.get("bidi_component")]
    return next(data for data in sent if data.get("label") == label)


def texts(app):
    return " ".join(element.value for element in [*app.markdown, *app.caption])


def table(app, column):
    """The last table that has a column."""
    return [frame.value for frame in app.dataframe if column in frame.value][-1]


def type_new(app, field, text):
    """Type a text into a list of options that lacks it."""
    box = widget(app, field)
    box.options.append(text)
    box.set_value(text)
    return app.run()


def test_chips_show_ids_bytes_and_what_was_added(open_page):
    app = open_page("tokenizer", prompt="the the")
    chips = strip(app)
    assert chips["tokens"] == [END, "t", "he", "·the"]
    assert chips["ids"] == [259, 116, 256, 258]
    assert chips["notes"] == ["", "74", "68 65", "20 74 68 65"]
    assert chips["marks"] == ["added", None, None, None]
    assert chips["hints"][3] == "bytes 20 74 68 65, merge rank 2 of 3"
    assert [metric.value for metric in app.metric] == ["4", "7", "2.33", "260"]
    assert not app.exception


def test_pieces_of_a_character_are_grouped_under_it(open_page):
    chips = strip(open_page("tokenizer", prompt="é 😀"))
    assert chips["groups"] == [[1, 3, "é"], [4, 8, "😀"]]
    assert chips["tokens"][1:3] == ["⟨C3⟩", "⟨A9⟩"]


def test_bytes_are_left_out_on_request(open_page):
    app = open_page("tokenizer", prompt="the")
    choose(app, "tokenizer.bytes", False)
    assert not app.exception
    assert strip(app)["notes"] is None


def test_the_chosen_token_chooses_its_word(open_page):
    app = open_page("tokenizer", prompt="cat the", pos=4)
    assert "**·the** begins as 4 bytes" in texts(app)
    steps = table(app, "becomes")
    assert steps["becomes"].tolist() == ["he", "·t", "·the"]
    assert steps["rank"].tolist() == [0, 1, 2]
    assert "own code makes the same tokens" in texts(app)
    assert not app.exception


def test_another_token_forgets_the_word_that_was_chosen(open_page):
    app = open_page("tokenizer", prompt="cat the", pos=4)
    choose(app, "tokenizer.word", "cat")
    assert "**cat** stays as it is" in texts(app)
    choose(app, "pos", "3: t")
    assert view_of(app).tokenizer.word is None
    choose(app, "pos", "4: ·the")
    assert "**·the** begins as 4 bytes" in texts(app)


def test_a_word_that_is_not_in_the_prompt_can_be_named(open_page):
    app = open_page("tokenizer", prompt="cat", tokenizer__word="·the cat")
    assert not app.exception
    assert "That is 2 words for this tokenizer; here is ·the." in texts(app)
    assert table(app, "becomes")["becomes"].tolist() == ["he", "·t", "·the"]
    assert widget(app, "tokenizer.word").options == ["cat", "·the cat"]


def test_a_word_that_was_typed_is_merged_and_offered(open_page):
    app = type_new(open_page("tokenizer", prompt="cat"), "tokenizer.word", "he the")
    assert not app.exception
    assert view_of(app).tokenizer.word == "he the"
    assert "here is he." in texts(app)
    assert widget(app, "tokenizer.word").options == ["cat", "he the"]
    choose(app, "tokenizer.word", "cat")
    assert widget(app, "tokenizer.word").options == ["cat"]


def test_a_tokenizer_that_was_typed_is_compared(open_page):
    app = type_new(open_page("tokenizer", prompt="cat"), "tokenizer.second", "/no/such/folder")
    assert view_of(app).tokenizer.second == "/no/such/folder"
    assert "There is no folder" in app.error[0].value


@pytest.mark.parametrize("hooked", ["words"], indirect=True)
def test_a_tokenizer_without_merges_says_how_it_cuts(open_page):
    app = open_page("tokenizer", prompt="the cat")
    assert "merges nothing" in texts(app)
    assert not drawn(app)
    assert not app.exception


@pytest.mark.parametrize("hooked", ["words"], indirect=True)
def test_a_text_of_unknown_words_has_no_word_to_merge(open_page):
    app = open_page("tokenizer", prompt="elephant")
    assert not app.exception
    assert strip(app)["marks"] == ["unknown"]
    assert widget(app, "tokenizer.word").options == []


def test_a_typed_special_token_is_marked(open_page):
    app = open_page("tokenizer", prompt=f"x{END}")
    assert strip(app)["marks"] == ["added", None, "special"]
    assert "found in the text" in texts(app)


def test_vocabulary_search_finds_text_and_ids(open_page):
    app = open_page("tokenizer")
    choose(app, "tokenizer.query", "·the")
    assert table(app, "vocabulary_entry")["token_id"].tolist() == [258]
    assert "1 of 260 tokens contains this." in texts(app)
    choose(app, "tokenizer.query", "257")
    assert table(app, "vocabulary_entry")["token"].tolist() == ["·t"]
    choose(app, "tokenizer.query", "no such token")
    assert "0 of 260 tokens contain this." in texts(app)
    assert not app.exception


def test_the_table_is_drawn_when_it_is_open(open_page):
    assert not [frame for frame in open_page("tokenizer").dataframe if "kind" in frame.value]
    app = open_page("tokenizer", prompt="the é", tokenizer__table="1")
    assert not app.exception
    assert table(app, "kind")["token_id"].tolist() == [259, 116, 256, 32, 0xC3, 0xA9]


def test_single_bytes_stand_beside_the_models_tokenizer(open_page):
    app = open_page("tokenizer", prompt="the")
    assert strip(app, f"Tokens of {SINGLE_BYTES}")["ids"] == list(b"the")
    assert "**single bytes** both" in texts(app)


def test_a_tokenizer_that_is_not_there_gets_one_sentence(open_page):
    app = open_page("tokenizer", tokenizer__second="/no/such/folder")
    (error,) = app.error
    assert "There is no folder" in error.value
    assert "Try next" in [heading.value for heading in app.header]
    assert not app.exception


def test_a_chat_template_writes_the_prompt_as_a_turn(open_page, byte_bpe, monkeypatch):
    monkeypatch.setattr(
        byte_bpe, "chat_template", "{% for m in messages %}he {{ m.content }}{% endfor %}"
    )
    app = open_page("tokenizer", prompt="the", tokenizer__template="1")
    assert not app.exception
    chips = strip(app, "Tokens of the conversation")
    assert chips["tokens"] == ["he", "·the"]
    assert "m.content" in app.code[0].value


def test_what_a_template_prints_is_text_and_no_part_of_the_page(open_page, byte_bpe, monkeypatch):
    written = "<img src=x onerror=alert(1)>"
    monkeypatch.setattr(byte_bpe, "chat_template", written + "{{ messages[0].content }}")
    app = open_page("tokenizer", prompt="the", tokenizer__template="1")
    assert not app.exception
    chips = strip(app, "Tokens of the conversation")["tokens"]
    assert "".join(chips).replace("·", " ") == written + "the"
    assert written in app.code[0].value
    drawn = [one for one in (*app.markdown, *app.caption) if one.proto.allow_html]
    assert not [one.value for one in drawn if "<img" in one.value]


def test_a_template_that_fails_gets_one_sentence(open_page, byte_bpe, monkeypatch):
    monkeypatch.setattr(byte_bpe, "chat_template", "{{ raise_exception('two turns') }}")
    app = open_page("tokenizer", prompt="the")
    assert not app.exception
    assert "could not be filled in" in app.warning[0].value


def test_a_conversation_becomes_the_prompt_with_one_beginning(open_page, byte_bpe, monkeypatch):
    template = "{{ bos_token }}{% for m in messages %}he {{ m.content }}{% endfor %}"
    monkeypatch.setattr(byte_bpe, "chat_template", template)
    app = open_page("tokenizer", prompt="the")
    theirs = byte_bpe.apply_chat_template([{"role": "user", "content": "the"}], return_dict=False)
    assert strip(app, "Tokens of the conversation")["ids"] == theirs == [259, 256, 258]
    app = app.button(key="tokenizer.chat").click().run()
    assert not app.exception
    assert view_of(app).prompt == "he the"
    assert strip(app)["ids"] == theirs


def test_a_second_beginning_is_told_and_can_be_left_out(open_page):
    app = open_page("tokenizer", prompt=f"{END}the")
    assert not app.exception
    assert strip(app)["ids"] == [259, 259, 116, 256]
    assert "The model reads it twice" in texts(app)
    app = app.button(key="tokenizer.once").click().run()
    assert view_of(app).prompt == "the"
    assert strip(app)["ids"] == [259, 116, 256]
    assert "The model reads it twice" not in texts(app)


def test_where_no_prompt_can_be_the_conversation_the_page_says_so(open_page, byte_bpe, monkeypatch):
    template = "{% for m in messages %}he {{ m.content }}{% endfor %}"
    monkeypatch.setattr(byte_bpe, "chat_template", template)  # it writes no beginning
    app = open_page("tokenizer", prompt="the")
    assert not app.exception
    assert "would become other tokens" in texts(app)
    assert not [button for button in app.button if button.key == "tokenizer.chat"]


def test_a_tokenizer_that_breaks_down_gets_one_sentence(open_page, byte_bpe, monkeypatch):
    backend = byte_bpe.backend_tokenizer
    monkeypatch.setattr(backend, "pre_tokenizer", pre_tokenizers.FixedLength(length=0))
    app = open_page("tokenizer", prompt="the")
    assert not app.exception
    assert "tokenizer fails on this text" in app.error[0].value


def test_what_is_switched_off_does_not_reach_the_tokenizer_and_the_page_says_so(open_page):
    assert "switched off" not in texts(open_page("tokenizer", prompt="the"))
    app = open_page("tokenizer", prompt="the", interventions="ablate_mlp,0~")
    assert not app.exception
    assert "What is switched off changes nothing here" in texts(app)
    assert strip(app)["ids"] == [259, 116, 256]


@pytest.mark.parametrize(
    "prompt",
    ["x", "\0", "\x07\u202e\ud800", "<script>alert(1)</script> **b** $x$ `", "שלום", "e\u0301" * 9],
)
def test_odd_prompts_are_shown(open_page, prompt):
    app = open_page("tokenizer", prompt=prompt.encode("utf-8", "replace").decode())
    assert strip(app)["tokens"]
    assert not app.exception


def test_a_blank_prompt_gets_a_hint(open_page):
    app = open_page("tokenizer", prompt="  ")
    assert not app.exception
    assert "type a prompt" in app.info[0].value


@pytest.mark.slow
def test_a_prompt_beyond_the_context_shows_its_first_part_and_its_length(open_page):
    app = open_page("tokenizer", prompt="the cat " * 12_500)
    assert "100,000 characters" in app.info[0].value
    assert len(strip(app)["tokens"]) == MAX_CHIPS
    assert not app.exception


def test_a_link_restores_every_choice(open_page):
    app = open_page(
        "tokenizer",
        prompt="cat the",
        tokenizer__bytes="0",
        tokenizer__table="1",
        tokenizer__word="cat",
        tokenizer__query="he",
        tokenizer__second="tale",
    )
    assert not app.exception
    assert strip(app)["notes"] is None
    assert table(app, "kind")["token_id"].tolist()[0] == 259
    assert "**cat** stays as it is" in texts(app)
    assert widget(app, "tokenizer.query").value == "he"
    assert "tale" in widget(app, "tokenizer.second").options


def test_a_prompt_that_becomes_no_token_gets_one_sentence(open_with):
    backend = Tokenizer(WordPiece({"[UNK]": 0, "a": 1}, unk_token="[UNK]"))
    backend.normalizer = normalizers.BertNormalizer()  # takes a zero-width space for nothing
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=backend, unk_token="[UNK]")
    model = HookedModel.wrap(build("llama"), tokenizer, "word_piece")
    open_with(lambda name: model)
    app = opened("tokenizer", prompt="\u200b")
    assert not app.exception
    said = [element.value for element in [*app.error, *app.info, *app.warning]]
    assert any("no tokens" in sentence for sentence in said)
