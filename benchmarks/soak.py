"""Is the memory of visitors who leave given back?

    python -m benchmarks.soak [--minutes 20] [--at-once 10]

Simulated students come, click a few times, each with a prompt of their own, and leave; others come.
Every half minute: how many came, and what the server holds. It is flat if the last third of the
time needs no more than a tenth above the middle third. Exits 1 if it is not, or holds over 1 GB.
"""

import argparse
import asyncio
import itertools
import re
import sys
import tempfile
import time
import urllib.parse
import urllib.request
from pathlib import Path

import psutil

from benchmarks.load import PROMPTS, Student
from model_hooks.loading import bundled_models
from tests.browser.driving import serve

CLICKS = (4, 12)
PAUSE_S = (0.5, 1.5)
EVERY_S = 30
MOST_MB, MOST_GROWTH = 1000, 1.1


async def come_and_go(url: str, server: psutil.Process, minutes: float, n: int) -> list[float]:
    """Let students come and go; return the megabytes that the server held, over time."""
    until, count, held = time.monotonic() + 60 * minutes, itertools.count(), []
    models, errors = list(bundled_models()), []

    async def seat() -> None:
        while time.monotonic() < until:
            seed = next(count)
            prompt = f"{PROMPTS[seed % len(PROMPTS)]} number {seed} and"
            query = {"model": models[seed % len(models)], "prompt": prompt}
            student = Student(seed, urllib.parse.urlencode(query))
            await student.open(url)
            for _ in range(student.draw.randrange(*CLICKS)):
                await student.click()
                await asyncio.sleep(student.draw.uniform(*PAUSE_S))
            await student.close()
            errors.extend(student.errors)

    async def watch() -> None:
        while time.monotonic() < until:
            await asyncio.sleep(min(EVERY_S, 60 * minutes / 9))
            held.append(server.memory_info().rss / 2**20)
            left = (until - time.monotonic()) / 60
            print(
                f"{left:5.1f} minutes left, {next(count)} came, {held[-1]:.0f} MB "
                f"({await asyncio.to_thread(kept, url)})",
                flush=True,
            )

    await asyncio.gather(watch(), *(seat() for _ in range(n)))
    if errors:
        raise RuntimeError(f"{len(errors)} errors, such as {errors[0]}")
    return held


def kept(url: str) -> str:
    """Return what the server says of its stores."""
    with urllib.request.urlopen(f"{url}/metrics") as answer:
        found = re.findall(r"^inlook_(\w+)_bytes (\S+)$", answer.read().decode(), re.MULTILINE)
    return ", ".join(f"{name} {float(n) / 2**20:.0f}" for name, n in found)


def verdict(held: list[float]) -> str | None:
    """Return what is wrong with a server's memory over time, in megabytes; None if nothing is."""
    third = len(held) // 3
    middle, last = max(held[third : 2 * third]), max(held[2 * third :])
    if last > MOST_MB:
        return f"it holds {last:.0f} MB"
    if last > MOST_GROWTH * middle:
        return f"it grew from {middle:.0f} to {last:.0f} MB"
    return None


def main() -> None:
    """Run and print."""
    parser = argparse.ArgumentParser(description="Let simulated students come and go.")
    parser.add_argument("--minutes", type=float, default=20)
    parser.add_argument("--at-once", type=int, default=10)
    args = parser.parse_args()
    with (
        tempfile.TemporaryDirectory() as folder,
        serve(Path(folder) / "server.txt", INLOOK_METRICS="1") as url,
    ):
        (server,) = psutil.Process().children()
        held = asyncio.run(come_and_go(url, server, args.minutes, args.at_once))
    problem = verdict(held)
    print(problem or "flat")
    sys.exit(problem is not None)


if __name__ == "__main__":
    main()
