"""A conversation becomes the tokens that transformers itself makes of it, and no more."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer, decoders, pre_tokenizers, processors
from tokenizers.models import BPE
from transformers import PreTrainedTokenizerFast
from transformers.convert_slow_tokenizer import bytes_to_unicode

from model_hooks import HookedModel, PromptError, TokenizerView
from model_hooks.text.conversations import MAX_CHARACTERS, MAX_TURNS, turns_of
from tests.tiny_models import build

TEMPLATE = (
    "{{ bos_token }}{% for m in messages %}<{{ m.role }}>{{ m.content }}{% endfor %}"
    "{% if add_generation_prompt %}<assistant>{% endif %}"
)
TURNS = [
    {"role": "system", "content": "Be kind."},
    {"role": "user", "content": "Hi"},
    {"role": "assistant", "content": "Hello!"},
    {"role": "user", "content": "東京?"},
]


def chatty(adds: str, template: str = TEMPLATE) -> PreTrainedTokenizerFast:
    """Single bytes, `<bos>` and `<eos>`; what is added to every prompt is `adds`."""
    vocab = {char: byte for byte, char in bytes_to_unicode().items()}
    backend = Tokenizer(BPE(vocab, []))
    backend.add_special_tokens(["<bos>", "<eos>"])
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    backend.decoder = decoders.ByteLevel()
    ids = [("<bos>", 256), ("<eos>", 257)]
    backend.post_processor = processors.TemplateProcessing(single=adds, special_tokens=ids)
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=backend, bos_token="<bos>", eos_token="<eos>"
    )
    tokenizer.chat_template = template
    return tokenizer


def by_transformers(tokenizer, turns):
    made = tokenizer.apply_chat_template(turns, add_generation_prompt=True, return_dict=False)
    return [int(token_id) for token_id in made]


@pytest.fixture(scope="module")
def hooked():
    return HookedModel.wrap(build("llama", vocab_size=300), chatty("<bos> $A"), "chatty")


@settings(deadline=None, max_examples=50)
@given(st.lists(st.tuples(st.sampled_from(["user", "assistant"]), st.text()), min_size=1))
def test_a_conversation_is_encoded_as_transformers_does(hooked, said):
    turns = [{"role": role, "content": content} for role, content in said]
    turns = [
        {key: text.encode("utf-8", "replace").decode() for key, text in turn.items()}
        for turn in turns
    ]
    ids = hooked.encode_chat(turns)
    assert ids == by_transformers(hooked.tokenizer, turns)
    assert ids[0] == 256


def test_there_is_one_beginning_though_the_prompt_box_adds_one(hooked):
    view = TokenizerView(hooked.tokenizer)
    ids = hooked.encode_chat(TURNS)
    assert ids.count(256) == 1
    assert hooked.encode(view.chat_text(TURNS)).count(256) == 2  # so it is with transformers
    assert hooked.encode(view.chat_prompt(TURNS)) == ids
    assert hooked.encode_chat("Hi") == hooked.encode_chat([{"role": "user", "content": "Hi"}])
    assert len(hooked.trace(ids)) == len(ids)


@pytest.mark.parametrize(
    ("adds", "template", "there"),
    [
        ("<bos> $A", TEMPLATE, True),
        ("<bos> <bos> $A", TEMPLATE, False),
        ("$A", TEMPLATE, True),
        ("$A <eos>", TEMPLATE, False),
        ("<bos> $A", TEMPLATE.removeprefix("{{ bos_token }}"), False),
        ("$A", TEMPLATE.removeprefix("{{ bos_token }}"), True),
    ],
)
def test_a_prompt_is_offered_only_where_it_becomes_the_very_tokens(adds, template, there):
    tokenizer = chatty(adds, template)
    prompt = TokenizerView(tokenizer).chat_prompt(TURNS)
    assert (prompt is not None) is there
    if prompt is not None:
        assert tokenizer(prompt)["input_ids"] == by_transformers(tokenizer, TURNS)


@pytest.mark.parametrize(
    ("conversation", "says"),
    [
        ([], "at least one"),
        (None, "at least one"),
        (["Hi"], "Turn 0"),
        ([TURNS[0], {"role": "user"}], "Turn 1"),
        ([{"role": "user", "content": ["Hi"]}], "Turn 0"),
        ([TURNS[1]] * (MAX_TURNS + 1), "at most 1,000 turns"),
        ("a" * (MAX_CHARACTERS + 1), "at most 1,000,000 characters"),
    ],
)
def test_what_is_no_conversation_is_refused_in_a_sentence(conversation, says):
    with pytest.raises(PromptError, match=says):
        turns_of(conversation)


def test_a_model_without_a_template_says_so():
    tokenizer = chatty("$A")
    tokenizer.chat_template = None
    with pytest.raises(PromptError, match="no chat template"):
        TokenizerView(tokenizer).chat_ids(TURNS)
