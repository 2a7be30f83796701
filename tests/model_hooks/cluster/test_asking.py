"""Only what pages ask can be asked, with arguments that fit; answers are those of the host."""

from typing import get_args

import numpy as np
import pytest

from benchmarks import questions as asked_by_pages
from benchmarks.questions import Subject, arguments
from model_hooks import AblateHead, Decoding, InlookError, LayerError
from model_hooks.cluster.asking import Loopback, answer_in, answers_to, question_in
from model_hooks.cluster.checked import fits
from model_hooks.cluster.listed import LIVE, hints_of, questions
from model_hooks.cluster.wire import WireError, pack
from model_hooks.errors import HostFailedError
from model_hooks.host import Host, Question, Run, parameters_of
from tests.conftest import tiny_llama
from tests.model_hooks.cluster.test_wire import same

MEASURED = ("race:race", "race:step_both", "race:first_steps", "speed:", "norm_times", "backends:")
"""Questions whose answers hold times."""
IN_ANY_ORDER = "saved:trace_file"
"""A file whose header safetensors writes in another order each time."""


@pytest.mark.parametrize("hooked", [tiny_llama], indirect=True, ids=["llama"])
def test_all_that_is_asked_with_is_understood(hooked):
    ids = hooked.encode("the cat sat on the mat")
    subject = Subject(hooked, hooked.trace(ids), asked_by_pages.changes(hooked, ids))
    for name, function in questions().items():
        for given in arguments(function, subject):
            given.pop("other", None)
            question = Question(name, Run("tiny", tuple(ids)), (), tuple(given.items()))
            assert question_in(pack(question)) == question


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(questions()))
def test_answers_travel_bit_for_bit(hooked, host, name):
    if any(one in name for one in MEASURED) or name.endswith(IN_ANY_ORDER):
        pytest.skip("its answers differ here, too")
    ids = tuple(hooked.encode("the cat sat on the mat"))
    subject = Subject(hooked, host.trace(Run("tiny", ids)), [(AblateHead(0, 0),)])
    given = next(iter(arguments(questions()[name], subject)))
    other = Run("tiny", ids, (AblateHead(0, 0),)) if given.pop("other", None) else None
    run = Run("tiny", ids if "trace" in parameters_of(questions()[name])[:2] else ())
    question = Question(name, run, (), tuple(given.items()), other)

    def answered(where):
        try:
            found = where.answer(question)
            return list(found) if hasattr(found, "__next__") else found
        except InlookError as error:
            return type(error).__name__, str(error)

    answered(host)  # what is kept from now on, such as a cache, is there for both
    assert deep_same(answered(Loopback(host)), answered(host))


def deep_same(a, b):
    if hasattr(a, "__dataclass_fields__") and type(a) is type(b):
        return all(deep_same(getattr(a, one), getattr(b, one)) for one in a.__dataclass_fields__)
    if isinstance(a, tuple | list) and type(a) is type(b):
        return len(a) == len(b) and all(map(deep_same, a, b))
    return same(a, b)


def test_a_stream_is_worked_on_as_it_is_read_and_ends_when_it_is_left():
    done = []

    class Writing:
        def answer(self, question):
            try:
                for i in range(5):
                    done.append(i)
                    yield i
            finally:
                done.append("left")

    values = Loopback(Writing()).answer(
        Question("model_hooks.write.writing:write_tokens", Run("m", ()), ((1,), (), Decoding(), 5))
    )
    assert done == []
    assert next(values) == 0
    assert done == [0]
    values.close()
    assert done == [0, "left"]


def test_errors_come_out_as_what_they_were(host):
    far = Loopback(host)
    question = Question("model_hooks.read.recorded:attention", Run("tiny", (1, 2)), (99, 0))
    with pytest.raises(LayerError) as there:
        far.answer(question)
    with pytest.raises(LayerError) as here:
        host.answer(question)
    assert str(there.value) == str(here.value)


@pytest.mark.parametrize(
    ("name", "key"),
    [
        ("model_hooks.read.saved:save_trace", ("/tmp/x",)),
        ("model_hooks.host:bytes_of", ()),
        ("os:system", ("true",)),
        ("model_hooks.read.recorded:attention", ()),
        ("model_hooks.read.recorded:attention", (0, 0, 0, 0)),
        ("model_hooks.read.recorded:attention", ("0", 0)),
        ("model_hooks.read.recorded:attention", (True, 0)),
        ("model_hooks.read.recorded:encode", (b"text",)),
        ("model_hooks.write.writing:write_all", ((1,), Decoding(), 3, True, (Decoding(),))),
    ],
)
def test_nothing_else_can_be_asked(name, key):
    with pytest.raises(WireError):
        question_in(pack(Question(name, Run("tiny", (1, 2)), key)))


@pytest.mark.parametrize("value", [None, 1, "x", ("model", (1,)), Run("m", (1,))])
def test_what_is_no_question_is_refused(value):
    with pytest.raises(WireError, match="no question"):
        question_in(pack(value))


@pytest.mark.parametrize("frames", [[], [b""], [b"\x01"], [b"\x63\x01"], [b"\x03\x01"]])
def test_an_answer_that_cannot_be_read_is_a_sentence(frames):
    with pytest.raises(HostFailedError):
        answer_in(frame for frame in frames)


def test_every_parameter_is_of_a_type_that_is_understood():
    def check(hint):
        fits(None, hint)
        for inner in get_args(hint):
            if hint is not inner and inner is not ... and not isinstance(inner, str | int):
                check(inner)

    for function in questions().values():
        for name, hint in hints_of(function).items():
            if name not in (*LIVE, "return"):
                check(hint)


def test_numbers_are_whole_where_they_have_to_be():
    assert all(fits(one, int) for one in (1, np.int64(1)))
    assert not any(fits(one, int) for one in (1.0, True, None))
    assert all(fits(one, float) for one in (1, 1.0, np.float32(1)))


def test_answers_are_made_when_they_are_asked_for(host):
    assert isinstance(host, Host)
    frames = answers_to(host, Question("model_hooks.read.recorded:info_of", Run("tiny", ())))
    assert list(host.names()) == []
    answer_in(frames)
    assert list(host.names()) == ["tiny"]
