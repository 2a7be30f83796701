"""Bits per byte of a model on a text: its loss, independent of how the tokenizer cuts the text.

python -m training.bits_per_byte models/storyteller TEXT
"""

import argparse
import math
import sys
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch.nn import functional as F
from transformers import AutoModelForCausalLM, AutoTokenizer

from training.corpus import CorpusError, read_documents


@dataclass(frozen=True)
class Score:
    """A loss over many documents.

    Attributes:
        nats: Sum of the negative log-probabilities of all tokens.
        n_tokens: How many tokens were predicted.
        n_bytes: Length of the text in UTF-8.
    """

    nats: float
    n_tokens: int
    n_bytes: int

    @property
    def bits_per_byte(self) -> float:
        """What an arithmetic coder driven by the model would need per byte of text."""
        return self.nats / math.log(2) / self.n_bytes

    @property
    def loss(self) -> float:
        """Mean cross-entropy in nats per token."""
        return self.nats / self.n_tokens


@torch.no_grad()
def score(
    model, tokenizer, documents: Sequence[str], context: int, tokens_per_batch: int = 8192
) -> Score:
    """Scores every document by itself, starting from `<|endoftext|>`.

    A document longer than `context` is read in windows that overlap by half; each token counts
    once.
    """
    windows: list[tuple[list[int], int]] = []
    for ids in tokenizer(list(documents))["input_ids"]:
        windows.append((ids[:context], 1))
        stride = context // 2
        for start in range(stride, len(ids) - context + stride, stride):
            windows.append((ids[start : start + context], context - stride))
    windows.sort(key=lambda window: len(window[0]))
    device = next(model.parameters()).device
    nats, n_tokens = 0.0, 0
    while windows:
        longest = len(windows[-1][0])
        batch = windows[-max(1, tokens_per_batch // longest) :]
        del windows[-len(batch) :]
        ids = torch.zeros(len(batch), longest, dtype=torch.long)
        targets = torch.full_like(ids, -100)
        for row, (tokens, first) in enumerate(batch):
            ids[row, : len(tokens)] = torch.tensor(tokens)
            targets[row, first : len(tokens)] = ids[row, first : len(tokens)]
        ids, targets = ids.to(device), targets[:, 1:].to(device)
        logits = model(input_ids=ids, use_cache=False).logits[:, :-1].float()
        nats += F.cross_entropy(
            logits.flatten(0, 1), targets.flatten(), ignore_index=-100, reduction="sum"
        ).item()
        n_tokens += int((targets != -100).sum())
    return Score(nats, n_tokens, sum(len(document.encode()) for document in documents))


def main() -> None:
    """Prints the score of one model on one text."""
    parser = argparse.ArgumentParser(description="Bits per byte of a model on a text file.")
    parser.add_argument("model", help="folder of a model")
    parser.add_argument("text", help="text file, documents separated by <|endoftext|> lines")
    parser.add_argument("--context", type=int, help="tokens seen at once (default: all it can)")
    args = parser.parse_args()
    try:
        documents = read_documents(args.text)
    except CorpusError as error:
        sys.exit(str(error))
    model = AutoModelForCausalLM.from_pretrained(args.model, dtype=torch.float32).eval()
    tokenizer = AutoTokenizer.from_pretrained(args.model)
    context = args.context or model.config.max_position_embeddings
    result = score(model, tokenizer, documents, context)
    print(
        f"{result.bits_per_byte:.4f} bits per byte, {result.loss:.4f} nats per token, "
        f"{result.n_tokens:,} tokens, {result.n_bytes:,} bytes, context {context}"
    )


if __name__ == "__main__":
    main()
