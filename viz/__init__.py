"""Figures: plain arrays and strings in, `plotly.graph_objects.Figure` out."""

from viz.arithmetic import dot_product, softmax_bars, weighted_sum
from viz.attention import attention_heatmap
from viz.block import block_diagram
from viz.comparison import before_after_bars, most_changed
from viz.decoding import candidates, candidates_bars
from viz.generation import choices_replay, step_costs
from viz.layers import layer_thumbnails
from viz.lens import layer_effect, lens_table, logit_parts, watched_words
from viz.merges import merge_ladder
from viz.probabilities import next_token_bars
from viz.residual import added_sizes, stream_growth
from viz.vectors import color_limit, vector_strip

__all__ = [
    "added_sizes",
    "attention_heatmap",
    "before_after_bars",
    "block_diagram",
    "candidates",
    "candidates_bars",
    "choices_replay",
    "color_limit",
    "dot_product",
    "layer_effect",
    "layer_thumbnails",
    "lens_table",
    "logit_parts",
    "merge_ladder",
    "most_changed",
    "next_token_bars",
    "softmax_bars",
    "step_costs",
    "stream_growth",
    "vector_strip",
    "watched_words",
    "weighted_sum",
]
