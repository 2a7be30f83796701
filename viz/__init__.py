"""Which figures are there? Arrays and strings in, `plotly.graph_objects.Figure` out."""

from viz.architecture import BlockPieces, Piece, block_structure, encoder_decoder, parameter_bars
from viz.arithmetic import dot_product, softmax_bars, weighted_sum
from viz.attention import attention_heatmap
from viz.attribution import layer_effect, logit_parts
from viz.block import block_diagram
from viz.choice import (
    drawn_counts,
    entropy_by_temperature,
    expected_spread,
    ranked_distribution,
)
from viz.colours import role_colours
from viz.comparison import before_after_bars, most_changed, probability_by_token
from viz.continuations import beam_trellis, text_tree
from viz.decoding import candidates, candidates_bars
from viz.depth import Depth, stream_and_gradients
from viz.efficient_attention import (
    converted_and_trained,
    head_sharing,
    layer_losses,
    loss_changes,
    mask_cells,
    mask_picture,
)
from viz.experts import expert_heatmap
from viz.feedforward import (
    activation_curves,
    feedforward_steps,
    gate_and_up,
    neuron_bars,
    promoted_bars,
    switched_off_bars,
)
from viz.flash import (
    BackendLine,
    backend_costs,
    memory_traffic,
    output_distance,
    tile_map,
    tile_scores,
)
from viz.generation import choices_replay, step_costs
from viz.guesses import guess_bars
from viz.layers import layer_thumbnails
from viz.lens import lens_table, watched_words
from viz.merges import merge_ladder
from viz.norms import norm_comparison, norm_steps_strips
from viz.pair import difference_heatmap, distance_bars, lines_by_place, place_labels
from viz.positions import (
    LossLine,
    bias_by_distance,
    loss_by_position,
    position_similarity,
    position_vectors,
    shift_change,
)
from viz.probabilities import next_token_bars
from viz.residual import added_sizes, stream_growth
from viz.rotation import (
    TurnedPair,
    pair_terms,
    pair_use,
    rotation_slider,
    wavelength_lines,
)
from viz.training import Curve, final_losses, loss_curves
from viz.tuned import change_heatmap
from viz.vectors import color_limit, vector_strip

__all__ = [
    "BackendLine",
    "BlockPieces",
    "Curve",
    "Depth",
    "LossLine",
    "Piece",
    "TurnedPair",
    "activation_curves",
    "added_sizes",
    "attention_heatmap",
    "backend_costs",
    "beam_trellis",
    "before_after_bars",
    "bias_by_distance",
    "block_diagram",
    "block_structure",
    "candidates",
    "candidates_bars",
    "change_heatmap",
    "choices_replay",
    "color_limit",
    "converted_and_trained",
    "difference_heatmap",
    "distance_bars",
    "dot_product",
    "drawn_counts",
    "encoder_decoder",
    "entropy_by_temperature",
    "expected_spread",
    "expert_heatmap",
    "feedforward_steps",
    "final_losses",
    "gate_and_up",
    "guess_bars",
    "head_sharing",
    "layer_effect",
    "layer_losses",
    "layer_thumbnails",
    "lens_table",
    "lines_by_place",
    "logit_parts",
    "loss_by_position",
    "loss_changes",
    "loss_curves",
    "mask_cells",
    "mask_picture",
    "memory_traffic",
    "merge_ladder",
    "most_changed",
    "neuron_bars",
    "next_token_bars",
    "norm_comparison",
    "norm_steps_strips",
    "output_distance",
    "pair_terms",
    "pair_use",
    "parameter_bars",
    "place_labels",
    "position_similarity",
    "position_vectors",
    "probability_by_token",
    "promoted_bars",
    "ranked_distribution",
    "role_colours",
    "rotation_slider",
    "shift_change",
    "softmax_bars",
    "step_costs",
    "stream_and_gradients",
    "stream_growth",
    "switched_off_bars",
    "text_tree",
    "tile_map",
    "tile_scores",
    "vector_strip",
    "watched_words",
    "wavelength_lines",
    "weighted_sum",
]
