"""A notebook gets figures in the theme's own colours."""

import json
import tomllib
from pathlib import Path

import numpy as np
import plotly.graph_objects as go
import pytest

from viz import attention_heatmap, vector_strip
from viz.figure import PLOTLY_MIME
from viz.look import coloured, theme_of

CONFIG = Path(__file__).parents[2] / ".streamlit" / "config.toml"


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_placeholders_become_the_colours_of_the_theme(scheme):
    theme = tomllib.loads(CONFIG.read_text())["theme"][scheme]
    given = ["#000001", "#000007", "#000008", "#000011", "#000020", "#000021", "#000038", "#000039"]
    categorical = theme["chartCategoricalColors"]
    assert json.loads(coloured(json.dumps(given), scheme)) == [
        categorical[0],
        categorical[6],
        categorical[0],
        theme["chartSequentialColors"][0],
        theme["chartSequentialColors"][-1],
        theme["chartDivergingColors"][0],
        theme["backgroundColor"],
        theme["borderColor"],
    ]
    assert theme_of(scheme)["primaryColor"] == theme["primaryColor"]


def test_other_texts_stay_as_they_are():
    for text in ('"#000041"', '"#00000a"', '"a #000001"', '"#0000011"'):
        assert coloured(text) == text


@pytest.mark.parametrize(
    "figure",
    [attention_heatmap(np.tri(3, dtype=np.float32), ["a", "b", "c"]), vector_strip(np.arange(4.0))],
)
def test_a_notebook_is_given_a_figure_that_plotly_knows(figure):
    shown = figure._repr_mimebundle_()[PLOTLY_MIME]
    assert '"#0000' not in json.dumps(shown)
    assert len(go.Figure(shown).data) == len(figure.data)
