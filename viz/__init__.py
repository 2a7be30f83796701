"""Figures: plain arrays and strings in, `plotly.graph_objects.Figure` out."""

from viz.attention import attention_heatmap
from viz.block import block_diagram
from viz.decoding import candidates, candidates_bars
from viz.generation import choices_replay, step_costs
from viz.layers import layer_thumbnails
from viz.probabilities import next_token_bars
from viz.residual import added_sizes
from viz.vectors import color_limit, vector_strip

__all__ = [
    "added_sizes",
    "attention_heatmap",
    "block_diagram",
    "candidates",
    "candidates_bars",
    "choices_replay",
    "color_limit",
    "layer_thumbnails",
    "next_token_bars",
    "step_costs",
    "vector_strip",
]
