"""Two Ray nodes on this machine, a model on them, clients that step, and a replica that is killed.

Prints what came of it as JSON. Run it in a network of its own: Ray listens everywhere.
"""

import fcntl
import json
import os
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time
from contextlib import suppress
from pathlib import Path

from model_hooks import Decoding, InlookError
from model_hooks.cluster.client import Client
from model_hooks.cluster.places import TOKEN
from model_hooks.cluster.ray_app import asked
from model_hooks.host import Host, Question, Run

ROOT = Path(__file__).parents[3]
HERE, PORT, GCS = "127.0.0.1", 8341, 6341
ADDRESS = f"http://{HERE}:{PORT}"
PROMPT = (3, 1, 5)
N_CLIENTS, N_TOKENS = 30, 8
SECRET = "a token of the tests"


def main():
    loopback_up()
    folder = tempfile.mkdtemp(prefix="inlook-ray-")
    os.environ.update({TOKEN: SECRET, "RAY_USAGE_STATS_ENABLED": "0", "RAY_TMPDIR": folder})
    os.environ.update({"RAY_AUTH_MODE": "disabled", "HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1"})
    nodes, began = [], time.monotonic()
    try:
        nodes.append(node("--head", f"--port={GCS}", "--include-dashboard=false"))
        wait_for(GCS)
        nodes.append(node(f"--address={HERE}:{GCS}"))
        os.environ["RAY_ADDRESS"] = f"{HERE}:{GCS}"
        command("deploy", "storyteller", "--replicas", "2")
        found = {"ready_s": time.monotonic() - began, **seen()}
        found["removed"] = command("remove").split()
    finally:
        end(nodes)
        shutil.rmtree(folder, ignore_errors=True)
    print(json.dumps({**found, "seconds": time.monotonic() - began}))


def loopback_up():
    """Switch the loopback on, as in a new network it is off."""
    with socket.socket() as any_socket:
        up = struct.pack("16sh14x", b"lo", 0x49)  # up, running, loopback
        with suppress(PermissionError):  # no network of its own: it is up
            fcntl.ioctl(any_socket, 0x8914, up)


def node(*options):
    return subprocess.Popen(
        [
            *(str(Path(sys.executable).with_name("ray")), "start", "--block", *options),
            *(f"--node-ip-address={HERE}", "--num-cpus=1", "--object-store-memory=100000000"),
            "--disable-usage-stats" if "--head" in options else "--num-gpus=0",
        ],
        cwd=ROOT,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )


def end(processes):
    for one in processes:
        one.terminate()
    until = time.monotonic() + 8
    for one in processes:
        try:
            one.wait(max(0.1, until - time.monotonic()))
        except subprocess.TimeoutExpired:
            os.killpg(one.pid, signal.SIGKILL)


def wait_for(port):
    for _ in range(300):
        with socket.socket() as one:
            if one.connect_ex((HERE, port)) == 0:
                return
        time.sleep(0.1)


def command(*arguments):
    line = [sys.executable, "-m", "model_hooks.cluster", "--port", str(PORT), *arguments]
    done = subprocess.run(line, cwd=ROOT, capture_output=True, text=True, timeout=90)
    if done.returncode:
        raise RuntimeError(f"{arguments}: {done.stdout[-2000:]} {done.stderr[-4000:]}")
    return done.stdout


def seen():
    far, here = Client(ADDRESS, SECRET), Host()
    length = Question("model_hooks.read.recorded:run_length", Run("storyteller", PROMPT))
    return {
        "length": far.answer(length),
        "wrong_token": refused(Client(ADDRESS, "a guess"), length),
        "unknown_model": refused(far, Question(length.function, Run("no-such", PROMPT))),
        "idle_after_stop_s": idle_after_stop(far),
        "same_texts": kill_while_they_step(far, here),
        "step_ms": milliseconds(far, "a", here),
    }


def refused(far, question):
    try:
        far.answer(question)
    except InlookError as error:
        return type(error).__name__
    return "answered"


def step(where, written, seed, session):
    key = (PROMPT, written, Decoding("sample", seed=seed))
    question = Question("model_hooks.write.writing:write_token", Run("storyteller", ()), key)
    given = (session,) if isinstance(where, Client) else ()
    return where.answer(question, *given).token_id


def idle_after_stop(far):
    """Return the seconds until the replica has nothing to do after a long run is left."""
    key = (PROMPT, 4, 200)
    question = Question("model_hooks.experiments.beams:search_beams", Run("storyteller", ()), key)
    values = far.answer(question, "stop")
    next(values)
    values.close()
    stopped = time.monotonic()
    while status("stop")["running"] and time.monotonic() - stopped < 10:
        time.sleep(0.02)
    return time.monotonic() - stopped


def status(session):
    return asked((HERE, PORT), "/inlook/storyteller", SECRET, session)


def kill_while_they_step(far, here):
    """Return whether all texts are what they would have been; a replica is killed meanwhile."""
    texts, half = [()] * N_CLIENTS, threading.Barrier(N_CLIENTS + 1)

    def write(i):
        for n in range(N_TOKENS):
            if n == N_TOKENS // 2:
                half.wait()
            texts[i] += (step(far, texts[i], i, f"client {i}"),)

    threads = [threading.Thread(target=write, args=(i,)) for i in range(N_CLIENTS)]
    for one in threads:
        one.start()
    victim = status("client 0")["process"]
    half.wait()
    os.kill(victim, signal.SIGKILL)
    for one in threads:
        one.join(60)
    wanted = [()] * N_CLIENTS
    for i in range(N_CLIENTS):
        for _ in range(N_TOKENS):
            wanted[i] += (step(here, wanted[i], i, ""),)
    return texts == wanted


def milliseconds(far, session, here):
    """Return what a step costs more than here, in the median of pairs."""
    more = []
    for n in range(40):
        took = []
        for where in (far, here):
            began = time.perf_counter()
            step(where, (), n, session)
            took.append(time.perf_counter() - began)
        more.append(1000 * (took[0] - took[1]))
    return sorted(more)[len(more) // 2]


if __name__ == "__main__":
    main()
