"""What is found out about a model once, and kept as long as the model lives?"""

import functools
import threading
from collections.abc import Callable
from typing import TypeVar
from weakref import WeakKeyDictionary

from model_hooks.model import HookedModel

Found = TypeVar("Found")


def once_per_model(find: Callable[[HookedModel], Found]) -> Callable[[HookedModel], Found]:
    """Let a function of a model alone run once per model; others wait for what it finds.

    What it finds must not hold the model: the model would never be freed.
    """
    found: WeakKeyDictionary[HookedModel, Found] = WeakKeyDictionary()
    lock = threading.Lock()

    @functools.wraps(find)
    def kept(model: HookedModel) -> Found:
        with lock:
            if model not in found:
                found[model] = find(model)
            return found[model]

    return kept
