"""What does a run say of a model, where its config and the names of its parts only give a hint?"""

from dataclasses import replace

from model_hooks.info import ModelInfo
from model_hooks.parts.anatomy import Anatomy
from model_hooks.run import trials
from model_hooks.run.limits import try_context
from model_hooks.run.runner import Runner


def corrected(
    info: ModelInfo, runner: Runner, anatomy: Anatomy, probe_ids: tuple[int, ...]
) -> ModelInfo:
    """Return the facts of a model, corrected by what it does with a few tokens."""
    last = runner.whole(probe_ids[:1]).segment.layers[-1].resid_post
    width = info.d_model if last is None else last.shape[-1]
    position = info.position
    if position in ("none", "alibi", "relative"):
        position = trials.hears_distance(runner, probe_ids[-1]) or position
    return replace(
        info,
        position=position,
        context_size=try_context(runner, anatomy, probe_ids, width, info.context_size),
        sliding_window=trials.windows_of(runner, probe_ids, info.sliding_window),
    )
