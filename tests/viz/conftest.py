"""Whatever is drawn here is sent as Plotly itself would write it."""

import base64
import json

import numpy as np
import pytest

from viz.figure import Figure


def trimmed(value):
    """A figure's JSON with numbers for bytes, and without empty lists, which Plotly leaves out."""
    if isinstance(value, dict) and "bdata" in value:
        numbers = np.frombuffer(base64.b64decode(value["bdata"]), value["dtype"])
        return [value.get("shape"), np.nan_to_num(numbers.astype(float), nan=1e99).tolist()]
    if isinstance(value, dict):
        return {
            key: trimmed(one)
            for key, one in value.items()
            if not (key in ("shapes", "annotations") and one == [])
        }
    return [trimmed(one) for one in value] if isinstance(value, list) else value


@pytest.fixture(autouse=True)
def drawn_as_plotly_writes_it(monkeypatch, request):
    """Compare each figure of a test with Plotly's own, which checks every property."""
    if request.module.__name__.endswith("test_figure"):
        yield  # about figures that nobody would draw
        return
    figures, make = [], Figure.__init__

    def noted(self, *given, **named):
        make(self, *given, **named)
        figures.append(self)

    monkeypatch.setattr(Figure, "__init__", noted)
    yield
    for figure in figures:
        expected = json.loads(figure.checked.to_json(validate=False))
        assert trimmed(json.loads(figure.written())) == trimmed(expected)
        assert figure.height == figure.checked.layout.height
