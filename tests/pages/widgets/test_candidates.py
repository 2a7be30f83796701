"""The table of candidates: tokens as they stand, a column per kind of stage, sums over all."""

import numpy as np
import pytest

from model_hooks import Decoding
from pages.widgets.candidates import table_html
from viz import candidates

LOGITS = np.array([2.0, 1.0, 0.0, -1.0], np.float32)


def table(decoding, names="abcd", chosen=None):
    rows = candidates(decoding.stages(LOGITS, [0]), names.__getitem__, chosen=chosen)
    return table_html(rows, decoding, chosen)


@pytest.mark.parametrize("name", ["<b>", "</table>", "&amp;", "$x$", "a|b", "'", "<script>"])
def test_a_token_is_shown_as_it_stands(name):
    escaped = name.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    found = table(Decoding(), (name, "x", "y", "z"))
    assert f"<code>{escaped.replace(chr(39), '&#x27;')}</code>" in found
    assert found.count("</table>") == 1


def test_greedy_says_that_the_options_of_sampling_are_not_used():
    found = table(Decoding(temperature=0.5, top_k=2))
    assert "not used: greedy" in found
    assert "none on" in found
    assert "removed by" not in found


def test_filters_are_named_with_their_values_and_remove_rows():
    found = table(Decoding("sample", temperature=0.5, top_k=3, min_p=0.1))
    assert "÷ 0.5" in found
    assert "top-k 3 · min-p 0.1" in found
    assert found.count("removed by top-k") == 1
    assert found.count("removed by min-p") == 1
    assert found.count("<tr class='removed'>") == 2


def test_the_penalty_has_a_column_only_while_it_is_on():
    assert "After penalty" not in table(Decoding())
    assert "After penalty<small>1.5</small>" in table(Decoding(repetition_penalty=1.5))


def test_the_chosen_token_is_marked_and_the_sums_are_whole():
    found = table(Decoding(), chosen=2)
    assert "<tr class='chosen'><th scope='row'>▶ <code>c</code></th><td>2</td>" in found
    assert found.count("<td>100%</td>") == 2
