"""What is a loaded model? A causal LM with its tokenizer, ready to be traced and stepped."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any, cast

import numpy as np
import torch
from jaxtyping import Float
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from model_hooks.arrays import check_count, check_index, check_switch, to_array
from model_hooks.errors import DecodingError, NotRecordableError, PromptError, RunError
from model_hooks.info import ModelInfo
from model_hooks.parts.abilities import Abilities
from model_hooks.parts.anatomy import Anatomy
from model_hooks.parts.describe import describe, vocab_size_of
from model_hooks.parts.dissect import dissect
from model_hooks.run import capture, flops, interface, trials
from model_hooks.run.interventions import Intervention, check_interventions
from model_hooks.run.neurons import NeuronReader, NeuronTrace
from model_hooks.run.numbers import are_logits
from model_hooks.run.prompts import Prompt, beginning, check_length, check_token_ids, checked_ids
from model_hooks.run.routing import Routing, listening
from model_hooks.run.runner import Ran, Runner
from model_hooks.run.segment import Segment
from model_hooks.run.trace import Trace, build_trace
from model_hooks.run.tried import corrected
from model_hooks.text.conversations import Conversation
from model_hooks.text.encoding import ids_of
from model_hooks.text.tokenization import TokenizerView
from model_hooks.text.tokens import TokenText
from model_hooks.write.decoding import Decoding, as_decoding
from model_hooks.write.forwards import Forward, Forwards, Variant
from model_hooks.write.generation import Generation, Step, take_step
from model_hooks.write.own import end_ids, own_decoding, own_settings
from model_hooks.write.trust import try_cache


class HookedModel:
    """A causal LM and its tokenizer; build with `load_model` or `HookedModel.wrap`.

    Safe to use from many threads at once: what a call records belongs to that call.
    """

    def __init__(
        self,
        runner: Runner,
        tokenizer: PreTrainedTokenizerBase,
        info: ModelInfo,
        anatomy: Anatomy,
        abilities: Abilities,
    ) -> None:
        self.model, self.tokenizer = runner.model, tokenizer
        self.info, self.anatomy, self.abilities = info, anatomy, abilities
        self._runner = runner
        self.text = TokenText(tokenizer)
        self._row_flops = flops.block_flops_per_row(self.model, anatomy)
        self._head_flops = flops.head_flops_per_row(anatomy)
        self._neurons = NeuronReader(anatomy.blocks, info.d_model)
        self.forwards = Forwards(abilities)

    @classmethod
    def wrap(
        cls, model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, name: str | None = None
    ) -> "HookedModel":
        """Install the hooks, switch to the recording attention and try the model, once.

        Raises:
            NotCausalError: The model is not a causal LM, or has no LM head.
            NotRecordableError: The model has no attention at all.
            BrokenModelError: The model computes values that are not numbers.
        """
        model.eval()
        name = name or model.config.name_or_path or "model"
        recorded = interface.use_recording_attention(model)
        probe_ids = trials.probe_ids(vocab_size_of(model))
        anatomy = dissect(model, torch.tensor([probe_ids], device=model.device))
        capture.install(anatomy)
        runner = trials.first_runner(model, returns_weights=not recorded)
        runner, layers = trials.try_recording(runner, probe_ids, name)
        runner = try_cache(trials.try_tail(runner, probe_ids), probe_ids)
        attend = tuple(layer.layer for layer in layers if layer.calls)
        info = corrected(describe(model, anatomy, name, attend), runner, anatomy, probe_ids)
        own = own_settings(model.generation_config)
        abilities = trials.sum_up(model, anatomy, runner.ways, layers, info.d_model)
        return cls(runner, tokenizer, replace(info, generation_settings=own), anatomy, abilities)

    @property
    def eos_token_ids(self) -> frozenset[int]:
        """The token IDs that end a text."""
        if ids := end_ids(self.model.generation_config):
            return frozenset(ids)
        last = cast("int | None", self.tokenizer.eos_token_id)
        return frozenset(() if last is None else (int(last),))

    @property
    def default_decoding(self) -> Decoding:
        """Greedy decoding with what the model's own settings ask for, as `generate()` has it."""
        own = own_decoding(self.info.generation_settings, self.info.vocab_size)
        return replace(own.decoding, strategy="greedy")

    def encode(self, text: str) -> list[int]:
        """Return the token IDs of a text, with special tokens as the tokenizer's default is."""
        return ids_of(self.tokenizer, text)

    def encode_chat(self, conversation: Conversation) -> list[int]:
        """Return the token IDs of a conversation, up to where the model's answer goes.

        The model's own chat template writes it, the beginning of the text included.

        Args:
            conversation: Such as `[{"role": "user", "content": "Hi"}]`; a text alone is that turn.

        Raises:
            PromptError: It is no conversation, there is no chat template, or the template fails.
        """
        return list(TokenizerView(self.tokenizer).chat_ids(conversation))

    def decode(self, token_ids: Sequence[int]) -> str:
        """Return the text of token IDs, special tokens included."""
        return self.text.pieces.decode(token_ids)

    def decode_after(self, before: Sequence[int], token_ids: Sequence[int]) -> str:
        """Return what token IDs add to the text of those before them."""
        return self.text.pieces.decode_after(before, token_ids)

    def token_strings(self, ids: Sequence[int] | np.ndarray) -> tuple[str, ...]:
        """Return one string per token of a text, for display: what it adds there.

        A character split over several tokens appears in each with the number of its piece as a
        subscript; bytes that never become a character appear as `⟨F0⟩`.
        """
        return self.text.strings(ids)

    def token_bytes(self, token_id: int) -> bytes:
        """Return the UTF-8 bytes that one token stands for in the middle of a text."""
        return self.text.bytes_of(token_id)

    def trace(self, prompt: Prompt, interventions: Sequence[Intervention] = ()) -> Trace:
        """Run a text, or a list of token IDs, once and keep everything.

        Args:
            prompt: A text or token IDs.
            interventions: What to change in this run, such as `AblateHead(2, 5)`.

        Raises:
            PromptError: The prompt is empty, longer than the context, or has an ID out of range.
            InterventionError: This model or text lacks what is to be changed.
        """
        token_ids = self._checked_ids(prompt)
        changes = check_interventions(interventions, self.info, self.abilities, len(token_ids))
        return self._traced(token_ids, changes)

    def run_again(
        self, trace: Trace, stop: int | None = None, also: Sequence[Intervention] = ()
    ) -> Trace:
        """Run a trace's text once more, under the interventions that it ran under.

        Args:
            trace: A trace of this model.
            stop: How many positions to run, from the first; all by default.
            also: What else to change.

        Raises:
            PromptError: No position is left.
            InterventionError: This model lacks what else is to be changed.
        """
        changes = check_interventions(also, self.info, self.abilities)
        token_ids = self._checked_ids(beginning(trace.token_ids, stop))
        return self._traced(token_ids, (*trace.interventions, *changes))

    def logits(self, trace: Trace) -> Float[np.ndarray, "pos vocab"]:
        """Return the logits after every position of a trace."""
        return self.logits_of(trace.layers[-1].resid_post)

    def logits_of(self, resid: Float[np.ndarray, "row d_model"]) -> Float[np.ndarray, "row vocab"]:
        """Return the logits that the model's own tail makes of residual vectors.

        The tail is everything after the last block: final norm, LM head and whatever scaling or
        softcap the family adds.

        Raises:
            NotRecordableError: This family's tail cannot be run alone.
            RunError: These are no vectors, or the logits are not numbers.
        """
        if not self.abilities.has_tail:
            raise NotRecordableError(
                f"What {self.info.name} ({self.info.family}) computes after its last layer needs "
                "more than that layer's output, so there is no telling what its layers would "
                "predict."
            )
        logits = self._runner.tail(resid)
        if not are_logits(logits):
            raise RunError(
                f"The logits of this model's layers leave the range of {self.info.dtype}: try "
                "another text, or load the model in a wider number format."
            )
        return logits

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
        return self._neurons.read(trace, layer, lambda: self.run_again(trace))

    def activation_function(
        self, layer: int, inputs: Float[np.ndarray, "point"]
    ) -> Float[np.ndarray, "point"] | None:
        """Return what the activation function of a layer's feedforward makes of some numbers.

        Returns:
            None where it is no module of its own, so that it cannot be asked.

        Raises:
            LayerError: The model lacks that layer, or its feedforward has no single hidden layer.
        """
        return self._neurons.activation_function(layer, inputs)

    def routing(self, trace: Trace) -> tuple[Routing | None, ...]:
        """Return which experts each layer's router chose, by running the trace's text once more.

        Returns:
            One entry per layer; None where there is no router, or none that transformers declares.
        """
        with listening(self.anatomy) as heard:
            self.run_again(trace)
        return heard.routing()

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
            decoding: How tokens are picked; `default_decoding` by default.
            use_cache: Whether keys and values of earlier positions are kept.
            interventions: What to change in every run of this text.

        Raises:
            PromptError: The prompt is empty, longer than the context, or has an ID out of range.
            DecodingError: The options ask for more than the vocabulary has.
            InterventionError: This model lacks what is to be changed.
        """
        decoding = self.default_decoding if decoding is None else as_decoding(decoding)
        decoding.check_vocabulary(self.info.vocab_size)
        changes = check_interventions(interventions, self.info, self.abilities)
        token_ids = self._checked_ids(prompt)
        keep = check_switch("use_cache", use_cache, DecodingError)
        return Generation(self, token_ids, decoding, keep, changes)

    def step(self, generation: Generation, choose: Any = None) -> Generation:
        """Return the generation with one more token.

        Args:
            generation: The text so far; it stays as it is.
            choose: A token ID to take instead of picking one: a branch.

        Raises:
            PromptError: The context is full, or `choose` is not a token ID.
        """
        if choose is not None:
            self.check_token_ids([choose])
            choose = int(choose)
        forward, reused = self.forward_of(generation)
        step = take_step(self, forward, reused, generation.decoding, len(generation.steps), choose)
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
            DecodingError: The options ask for more than there is, or for no number of tokens.
        """
        generation = self.start(prompt, decoding, use_cache)
        for _ in range(check_count("max_new_tokens", max_new_tokens, DecodingError)):
            generation = self.step(generation)
            yield generation.steps[-1]
            if generation.finished:
                return

    def forward_of(self, generation: Generation) -> tuple[Forward, bool]:
        """Return the run that a generation's next step picks from, and whether it was kept."""
        variant = Variant(generation.use_cache, generation.interventions)
        segments = generation.steps[-1].forward.segments if generation.steps else ()
        return self.forward_after(
            generation.token_ids, len(generation.prompt_ids), variant, segments
        )

    def forward_after(
        self,
        token_ids: tuple[int, ...],
        n_prompt: int,
        variant: Variant,
        segments: tuple[Segment, ...] | None = None,
    ) -> tuple[Forward, bool]:
        """Return the run that predicts the token after a text, and whether it was still kept.

        Args:
            token_ids: The whole text: the prompt, and what was written after it.
            n_prompt: How many of them are the prompt.
            variant: How it is run.
            segments: What was recorded for the beginning of the text, where the caller has it.

        Raises:
            PromptError: The context is full.
        """
        generating = len(token_ids) > n_prompt
        check_length(len(token_ids), self.info.context_size, generating)
        return self.forwards.after(self, token_ids, n_prompt, variant, segments)

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
        outputs, cache = self._runner.outputs(tuple(token_ids), new_rows, cache, use_cache)
        return to_array(outputs.logits[0, -1]), cache

    def weight_flops(self, rows: int) -> int:
        """Return the operations of all products with weights when `rows` positions run."""
        n_logits = 1 if self.abilities.keeps_last_logits else rows
        return rows * self._row_flops + n_logits * self._head_flops

    def forget(self) -> None:
        """Drop every kept run and KV cache; the next steps compute anew."""
        self.forwards.forget()

    def run_recorded(
        self,
        token_ids: tuple[int, ...],
        new_rows: int,
        cache: Any,
        use_cache: bool,
        interventions: Sequence[Intervention] = (),
    ) -> Ran:
        """Run the positions that a KV cache lacks and record the last `new_rows`."""
        return self._runner.record(token_ids, new_rows, cache, use_cache, interventions)

    def check_token_ids(self, token_ids: Sequence) -> None:
        """Refuse what this model has no embedding for.

        Raises:
            PromptError: A token ID is no whole number, or out of range.
        """
        check_token_ids(token_ids, self._n_embeddings)

    @property
    def _n_embeddings(self) -> int:
        embedding = self.model.get_input_embeddings()
        return getattr(embedding, "num_embeddings", self.info.vocab_size)

    def _checked_ids(self, prompt: Prompt) -> tuple[int, ...]:
        return checked_ids(prompt, self.encode, self._n_embeddings, self.info.context_size)

    def _traced(self, token_ids: tuple[int, ...], interventions: Sequence[Intervention]) -> Trace:
        ran = self._runner.whole(token_ids, interventions)
        tokens = self.token_strings(token_ids)
        return build_trace((ran.segment,), tokens, ran.logits, interventions, self.text.each)
