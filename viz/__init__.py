"""Figures: plain arrays and strings in, `plotly.graph_objects.Figure` out."""

from viz.attention import attention_heatmap
from viz.block import block_diagram
from viz.layers import layer_thumbnails
from viz.probabilities import most_probable, next_token_bars, percent
from viz.residual import added_sizes
from viz.vectors import color_limit, vector_strip

__all__ = [
    "added_sizes",
    "attention_heatmap",
    "block_diagram",
    "color_limit",
    "layer_thumbnails",
    "most_probable",
    "next_token_bars",
    "percent",
    "vector_strip",
]
