"""How a model is loaded into the server's process."""

import gc

from model_hooks import HookedModel
from model_hooks.experiments.untrained import open_model


def open_frozen(name: str) -> HookedModel:
    """Load a model and take it, and all else that is alive, out of the garbage collector's sight.

    Streamlit collects garbage after every run, which takes 150 ms with torch loaded. Freezing what
    is alive leaves it nothing to walk through, whether the loading succeeds or not.
    """
    gc.unfreeze()
    gc.collect()
    try:
        return open_model(name)
    finally:
        gc.collect()
        gc.freeze()
