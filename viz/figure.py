"""What is a figure? Marks and a layout, sent as they are; Plotly's own for those who look inside.

Plotly checks and copies every property while it builds its figure, which takes a hundred times as
long as writing the same figure down. So pages send what was drawn as it stands, and whoever asks
for a property (tests do, for every function of this package) gets the checked figure of the same.
"""

import base64
import json
from collections.abc import Iterable, Mapping, Sequence
from functools import cache, cached_property
from typing import Any

import numpy as np
import orjson
import plotly.graph_objects as go

from viz.look import coloured

PLOTLY_MIME = "application/vnd.plotly.v1+json"
_BY_NAME = {
    "float32": "f4",
    "float64": "f8",
    "int8": "i1",
    "int16": "i2",
    "int32": "i4",
    "uint8": "u1",
    "uint16": "u2",
    "uint32": "u4",
}
"""Types of numbers that go as bytes, and what plotly.js calls them."""
_CHANGES = ("add_", "append_", "for_each_", "set_", "update")


class Figure:
    """A figure that nobody changes any more.

    Args:
        data: Marks, as dictionaries or as Plotly's traces.
        layout: The layout, as a dictionary.

    Every property of `plotly.graph_objects.Figure` can be read.
    """

    def __init__(
        self, data: Mapping[str, Any] | Iterable[Any] | Any = (), layout: Any = None
    ) -> None:
        several = isinstance(data, Sequence)
        self._data, self._layout = list(data) if several else [data], layout or {}

    @property
    def height(self) -> float | None:
        """Its height in pixels; None leaves it to the chart."""
        return self._layout.get("height")

    def written(self) -> str:
        """Return its JSON, which plotly.js draws as it draws that of Plotly's own figure."""
        layout = {**plain(self._layout), "template": _template()}
        return orjson.dumps({"data": plain(self._data), "layout": layout}).decode()

    def _repr_mimebundle_(self, **_: Any) -> dict[str, Any]:
        """Show the figure in a notebook that draws Plotly's."""
        shown = json.loads(coloured(self.written()))
        return {PLOTLY_MIME: shown, "text/plain": "a figure, for notebooks that draw Plotly's"}

    @cached_property
    def checked(self) -> go.Figure:
        """Plotly's own figure of the same.

        Raises:
            ValueError: Plotly knows no such property, or no such value of one.
        """
        return go.Figure(self._data, self._layout)

    def __getattr__(self, name: str) -> Any:
        if name.startswith(("_", *_CHANGES)):
            raise AttributeError(f"{name}: a drawn figure is not changed")
        return getattr(self.checked, name)


def plain(value: Any) -> Any:
    """Return a value as JSON holds it: without what is None, and arrays of numbers as bytes."""
    if isinstance(value, str | bool | int):
        return value
    if isinstance(value, dict):
        return {key: plain(one) for key, one in value.items() if one is not None}
    if isinstance(value, list | tuple | range):
        return [plain(one) for one in value]
    if isinstance(value, np.ndarray):
        return _as_bytes(value)
    if isinstance(value, np.generic):
        return value.item()
    return plain(value.to_plotly_json()) if hasattr(value, "to_plotly_json") else value


def _as_bytes(array: np.ndarray) -> Any:
    if array.dtype.kind in "iu" and array.size:
        array = array.astype(_narrowest(int(array.min()), int(array.max())))
    name = _BY_NAME.get(array.dtype.name)
    if name is None or not array.size or not array.ndim:
        return plain(array.tolist())
    sent = {"dtype": name, "bdata": base64.b64encode(array.tobytes()).decode()}
    return sent if array.ndim == 1 else {**sent, "shape": ", ".join(map(str, array.shape))}


def _narrowest(low: int, high: int) -> str:
    """The smallest type that goes as bytes and holds these; one that does not go, if none holds."""
    for name in ("int8", "uint8", "int16", "uint16", "int32", "uint32"):
        if np.iinfo(name).min <= low and high <= np.iinfo(name).max:
            return name
    return "int64"


@cache
def _template() -> Any:
    """What Plotly adds to every layout."""
    return plain(go.Figure().to_plotly_json()["layout"]["template"])
