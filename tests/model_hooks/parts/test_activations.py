"""Activation functions, against their formulas in plain arithmetic."""

import math

import numpy as np
import pytest

from model_hooks.parts.activations import ACTIVATIONS, activation_curve

FORMULAS = {
    "ReLU": lambda x: max(x, 0.0),
    "GELU": lambda x: x * (1 + math.erf(x / math.sqrt(2))) / 2,
    "SiLU": lambda x: x / (1 + math.exp(-x)),
}


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_a_curve_follows_its_formula(name):
    x = np.linspace(-4, 4, 33, dtype=np.float32)
    expected = [FORMULAS[name](float(one)) for one in x]
    np.testing.assert_allclose(activation_curve(name, x), expected, atol=1e-6)
