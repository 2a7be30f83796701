"""What a class costs the server: students who listen, click, and are led to another page.

    python -m benchmarks.classroom [--students 30] [--seconds 20]

A simulated teacher starts a class, students join by its code, and their pages ask for news as a
browser does. Goals on two cores with 30 students: 95 of 100 clicks within 1 s, and listening takes
less than a tenth of one core.
"""

import argparse
import asyncio
import tempfile
import time
from pathlib import Path
from urllib.parse import parse_qs

import psutil

from benchmarks.load import THINKING_S, Student, used
from pages.shell.class_bar import POLL_S
from tests.browser.driving import serve

LESSONS, LED_TO = "guess-before-you-see", "layer-by-layer"


async def listen(student: Student, seconds: float, clicks: bool) -> list[float]:
    """Let a student's page ask for news, and the student click; return how long asking took."""
    took: list[float] = []
    until = time.perf_counter() + seconds
    await asyncio.sleep(student.draw.uniform(0, POLL_S))
    thinks_until = time.perf_counter() + student.draw.uniform(*THINKING_S)
    while (now := time.perf_counter()) < until:
        await student.look()
        took.append(time.perf_counter() - now)
        if clicks and now > thinks_until:
            await student.click()
            thinks_until = time.perf_counter() + student.draw.uniform(*THINKING_S)
        await asyncio.sleep(max(0.0, POLL_S - (time.perf_counter() - now)))
    return took


async def follow(student: Student) -> float:
    """Let a student's page ask until it shows where the teacher is; return when."""
    await asyncio.sleep(student.draw.uniform(0, POLL_S))
    while student.page != LED_TO:
        await student.look()
        if student.page != LED_TO:
            await asyncio.sleep(POLL_S)
    return time.perf_counter()


def percentile(values: list[float], share: float) -> str:
    """Write a percentile in milliseconds."""
    return f"{1000 * sorted(values)[int(share * len(values))]:.0f} ms"


async def teach(url: str, server: psutil.Process, n_students: int, seconds: float) -> None:
    """Hold a class and print what it costs."""
    teacher = Student(0, "")
    await teacher.open(url, LESSONS)
    await teacher.press("lessons.start_class")
    code = parse_qs(teacher.query)["code"][0]
    students = [Student(seed, f"code={code}") for seed in range(1, n_students + 1)]
    for student in students:
        await student.open(url, "why-this-token")
    for clicks in (False, True):
        for student in students:
            student.waits.clear()
        before, began = used(server), time.perf_counter()
        took = await asyncio.gather(*(listen(one, seconds, clicks) for one in students))
        asked = [one for some in took for one in some]
        spent, lasted = used(server) - before, time.perf_counter() - began
        print(
            f"{n_students} students {'listen and click' if clicks else 'listen'}: {len(asked)} "
            f"times asked, median {percentile(asked, 0.5)}, 95 % {percentile(asked, 0.95)}; "
            f"processor {100 * spent / lasted:.0f} % of a core"
        )
        if clicks:
            waits = [wait for student in students for wait in student.waits]
            print(
                f"{len(waits)} clicks: median {percentile(waits, 0.5)}, 95 % "
                f"{percentile(waits, 0.95)}, slowest {percentile(waits, 0.999)}"
            )
        else:
            print(f"One look costs {1000 * spent / len(asked):.1f} ms of processor time.")
    await teacher.go("what-each-head-reads")
    await teacher.press("class.lead")
    await teacher.go(LED_TO)
    began = time.perf_counter()
    there = [at - began for at in await asyncio.gather(*map(follow, students))]
    print(f"All follow: median {percentile(there, 0.5)}, the last {percentile(there, 0.999)}")
    errors = [error for one in [teacher, *students] for error in one.errors]
    for one in [teacher, *students]:
        await one.close()
    if errors:
        raise RuntimeError(f"{len(errors)} errors, such as {errors[0]}")


def main() -> None:
    """Start the app and hold a class."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--students", type=int, default=30)
    parser.add_argument("--seconds", type=float, default=20)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, serve(Path(folder) / "server.txt") as url:
        (server,) = psutil.Process().children()
        asyncio.run(teach(url, server, args.students, args.seconds))


if __name__ == "__main__":
    main()
