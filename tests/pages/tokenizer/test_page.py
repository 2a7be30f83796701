import json

import pytest
import torch
from tokenizers import Tokenizer, decoders, pre_tokenizers, processors
from tokenizers.models import BPE
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast
from transformers.convert_slow_tokenizer import bytes_to_unicode

from model_hooks import HookedModel, TokenizerView
from pages.tokenizer import views as tokenizer_views
from tests.pages.charts import drawn

END = "<|endoftext|>"
MERGES = [("h", "e"), ("Ġ", "t"), ("Ġt", "he")]


@pytest.fixture(scope="module")
def byte_bpe():
    """Token IDs 0 to 255 are the bytes; three merges; `<|endoftext|>` before every text."""
    vocab = {char: byte for byte, char in bytes_to_unicode().items()}
    vocab |= {left + right: 256 + rank for rank, (left, right) in enumerate(MERGES)}
    backend = Tokenizer(BPE(vocab, MERGES))
    backend.add_special_tokens([END])
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    backend.decoder = decoders.ByteLevel()
    backend.post_processor = processors.TemplateProcessing(
        single=f"{END} $A", special_tokens=[(END, 259)]
    )
    return PreTrainedTokenizerFast(tokenizer_object=backend, bos_token=END)


@pytest.fixture(scope="module")
def hooked(request, byte_bpe, tokenizer):
    """A model with the byte-level tokenizer, or with the one for whole words."""
    whole_words = getattr(request, "param", None) == "words"
    torch.manual_seed(0)
    model = LlamaForCausalLM(
        LlamaConfig(
            vocab_size=260, hidden_size=16, intermediate_size=16, num_hidden_layers=1,
            num_attention_heads=2, max_position_embeddings=64,
        )
    )  # fmt: skip
    return HookedModel.wrap(model, tokenizer if whole_words else byte_bpe, "tiny")


@pytest.fixture(autouse=True)
def empty_caches():
    caches = tokenizer_views.view_of_model, tokenizer_views.view_of, tokenizer_views.tokenized
    for cache in caches:
        cache.clear()
    yield
    for cache in caches:
        cache.clear()


def strip(app, label="Tokens of the prompt"):
    """What the browser is told to draw."""
    sent = [json.loads(component.proto.json) for component in app.get("bidi_component")]
    return next(data for data in sent if data.get("label") == label)


def texts(app):
    return " ".join(element.value for element in [*app.markdown, *app.caption])


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


def test_the_chosen_token_chooses_its_word(open_page):
    app = open_page("tokenizer", prompt="cat the", pos=5)
    assert app.selectbox(key="tokenizer.word").value == "·the"
    steps = next(frame.value for frame in app.dataframe if "becomes" in frame.value)
    assert steps["becomes"].tolist() == ["he", "·t", "·the"]
    assert steps["rank"].tolist() == [0, 1, 2]
    assert "own code makes the same tokens" in texts(app)
    assert not app.exception


@pytest.mark.parametrize("hooked", ["words"], indirect=True)
def test_a_tokenizer_without_merges_says_how_it_cuts(open_page):
    app = open_page("tokenizer", prompt="the cat")
    assert "merges nothing" in texts(app)
    assert not drawn(app)
    assert not app.exception


def test_a_typed_special_token_is_marked(open_page):
    app = open_page("tokenizer", prompt=f"x{END}")
    assert strip(app)["marks"] == ["added", None, "special"]
    assert "found in the text" in texts(app)


def test_vocabulary_search_finds_text_and_ids(open_page):
    app = open_page("tokenizer")
    app.text_input(key="tokenizer.query").input("·the").run()
    found = [frame.value for frame in app.dataframe if "vocabulary_entry" in frame.value][-1]
    assert found["token_id"].tolist() == [258]
    app.text_input(key="tokenizer.query").input("257").run()
    found = [frame.value for frame in app.dataframe if "vocabulary_entry" in frame.value][-1]
    assert found["token"].tolist() == ["·t"]
    assert not app.exception


def test_single_bytes_stand_beside_the_models_tokenizer(open_page):
    app = open_page("tokenizer", prompt="the")
    assert strip(app, f"Tokens of {tokenizer_views.BYTES}")["ids"] == list(b"the")
    assert "**single bytes** both" in texts(app)


def test_a_tokenizer_that_is_not_there_gets_one_sentence(open_page):
    app = open_page()
    app.session_state["tokenizer.second"] = "/no/such/folder"
    app.switch_page("pages/tokenizer/page.py").run()
    (error,) = app.error
    assert "There is no folder" in error.value
    assert "Try next" in [heading.value for heading in app.subheader]
    assert not app.exception


@pytest.mark.parametrize(
    "prompt",
    ["x", "\0", "\x07\u202e\ud800", "<script>alert(1)</script> **b** $x$ `", "שלום", "e\u0301" * 9],
)
def test_odd_prompts_are_shown(open_page, prompt):
    app = open_page("tokenizer", prompt=prompt.encode("utf-8", "replace").decode())
    assert strip(app)["tokens"]
    assert not app.exception


def test_a_huge_prompt_shows_its_first_part_and_its_length(open_page):
    app = open_page("tokenizer", prompt="the cat " * 12_500)
    assert "100,000 characters" in app.info[0].value
    assert len(strip(app)["tokens"]) == tokenizer_views.MAX_CHIPS
    assert not app.exception


def test_a_word_too_long_for_the_screen_is_cut_to_its_beginning(byte_bpe):
    view = TokenizerView(byte_bpe)
    (word,) = view.tokenize("x" * 5000).words
    merged = tokenizer_views.merged(view, word)
    assert len(merged.steps[0].token_ids) == tokenizer_views.MAX_SYMBOLS
    assert not merged.whole
    assert merged.agrees


def test_the_table_lists_every_token(byte_bpe):
    view = TokenizerView(byte_bpe)
    table = tokenizer_views.token_table(view, view.tokenize("the é").tokens)
    assert table["token_id"].tolist() == [259, 116, 256, 32, 0xC3, 0xA9]
    assert table["bytes"].tolist() == ["", "74", "68 65", "20", "C3", "A9"]
    assert table["merge_rank"].dropna().tolist() == [0]
    assert table["first_character"].dropna().tolist() == [0, 1, 3, 4, 4]


def test_changed_text_is_said(tokenizer):
    view = TokenizerView(tokenizer)
    assert "do not give back" in tokenizer_views.round_trip("the bird", view.tokenize("the bird"))
    assert "exactly your text" in tokenizer_views.round_trip("the cat", view.tokenize("the cat"))
