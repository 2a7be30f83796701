"""Which colours do the placeholders of `theme` stand for, outside of the app?

In the app, the browser puts them in (`chart_look.js`). A notebook shows figures in the light ones.
"""

import re
import tomllib
from functools import cache
from pathlib import Path
from typing import Any, Literal

Scheme = Literal["light", "dark"]
_CONFIG = Path(__file__).parents[1] / ".streamlit" / "config.toml"
_PLACEHOLDER = re.compile(r'"#0000(0[1-9]|[1-3]\d|40)"')
_LISTS = ("chartCategoricalColors", "chartSequentialColors", "chartDivergingColors")
_SINGLE = {38: "backgroundColor", 39: "borderColor", 40: "secondaryBackgroundColor"}
"""What the placeholders after those of the lists stand for; all others are the text's colour."""


@cache
def theme_of(scheme: Scheme) -> dict[str, Any]:
    """Return what `.streamlit/config.toml` says about a theme, by Streamlit's names."""
    theme = tomllib.loads(_CONFIG.read_text(encoding="utf-8"))["theme"]
    return {**theme, **theme[scheme]}


def coloured(written: str, scheme: Scheme = "light") -> str:
    """Put a theme's colours into a figure's JSON."""
    theme = theme_of(scheme)

    def colour(found: re.Match[str]) -> str:
        which, place = divmod(int(found[1]) - 1, 10)
        if which < len(_LISTS):
            colours = theme[_LISTS[which]]
            return f'"{colours[place % len(colours)]}"'
        return f'"{theme[_SINGLE.get(int(found[1]), "textColor")]}"'

    return _PLACEHOLDER.sub(colour, written)
