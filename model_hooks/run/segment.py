"""What did one forward pass record of the positions that were new to it?"""

from dataclasses import dataclass

from torch import Tensor

from model_hooks.run.capture import LayerRecord


@dataclass(frozen=True, eq=False)
class Segment:
    """What one forward pass recorded for the positions that were new to it.

    A prompt gives one segment; each generated token adds one. Segments are shared between a
    generation and its branches. Tensors stay on the model's device.
    """

    token_ids: tuple[int, ...]
    layers: tuple[LayerRecord, ...]

    @property
    def nbytes(self) -> int:
        """Bytes held, counted once per tensor."""
        return sum(
            t.numel() * t.element_size() for t in {id(t): t for t in self._tensors()}.values()
        )

    def shortened(self, length: int) -> "Segment | None":
        """Return the first `length` positions, or None if its attention calls cannot be cut."""
        layers = []
        for layer in self.layers:
            shorter = [call.shortened(length) for call in layer.calls]
            calls = [call for call in shorter if call is not None]
            if len(calls) < len(shorter):
                return None
            layers.append(
                LayerRecord(
                    layer=layer.layer,
                    resid_pre=layer.resid_pre[:length],
                    calls=calls,
                    attn_out=_first(layer.attn_out, length),
                    resid_mid=_first(layer.resid_mid, length),
                    mlp_out=_first(layer.mlp_out, length),
                    resid_post=_first(layer.resid_post, length),
                )
            )
        return Segment(self.token_ids[:length], tuple(layers))

    def _tensors(self) -> list[Tensor]:
        tensors: list[Tensor | None] = []
        for layer in self.layers:
            tensors += [layer.resid_pre, layer.attn_out, layer.resid_mid, layer.mlp_out]
            tensors.append(layer.resid_post)
            for call in layer.calls:
                tensors += call.tensors
        return [tensor for tensor in tensors if tensor is not None]


def _first(tensor: Tensor | None, length: int) -> Tensor | None:
    return None if tensor is None else tensor[:length]
