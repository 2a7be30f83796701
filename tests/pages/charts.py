"""What a page drew, read from an AppTest."""

import json
from typing import NamedTuple

from streamlit.testing.v1 import AppTest


class Drawn(NamedTuple):
    """A chart as it was sent to the browser."""

    key: str
    alt: str
    figure: dict


def drawn(app: AppTest) -> list[Drawn]:
    """All charts of a page, from top to bottom."""
    found = []
    for element in app.get("bidi_component"):
        if element.proto.component_name == "inlook_chart":
            sent = json.loads(element.proto.json)
            found.append(Drawn(sent["name"], sent["alt"], json.loads(sent["figure"])))
    return found
