"""How is a hooked model run? All of a text, or the positions that a KV cache lacks."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import torch
from jaxtyping import Float
from transformers import PreTrainedModel, cache_utils

from model_hooks.arrays import check_array, to_array
from model_hooks.errors import RunError
from model_hooks.parts.abilities import Ways
from model_hooks.run import capture, interface
from model_hooks.run.interventions import Intervention
from model_hooks.run.numbers import check_numbers, explained
from model_hooks.run.segment import Segment


class Ran(NamedTuple):
    """What one run gave."""

    segment: Segment
    """What was recorded."""
    logits: Float[np.ndarray, "vocab"]
    """After the last position."""
    cache: Any
    """The KV cache of all positions, to go on from; None without one."""


@dataclass(frozen=True)
class Runner:
    """Runs a model that has the hooks, in the way its family wants it."""

    model: PreTrainedModel
    ways: Ways

    @torch.inference_mode()
    def record(
        self,
        token_ids: tuple[int, ...],
        new_rows: int,
        cache: Any = None,
        use_cache: bool = False,
        interventions: Sequence[Intervention] = (),
    ) -> Ran:
        """Run the positions that `cache` lacks and record the last `new_rows`.

        Raises:
            RunError: The model fails on this text, or its values are not numbers.
        """
        kept_rows = None if new_rows == len(token_ids) else new_rows
        with capture.recording(kept_rows, interventions, len(token_ids)) as record:
            outputs, cache = self.outputs(token_ids, new_rows, cache, use_cache)
        if self.ways.returns_weights:
            interface.attach_weights(record, outputs.get("attentions"))
        segment = Segment(token_ids[len(token_ids) - new_rows :], tuple(record.layers))
        logits = to_array(outputs.logits[0, -1])
        check_numbers(segment.layers, logits, len(token_ids))
        return Ran(segment, logits, cache)

    def whole(self, token_ids: tuple[int, ...], interventions: Sequence[Intervention] = ()) -> Ran:
        """Run and record a whole text, without a KV cache."""
        return self.record(token_ids, len(token_ids), interventions=interventions)

    def outputs(
        self, token_ids: tuple[int, ...], new_rows: int, cache: Any, use_cache: bool
    ) -> tuple[Any, Any]:
        """Run the positions that `cache` lacks; return all outputs and the cache to go on from.

        Raises:
            RunError: The model fails on this text.
        """
        device, first = self.model.device, len(token_ids) - new_rows
        input_ids = torch.tensor([token_ids], device=device)
        options: dict[str, Any] = {"use_cache": use_cache}
        if cache is not None:
            input_ids = input_ids[:, first:]
            options["past_key_values"] = cache
            if self.ways.names_positions:
                options["position_ids"] = torch.arange(first, len(token_ids), device=device)[None]
        if self.ways.keeps_last_logits:
            options["logits_to_keep"] = 1
        if self.ways.returns_weights:
            options["output_attentions"] = True
        with explained(self.model, len(token_ids)):
            outputs = self.model(input_ids=input_ids, **options)
        return outputs, self._to_go_on_from(outputs) if use_cache else None

    @torch.inference_mode()
    def tail(
        self,
        resid: Float[np.ndarray, "row d_model"],
        token_id: int = 0,
        last_only: bool = False,
    ) -> Float[np.ndarray, "some vocab"]:
        """Return the logits that what comes after the last block makes of residual vectors.

        Args:
            resid: One vector per position; all blocks are skipped.
            token_id: Stands at every position, where the input of the blocks would come from.
            last_only: Whether the logits of the last row will do, where the model can give these
                alone.

        Raises:
            RunError: The model fails on them.
        """
        resid = check_array("resid", resid, 2, RunError)
        hidden = torch.tensor(resid, dtype=self.model.dtype, device=self.model.device)[None]
        dummy = torch.full((1, len(resid)), token_id, device=self.model.device)
        options: dict[str, Any] = {"use_cache": False}
        if last_only and self.ways.keeps_last_logits:
            options["logits_to_keep"] = 1
        with explained(self.model, len(resid)), capture.blocks_replaced_by(hidden):
            return to_array(self.model(input_ids=dummy, **options).logits[0])

    def _to_go_on_from(self, outputs: Any) -> Any:
        cache = outputs.get("past_key_values") if self.ways.continues else None
        return cache if cache is not None and _can_continue(cache) else None


def _can_continue(cache: Any) -> bool:
    """Whether what is recorded from this cache's steps can be joined to what came before.

    A family's own kind of cache layer may rewrite keys or merge several into one (DeepSeek-V4);
    such a family runs all positions again instead.
    """
    layers = getattr(cache, "layers", [])
    return all(type(layer).__module__ == cache_utils.__name__ for layer in layers)
