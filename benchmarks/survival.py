"""What does Inlook survive?

    python -m benchmarks.survival [name ...]

Each case starts servers on a copy of this checkout, does something to them that should not happen,
and asks whether visitors still get their page. Prints *survived* or what is wrong, one line per
case; exits 1 if anything is.
"""

import argparse
import ctypes
import os
import resource
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from tests.visiting import answers, ask

ROOT = Path(__file__).resolve().parents[1]
LEFT_OUT = (".git", "tests", "node_modules", "training", "shared", "__pycache__", ".venv")
START_S, STOP_S = 120, 15
PR_CAPBSET_DROP, CAP_DAC_OVERRIDE = 24, 1


class Page(NamedTuple):
    """What a visitor got."""

    alerts: list[str]
    exceptions: list[str]
    n_elements: int


def copy_of_checkout(home: Path) -> Path:
    """Return a copy of this checkout, without what the app does not read."""
    return Path(shutil.copytree(ROOT, home / "inlook", ignore=shutil.ignore_patterns(*LEFT_OUT)))


def start(root: Path, port: int, limit: Callable[[], None] | None = None, **environment: str):
    """Start a server, and return it once it answers.

    Raises:
        RuntimeError: It does not.
    """
    command = [sys.executable, "-B", "-m", "streamlit", "run", "app.py", f"--server.port={port}"]
    process = subprocess.Popen(
        [*command, "--server.headless=true", "--server.address=127.0.0.1"],
        cwd=root,
        env={**os.environ, "HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1", **environment},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        preexec_fn=limit,
    )
    until = time.monotonic() + START_S
    while time.monotonic() < until and process.poll() is None:
        try:
            urllib.request.urlopen(f"{address_of(port)}/healthz", timeout=5).close()
            return process
        except OSError:
            time.sleep(0.2)
    process.kill()
    raise RuntimeError("the server did not start")


@contextmanager
def running(root: Path, **how) -> Iterator[tuple[int, subprocess.Popen]]:
    """Run a server; yield its port and its process."""
    port = free_port()
    process = start(root, port, **how)
    try:
        yield port, process
    finally:
        process.kill()
        process.wait()


def free_port() -> int:
    """Return a port that nobody uses."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def visit(port: int, **view: str) -> Page:
    """Ask for the page of a view; return what is on it."""
    page = Page([], [], 0)
    for told in answers(address_of(port), view):
        if told.WhichOneof("type") == "delta":
            element = told.delta.new_element
            page = page._replace(n_elements=page.n_elements + 1)
            if element.WhichOneof("type") == "alert":
                page.alerts.append(element.alert.body)
            if element.WhichOneof("type") == "exception":
                page.exceptions.append(element.exception.message)
    return page


def address_of(port: int) -> str:
    """Return the address of a server on this machine."""
    return f"http://127.0.0.1:{port}"


def problem_of(page: Page, *, says: str | None = None) -> str | None:
    """Return what is wrong with a page: a raw error, nothing on it, or another sentence."""
    if page.exceptions:
        return f"a raw error: {page.exceptions[0][:200]}"
    if page.n_elements < 10:
        return f"only {page.n_elements} elements"
    if says is None and page.alerts:
        return f"it says: {page.alerts[0][:200]}"
    if says is not None and says not in " ".join(page.alerts):
        return f"it does not say {says!r}, but {page.alerts}"
    return None


WORK = {"prompt": "Once upon a time", "model": "storyteller"}


def killed_in_a_run(home: Path) -> str | None:
    """Kill -9 while a page is computed, and start again on the same port."""
    root, port = copy_of_checkout(home), free_port()
    process = start(root, port)
    with ask(address_of(port), WORK):
        time.sleep(0.3)
        process.kill()
        process.wait()
    again = start(root, port)
    try:
        return problem_of(visit(port, **WORK))
    finally:
        again.kill()
        again.wait()


def ended_politely(home: Path) -> str | None:
    """SIGTERM at several moments of a visit: it ends within seconds, without a complaint."""
    root = copy_of_checkout(home)
    for seconds in (0.0, 0.2, 1.0):
        with running(root) as (port, process), ask(address_of(port), WORK):
            time.sleep(seconds)
            process.send_signal(signal.SIGTERM)
            try:
                code = process.wait(STOP_S)
            except subprocess.TimeoutExpired:
                return f"it runs on {STOP_S} s after SIGTERM that came {seconds} s after a visit"
            if code not in (0, -signal.SIGTERM):
                return f"it ended with {code}"
    return None


def checkout_that_is_read_only(home: Path) -> str | None:
    """Nobody may write: neither into the checkout, nor at home."""
    root = copy_of_checkout(home)
    for path in (root, *root.rglob("*")):
        path.chmod(0o555 if path.is_dir() else 0o444)
    home.chmod(0o755)
    scratch = home / "scratch"
    scratch.mkdir()
    scratch.chmod(0o777)
    folders = {"HOME": "/nowhere", "TMPDIR": str(scratch)}
    with running(root, limit=_bound_by_permissions, **folders) as (port, _):
        return problem_of(visit(port, **WORK))


def nothing_to_write_to(home: Path) -> str | None:
    """The disk is full: no file can be written anywhere, the temporary folder included."""
    with running(copy_of_checkout(home), limit=_no_files, HOME="/nowhere") as (port, _):
        return problem_of(visit(port, **WORK))


def files_deleted(home: Path) -> str | None:
    """The models' files go while it runs: what is open stays, the others say that they lack."""
    root = copy_of_checkout(home)
    with running(root) as (port, _):
        if problem := problem_of(visit(port, **WORK)):
            return problem
        for weights in (root / "models").glob("*/model.safetensors"):
            weights.rename(weights.with_suffix(".away"))
        if problem := problem_of(visit(port, **WORK, pos="1")):
            return f"the open model: {problem}"
        gone = visit(port, **{**WORK, "model": "twin-rope"})
        if problem := problem_of(gone, says="twin"):
            return f"the one that is gone: {problem}"
        for weights in (root / "models").glob("*/model.away"):
            weights.rename(weights.with_suffix(".safetensors"))
        return problem_of(visit(port, **{**WORK, "model": "twin-rope"}))


