import pytest

from model_hooks import Decoding, PromptError
from model_hooks.write.room import check_room, room
from model_hooks.write.writing import write_tokens


def test_the_room_is_what_a_model_can_really_write(hooked):
    """The last token of a full context is predicted, but need not be read."""
    size = hooked.info.context_size
    for n_tokens in (size - 3, size):
        prompt = tuple(1 + i % 5 for i in range(n_tokens))
        most = room(size, n_tokens)
        assert len(list(write_tokens(hooked, prompt, (), Decoding(), most))) == most
        one_more = write_tokens(hooked, prompt, (), Decoding(), most + 1)
        with pytest.raises(PromptError, match="context is full"):
            list(one_more)


def test_without_a_limit_there_is_always_room():
    assert room(None, 10**9) is None
    check_room(None, 10**9, 10**9)


def test_too_many_tokens_are_refused_with_how_many_fit():
    check_room(64, 60, 5)
    with pytest.raises(PromptError, match=r"6 tokens do not fit after 60.*at most 64.*at most 5"):
        check_room(64, 60, 6)
    assert room(64, 70) == 0
