"""Words of a text are tinted by what was read of them, and shown as they stand."""

import re

from pages.generation.why_tables import N_PICKED, N_TINTED, Row, Tinted, table_html, tinted_html


def test_the_tint_is_the_share_of_the_largest():
    html = tinted_html([Tinted("a", 2.0), Tinted("b", 1.0), Tinted("c", -1.0)], "S", "E")
    tints = list(map(float, re.findall(r"--tint:([\d.]+)", html)))
    assert abs(tints[0] - 2 * tints[1]) <= 0.011
    assert tints[2] == 0
    assert "+2" in html
    assert html.count("class='less'") == 1


def test_a_long_text_shows_what_adds_most_in_order():
    words = [Tinted(f"w{i}", float(i % 50)) for i in range(3 * N_TINTED)]
    html = tinted_html(words, "", "")
    shown = re.findall(r"<code>(w\d+)</code>", html)
    assert len(shown) == N_PICKED
    assert shown == sorted(shown, key=lambda name: int(name[1:]))
    assert {"w49", "w99"} <= set(shown)
    assert "w0" not in shown
    assert html.count("<i>…</i>") >= 2


def test_no_word_at_all_and_words_without_weight_are_drawn():
    assert "<code>" not in tinted_html([], "", "")
    assert "--tint:0.00" in tinted_html([Tinted("a", 0.0)], "", "")


def test_token_text_is_never_html():
    rows = [Row("<b>", 0.5, "<i>", 0.25, None, True)]
    for html in (tinted_html([Tinted("<b>", 1.0)], "", ""), table_html(rows, "<u>", 0.9)):
        assert "<b>" not in html
        assert "<code>&lt;b&gt;</code>" in html
    assert "<u>" not in table_html(rows, "<u>", 0.9)


def test_the_table_has_the_numbers_it_was_given():
    rows = [
        Row("Tim", 0.0377, "Tom", 0.335, 7.93, True),
        Row("and", 0.97, "Tim", 0.97, 0.01, False),
    ]
    html = table_html(rows, "Tim", 0.979)
    for number in ("97.9%", "3.77%", "33.5%", "+7.93", "97.0%", "+0.01"):
        assert number in html
    assert html.count("class=largest") == 1
    assert "Read from it" in html
    told_nothing = [row._replace(read=None) for row in rows]
    assert "Read from it" not in table_html(told_nothing, "Tim", 0.979)
