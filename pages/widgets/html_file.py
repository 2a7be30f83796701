"""Figures as one file: a web page that opens without Inlook, without a network, years from now.

    html = html_file({"What head 3 reads": attention_heatmap(weights, tokens)}, "My run")
    Path("figures.html").write_text(html, encoding="utf-8")

It holds the scripts that draw the app's own pages, and what they were given.
"""

import base64
import html
import json
import re
from collections.abc import Iterable, Mapping
from functools import cache
from typing import Any

from model_hooks.versions import versions
from pages.widgets.chart import chart_data, plotly_script
from pages.widgets.drawing import AnyFigure
from pages.widgets.drawn import Drawn
from pages.widgets.scripts import script, style
from viz.look import theme_of

FONTS = {
    "font": "system-ui, -apple-system, 'Segoe UI', Roboto, sans-serif",
    "code-font": "ui-monospace, Menlo, Consolas, 'DejaVu Sans Mono', monospace",
}
"""Those of the reader's computer, since a file brings none along."""
_DEFAULT = re.compile(r"^export default function\b", re.MULTILINE)
_EXPORT = re.compile(r"^export (?!default)", re.MULTILINE)
_PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<style>{style}</style>
</head>
<body>
<h1>{title}</h1>
<dl>{about}</dl>
{figures}
<noscript>These figures are drawn by scripts inside this file: allow it to run them.</noscript>
<footer>{made_by}</footer>
{scripts}
</body>
</html>
"""


def html_file(
    figures: Mapping[str, AnyFigure] | Iterable[Drawn],
    title: str,
    about: Mapping[str, str] | None = None,
) -> str:
    """Write figures as one HTML file.

    Args:
        figures: Figures of `viz` by what stands above each, or what `collecting` found.
        title: What stands at its top.
        about: What the figures are of, such as the model and the prompt, by what it is called.
    """
    if isinstance(figures, Mapping):
        drawn = [_as_drawn(says, figure) for says, figure in figures.items()]
    else:
        drawn = list(figures)
    names = list(dict.fromkeys(one.component for one in drawn))
    alone = {one.component: style(one.component) for one in drawn if one.alone}
    beside = [style(name) for name in names if name not in alone]
    told = "".join(map(_told, (about or {}).items()))
    return _PAGE.format(
        title=_shown(title),
        style="\n".join([_themes(), style("html_file"), *beside]),
        about=told,
        figures="\n".join(map(_figure, drawn)),
        made_by=html.escape(_made_by()),
        scripts=_scripts(names, alone),
    )


def _as_drawn(says: str, figure: AnyFigure) -> Drawn:
    return Drawn("chart", chart_data(figure, says, says), says, alone=False)


def _told(told: tuple[str, str]) -> str:
    name, text = told
    return f"<dt>{_shown(name)}</dt><dd>{_shown(text)}</dd>"


def _figure(drawn: Drawn) -> str:
    told: dict[str, Any] = {"component": drawn.component, "alone": drawn.alone}
    if isinstance(drawn.data, bytes):
        told["bytes"] = base64.b64encode(drawn.data).decode()
    else:
        told["data"] = {**drawn.data, "clickable": False}
    return (
        f"<section><h2>{_shown(drawn.says)}</h2>"
        f'<script type="application/json">{_as_json(told)}</script>'
        '<div class="place"></div></section>'
    )


def _scripts(names: list[str], styles: Mapping[str, str]) -> str:
    parts = ["window.inlookComponents = {};"]
    if "chart" in names:
        # What would end a script may stand in a text; there, the backslash changes nothing.
        parts.append(plotly_script().decode().replace("</script", "<\\/script"))
        parts.append("window.inlookPlotly = Promise.resolve(window.Plotly);")
    parts += [_own_names(name, f"window.inlookComponents.{name}") for name in names]
    shown = f"show(window.inlookComponents, {_as_json(styles)});"
    parts.append(_own_names("html_file", "const show", shown))
    return "\n".join(f"<script>{part}</script>" for part in parts)


def _own_names(name: str, place: str, then: str = "") -> str:
    """A component's script as one that puts its function into a place and leaves nothing else."""
    text = _DEFAULT.sub(f"{place} = function", _EXPORT.sub("", script(name)))
    return f'(() => {{ "use strict";\n{text}{then}\n}})();'


@cache
def _themes() -> str:
    """The variables that Streamlit makes of the theme, in light and in dark."""
    light, dark = _variables(theme_of("light")), _variables(theme_of("dark"))
    return f':root {{ {light} }}\n:root[data-scheme="dark"] {{ {dark} }}'


def _variables(theme: Mapping[str, Any]) -> str:
    plain = {
        re.sub("([A-Z])", lambda found: f"-{found[1].lower()}", name): (
            ", ".join(value) if isinstance(value, list) else value
        )
        for name, value in theme.items()
        if isinstance(value, str | list)
    }
    return " ".join(f"--st-{name}: {value};" for name, value in (plain | FONTS).items())


def _made_by() -> str:
    made = versions()
    others = ", ".join(f"{name} {number}" for name, number in made.items() if name != "inlook")
    return f"Made with Inlook {made['inlook']} ({others}). This file needs no network."


def _as_json(value: Any) -> str:
    """JSON that no text in it can end the script of."""
    return json.dumps(value).replace("<", "\\u003c")


def _shown(text: str) -> str:
    """A text that HTML shows as it stands; lone halves of a character become question marks."""
    return html.escape(text.encode("utf-8", "replace").decode())
