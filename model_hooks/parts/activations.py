"""What do the common activation functions make of a number? Pure arithmetic, no model."""

import numpy as np
import torch
from jaxtyping import Float
from torch.nn import functional as F

from model_hooks.arrays import to_array

ACTIVATIONS = {"ReLU": F.relu, "GELU": F.gelu, "SiLU": F.silu}
"""By name. ReLU is the choice of 2017; GELU: Hendrycks and Gimpel 2016, equation 1; SiLU, also
called Swish: Elfwing et al. 2017, equation 1."""


def activation_curve(name: str, inputs: Float[np.ndarray, "x"]) -> Float[np.ndarray, "x"]:
    """Return what an activation function of `ACTIVATIONS` makes of some numbers.

    Raises:
        KeyError: There is none of that name.
    """
    return to_array(ACTIVATIONS[name](torch.tensor(inputs)))
