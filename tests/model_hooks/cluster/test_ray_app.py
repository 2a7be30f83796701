"""The command that puts models onto a cluster says in a sentence why it cannot."""

import importlib.util
import sys
from types import SimpleNamespace

import pytest

from model_hooks.cluster import ray_app
from model_hooks.cluster.places import ROOT, TOKEN, path_of
from model_hooks.cluster.ray_app import REST, main, name_of


@pytest.fixture
def token(monkeypatch):
    monkeypatch.setenv(TOKEN, "a token")


def test_without_a_token_nothing_is_put_anywhere(monkeypatch, capsys):
    monkeypatch.delenv(TOKEN, raising=False)
    assert main(["deploy", "storyteller"]) == 2
    assert TOKEN in capsys.readouterr().err


def test_without_a_model_there_is_nothing_to_do(token, capsys):
    assert main(["deploy"]) == 2
    assert "model" in capsys.readouterr().err


@pytest.mark.skipif(importlib.util.find_spec("ray") is not None, reason="Ray is there")
def test_without_ray_it_says_what_to_install(token, capsys):
    assert main(["status"]) == 2
    assert "requirements-ray.txt" in capsys.readouterr().err


def test_without_a_cluster_it_says_how_to_start_one(token, monkeypatch, capsys):
    def refuse(*given, **named):
        raise ConnectionError("nobody is there")

    monkeypatch.setitem(sys.modules, "ray", SimpleNamespace(init=refuse))
    monkeypatch.setitem(sys.modules, "ray.serve", SimpleNamespace())
    assert main(["status"]) == 2
    assert "ray start --head" in capsys.readouterr().err


def test_models_that_do_not_come_up_are_named(monkeypatch):
    part = SimpleNamespace(message="no such model")
    failed = SimpleNamespace(status=SimpleNamespace(value="DEPLOY_FAILED"), deployments={"a": part})
    serve = SimpleNamespace(status=lambda: SimpleNamespace(applications={"inlook-x": failed}))
    assert "no such model" in ray_app._wait(serve, ["inlook-x"], 9)
    failed.status.value = "DEPLOYING"
    assert "DEPLOYING" in ray_app._wait(serve, ["inlook-x"], -1)
    failed.status.value = "RUNNING"
    assert ray_app._wait(serve, ["inlook-x"], 9) is None


def test_each_model_has_a_place_of_its_own():
    names = ["storyteller", "Storyteller", "a/b", "a-b", "a b", "../a", "é", "x" * 300, "rest/"]
    paths = [path_of(name) for name in names]
    assert len(set(paths)) == len(names)
    assert all(path.startswith(f"{ROOT}/") and path.count("/") == 2 for path in paths)
    assert name_of(path_of("storyteller")) == "inlook-storyteller"
    assert name_of(ROOT) == f"inlook-{REST}"
