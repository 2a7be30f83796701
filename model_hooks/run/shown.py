"""What does a notebook show of a trace? Its tokens, and how likely the next ones are."""

import html
from collections.abc import Sequence

import numpy as np
from jaxtyping import Float

from model_hooks.arrays import softmax

MOST_TOKENS = 400
"""Of a longer text, the last ones are shown."""
_BAR = (
    '<tr><td style="text-align:left;padding:0 .8em 0 0"><code>{token}</code></td>'
    '<td style="text-align:left;width:16em;padding:0">'
    '<span style="display:inline-block;height:.8em;background:#0072b2;width:{percent:.2f}%">'
    '</span></td><td style="text-align:right;padding:0 0 0 .8em">{percent:.1f}&nbsp;%</td></tr>'
)
_CHIP = (
    '<span title="position {pos}" style="display:inline-block;margin:1px;padding:0 .3em;'
    'border:1px solid rgba(128,128,128,.5);border-radius:.3em"><code>{token}</code></span>'
)


def shown(
    tokens: Sequence[str],
    next_tokens: Sequence[str],
    last_logits: Float[np.ndarray, "vocab"],
    n_layers: int,
    n_heads: int,
) -> str:
    """Write a trace as HTML: tokens as chips, the likeliest next ones as bars.

    Args:
        tokens: The text's tokens for people.
        next_tokens: The likeliest ones to come next, the likeliest first.
        last_logits: After the last position.
        n_layers: Of the model.
        n_heads: Of a layer.
    """
    left_out = max(0, len(tokens) - MOST_TOKENS)
    chips = [_CHIP.format(pos=pos, token=_plain(token)) for pos, token in enumerate(tokens)]
    more = f"… {left_out:,} before · " if left_out else ""
    probabilities = np.sort(softmax(last_logits))[::-1]
    pairs = zip(next_tokens, probabilities, strict=False)
    bars = [_BAR.format(token=_plain(token), percent=100 * share) for token, share in pairs]
    return (
        f"<div><b>Trace</b> of {len(tokens):,} tokens, {n_layers} layers, {n_heads} heads</div>"
        f'<div style="line-height:1.9">{more}{"".join(chips[left_out:])}</div>'
        '<table style="border-collapse:collapse"><caption style="text-align:left">'
        f"<b>What could come next</b></caption>{''.join(bars)}</table>"
    )


def likeliest_ids(logits: Float[np.ndarray, "vocab"], most: int) -> list[int]:
    """Return the IDs of the largest logits, the largest first; of equal ones, the lower ID."""
    found = np.argpartition(-logits, min(most, len(logits)) - 1)[:most]
    return [int(i) for i in sorted(found, key=lambda i: (-logits[i], i))]


def _plain(token: str) -> str:
    """A token as text that HTML shows as it stands, with its spaces and line ends."""
    seen = token.replace(" ", "·").replace("\n", "↵").replace("\t", "⇥")
    return html.escape("".join(one if one.isprintable() else f"⟨{ord(one):X}⟩" for one in seen))
