"""Does a GGUF file compute here what llama.cpp computes of it?

`python -m benchmarks.gguf_files [FILE]`, with the result in gguf_files.md.
llama.cpp (package `llama-cpp-python`, which has to be built) is an engine of its own: where it is
missing, that is said and nothing is compared. It rounds what goes into a product to 8 bits per
block where the weights are quantised, so its logits differ by more there than in plain numbers; the
tiny files of all ways show how much that is.
"""

import importlib
import importlib.util
import os
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from gguf import GGMLQuantizationType as Kind

from model_hooks import load_model
from tests.gguf_writing import tiny, write_gguf

ENGINE = "llama_cpp"
KINDS = (Kind.F32, Kind.F16, Kind.Q8_0, Kind.Q4_0, Kind.Q4_1, Kind.Q4_K, Kind.Q6_K)
FAMILIES = ("mistral", "qwen2", "qwen3", "gemma2", "gemma3_text", "phi3", "gpt2")
CASES = [("llama", kind) for kind in KINDS] + [(family, Kind.F32) for family in FAMILIES]
WIDTH = 256
"""Of the tiny models: what blocks of 256 weights take."""
TEXT = "Lily and Tim went to the lighthouse. Lily and"
N_TOKENS = 24
"""Of the tiny models' texts."""


def engine_logits(path: Path, ids: list[int]) -> np.ndarray:
    """Return llama.cpp's logits after the last token."""
    engine: Any = importlib.import_module(ENGINE)
    model = engine.Llama(
        str(path), n_ctx=len(ids), n_batch=len(ids), logits_all=True, verbose=False
    )
    model.eval(ids)
    return np.array(model.scores[len(ids) - 1], np.float64)


def row(label: str, path: Path, ids: list[int] | None = None) -> str:
    """Compare the logits after a text, and return a row of the table."""
    hooked = load_model(str(path))
    ids = hooked.encode(TEXT) if ids is None else ids
    ours = hooked.trace(ids).last_logits.astype(np.float64)
    theirs = engine_logits(path, ids)
    shares = [np.exp(logits - np.logaddexp.reduce(logits)) for logits in (ours, theirs)]
    return (
        f"| {label} | {hooked.info.quantisation or 'plain'} | {np.abs(ours).max():.1f} "
        f"| {np.abs(ours - theirs).max():.1e} | {np.abs(shares[0] - shares[1]).max():.1e} "
        f"| {'yes' if ours.argmax() == theirs.argmax() else 'no'} |"
    )


def main() -> None:
    """Print the table: tiny files of all ways and families, then the file that was named."""
    if importlib.util.find_spec(ENGINE) is None:
        print("Nothing is compared: llama.cpp is missing (pip install llama-cpp-python).")
        return
    print("| model | stored as | largest logit | logits differ by | probabilities by | top same |")
    print("|---|---|---|---|---|---|")
    ids = np.random.default_rng(0).integers(0, 256, N_TOKENS).tolist()
    with tempfile.TemporaryDirectory() as folder:
        os.environ["XDG_CACHE_HOME"] = folder
        for family, kind in CASES:
            path = Path(folder) / "tiny.gguf"
            write_gguf(path, tiny(family, WIDTH), kind)
            print(row(f"tiny {family}", path, ids), flush=True)
    del os.environ["XDG_CACHE_HOME"]
    for file in sys.argv[1:]:
        print(row(Path(file).name, Path(file)), flush=True)


if __name__ == "__main__":
    main()
