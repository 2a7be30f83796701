"""How long do ways to compute attention take, measured in a process of its own (`backends.py`)?

Imports nothing but torch, so that it starts quickly and its memory is its own. Takes one JSON
argument, writes one JSON object per line: {"doing"}, {"backend", "n_positions", "seconds",
"peak_bytes"} or {"backend", "reason"}. Ends when its standard input closes, as it does when the
app ends.
"""

import json
import os
import statistics
import sys
import threading
import time
import warnings
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.nn.attention.flex_attention import create_block_mask, flex_attention

Attention = Callable[[Tensor, Tensor, Tensor], Tensor]
"""Causal attention of query [1, head, pos, d] over key and value [1, kv_head, pos, d]."""

MIN_REPEATS, MAX_REPEATS, REPEAT_S = 3, 15, 0.4
"""Repeated until both the fewest runs and the time are reached, or the most runs."""


def eager(query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    """Attention as the formula says: the whole matrix of scores, softmax, times the values."""
    shared, n_positions = query.shape[1] // key.shape[1], query.shape[2]
    key, value = key.repeat_interleave(shared, 1), value.repeat_interleave(shared, 1)
    scores = query @ key.mT * query.shape[-1] ** -0.5
    later = torch.ones(n_positions, n_positions, dtype=torch.bool, device=query.device).triu(1)
    return scores.masked_fill(later, -torch.inf).softmax(-1) @ value


def sdpa(kernel: SDPBackend) -> Attention:
    """Torch's scaled_dot_product_attention with one of its kernels and no other."""

    def run(query: Tensor, key: Tensor, value: Tensor) -> Tensor:
        with sdpa_kernel(kernel):
            return torch.nn.functional.scaled_dot_product_attention(
                query, key, value, is_causal=True, enable_gqa=query.shape[1] != key.shape[1]
            )

    return run


def flex(n_positions: int, device: str) -> Attention:
    """Torch's flex_attention, compiled for a causal mask of this length."""
    mask = create_block_mask(
        lambda batch, head, query, key: query >= key, None, None, n_positions, n_positions, device
    )
    compiled = torch.compile(flex_attention, dynamic=False)

    def run(query: Tensor, key: Tensor, value: Tensor) -> Tensor:
        grouped = query.shape[1] != key.shape[1]
        return compiled(query, key, value, block_mask=mask, enable_gqa=grouped)

    return run


def make(backend: str, n_positions: int, device: str) -> Attention:
    """Return the attention function of a name of `backends.BACKENDS`."""
    if backend == "flex":
        return flex(n_positions, device)
    if backend == "eager":
        return eager
    kernels = {"sdpa math": SDPBackend.MATH, "sdpa flash": SDPBackend.FLASH_ATTENTION}
    return sdpa(kernels[backend])


def peak_bytes(run: Callable[[], Tensor], device: str) -> int | None:
    """Return how much memory one call took beyond what was in use; None where nothing tells."""
    if device.startswith("cuda"):
        torch.cuda.synchronize()
        torch.cuda.reset_peak_memory_stats()
        before = torch.cuda.memory_allocated()
        run()
        torch.cuda.synchronize()
        return torch.cuda.max_memory_allocated() - before
    try:
        Path("/proc/self/clear_refs").write_text("5")  # Linux: forget the largest memory so far
    except OSError:
        run()
        return None
    before = _status("VmRSS")
    run()
    return max(0, _status("VmHWM") - before)


def _status(name: str) -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(name))


def seconds(run: Callable[[], Tensor], device: str) -> list[float]:
    """Return how long each of several calls took."""
    times: list[float] = []
    while len(times) < MIN_REPEATS or (sum(times) < REPEAT_S and len(times) < MAX_REPEATS):
        started = time.perf_counter()
        run()
        if device.startswith("cuda"):
            torch.cuda.synchronize()
        times.append(time.perf_counter() - started)
    return times


def measure(backend: str, n_positions: int, job: dict) -> dict:
    """Warm up, then take memory and time of one backend at one length."""
    device, dtype = job["device"], getattr(torch, job["dtype"])
    torch.manual_seed(0)
    shapes = ((job["n_heads"], job["d_head"]), *[(job["n_kv_heads"], job["d_head"])] * 2)
    tensors = [torch.randn(1, n, n_positions, d).to(device, dtype) for n, d in shapes]
    attention = make(backend, n_positions, device)
    attention(*tensors)
    peak = peak_bytes(lambda: attention(*tensors), device)
    times = seconds(lambda: attention(*tensors), device)
    spread = {"fastest": min(times), "slowest": max(times), "n_runs": len(times)}
    found = {"backend": backend, "n_positions": n_positions, "peak_bytes": peak}
    return {**found, "seconds": statistics.median(times), **spread}


def why_not(backend: str, job: dict, error: Exception) -> str:
    """Say in a few words why a backend does not run here."""
    text = " ".join(str(error).split())
    if "No viable backend" in text or "No available kernel" in text:
        return f"torch has no such kernel for {job['dtype']} on {job['device'].split(':')[0]}"
    if any(word in text for word in ("compiler", "CppCompile", "triton", "Triton")):
        return "it has to be compiled, and no compiler was found"
    return f"torch says {text[:120]!r}"


def main(job: dict) -> None:
    """Measure every backend at every length, shortest first, and report as results come in."""
    torch.set_num_threads(job["n_threads"])
    for backend in job["backends"]:
        for n_positions in job["lengths"]:
            if backend in job["materialising"] and n_positions > job["longest_materialised"]:
                continue
            compiles = ", compiled first" if backend == "flex" else ""
            say({"doing": f"{backend} at {n_positions:,} tokens{compiles}"})
            try:
                with warnings.catch_warnings(), torch.inference_mode():
                    warnings.simplefilter("ignore")
                    say(measure(backend, n_positions, job))
            except Exception as error:
                say({"backend": backend, "reason": why_not(backend, job, error)})
                break


def say(message: dict) -> None:
    """Write one line."""
    print(json.dumps(message), flush=True)


def _end_with_the_app() -> None:
    sys.stdin.read()
    os._exit(1)


if __name__ == "__main__":
    threading.Thread(target=_end_with_the_app, daemon=True).start()
    if hasattr(os, "nice"):
        os.nice(5)  # visitors' clicks come first
    main(json.loads(sys.argv[1]))
