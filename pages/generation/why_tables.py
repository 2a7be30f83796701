"""Why this token, as HTML: words tinted by what was read, and a table of each word hidden."""

import html
from collections.abc import Sequence
from typing import NamedTuple

from pages.text import visible
from viz.numbers import counted, percent, signed

N_TINTED = 40
"""Words that are all shown; of a longer text, only those that add or take most."""
N_PICKED = 12
WRITTEN_FROM = 0.1
"""Numbers are written under words that have this share of the largest one."""
OTHERS = "other words, each with less effect"
STRONGEST = 0.55
"""Opacity of the tint of the largest one: text on it stays readable in light and dark."""


class Tinted(NamedTuple):
    """A word as it stands, and what was added to the answer's logit by reading it."""

    text: str
    added: float


class Row(NamedTuple):
    """A word that was hidden."""

    text: str
    probability: float
    """Of the answer, without the word."""
    leads: str
    leading: float
    """Probability of what leads then."""
    read: float | None
    """What was added by reading it; None if that cannot be told."""
    is_largest: bool
    """Whether hiding it costs most."""


def tinted_html(words: Sequence[Tinted], sentence: str, explained: str) -> str:
    """Write words one after the other, each on a tint that tells how much was read of it.

    Args:
        words: The words, in order.
        sentence: What they show, as HTML.
        explained: What the numbers are, for whoever asks.
    """
    largest = max((abs(word.added) for word in words), default=0.0) or 1.0
    shown = set(range(len(words)))
    if len(words) > N_TINTED:
        shown = set(sorted(shown, key=lambda i: -abs(words[i].added))[:N_PICKED])
    pieces = []
    for i, word in enumerate(words):
        if i in shown:
            pieces.append(_tinted(word, largest))
        elif i == 0 or i - 1 in shown:
            pieces.append("<i>…</i>")
    legend = "Tint: how much reading a word adds to the answer's logit. Dashed: it takes away."
    return (
        f"<div class='read-from'>{sentence}<p>{''.join(pieces)}</p>"
        f"<details><summary>{legend}</summary>{explained}</details></div>"
    )


def table_html(rows: Sequence[Row], answer: str, before: float, n_left_out: int = 0) -> str:
    """Write what becomes of the answer without each word.

    Args:
        rows: The words, in order.
        answer: The token that is explained.
        before: Its probability in the whole text.
        n_left_out: How many words were hidden that have no row.
    """
    name = html.escape(answer)
    reads = any(row.read is not None for row in rows)
    head = ["Hidden word", f"Probability of {name}", "Most probable then"]
    head += ["Read from it (logit)"] if reads else []
    cells = "".join(f"<th scope='col'>{cell}</th>" for cell in head)
    whole = ["<th scope='row'><i>nothing</i></th>", _bar(before), "<td></td>"]
    whole += ["<td></td>"] if reads else []
    body = f"<tr>{''.join(whole)}</tr>" + "".join(_row(row, reads) for row in rows)
    if n_left_out:
        others = counted(n_left_out, "other word, with less effect", OTHERS)
        body += f"<tr><td colspan='{len(head)}' class='rest'><i>{others}</i></td></tr>"
    return (
        f"<div class='facts without-words'><table><thead><tr>{cells}</tr></thead>"
        f"<tbody>{body}</tbody></table></div>"
    )


def _tinted(word: Tinted, largest: float) -> str:
    share = abs(word.added) / largest
    number = f"<small>{signed(word.added)}</small>" if share >= WRITTEN_FROM else ""
    kind = " class='less'" if word.added < 0 and number else ""
    tint = f"--tint:{STRONGEST * share if word.added > 0 else 0:.2f}"
    return (
        f"<span{kind} style='{tint}'><code>{html.escape(visible(word.text))}</code>{number}</span>"
    )


def _row(row: Row, reads: bool) -> str:
    cells = [
        f"<th scope='row'><code>{html.escape(row.text)}</code></th>",
        _bar(row.probability),
        f"<td><code>{html.escape(row.leads)}</code> {percent(row.leading)}</td>",
    ]
    if reads:
        cells.append(f"<td>{'' if row.read is None else signed(row.read)}</td>")
    return f"<tr{' class=largest' if row.is_largest else ''}>{''.join(cells)}</tr>"


def _bar(probability: float) -> str:
    """A cell with a number, and a bar of that length behind it."""
    return f"<td class='bar' style='--share:{100 * probability:.1f}%'>{percent(probability)}</td>"
