"""What text does the browser get for a component? Its script, joined with those that it imports.

Streamlit takes one text per component, in which nothing can be imported. On disk the scripts are
ordinary ES modules, so that their pure parts can be tested by node and checked by an editor. Since
they end up in one text, no two of them may give the same name to different things.
"""

import re
from collections.abc import Iterator
from pathlib import Path

BROWSER = Path(__file__).parent / "browser"
"""Where scripts and styles lie."""
_IMPORT = re.compile(r'^import \{[^}]*\} from "\./(\w+)\.js";\n', re.MULTILINE)


def script(name: str) -> str:
    """Read `browser/<name>.js` with the files it imports in front of it, each once."""
    return "".join(_parts(name, set()))


def style(name: str) -> str:
    """Read `browser/<name>.css`."""
    return (BROWSER / f"{name}.css").read_text(encoding="utf-8")


def _parts(name: str, seen: set[str]) -> Iterator[str]:
    """Give the files in an order in which each comes after those that it imports."""
    seen.add(name)
    text = (BROWSER / f"{name}.js").read_text(encoding="utf-8")
    for needed in _IMPORT.findall(text):
        if needed not in seen:
            yield from _parts(needed, seen)
    yield _IMPORT.sub("", text)
