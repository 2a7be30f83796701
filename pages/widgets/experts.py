"""Which experts did a token's router choose? One sentence, on every page that says so."""

from model_hooks import Routing
from pages.text import escape_markdown
from viz.numbers import three_digits


def choice_line(routing: Routing, label: str, pos: int) -> str:
    """Say which experts one token was sent to.

    Args:
        routing: What a layer's router did.
        label: The token, for people.
        pos: Its position.
    """
    if routing.chosen is None or routing.chosen_weights is None:
        return (
            "This family's router keeps its choice to itself: shown are the scores that it chooses "
            "by."
        )
    chosen, weights = routing.chosen[pos].tolist(), routing.chosen_weights[pos].tolist()
    picked = [
        f"**expert {expert}** (weight {three_digits(weight)})"
        for expert, weight in zip(chosen, weights, strict=True)
    ]
    listed = " and ".join([", ".join(picked[:-1]), picked[-1]] if len(picked) > 1 else picked)
    return (
        f"In layer {routing.layer}, **{escape_markdown(label)}** goes to {listed}, out of "
        f"{routing.n_experts} experts."
    )
