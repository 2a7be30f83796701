"""HookedModel: a causal LM with its tokenizer, ready to be traced and stepped."""

import inspect
import threading
import time
from collections.abc import Hashable, Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from transformers import PreTrainedModel, PreTrainedTokenizerBase
from transformers.utils import ModelOutput

from model_hooks.errors import InterventionError, LayerError, NotRecordableError, PromptError
from model_hooks.info import ModelInfo
from model_hooks.parts import flops
from model_hooks.parts.anatomy import Anatomy, dissect
from model_hooks.parts.describe import describe
from model_hooks.parts.experts import Routing, listening
from model_hooks.parts.neurons import (
    Feedforward,
    NeuronTrace,
    check_whole,
    find_feedforward,
    output_rows,
    watch,
    watching,
)
from model_hooks.run import capture
from model_hooks.run.attention import attention_weights, family_eager, head_weights
from model_hooks.run.interventions import (
    AblateAttention,
    InsideAttention,
    Intervention,
    check_interventions,
)
from model_hooks.run.trace import Segment, Trace, build_trace, check_index, to_array
from model_hooks.text.tokens import TokenText, clean_text
from model_hooks.write.caching import cache_bytes, can_continue, fork, shortened
from model_hooks.write.decoding import Decoding
from model_hooks.write.generation import BoundedStore, Forward, Generation, Step

Prompt = str | Sequence | np.ndarray
"""A text, or token IDs."""
FORWARD_BYTES = 128 * 2**20
CACHE_BYTES = 96 * 2**20
SHARED_PREFIX = 16
"""From this many common tokens on, a new prompt goes on from what an earlier one computed."""


