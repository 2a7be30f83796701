"""What one run recorded, asked for as plain values."""

from model_hooks import load_model
from model_hooks.read.recorded import copied_from

LIGHTHOUSE = "Lily and Tim went to the lighthouse. Lily and"


def test_a_name_that_is_said_again_is_found_where_it_stands():
    model = load_model("storyteller")
    trace = model.trace(model.encode(LIGHTHOUSE))
    pos = copied_from(trace)
    assert trace.tokens[pos] == " Tim"
    assert " Tim" not in trace.tokens[pos + 1 :]


def test_a_word_that_is_new_or_unsure_is_not_copied():
    model = load_model("storyteller")
    assert copied_from(model.trace(model.encode("They lived happily ever"))) is None
    assert copied_from(model.trace(model.encode("Lily and"))) is None
