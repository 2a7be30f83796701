"""A draft is a value: moves keep what was written as branches, and never touch the draft itself."""

import pickle

import pytest

from model_hooks import Decoding
from model_hooks.write.writing import WrittenStep
from pages.ask.draft import MAX_TIPS, Draft, Move, ids_of, taking

PROMPT = (7, 8)
COSTS = {
    "decoding": Decoding(),
    "forced": False,
    "reused": False,
    "probability": 0.5,
    "raw_probability": 0.5,
    "rank": 1,
    "entropy_bits": 1.0,
    "rows_computed": 1,
    "flops": 1,
    "seconds": 0.1,
    "cache_bytes": 0,
    "prefill": False,
}


def steps(*token_ids, **changes):
    """Steps that wrote these tokens."""
    return tuple(
        WrittenStep(pos=len(PROMPT) + i, token_id=one, token=str(one), **{**COSTS, **changes})
        for i, one in enumerate(token_ids)
    )


def written(*texts):
    """A draft after these texts were written, one after the other."""
    draft = Draft("tiny", PROMPT)
    for text in texts:
        draft = draft.moved(steps(*text))
    return draft


def tips(draft):
    return [ids_of(tip) for tip in draft.tips]


def test_a_text_that_grows_is_one_branch():
    draft = written((1,), (1, 2), (1, 2, 3))
    assert tips(draft) == [(1, 2, 3)]
    assert draft.token_ids == (7, 8, 1, 2, 3)
    assert draft.tip == 0


def test_going_back_keeps_the_longer_text_as_a_branch():
    draft = written((1, 2, 3), (1,))
    assert (draft.written, tips(draft), draft.tip) == ((1,), [(1, 2, 3)], None)


def test_another_token_makes_a_second_branch_and_the_first_one_stays():
    draft = written((1, 2, 3), (1, 5))
    assert tips(draft) == [(1, 2, 3), (1, 5)]
    assert draft.tip == 1
    back = draft.moved(steps(1, 2, 3))
    assert (tips(back), back.tip) == ([(1, 5), (1, 2, 3)], 1)


def test_no_branch_is_the_beginning_of_another_one():
    draft = written((1, 2), (3,), (1, 2, 9), (), (3, 4), (1,))
    assert sorted(tips(draft)) == [(1, 2, 9), (3, 4)]


def test_the_branch_that_was_left_longest_ago_goes_first():
    draft = written(*[(i,) for i in range(MAX_TIPS + 3)])
    assert tips(draft) == [(i,) for i in range(3, MAX_TIPS + 3)]


@pytest.mark.parametrize(
    ("wanted", "nearest"),
    [
        ((1, 2, 3, 4), (1, 2, 3)),
        ((1, 5, 6), (1, 5, 6)),
        ((1, 5, 9), (1, 5)),
        ((1,), (1,)),
        ((8,), ()),
        ((), ()),
    ],
)
def test_the_nearest_text_is_the_longest_beginning_that_any_branch_has(wanted, nearest):
    assert ids_of(written((1, 2, 3), (1, 5, 6)).nearest(wanted)) == nearest


def test_steps_of_a_branch_keep_how_they_were_picked():
    draft = Draft("tiny", PROMPT).moved(steps(1, 2, forced=True)).moved(())
    assert [step.forced for step in draft.nearest((1, 2))] == [True, True]


def test_forgetting_the_others_leaves_the_text():
    draft = written((1, 2), (3,)).without_others()
    assert (draft.written, tips(draft)) == ((3,), [(3,)])
    assert written((1, 2), ()).without_others().tips == ()


def test_moving_leaves_the_draft_itself_alone():
    draft = written((1, 2))
    draft.moved(steps(9))
    assert (draft.written, tips(draft)) == ((1, 2), [(1, 2)])


def test_another_token_is_taken_after_what_stands_before_it():
    draft = written((1, 2, 3))
    assert taking(draft, 3, 9) == Move(PROMPT, (1,), writes=True, choose=9)
    assert taking(draft, 5, 9) == Move(PROMPT, (1, 2, 3), writes=True, choose=9)
    assert taking(draft, 3, 2) is None


def test_a_move_is_made_for_the_prompt_it_was_meant_for():
    assert Move(PROMPT, ()).is_for(written())
    assert not Move((7,), ()).is_for(written())
    assert Move(writes=True).is_for(written())


def test_drafts_and_moves_are_plain_values():
    draft = written((1, 2), (3,))
    assert pickle.loads(pickle.dumps(draft)) == draft
    assert len({Move(PROMPT, (1,)), Move(PROMPT, (1,))}) == 1
