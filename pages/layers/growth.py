"""How does the vector of one token grow and turn from layer to layer?"""

import pandas as pd

from model_hooks import ModelInfo
from model_hooks.host import Run
from model_hooks.read.growth import Growth, growth
from pages.ask.computed import computed
from pages.widgets.chart import chart
from pages.widgets.download import csv_button
from pages.widgets.drawing import drawing
from pages.widgets.provenance import numbers_from
from pages.widgets.quantity import LENGTH, shown
from viz import stream_growth

HELP = (
    "Each layer adds to the token's vector. **Length** tells how large it has become. **Cosine** "
    "tells how much it points the same way: 1 is the same direction, 0 is unrelated."
)

_growth = computed(growth)


def draw(asked: Run, info: ModelInfo, pos: int, layer: int) -> None:
    """Draw length and direction of one token's vector."""
    measures: Growth = _growth(*asked, pos)
    figure = drawing(stream_growth, *measures, selected=layer)
    first = shown(LENGTH, float(measures.norms[0]), "resid_pre", 0, pos)
    last = shown(LENGTH, float(measures.norms[-1]), "resid_post", info.n_layers - 1, pos)
    told = f"Length of the vector, from {first} (embedding) to {last} (after the last layer)"
    chart(figure, key="layers_growth", alt=f"{told}, and its cosine similarity")
    numbers_from(
        None,
        (info.n_layers + 1, len(asked.token_ids), info.d_model),
        "embedding and residual stream after every block",
    )
    csv_button(lambda: table_of(measures), "residual_stream")


def table_of(measures: Growth) -> pd.DataFrame:
    """Return the growth of the stream as a table, for download; layer -1 is the embedding."""
    return pd.DataFrame({"layer": range(-1, len(measures.norms) - 1), **measures._asdict()})
