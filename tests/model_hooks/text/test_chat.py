"""A chat template writes what transformers' own call writes, and harms nobody whatever it does."""

import json
import threading
import time

import psutil
import pytest

from model_hooks import PromptError
from model_hooks.text import chat
from model_hooks.text.chat import THINKING, chooses, fill_in
from model_hooks.text.conversations import Asked
from model_hooks.text.tokenization import byte_tokenizer


def turn(text):
    return [{"role": "user", "content": text}]


SPECIAL = {"bos_token": "<s>", "eos_token": "</s>"}
CHATML = (
    "{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\\n' + "
    "message['content'] + '<|im_end|>' + '\\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}"
)
LLAMA = (
    "{{ bos_token }}{%- if tools is not none %}tools{% endif %}"
    "{%- set ns = namespace(system='none') %}{% for m in messages %}{% if m.role == 'system' %}"
    "{% set ns.system = m.content %}{% continue %}{% endif %}[INST] {{ m.content | trim }} [/INST]"
    "{{ eos_token }}{% if loop.last %}{% break %}{% endif %}{% endfor %}{{ ns.system | tojson }}"
)
TEXTS = [
    "hello",
    "",
    " a\n\tb ",
    "{{ 1 }} {% x %}",
    '"\\\x00\x7f',
    "שלום 👩\u200d👧",
    "\ufffd",
    "a" * 90_000,
]
BROKEN = {
    "{{ raise_exception('only system turns') }}": "only system turns",
    "{{ messages[0].nothing.more }}": "no attribute 'nothing'",
    "{% for %}": "Expected",
    "{{ ''.__class__.__mro__ }}": "unsafe",
    "{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}": "recursion",
    "{{ 'x' * 10**10 }}": "memory",
    "{{ '%4000000000d' % 1 }}": "memory",
    "{{ 'x' * 10**7 }}": "2,000,000 characters",
    "{{ cycler.__init__.__globals__.os.kill(1, 9) }}": "unsafe",
}
TOOLS = [{"type": "function", "function": {"name": "weather", "parameters": {}}}]
ASKS = (
    "{%- if tools %}{{ tools | tojson }}{% endif %}{{ messages[0].content }}"
    "{% if add_generation_prompt %}<assistant>"
    "{%- if enable_thinking is defined and enable_thinking is false %}<think></think>{% endif %}"
    "{% endif %}"
)
ENDLESS = (
    "{% for a in range(99999) %}{% for b in range(99999) %}{% for c in range(99999) %}"
    "{% endfor %}{% endfor %}{% endfor %}"
)


@pytest.mark.parametrize("template", [CHATML, LLAMA, "{{ messages | length }}", ""])
@pytest.mark.parametrize("text", TEXTS, ids=lambda text: repr(text[:9]))
def test_a_template_writes_what_transformers_writes(template, text):
    tokenizer = byte_tokenizer()
    tokenizer.add_special_tokens(SPECIAL)
    theirs = tokenizer.apply_chat_template(
        turn(text), chat_template=template, tokenize=False, add_generation_prompt=True
    )
    assert fill_in(template, turn(text), tokenizer.special_tokens_map) == theirs


@pytest.mark.parametrize("answer", [True, False])
@pytest.mark.parametrize("thinking", [None, True, False])
@pytest.mark.parametrize("tools", [None, TOOLS])
def test_it_is_asked_for_thinking_tools_and_an_answer_as_transformers_asks(answer, thinking, tools):
    chosen = {} if thinking is None else {"enable_thinking": thinking}
    theirs = byte_tokenizer().apply_chat_template(
        turn("Hi"),
        chat_template=ASKS,
        tokenize=False,
        tools=tools,
        add_generation_prompt=answer,
        **chosen,
    )
    asked = Asked(answer, "Well, ", thinking, json.dumps(tools) if tools else " ")
    assert fill_in(ASKS, turn("Hi"), {}, asked) == theirs + ("Well, " if answer else "")


@pytest.mark.parametrize("tools", ["{}", "[1]", "[", "weather", "[" * 10**5, "[{}, null]"])
def test_tools_that_are_no_list_of_objects_are_one_sentence(tools):
    with pytest.raises(PromptError, match="list in JSON") as failed:
        fill_in(ASKS, turn("Hi"), {}, Asked(tools=tools))
    assert len(str(failed.value)) < 200


def test_what_a_template_lets_choose_is_what_an_if_of_it_asks_for():
    assert chooses(ASKS, *THINKING)
    assert chooses(ASKS, "tools")
    assert chooses("{% if a %}{% elif x and thinking %}{% endif %}", *THINKING)
    for plain in (
        CHATML,
        "{% if message.thinking %}{% endif %}",
        "{% if m['tools'] %}tools{% endif %}",
    ):
        assert not chooses(plain, "tools", *THINKING)


@pytest.mark.parametrize(("template", "why"), BROKEN.items())
def test_a_template_that_fails_says_why(template, why):
    with pytest.raises(PromptError, match="could not be filled in") as failed:
        fill_in(template, turn("hi"), SPECIAL)
    assert why.lower() in str(failed.value).lower()
    assert "\n" not in str(failed.value)


def test_a_template_that_never_ends_is_ended_and_the_next_one_works(monkeypatch):
    assert fill_in(CHATML, turn("hi"), {}).startswith("<|im_start|>")  # the process has begun
    monkeypatch.setattr(chat, "TIME_LIMIT_S", 0.3)
    begun = time.monotonic()
    with pytest.raises(PromptError, match=r"does not end within 0\.3 seconds"):
        fill_in(ENDLESS, turn("hi"), {})
    assert time.monotonic() - begun < 5
    assert not [child for child in psutil.Process().children() if "chat_worker" in _line(child)]
    monkeypatch.undo()
    assert fill_in("{{ messages[0].content }}", turn("hi"), {}) == "hi"


def test_the_process_may_die_and_the_next_one_works():
    assert fill_in("a", turn("hi"), {}) == "a"
    (child,) = [child for child in psutil.Process().children() if "chat_worker" in _line(child)]
    child.kill()
    child.wait()
    assert fill_in("b", turn("hi"), {}) == "b"


def test_many_ask_at_once_and_each_gets_their_own_answer():
    found = {}

    def ask(name):
        found[name] = fill_in("{{ messages[0].content }}", turn(name), {})

    threads = [threading.Thread(target=ask, args=(f"visitor {i}",)) for i in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == {name: name for name in found}
    assert len(found) == 20


def _line(process):
    try:
        return " ".join(process.cmdline())
    except psutil.Error:
        return ""
