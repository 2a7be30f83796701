"""Backends compute the same, are measured on the side, and can be stopped."""

import pickle
import sys
import time
from pathlib import Path

import pytest
import torch

from model_hooks import HookedModel
from model_hooks.experiments import backends
from model_hooks.experiments import backends_worker as worker
from model_hooks.experiments.backends import (
    BackendRun,
    BusyError,
    Shapes,
    backends_report,
    start_backends,
    stop_backends,
)
from tests.tiny_models import build, tiny_tokenizer

SHAPES = Shapes(n_heads=4, n_kv_heads=2, d_head=8, dtype="float32", device="cpu")
MB = 2**20


@pytest.fixture
def tensors():
    torch.manual_seed(0)
    return torch.randn(1, 4, 12, 8), torch.randn(1, 2, 12, 8), torch.randn(1, 2, 12, 8)


@pytest.mark.filterwarnings("ignore:flex_attention called without torch.compile")
@pytest.mark.parametrize("backend", ["eager", "sdpa math", "sdpa flash", "flex"])
def test_every_backend_computes_causal_attention_of_grouped_heads(tensors, backend, monkeypatch):
    monkeypatch.setattr(torch, "compile", lambda function, **_: function)  # it takes 15 s
    query, key, value = tensors
    for head in range(4):
        scores = query[0, head] @ key[0, head // 2].T * 8**-0.5
        scores[~torch.ones(12, 12, dtype=torch.bool).tril()] = -torch.inf
        truth = scores.softmax(-1) @ value[0, head // 2]
        with torch.inference_mode():
            got = worker.make(backend, 12, "cpu")(*tensors)[0, head]
        torch.testing.assert_close(got, truth)


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells a process its peak memory")
def test_peak_memory_is_what_a_call_takes_and_gives_back():
    peak = worker.peak_bytes(lambda: torch.ones(64 * MB // 4).sum(), "cpu")
    assert 60 * MB < peak < 80 * MB


def test_reasons_are_said_in_plain_words():
    job = {"dtype": "float32", "device": "cuda:0"}
    error = RuntimeError("No available kernel. Aborting execution.")
    assert (
        worker.why_not("sdpa flash", job, error) == "torch has no such kernel for float32 on cuda"
    )
    assert "compiler" in worker.why_not("flex", job, RuntimeError("No working C++ compiler found"))
    assert "boom" in worker.why_not("eager", job, ValueError("boom"))


def test_a_run_measures_each_backend_at_each_length_that_fits_and_one_runs_at_a_time(monkeypatch):
    monkeypatch.setattr(
        "model_hooks.experiments.backends.free_bytes", lambda device: 2.0 * 4 * 4 * 4 * 100**2
    )
    assert SHAPES.longest_materialised() == 100
    run = BackendRun(SHAPES, (64, 128), ("eager", "sdpa flash"))
    try:
        with pytest.raises(BusyError, match="Another measurement"):
            BackendRun(SHAPES, (16,))
        progress = run.wait(60.0)
    finally:
        run.stop()
    assert progress.failure is None
    assert run.left_out() == (128,)
    assert [(m.backend, m.n_positions) for m in progress.measurements] == [
        ("eager", 64),
        ("sdpa flash", 64),
        ("sdpa flash", 128),
    ]
    for found in progress.measurements:
        assert 0 < found.fastest <= found.seconds <= found.slowest
        assert found.n_runs >= 3


def test_a_stopped_run_ends_at_once_keeps_what_it_found_and_frees_the_place():
    run = BackendRun(SHAPES, (64, 4096), ("eager",) * 50)
    deadline = time.monotonic() + 60
    while not run.progress.measurements and time.monotonic() < deadline:
        time.sleep(0.05)
    run.stop()
    progress = run.wait(5.0)
    assert progress.measurements
    assert progress.failure is None
    assert not Path(f"/proc/{run._process.pid}").exists()
    other = BackendRun(SHAPES, (16,), ("eager",))
    other.stop()
    assert other.wait(5.0).running is False


def test_a_backend_that_does_not_run_is_named_and_the_others_go_on():
    run = BackendRun(
        Shapes(4, 2, 8, "float64", "meta-that-is-no-device"), (16,), ("eager", "sdpa flash")
    )
    progress = run.wait(60.0)
    assert [name for name, _ in progress.unavailable] == ["eager", "sdpa flash"]
    assert progress.measurements == ()


def test_a_ticket_shows_a_run_until_it_has_ended_and_only_for_its_own_shapes(hooked):
    ticket = start_backends(hooked, (8, 4096))
    try:
        with pytest.raises(BusyError):
            start_backends(hooked, (8,))
        deadline = time.monotonic() + 60
        while not backends_report(hooked, ticket).progress.measurements:
            assert time.monotonic() < deadline
            time.sleep(0.05)
        other = HookedModel.wrap(build("mistral"), tiny_tokenizer())
        assert Shapes.of(other.info) != Shapes.of(hooked.info)
        assert backends_report(other, ticket) is None
    finally:
        stop_backends(hooked, ticket)
    while (report := backends_report(hooked, ticket)).progress.running:
        time.sleep(0.01)
    assert (report.shapes, report.lengths) == (Shapes.of(hooked.info), (8, 4096))
    assert report.progress.measurements[0].n_positions == 8
    assert pickle.loads(pickle.dumps(report)) == report
    assert backends_report(hooked, "unknown") is None


def test_old_tickets_are_forgotten(hooked, monkeypatch):
    class Ended:
        def __init__(self, shapes, lengths):
            self.shapes, self.lengths, self.n_threads = shapes, lengths, 1
            self.progress = backends.Progress(running=False)

        def left_out(self):
            return ()

    monkeypatch.setattr(backends, "BackendRun", Ended)
    monkeypatch.setattr(backends, "_runs", {})
    tickets = [start_backends(hooked, (n,)) for n in range(backends.KEPT_RUNS + 1)]
    assert backends_report(hooked, tickets[0]) is None
    assert backends_report(hooked, tickets[1]).lengths == (1,)
