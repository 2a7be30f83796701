"""A conversation is the text that its template writes, and each token is whose it is."""

import pytest

from model_hooks import PromptError
from model_hooks.read.conversation import (
    Choices,
    answer_of,
    can_converse,
    choices_of_template,
    write_conversation,
)
from model_hooks.text.conversations import Asked
from tests.talking import TEMPLATE, talking

TURNS = (("system", "Be brief."), ("user", "Hi"), ("assistant", "Hi you"), ("user", "  Hi  "))


@pytest.fixture(scope="module")
def model():
    return talking()


def test_its_prompt_becomes_the_tokens_of_transformers_own_template(model):
    said = [{"role": role, "content": content} for role, content in TURNS]
    rendered = model.tokenizer.apply_chat_template(said, tokenize=False, add_generation_prompt=True)
    written = write_conversation(model, TURNS)
    assert written.prompt == rendered
    assert len(written.speakers) == len(model.encode(rendered))


def test_each_token_is_whose_words_it_is(model):
    written = write_conversation(model, TURNS)
    tokens = model.token_strings(model.encode(written.prompt))
    said = {}
    for speaker, token in zip(written.speakers, tokens, strict=True):
        said[speaker] = said.get(speaker, "") + token
    assert said["system"] == "Be brief."
    assert said["assistant"] == "Hi you"
    assert said["user"] == "HiHi"
    assert said[""].count("<|turn|>") == 5


def test_what_the_template_adds_by_itself_is_nobodys(model):
    written = write_conversation(model, (("user", "Be kind"),))
    begins = written.prompt.index("user")
    n_before = len(model.encode(written.prompt[:begins]))
    assert set(written.speakers[:n_before]) <= {"", "user"}
    assert written.speakers.count("user") == len("Be kind")


def test_an_answer_ends_at_every_token_that_ends_a_text(model):
    ids = tuple(model.encode("Hi"))
    for end in (257, 0):
        assert answer_of(model, ids, (*model.encode(" you"), end, 70)) == "you"
    assert answer_of(model, ids, tuple(model.encode("yes"))) == "yes"


def test_the_beginning_of_an_answer_is_the_models_and_stays_in_its_turn(model):
    asked = Asked(begins="Sure, I ")
    written = write_conversation(model, (("user", "Hi"),), asked)
    assert written.prompt.endswith("<|turn|>assistant\nSure, I ")
    assert written.speakers[-len("Sure, I ") :] == ("assistant",) * len("Sure, I ")
    assert written.speakers.count("assistant") == len("Sure, I ")
    ids = tuple(model.encode(written.prompt))
    assert answer_of(model, ids, (*model.encode("can"), 257), "Sure, I ") == "Sure, I can"


def test_without_an_answer_the_text_ends_with_the_last_turn(model):
    written = write_conversation(model, (("user", "Hi"),), Asked(answer=False, begins="Sure"))
    assert written.prompt.endswith("Hi<|end|>")


def test_an_earlier_answer_is_known_without_the_thinking_that_a_template_leaves_out(model):
    cut = TEMPLATE.replace("m.content | trim", "m.content.split('</think>')[-1] | trim")
    thinker = talking(template=cut)
    turns = (("user", "Hi"), ("assistant", "<think>so</think>\n\nYes"), ("user", "And"))
    written = write_conversation(thinker, turns)
    assert "so<" not in written.prompt
    assert [written.speakers.count(who) for who in ("user", "assistant")] == [5, 3]


def test_a_template_says_what_it_lets_choose(model):
    assert choices_of_template(model) == Choices(thinking=False, tools=False)
    asks = "{% if tools %}{% endif %}{% if enable_thinking %}{% endif %}" + TEMPLATE
    assert choices_of_template(talking(template=asks)) == Choices(thinking=True, tools=True)


def test_without_a_template_there_is_no_conversation(hooked, model):
    assert can_converse(model)
    assert not can_converse(hooked)
    with pytest.raises(PromptError, match="no chat template"):
        write_conversation(hooked, (("user", "Hi"),))
