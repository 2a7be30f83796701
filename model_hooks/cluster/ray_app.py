"""How do models get onto a Ray Serve cluster, and what do they do there?

The only module that imports Ray, and only when one of its functions is called.
"""

import argparse
import json
import os
import secrets
import sys
import time
from collections.abc import Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

import urllib3

from model_hooks.cluster.places import ROOT, SESSION, TOKEN, path_of
from model_hooks.cluster.serving import Desk
from model_hooks.host import Host
from model_hooks.opening.allowed import allow_only

APP = "inlook"
"""Begins the names of the applications."""
REST = "rest"
"""The application of the models that have none of their own."""
HASHING = "ray.serve.experimental.consistent_hash_router.ConsistentHashRouter"
GAUGES = {
    "waiting": "Questions that wait for their turn.",
    "models_bytes": "Memory of models.",
    "traces_bytes": "Memory of traces.",
    "written_bytes": "Memory of runs to write on from.",
}
"""What a replica tells beside Serve's own numbers of requests, their seconds and their queue."""
LOOK_S = 0.5
CODE = Path(__file__).resolve().parents[2]


class Replica:
    """One process with models; Serve calls it for each request.

    Args:
        models: The only ones that it opens.
        ready: Of these, the ones that it opens before it takes its first question.
        token: What each request has to show.
        n_threads: Threads per forward pass.
    """

    def __init__(
        self, models: Sequence[str], ready: Sequence[str], token: str, n_threads: int
    ) -> None:
        allow_only(models)
        host = Host(n_threads=n_threads)
        for name in ready:
            host.model(name)
        metrics = import_module("ray.serve.metrics")
        self._seconds = metrics.Counter(
            "inlook_work_seconds", description="Time in which questions were worked on."
        )
        self._gauges = {
            name: metrics.Gauge(f"inlook_{name}", description=says) for name, says in GAUGES.items()
        }
        self._host, self._desk = host, Desk(host, token, on_answer=self._count)

    async def __call__(self, request: Any) -> Any:
        """Answer a request of the web server."""
        return await self._desk.answer(request)

    def _count(self, seconds: float) -> None:
        if seconds:
            self._seconds.inc(seconds)
        sizes, queue = self._host.sizes(), self._desk.queue
        numbers = (queue.n_waiting, sizes.models, sizes.traces, sizes.written)
        for gauge, number in zip(self._gauges.values(), numbers, strict=True):
            gauge.set(number)


def deploy(
    hot: Sequence[str], rest: Sequence[str], token: str, at: tuple[str, int], options: Any
) -> str | None:
    """Put models onto the cluster that runs on this machine, or change how they are there.

    Return what went wrong; None once all are there.

    Args:
        hot: Models with replicas of their own.
        rest: Models that share one process each where the cluster has room, opened when asked for.
        token: What web servers have to show.
        at: Where the cluster's proxies listen: an address and a port.
        options: Replicas, processors and the like, as `parser` reads them.
    """
    serve, targets = _serve(at), []
    applications = {path_of(name): [name] for name in hot}
    if rest:
        applications[ROOT] = []
    for path, ready in applications.items():
        replica = _deployment(serve, options).bind(
            [*hot, *rest], ready, token, max(1, int(options.cpus))
        )
        targets.append(serve.RunTarget(replica, name_of(path), path))
    serve.run_many(targets, wait_for_applications_running=False)
    return _wait(serve, [one.name for one in targets], options.patience)


def _wait(serve: Any, names: Sequence[str], seconds: float) -> str | None:
    """Wait until applications run; say what is wrong with the first one that does not."""
    until = time.monotonic() + seconds
    while True:
        found = serve.status().applications
        late = [name for name in names if found[name].status.value != "RUNNING"]
        if not late:
            return None
        said = [one.message for one in found[late[0]].deployments.values() if one.message]
        if found[late[0]].status.value == "DEPLOY_FAILED" or time.monotonic() > until:
            return f"{late[0]} is {found[late[0]].status.value}. {' '.join(said)}"
        time.sleep(LOOK_S)


def _serve(at: tuple[str, int]) -> Any:
    """Return Ray Serve, joined to the cluster of this machine."""
    ray, serve = import_module("ray"), import_module("ray.serve")
    ray.init("auto", namespace=APP, log_to_driver=False, runtime_env=environment())
    serve.start(http_options={"host": at[0], "port": at[1]})
    return serve


def environment() -> dict[str, Any]:
    """Return what processes of the cluster need: this code lies at the same path on each host."""
    known = ("HF_HUB_OFFLINE", "HF_HOME", "OMP_NUM_THREADS")
    named = {name: os.environ[name] for name in known if name in os.environ}
    return {"env_vars": {"PYTHONPATH": str(CODE), **named}}


