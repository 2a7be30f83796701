"""What the Hub says becomes one sentence, and only what will be opened is fetched."""

import json
import shutil
from types import SimpleNamespace

import pytest
from gguf import GGMLQuantizationType as Kind
from huggingface_hub import HfApi, ModelInfo
from huggingface_hub.errors import GatedRepoError, HfHubHTTPError, RepositoryNotFoundError

from model_hooks import (
    BrokenModelError,
    ModelNotFoundError,
    ModelTooLargeError,
    bundled_models,
    load_model,
    load_tokenizer,
)
from model_hooks.opening import allowed, find
from model_hooks.opening.hub import ask_again
from tests.gguf_writing import tiny, write_gguf


@pytest.fixture(autouse=True)
def reachable():
    """Forget what other tests found out about the Hub."""
    ask_again()
    yield
    ask_again()


def hub(monkeypatch, files, n_weights=None, folder=None):
    """Let the Hub have one repository; return the lists of files that are fetched from it."""
    fetched = []
    info = ModelInfo(
        id="org/model",
        sha="a" * 40,
        siblings=[{"rfilename": file, "size": size} for file, size in files.items()],
        safetensors=n_weights and {"parameters": {}, "total": n_weights},
    )

    def fetch(name, revision, allow_patterns):
        fetched.append(set(allow_patterns))
        return str(folder or bundled_models()["storyteller"])

    monkeypatch.setattr(HfApi, "model_info", lambda self, name, **_: info)
    monkeypatch.setattr(find, "snapshot_download", fetch)
    return fetched


def fails_with(monkeypatch, error):
    def fail(self, name, **_):
        raise error

    monkeypatch.setattr(HfApi, "model_info", fail)


def answer(status):
    return SimpleNamespace(status_code=status, headers={}, request=None)


def test_only_what_is_opened_is_fetched(monkeypatch):
    weights = {"model.safetensors": 10, "consolidated.safetensors": 10, "pytorch_model.bin": 10}
    others = {"config.json": 1, "tokenizer.json": 1, "onnx/config.json": 1, "original/a.model": 1}
    fetched = hub(monkeypatch, {**weights, **others, "photo.png": 5})
    load_model("org/model")
    load_tokenizer("org/model")
    assert fetched[0] == {"config.json", "tokenizer.json", "model.safetensors"}
    assert fetched[1] == {"config.json", "tokenizer.json"}


def test_weights_that_could_not_be_opened_are_not_fetched(monkeypatch):
    fetched = hub(monkeypatch, {"config.json": 1, "model.safetensors": 10**15}, 10**15)
    with pytest.raises(ModelTooLargeError, match="org/model needs about"):
        load_model("org/model")
    assert not fetched


@pytest.mark.parametrize(
    ("files", "said"),
    [
        ({"config.json": 1, "pytorch_model.bin": 9}, "pickle"),
        ({"config.json": 1}, r"no model\.safetensors"),
        ({"a.gguf": 9, "b.gguf": 9}, r"holds 2 GGUF files: name one, as in org/model:a\.gguf"),
    ],
)
def test_a_repository_without_weights_to_open_says_what_it_has(files, said, monkeypatch):
    fetched = hub(monkeypatch, files)
    with pytest.raises((BrokenModelError, ModelNotFoundError), match=said):
        load_model("org/model")
    assert not fetched


@pytest.mark.parametrize("name", ["org/model", "org/model:model.Q8_0.gguf"])
def test_one_gguf_file_of_a_repository_is_fetched_and_opened(name, monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    write_gguf(tmp_path / "model.Q8_0.gguf", tiny("llama"), Kind.Q8_0)
    fetched = hub(monkeypatch, {"model.Q8_0.gguf": 9, "README.md": 1}, folder=tmp_path)
    assert load_model(name).info.quantisation == "Q8_0"
    assert fetched == [{"model.Q8_0.gguf"}]
    with pytest.raises(ModelNotFoundError, match=r"no other\.gguf .*there are model\.Q8_0\.gguf"):
        load_model("org/model:other.gguf")


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (RepositoryNotFoundError("none", response=answer(404)), "There is no model called org/no"),
        (GatedRepoError("gated", response=answer(403)), "gated or private"),
        (HfHubHTTPError("Too many requests", response=answer(429)), "Too many requests"),
        (ConnectionError("no route"), "cannot be reached"),
    ],
)
def test_what_the_hub_answers_reaches_the_reader(error, said, monkeypatch):
    fails_with(monkeypatch, error)
    with pytest.raises(ModelNotFoundError, match=said):
        load_model("org/no")


def test_a_repository_that_was_fetched_before_opens_without_the_hub(monkeypatch, tmp_path):
    snapshot = tmp_path / "models--org--kept" / "snapshots" / ("a" * 40)
    shutil.copytree(bundled_models()["twin-gqa"], snapshot)
    (tmp_path / "models--org--kept" / "refs").mkdir()
    (tmp_path / "models--org--kept" / "refs" / "main").write_text("a" * 40)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    fails_with(monkeypatch, ConnectionError("no route"))
    assert load_model("org/kept").info.name == "org/kept"
    config = json.loads((snapshot / "config.json").read_text())
    settings = {"quant_method": "awq", "bits": 4, "group_size": 32, "zero_point": True}
    (snapshot / "config.json").write_text(json.dumps(config | {"quantization_config": settings}))
    with pytest.raises(BrokenModelError, match="org/kept needs the package"):
        load_model("org/kept")


@pytest.mark.parametrize("load", [load_model, load_tokenizer])
def test_nothing_larger_than_the_limit_or_the_disk_is_fetched(load, monkeypatch):
    fetched = hub(monkeypatch, {"config.json": 1, "tokenizer.json": 10**7, "model.safetensors": 1})
    allowed.limit_downloads(10**6)
    try:
        with pytest.raises(ModelTooLargeError, match=r"no more than 0\.001 GB"):
            load("org/model")
    finally:
        allowed.limit_downloads(float("inf"))
    monkeypatch.setattr(allowed, "_free_disk", lambda folder: 10**7)
    with pytest.raises(ModelTooLargeError, match=r"of the disk are free"):
        load("org/model")
    assert not fetched
