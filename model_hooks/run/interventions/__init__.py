"""What can be changed in a run: values, one class per kind, each saying where and how it acts.

They are passed to `trace` and `start`, act inside the recording attention and the hooks of that
one run, and so never reach another one. They know nothing of hooks. A module of this folder with a
class of its own is all that a new kind takes: every module in here is imported.
"""

import importlib
import pkgutil

from model_hooks.run.interventions.ablations import AblateAttention, AblateHead, AblateMLP
from model_hooks.run.interventions.base import (
    Effects,
    Intervention,
    Place,
    check_interventions,
    intervention_kinds,
)
from model_hooks.run.interventions.knockout import Knockout
from model_hooks.run.interventions.kv_heads import ShareKVHeads, kv_group_choices
from model_hooks.run.interventions.patterns import AttentionPattern, PatternKind

__all__ = [
    "AblateAttention",
    "AblateHead",
    "AblateMLP",
    "AttentionPattern",
    "Effects",
    "Intervention",
    "Knockout",
    "PatternKind",
    "Place",
    "ShareKVHeads",
    "check_interventions",
    "intervention_kinds",
    "kv_group_choices",
]

for _module in pkgutil.iter_modules(__path__, f"{__name__}."):
    importlib.import_module(_module.name)
