"""Measures a model and keeps the numbers that its card and the table in `models/README.md` quote.

    python -m training.evaluate models/storyteller --valid VALID

writes `training/results/NAME.json`.
"""

import argparse
import itertools
import json
import sys
from collections import defaultdict
from pathlib import Path

import torch
from torch.nn import functional as F
from transformers import AutoModelForCausalLM, AutoTokenizer

from training import behaviours
from training.bits_per_byte import score
from training.corpus import CorpusError, read_documents
from training.facts import fact_prompts

RESULTS = Path(__file__).parent / "results"
SAMPLE_PROMPTS = (
    "Once upon a time, there was a little",
    "Lily and Tom went to the park. They saw",
    "The dog was very sad because",
)


@torch.no_grad()
def facts_completed(model, tokenizer) -> dict[str, dict[str, list[int]]]:
    """By kind of wording and topic: [facts whose answer is the top next token, facts asked].

    An answer of several tokens counts when greedy decoding gives all of them.
    """
    counts: dict = defaultdict(lambda: defaultdict(lambda: [0, 0]))
    cases = []
    for case in fact_prompts():
        prompt = tokenizer(case.prompt)["input_ids"]
        answer = tokenizer(case.answer, add_special_tokens=False)["input_ids"]
        cases.append((case, prompt + answer, len(prompt)))
    cases.sort(key=lambda item: len(item[1]))
    for start in range(0, len(cases), 64):
        batch = cases[start : start + 64]
        ids = torch.zeros(len(batch), len(batch[-1][1]), dtype=torch.long)
        for row, (_, tokens, _) in enumerate(batch):
            ids[row, : len(tokens)] = torch.tensor(tokens)
        # Padding comes after the answer, where a causal model cannot see it.
        best = model(input_ids=ids, use_cache=False).logits.argmax(-1)
        for row, (case, tokens, n) in enumerate(batch):
            right = best[row, n - 1 : len(tokens) - 1].tolist() == tokens[n:]
            for topic in (case.topic, "all"):
                counts[case.kind][topic][0] += right
                counts[case.kind][topic][1] += 1
    return {kind: dict(topics) for kind, topics in counts.items()}


@torch.no_grad()
def top_next_tokens(model, tokenizer, prompt: str, n: int = 3) -> list[tuple[str, float]]:
    """The `n` most probable next tokens and their probabilities."""
    ids = tokenizer(prompt, return_tensors="pt").input_ids
    top = model(input_ids=ids, use_cache=False).logits[0, -1].softmax(-1).topk(n)
    return [
        (tokenizer.decode([token]), round(p, 4))
        for token, p in zip(top.indices.tolist(), top.values.tolist(), strict=True)
    ]


@torch.no_grad()
def loss_by_position(model, tokenizer, documents: list[str], edges: tuple[int, ...]) -> list[float]:
    """Mean loss in nats per token between one edge and the next, on documents in one stream."""
    n = edges[-1]
    stream = [token for ids in tokenizer(documents)["input_ids"] for token in ids]
    rows = torch.tensor([stream[i : i + n + 1] for i in range(0, len(stream) - n - 1, n + 1)])
    rows[:, 0] = tokenizer.bos_token_id
    logits = torch.cat([model(input_ids=part[:, :-1]).logits for part in rows.split(8)])
    losses = F.cross_entropy(logits.flatten(0, 1), rows[:, 1:].flatten(), reduction="none").view(
        len(rows), n
    )
    pairs = itertools.pairwise(edges)
    return [round(losses[:, low:high].mean().item(), 4) for low, high in pairs]


def cache_bytes_per_token(model) -> int:
    """Bytes of keys and values that the cache keeps per position, in the model's stored dtype."""
    config = model.config
    n_kv_heads = getattr(config, "num_key_value_heads", None) or config.num_attention_heads
    d_head = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
    return 2 * config.num_hidden_layers * n_kv_heads * d_head * 2


def sample(model, tokenizer, prompt: str, seed: int, n: int = 120) -> str:
    """One continuation at temperature 0.7, up to `<|endoftext|>`."""
    torch.manual_seed(seed)
    ids = tokenizer(prompt, return_tensors="pt")
    out = model.generate(**ids, max_new_tokens=n, do_sample=True, temperature=0.7, top_k=0)
    return tokenizer.decode(out[0], skip_special_tokens=True)


def main() -> None:
    """Evaluates one model from the command line."""
    parser = argparse.ArgumentParser(description="Measure a bundled model.")
    parser.add_argument("model", type=Path, help="folder of a model")
    parser.add_argument("--valid", required=True, help="text file that was never trained on")
    parser.add_argument("--documents", type=int, help="use only so many documents of it")
    parser.add_argument("--context", type=int, help="context to score with (default: all it can)")
    parser.add_argument("--beyond", type=int, nargs="+", help="edges for the loss by position")
    args = parser.parse_args()
    try:
        documents = read_documents(args.valid)[: args.documents]
    except CorpusError as error:
        sys.exit(str(error))
    model = AutoModelForCausalLM.from_pretrained(
        args.model, dtype=torch.float32, attn_implementation="eager"
    ).eval()
    tokenizer = AutoTokenizer.from_pretrained(args.model)
    result = score(
        model, tokenizer, documents, args.context or model.config.max_position_embeddings
    )
    numbers = {
        "name": args.model.name,
        "class": type(model).__name__,
        "parameters": sum(param.numel() for param in model.parameters()),
        "bits_per_byte": round(result.bits_per_byte, 4),
        "loss": round(result.loss, 4),
        "valid_documents": len(documents),
        "valid_bytes": result.n_bytes,
        "cache_bytes_per_token": cache_bytes_per_token(model),
        "shawshank": top_next_tokens(model, tokenizer, "The Shawshank"),
        "facts": facts_completed(model, tokenizer),
        "samples": [sample(model, tokenizer, p, seed=1) for p in SAMPLE_PROMPTS],
        **behaviours.report(model, tokenizer, documents),
    }
    if args.beyond:
        edges = (0, *args.beyond)
        numbers["loss_by_position"] = {
            "edges": list(edges),
            "losses": loss_by_position(model, tokenizer, documents[:200], edges),
        }
    RESULTS.mkdir(exist_ok=True)
    path = RESULTS / f"{args.model.name}.json"
    path.write_text(json.dumps(numbers, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    facts = {kind: "{}/{}".format(*topics["all"]) for kind, topics in numbers["facts"].items()}
    print(f"{args.model.name}: {result.bits_per_byte:.4f} bits per byte, facts {facts}")
    print(f"{path} written")


if __name__ == "__main__":
    main()
