"""How do several processes of Inlook share one address?

    INLOOK_PROCESSES=2 python -m hosting [--address 0.0.0.0] [--port 8501]

Starts them, and HAProxy before them by the configuration beside this file; starts again what ends,
and ends all when it is ended itself. One Python process keeps about one core busy.
"""

import argparse
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Sequence
from itertools import zip_longest
from pathlib import Path
from types import FrameType

ROOT = Path(__file__).resolve().parents[1]
TEMPLATE = Path(__file__).with_name("haproxy.cfg")
SETTING = "INLOOK_PROCESSES"
LETTER = "INLOOK_PROCESS_LETTER"
"""The setting that tells a process how the codes of its classes begin."""
LETTERS = "23456789ABCDEFGHJKMNPQRSTUVWXYZ"
"""One for each process; further ones have none, and no link leads to their classes."""
MOST_PROCESSES = 64
START_S = 120.0
PATIENCE_S = 10.0
"""How long a process may take to end by itself."""
RESTART_S = 1.0
"""Between the end of a process and its next start, so that what cannot run does not spin."""


class Child:
    """A process that is started again when it ends."""

    def __init__(self, command: Sequence[str], **settings: str) -> None:
        self.command, self.settings = list(command), settings
        self.process = self._started()
        self._ended: float | None = None

    def _started(self) -> subprocess.Popen[bytes]:
        return subprocess.Popen(self.command, cwd=ROOT, env={**os.environ, **self.settings})

    def look_after(self) -> None:
        """Start it again if it ended a while ago."""
        if self.process.poll() is None:
            return
        if self._ended is None:
            self._ended = time.monotonic()
            print(f"Process {self.process.pid} ended ({self.process.returncode}).", flush=True)
        elif time.monotonic() - self._ended > RESTART_S:
            self.process, self._ended = self._started(), None

    def end(self) -> None:
        """End it, by force if need be."""
        self.process.terminate()
        try:
            self.process.wait(PATIENCE_S)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


def streamlit_command(port: int) -> list[str]:
    """Return what starts one process of Inlook on this machine's own address."""
    command = [sys.executable, "-m", "streamlit", "run", "app.py", f"--server.port={port}"]
    return [*command, "--server.address=127.0.0.1", "--server.headless=true"]


def configuration(address: str, port: int, ports: Sequence[int]) -> str:
    """Return HAProxy's configuration.

    Args:
        address: Where visitors come to.
        port: The port there.
        ports: Those of the processes.
    """
    servers = [f"server process{i} 127.0.0.1:{one} cookie {i}" for i, one in enumerate(ports)]
    classes = [line for i, letter in enumerate(LETTERS[: len(ports)]) for line in _route(i, letter)]
    filled = {"<classes>": "\n    ".join(classes)}
    filled |= {"<address>": address, "<port>": str(port), "<servers>": "\n    ".join(servers)}
    text = TEMPLATE.read_text(encoding="utf-8")
    for place, value in filled.items():
        text = text.replace(place, value)
    return text


def _route(process: int, letter: str) -> list[str]:
    """Lead whoever comes by the link of a class to its process, whichever they had before."""
    kept = f"INLOOK={process}; path=/; HttpOnly; SameSite=Lax"
    return [
        f"acl class{process} var(txn.class) -m beg {letter}",
        f"http-request set-header Cookie INLOOK={process} if class{process}",
        f'http-after-response add-header Set-Cookie "{kept}" if class{process}',
    ]


def n_processes(said: str) -> int:
    """Return how many processes the setting asks for.

    Raises:
        SystemExit: It makes no sense; the message says so.
    """
    if said.isdecimal() and 1 <= int(said[:6]) <= MOST_PROCESSES:
        return int(said)
    raise SystemExit(f"{SETTING}={said!r} is no number from 1 to {MOST_PROCESSES}.")


def free_ports(n: int) -> list[int]:
    """Return ports of this machine that nobody uses."""
    probes = [socket.socket() for _ in range(n)]
    for probe in probes:
        probe.bind(("127.0.0.1", 0))
    ports = [probe.getsockname()[1] for probe in probes]
    for probe in probes:
        probe.close()
    return ports


def wait_until_well(port: int) -> None:
    """Wait until a process answers.

    Raises:
        SystemExit: It does not within two minutes.
    """
    until = time.monotonic() + START_S
    while time.monotonic() < until:
        try:
            urllib.request.urlopen(f"http://127.0.0.1:{port}/healthz", timeout=5).close()
            return
        except OSError:
            time.sleep(0.2)
    raise SystemExit("Inlook did not start: its own words stand above.")


def main() -> None:
    """Run until a signal comes."""
    parser = argparse.ArgumentParser(description="Run several processes of Inlook.")
    parser.add_argument("--address", default="0.0.0.0", help="where visitors come to")
    parser.add_argument("--port", type=int, default=8501)
    options = parser.parse_args()
    n = n_processes(os.environ.get(SETTING, str(os.cpu_count() or 1)))
    haproxy = shutil.which("haproxy", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
    if haproxy is None:
        raise SystemExit("HAProxy is not installed: apt-get install haproxy.")
    for one in (signal.SIGTERM, signal.SIGINT):
        signal.signal(one, _end)
    run(haproxy, options.address, options.port, n)


def run(haproxy: str, address: str, port: int, n: int) -> None:
    """Start everything, look after it until a signal comes, and end it."""
    ports, children = free_ports(n), []
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "haproxy.cfg")
        file.write_text(configuration(address, port, ports), encoding="utf-8")
        try:
            for one, letter in zip_longest(ports, LETTERS[:n]):
                settings = {} if letter is None else {LETTER: letter}
                children.append(Child(streamlit_command(one), **settings))
            for one in ports:
                wait_until_well(one)
            children.append(Child([haproxy, "-db", "-f", str(file)]))
            print(f"{n} processes at http://{address}:{port}", flush=True)
            while True:
                time.sleep(0.2)
                for child in children:
                    child.look_after()
        finally:
            for one in (signal.SIGTERM, signal.SIGINT):
                signal.signal(one, signal.SIG_IGN)
            for child in children:
                child.process.terminate()
            for child in children:
                child.end()


def _end(signum: int, frame: FrameType | None) -> None:
    raise SystemExit(0)


if __name__ == "__main__":
    main()
