"""What a page drew, read from an AppTest."""

import base64
import json
from typing import NamedTuple

import numpy as np
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


def numbers(values):
    """Decode an array as it is sent to the browser."""
    if isinstance(values, dict):
        array = np.frombuffer(base64.b64decode(values["bdata"]), values["dtype"])
        return array.reshape([int(n) for n in str(values.get("shape", len(array))).split(",")])
    return np.array(values, dtype=float)