def files_replaced(home: Path) -> str | None:
    """The open model's weights are shortened in place, then replaced by garbage."""
    root = copy_of_checkout(home)
    weights = root / "models/storyteller/model.safetensors"
    with running(root) as (port, process):
        if problem := problem_of(visit(port, **WORK)):
            return problem
        os.truncate(weights, 1000)
        if problem := problem_of(visit(port, **{**WORK, "prompt": "The dog ran to"})):
            return problem
        weights.write_bytes(b"12345678garbage")
        if problem := problem_of(visit(port, **{**WORK, "prompt": "One day, a"})):
            return problem
        return None if process.poll() is None else "the server ended"


def two_servers(home: Path) -> str | None:
    """Two servers on one checkout, visited in turn."""
    root = copy_of_checkout(home)
    with running(root) as (one, _), running(root) as (other, _):
        for port in (one, other, one, other):
            if problem := problem_of(visit(port, **WORK)):
                return problem
    return None


def model_beyond_memory(home: Path) -> str | None:
    """The process may have less memory than the estimate knows of: it goes on."""
    root = copy_of_checkout(home)
    with running(root, limit=_little_memory) as (port, process):
        visit(port, **{**WORK, "prompt": "Once upon a time " * 200})
        if process.poll() is not None:
            return "the server ended"
        return problem_of(visit(port, **WORK))


def _bound_by_permissions() -> None:
    """Let root, too, write only where it is permitted (from the next program on)."""
    ctypes.CDLL(None).prctl(PR_CAPBSET_DROP, CAP_DAC_OVERRIDE, 0, 0, 0)


def _no_files() -> None:
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))


def _little_memory() -> None:
    resource.setrlimit(resource.RLIMIT_AS, (4 * 2**30, 4 * 2**30))


CASES = {
    case.__name__: case
    for case in (
        killed_in_a_run,
        ended_politely,
        checkout_that_is_read_only,
        nothing_to_write_to,
        files_deleted,
        files_replaced,
        two_servers,
        model_beyond_memory,
    )
}


def main() -> None:
    """Run the cases and print a line for each."""
    parser = argparse.ArgumentParser(description="Do to Inlook what should not happen.")
    parser.add_argument("names", nargs="*", metavar="name", help=f"of {', '.join(CASES)}")
    names = parser.parse_args().names or [*CASES]
    faults = 0
    for name in names:
        with tempfile.TemporaryDirectory() as home:
            try:
                problem = CASES[name](Path(home))
            except Exception as error:
                problem = f"{type(error).__name__}: {error}"
        faults += problem is not None
        print(f"{name.replace('_', ' ')}: {problem or 'survived'}", flush=True)
    sys.exit(faults > 0)


if __name__ == "__main__":
    main()