def _deployment(serve: Any, options: Any) -> Any:
    config = import_module("ray.serve.config")
    return serve.deployment(Replica).options(
        num_replicas=options.replicas,
        # The desk queues itself, and says how long the queue is; this is where it takes no more.
        max_ongoing_requests=options.most_waiting,
        max_queued_requests=options.most_waiting,
        backpressure_config=config.BackpressureConfig(status_code=429, retry_after_s=2),
        health_check_period_s=2,
        health_check_timeout_s=10,
        graceful_shutdown_timeout_s=5,
        ray_actor_options={
            "num_cpus": options.cpus,
            "num_gpus": options.gpus,
            "runtime_env": environment(),
        },
        request_router_config=config.RequestRouterConfig(request_router_class=HASHING),
    )


def name_of(path: str) -> str:
    """Return the name of the application that answers under a path."""
    last = path.removeprefix(ROOT).strip("/")
    return f"{APP}-{last or REST}"


def remove(names: Sequence[str], at: tuple[str, int]) -> list[str]:
    """Take models off the cluster; all of them where none is named. Return what was taken off."""
    serve = _serve(at)
    wanted = {name_of(path_of(name)) for name in names}
    there = [name for name in serve.status().applications if name.startswith(f"{APP}-")]
    gone = [name for name in there if name in wanted or not wanted]
    for name in gone:
        serve.delete(name)
    return gone


def status(at: tuple[str, int], token: str) -> Mapping[str, Any]:
    """Return what is on the cluster: per application, how it is and what its replicas say."""
    serve, found = _serve(at), {}
    for name, one in serve.status().applications.items():
        if not name.startswith(f"{APP}-"):
            continue
        path = ROOT if name == f"{APP}-{REST}" else f"{ROOT}/{name.removeprefix(f'{APP}-')}"
        replicas = {
            state: n
            for part in one.deployments.values()
            for state, n in part.replica_states.items()
        }
        found[name] = {"is": str(one.status.value), "replicas": replicas, **asked(at, path, token)}
    return found


def asked(at: tuple[str, int], path: str, token: str, session: str = "") -> Mapping[str, Any]:
    """Return what one replica says of itself, the one that a session is led to."""
    address = f"http://{at[0]}:{at[1]}{path}"
    headers = {"Authorization": f"Bearer {token}", SESSION: session}
    try:
        said = urllib3.request("GET", address, headers=headers, timeout=5, retries=False)
        return said.json() if said.status == 200 else {"says": said.status}
    except (urllib3.exceptions.HTTPError, ValueError) as error:
        return {"says": type(error).__name__}


def parser() -> argparse.ArgumentParser:
    """Return what reads the command line."""
    whole = argparse.ArgumentParser("python -m model_hooks.cluster", description=__doc__)
    whole.add_argument("--host", default="127.0.0.1", help="where proxies listen")
    whole.add_argument("--port", type=int, default=8000)
    what = whole.add_subparsers(dest="what", required=True)
    putting = what.add_parser("deploy", help="put models onto the cluster")
    putting.add_argument("models", nargs="*", help="models with replicas of their own")
    putting.add_argument("--rest", nargs="*", default=[], help="models that share replicas")
    putting.add_argument("--replicas", type=int, default=1)
    putting.add_argument("--cpus", type=float, default=1, help="per replica")
    putting.add_argument("--gpus", type=float, default=0, help="per replica")
    putting.add_argument("--patience", type=float, default=300, help="seconds to wait for them")
    putting.add_argument("--most-waiting", type=int, default=64, help="per replica")
    what.add_parser("status", help="say what is there")
    taking = what.add_parser("remove", help="take models off the cluster")
    taking.add_argument("models", nargs="*", help="all where none is named")
    return whole


def main(arguments: Sequence[str]) -> int:
    """Do what a command line says; return 0, or another number where it cannot be done."""
    options = parser().parse_args(arguments)
    at, token = (options.host, options.port), os.environ.get(TOKEN, "")
    if not token and options.what != "remove":
        print(
            f"Set {TOKEN} first, here and for the web server: whoever knows it may ask the models."
            f"\n    export {TOKEN}={secrets.token_hex(16)}",
            file=sys.stderr,
        )
        return 2
    if options.what == "deploy" and not (options.models or options.rest):
        print("Name at least one model.", file=sys.stderr)
        return 2
    try:
        return _done(options, at, token)
    except ModuleNotFoundError as error:
        if error.name != "ray":
            raise
        print("Ray is missing: pip install -r requirements-ray.txt", file=sys.stderr)
    except ConnectionError:
        print("No Ray cluster runs on this machine: ray start --head", file=sys.stderr)
    return 2


def _done(options: Any, at: tuple[str, int], token: str) -> int:
    if options.what == "deploy":
        problem = deploy(options.models, options.rest, token, at, options)
        print(problem or f"Ready at http://{at[0]}:{at[1]}", file=sys.stderr if problem else None)
        return 1 if problem else 0
    if options.what == "remove":
        print(" ".join(remove(options.models, at)) or "Nothing was there.")
    else:
        print(json.dumps(status(at, token), indent=2))
    return 0