class HookedModel:
    """A causal LM and its tokenizer; build with `load_model` or `HookedModel.wrap`.

    Safe to use from many threads at once: what a call records belongs to that call.
    """

    def __init__(
        self,
        model: PreTrainedModel,
        tokenizer: PreTrainedTokenizerBase,
        info: ModelInfo,
        anatomy: Anatomy,
        records_itself: bool,
    ) -> None:
        self.model, self.tokenizer, self.info, self.anatomy = model, tokenizer, info, anatomy
        self._records_itself = records_itself
        self._continues, self._names_positions = True, False
        self._text = TokenText(tokenizer)
        self._keeps_last_logits = "logits_to_keep" in inspect.signature(model.forward).parameters
        self._row_flops = flops.block_flops_per_row(model, anatomy)
        self._head_flops = flops.head_flops_per_row(anatomy)
        self._feedforwards: dict[int, Feedforward] = {}
        self._feedforward_lock = threading.Lock()
        self._forwards: BoundedStore[Forward] = BoundedStore(FORWARD_BYTES, _forward_bytes)
        self._caches: BoundedStore[Any] = BoundedStore(CACHE_BYTES, cache_bytes)

    @classmethod
    def wrap(
        cls, model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, name: str | None = None
    ) -> "HookedModel":
        """Install the hooks and switch to the recording attention, once per model.

        Raises:
            NotCausalError: The model is not a causal LM.
            NotRecordableError: The model has no attention at all.
            BrokenModelError: The model computes values that are not numbers.
        """
        model.eval()
        records_itself = not capture.use_recording_attention(model)
        vocab_size = model.get_output_embeddings().weight.shape[0]
        probe_ids = torch.tensor([[i % vocab_size for i in (1, 2, 3, 5, 8, 13)]])
        anatomy = dissect(model, probe_ids.to(model.device))
        capture.install(anatomy)
        info = describe(model, anatomy, name or model.config.name_or_path or "model")
        hooked = cls(model, tokenizer, info, anatomy, records_itself)
        hooked._check_recording(probe_ids[0].tolist())
        hooked._check_cache(tuple(probe_ids[0].tolist()))
        return hooked

    @property
    def eos_token_ids(self) -> frozenset[int]:
        """The token IDs that end a text."""
        ids = self.model.generation_config.eos_token_id
        if ids is None:
            ids = self.tokenizer.eos_token_id
        return frozenset([] if ids is None else ids if isinstance(ids, list) else [ids])

    def encode(self, text: str) -> list[int]:
        """Return the token IDs of a text, with special tokens as the tokenizer's default is."""
        return self.tokenizer(clean_text(text), verbose=False)["input_ids"]

    def decode(self, token_ids: Sequence[int]) -> str:
        """Return the text of token IDs, special tokens included."""
        return self.tokenizer.decode([int(i) for i in token_ids], skip_special_tokens=False)

    def token_strings(self, ids: Sequence[int] | np.ndarray) -> tuple[str, ...]:
        """Return one string per token ID, for display.

        A character split over several tokens appears in each with the number of its piece as a
        subscript; bytes that never become a character appear as `⟨F0⟩`.
        """
        return self._text.strings(ids)

    def token_bytes(self, token_id: int) -> bytes:
        """Return the UTF-8 bytes that one token stands for."""
        return self._text.bytes_of(token_id)

    def trace(self, prompt: Prompt, interventions: Sequence[Intervention] = ()) -> Trace:
        """Run a text, or a list of token IDs, once and keep everything.

        Args:
            prompt: A text or token IDs.
            interventions: What to switch off in this run, such as `AblateHead(2, 5)`.

        Raises:
            PromptError: The prompt is empty, longer than the context, or has an ID out of range.
            InterventionError: This model lacks what is to be switched off.
        """
        self._check_interventions(interventions)
        token_ids = self._checked_ids(prompt)
        segment, logits, _ = self._run(
            token_ids, len(token_ids), None, use_cache=False, interventions=interventions
        )
        return build_trace((segment,), self.token_strings(token_ids), logits)

    def logits(self, trace: Trace) -> Float[np.ndarray, "pos vocab"]:
        """Return the logits after every position of a trace."""
        return self.logits_of(trace.layers[-1].resid_post)

    @torch.inference_mode()
    def logits_of(self, resid: Float[np.ndarray, "row d_model"]) -> Float[np.ndarray, "row vocab"]:
        """Return the logits that the model's own tail makes of residual vectors.

        The tail is everything after the last block: final norm, LM head and whatever scaling or
        softcap the family adds.
        """
        hidden = torch.tensor(resid, dtype=self.model.dtype, device=self.model.device)[None]
        dummy = torch.zeros(1, hidden.shape[1], dtype=torch.long, device=self.model.device)
        with capture.blocks_replaced_by(hidden):
            return to_array(self.model(input_ids=dummy, use_cache=False).logits[0])

    def logit_lens(self, trace: Trace, pos: int = -1) -> Float[np.ndarray, "layer vocab"]:
        """Return what each layer would predict at one position, as natural log-probabilities.

        Row i applies the model's own tail to the residual stream after layer i (the logit lens,
        nostalgebraist 2020); the last row equals the output.

        Raises:
            PromptError: The trace lacks that position.
        """
        pos = check_index("position", pos, len(trace), PromptError)
        resid = np.stack([layer.resid_post[pos] for layer in trace.layers])
        logits = torch.tensor(self.logits_of(resid))
        return to_array(torch.log_softmax(logits, -1))

    @torch.inference_mode()
    def neurons(self, trace: Trace, layer: int) -> NeuronTrace:
        """Return the hidden layer of one feedforward, by running the trace's text once more.

        Raises:
            LayerError: The model lacks that layer, or its feedforward has no single hidden layer.
        """
        layer = check_index("layer", layer, len(self.anatomy.blocks), LayerError)
        feedforward = self._feedforward(layer)
        blocks = [block.module for block in self.anatomy.blocks]
        with watching(feedforward, blocks[:layer].count(blocks[layer])) as found:
            self.run_unrecorded(trace.token_ids.tolist(), use_cache=False)
        if "activation" not in found:
            raise LayerError(f"The feedforward of layer {layer} did not run as a whole.")
        seen = {
            name: to_array(found[name]) if name in found else None
            for name in ("activation", "pre_activation", "activated")
        }
        pre = seen["pre_activation"]
        if pre is not None and pre.shape != seen["activation"].shape:
            seen |= {"pre_activation": None, "activated": None}
        bias = feedforward.down.bias
        neurons = NeuronTrace(
            layer=layer,
            path=feedforward.path,
            output_rows=to_array(output_rows(feedforward.down)),
            bias=None if bias is None else to_array(bias),
            **seen,
        )
        check_whole(neurons, trace.layers[layer].mlp_out, self.anatomy.blocks[layer])
        return neurons

    @torch.inference_mode()
    def activation_function(
        self, layer: int, inputs: Float[np.ndarray, "point"]
    ) -> Float[np.ndarray, "point"] | None:
        """Return what the activation function of a layer's feedforward makes of some numbers.

        Returns:
            None where it is no module of its own, so that it cannot be asked.

        Raises:
            LayerError: The model lacks that layer, or its feedforward has no single hidden layer.
        """
        layer = check_index("layer", layer, len(self.anatomy.blocks), LayerError)
        act = self._feedforward(layer).act
        if act is None:
            return None
        given = torch.tensor(inputs, dtype=self.model.dtype, device=self.model.device)
        return to_array(act(given))

    @torch.inference_mode()
    def routing(self, trace: Trace) -> tuple[Routing | None, ...]:
        """Return which experts each layer's router chose, by running the trace's text once more.

        Returns:
            One entry per layer; None where there is no router, or none that transformers declares.
        """
        with listening(self.anatomy) as heard:
            self.run_unrecorded(trace.token_ids.tolist(), use_cache=False)
        return heard.routing()

    def _feedforward(self, layer: int) -> Feedforward:
        with self._feedforward_lock:
            if layer not in self._feedforwards:
                found = find_feedforward(self.anatomy.blocks[layer], self.info.d_model)
                watch(found)
                self._feedforwards[layer] = found
            return self._feedforwards[layer]

    def start(
        self,
        prompt: Prompt,
        decoding: Decoding | None = None,
        use_cache: bool = True,
        interventions: Sequence[Intervention] = (),
    ) -> Generation:
        """Return a generation at its prompt; nothing runs before the first step.

        Args:
            prompt: A text or token IDs.
            decoding: How tokens are picked; greedy by default.
            use_cache: Whether keys and values of earlier positions are kept.
            interventions: What to switch off in every run of this text.

        Raises:
            PromptError: The prompt is empty, longer than the context, or has an ID out of range.
            DecodingError: The options ask for more than the vocabulary has.
            InterventionError: This model lacks what is to be switched off.
        """
        decoding = decoding or Decoding()
        decoding.check_vocabulary(self.info.vocab_size)
        self._check_interventions(interventions)
        token_ids = self._checked_ids(prompt)
        return Generation(self, token_ids, decoding, use_cache, tuple(interventions))

    def step(self, generation: Generation, choose: Any = None) -> Generation:
        """Return the generation with one more token.

        Args:
            generation: The text so far; it stays as it is.
            choose: A token ID to take instead of picking one: a branch.

        Raises:
            PromptError: The context is full, or `choose` is not a token ID.
        """
        if choose is not None:
            self._check_token_ids([choose])
            choose = int(choose)
        forward, reused = self.forward_of(generation)
        if choose is None:
            last = generation.decoding.stages(forward.logits, forward.token_ids)[-1]
            token_id = generation.decoding.pick(last, len(generation.steps))
        else:
            token_id = choose
        step = Step(
            token_id=token_id,
            token=self.token_strings([token_id])[0],
            forward=forward,
            decoding=generation.decoding,
            reused=reused,
            forced=choose is not None,
        )
        return replace(generation, steps=(*generation.steps, step))

    def generate(
        self,
        prompt: Prompt,
        decoding: Decoding | None = None,
        max_new_tokens: int = 20,
        use_cache: bool = True,
    ) -> Iterator[Step]:
        """Yield up to `max_new_tokens` steps; stops after a token that ends the text.

        Raises:
            PromptError: The prompt is not runnable, or the context is full.
            DecodingError: The options ask for more than the vocabulary has.
        """
        generation = self.start(prompt, decoding, use_cache)
        for _ in range(max_new_tokens):
            generation = self.step(generation)
            yield generation.steps[-1]
            if generation.finished:
                return

    def forward_of(self, generation: Generation) -> tuple[Forward, bool]:
        """Return the run that a generation's next step picks from, and whether it was kept."""
        token_ids, use_cache = generation.token_ids, generation.use_cache
        variant = (use_cache, generation.interventions)
        if (kept := self._forwards.get((token_ids, variant))) is not None:
            return kept, True
        self._check_length(len(token_ids), generating=bool(generation.steps))
        segments = generation.steps[-1].forward.segments if generation.steps else ()
        cache = None
        if use_cache and segments:
            length = sum(len(segment.token_ids) for segment in segments)
            cache = self._cache_for(token_ids[:length], variant)
        elif use_cache:
            segments, cache = self._shared_prefix(token_ids, variant)
        new_rows = len(token_ids) - sum(len(segment.token_ids) for segment in segments)
        rows = len(token_ids) if cache is None else new_rows

        started = time.perf_counter()
        segment, logits, cache = self._run(
            token_ids, new_rows, cache, use_cache, generation.interventions
        )
        seconds = time.perf_counter() - started

        forward = Forward(
            token_ids=token_ids,
            logits=logits,
            segments=(*segments, segment),
            rows_computed=rows,
            flops=self.weight_flops(rows) + flops.attention_flops(segment.layers, rows),
            seconds=seconds,
            cache_bytes=cache_bytes(cache),
            prefill=not generation.steps,
        )
        self._forwards.put((token_ids, variant), forward)
        if cache is not None:
            self._caches.put((token_ids, variant), cache)
        return forward, False

    @torch.inference_mode()
    def run_unrecorded(
        self, token_ids: Sequence[int], n_cached: int = 0, cache: Any = None, use_cache: bool = True
    ) -> tuple[Float[np.ndarray, "vocab"], Any]:
        """Run the model as it is, recording nothing and reusing nothing: for measuring time.

        Args:
            token_ids: The whole text.
            n_cached: How many of its first positions `cache` holds.
            cache: What an earlier call returned. It grows in place: `fork` one to keep it.
            use_cache: Whether to keep keys and values.

        Returns:
            The logits after the last position, and the KV cache of all positions; None with the
            cache off, and for a family that cannot go on from one.
        """
        new_rows = len(token_ids) - n_cached
        outputs, cache = self._outputs(tuple(token_ids), new_rows, cache, use_cache)
        return to_array(outputs.logits[0, -1]), cache

    def weight_flops(self, rows: int) -> int:
        """Return the operations of all products with weights when `rows` positions run."""
        n_logits = 1 if self._keeps_last_logits else rows
        return rows * self._row_flops + n_logits * self._head_flops

    def forget(self) -> None:
        """Drop every kept run and KV cache; the next steps compute anew."""
        self._forwards.clear()
        self._caches.clear()

    @torch.inference_mode()
    def _run(
        self,
        token_ids: tuple[int, ...],
        new_rows: int,
        cache: Any,
        use_cache: bool,
        interventions: Sequence[Intervention] = (),
    ) -> tuple[Segment, Float[np.ndarray, "vocab"], Any]:
        """Run the positions that `cache` lacks and record the last `new_rows`."""
        everything = new_rows == len(token_ids)
        kept_rows = None if everything else new_rows
        with capture.recording(kept_rows, interventions, len(token_ids)) as record:
            outputs, cache = self._outputs(token_ids, new_rows, cache, use_cache)
        if self._records_itself:
            capture.attach_weights(record, outputs.get("attentions"))
        segment = Segment(token_ids[len(token_ids) - new_rows :], tuple(record.layers))
        return segment, to_array(outputs.logits[0, -1]), cache

    def _outputs(
        self, token_ids: tuple[int, ...], new_rows: int, cache: Any, use_cache: bool
    ) -> tuple[ModelOutput, Any]:
        """Run the positions that `cache` lacks; return all outputs and the cache to go on from."""
        input_ids = torch.tensor([token_ids], device=self.model.device)
        options: dict[str, Any] = {"use_cache": use_cache}
        if cache is not None:
            input_ids = input_ids[:, len(token_ids) - new_rows :]
            options["past_key_values"] = cache
            if self._names_positions:
                first = len(token_ids) - new_rows
                options["position_ids"] = torch.arange(
                    first, len(token_ids), device=self.model.device
                )[None]
        if self._keeps_last_logits:
            options["logits_to_keep"] = 1
        if self._records_itself:
            options["output_attentions"] = True
        outputs = self.model(input_ids=input_ids, **options)
        cache = outputs.get("past_key_values") if use_cache and self._continues else None
        if cache is not None and not can_continue(cache):
            cache = None
        return outputs, cache

    def _cache_for(self, token_ids: tuple[int, ...], variant: Hashable) -> Any:
        """Return a KV cache of exactly these positions, free to grow; None if it was dropped."""
        if (exact := self._caches.get((token_ids, variant))) is not None:
            return fork(exact)
        for (longer, same), cache in self._caches.items():
            if same == variant and longer[: len(token_ids)] == token_ids:
                return shortened(cache, len(token_ids))
        return None

    def _shared_prefix(
        self, token_ids: tuple[int, ...], variant: Hashable
    ) -> tuple[tuple[Segment, ...], Any]:
        """Return what an earlier prompt with the same beginning left: its segments and cache."""
        best, length = None, SHARED_PREFIX - 1
        for (ids, same), forward in self._forwards.items():
            common = _common_length(ids, token_ids[:-1])
            if same == variant and common > length:
                best, length = forward, common
        if best is None or (cache := self._cache_for(token_ids[:length], variant)) is None:
            return (), None
        segments = tuple(_first_positions(best.segments, length))
        return (segments, cache) if None not in segments else ((), None)

    def _check_interventions(self, interventions: Sequence[Intervention]) -> None:
        check_interventions(interventions, self.info)
        for intervention in interventions:
            inside = isinstance(intervention, InsideAttention)
            if inside and self._records_itself:
                raise InterventionError(
                    f"{self.info.name} ({self.info.family}) computes attention in a way of its "
                    "own, so its heads and masks cannot be changed."
                )
            if inside:
                continue
            block = self.anatomy.blocks[intervention.layer]
            attention = isinstance(intervention, AblateAttention)
            if (block.attn_out if attention else block.mlp_out) is None:
                raise InterventionError(
                    f"The {'attention' if attention else 'feedforward'} of layer "
                    f"{intervention.layer} adds to the residual stream inside its own module, so "
                    "it cannot be switched off."
                )

    def _checked_ids(self, prompt: Prompt) -> tuple[int, ...]:
        if isinstance(prompt, str):
            if not prompt:
                raise PromptError("The prompt is empty: type at least one word.")
            token_ids = self.encode(prompt)
        else:
            token_ids = prompt.tolist() if isinstance(prompt, np.ndarray) else list(prompt)
        if len(token_ids) == 0:
            raise PromptError("The prompt is empty: it has no tokens.")
        self._check_length(len(token_ids), generating=False)
        self._check_token_ids(token_ids)
        return tuple(int(token_id) for token_id in token_ids)

    def _check_length(self, length: int, generating: bool) -> None:
        size = self.info.context_size
        if size is None or length <= size:
            return
        if generating:
            raise PromptError(
                f"The context is full: this model reads at most {size} tokens. Go back some "
                "steps or start from a shorter prompt."
            )
        raise PromptError(
            f"The prompt has {length} tokens, but this model reads at most {size}: shorten it."
        )

    def _check_token_ids(self, token_ids: Sequence) -> None:
        embedding = self.model.get_input_embeddings()
        n_rows = getattr(embedding, "num_embeddings", self.info.vocab_size)
        for token_id in token_ids:
            if isinstance(token_id, bool) or not isinstance(token_id, (int, np.integer)):
                raise PromptError(f"{token_id!r} is not a token ID: IDs are whole numbers.")
            if not 0 <= token_id < n_rows:
                raise PromptError(
                    f"Token ID {token_id} is out of range: this model's run from 0 to {n_rows - 1}."
                )

    def _check_recording(self, token_ids: list[int]) -> None:
        """Refuse a model without attention, and learn which layers follow the plain formula."""
        segment, _, _ = self._run(tuple(token_ids), len(token_ids), None, use_cache=False)
        capture.settle(segment.layers)
        calls = [call for layer in segment.layers for call in layer.calls]
        if not calls and not self._records_itself:
            # Attention that bypasses the interface may still return its weights.
            capture.use_eager_attention(self.model)
            self._records_itself = True
            self._check_recording(token_ids)
            return
        if not calls:
            raise NotRecordableError(
                f"{self.info.name} ({self.info.family}) has no attention layers, "
                "so there is nothing for Inlook to show."
            )
        for call in calls:
            if call.module is None:
                continue
            family_eager(call.module)
            call.module.inlook_plain_attention = True
            exact = attention_weights(call, call.key)
            plain = torch.stack([head_weights(call, call.key, head) for head in range(len(exact))])
            call.module.inlook_plain_attention = bool(
                plain.shape == exact.shape and torch.allclose(plain, exact, atol=1e-6)
            )

    def _check_cache(self, token_ids: tuple[int, ...]) -> None:
        """Learn how this family goes on from a KV cache; one that never gets it right goes without.

        Most count the positions in the cache themselves, a few must be told (Bamba), and some of
        those that can be told count them in another way (RoBERTa).
        """
        whole, _, _ = self._run(token_ids, len(token_ids), None, use_cache=False)
        truth = whole.layers[-1].resid_post[-1]
        tolerance = 1e-3 if truth.dtype in (torch.float32, torch.float64) else 5e-2
        can_be_told = "position_ids" in inspect.signature(self.model.forward).parameters
        for self._names_positions in (False, True) if can_be_told else (False,):
            _, _, cache = self._run(token_ids[:-1], len(token_ids) - 1, None, use_cache=True)
            if cache is None:
                return
            step, _, _ = self._run(token_ids, 1, cache, use_cache=True)
            gap = step.layers[-1].resid_post[-1] - truth
            if gap.norm() <= tolerance * truth.norm():
                return
        self._continues, self._names_positions = False, False


def _common_length(a: Sequence[int], b: Sequence[int]) -> int:
    for i, (left, right) in enumerate(zip(a, b, strict=False)):
        if left != right:
            return i
    return min(len(a), len(b))


def _first_positions(segments: Sequence[Segment], length: int) -> Iterator[Segment | None]:
    """Yield the segments of the first `length` positions, the last one cut (None: it cannot)."""
    for segment in segments:
        if length <= 0:
            return
        yield segment if len(segment.token_ids) <= length else segment.shortened(length)
        length -= len(segment.token_ids)


def _forward_bytes(forward: Forward) -> int:
    """Bytes that only this run holds: earlier segments belong to the runs before it."""
    return forward.logits.nbytes + forward.segments[-1].nbytes
