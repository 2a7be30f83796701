"""Models are kept by their size; the one that was used longest ago goes, one in use never."""

import threading

import pytest

from model_hooks import HookedModel, ModelTooLargeError, bundled_models, shelf
from model_hooks.host import Host, Question, Run
from model_hooks.shelf import Shelf, memory_limit


class Fake(HookedModel):
    """A model of which nothing is known but its name."""

    def __init__(self, name):
        self.called = name


@pytest.fixture
def sized(monkeypatch):
    """Return a function that makes a shelf of models of given sizes, and notes what is opened."""

    def sized(n_bytes, **sizes):
        opened = []
        monkeypatch.setattr(shelf, "weights_bytes", lambda model: sizes[model.called])
        made = Shelf(lambda name: opened.append(name) or Fake(name), n_bytes)
        return made, opened

    return sized


def test_what_was_used_longest_ago_goes(sized):
    kept, opened = sized(10, a=4, b=4, c=4)
    for name in "abac":
        kept.get(name)
    assert [*kept] == ["a", "c"]
    assert kept.n_bytes == 8
    assert opened == ["a", "b", "c"]


def test_what_a_run_uses_stays(sized):
    kept, _ = sized(10, a=4, b=4, c=4)
    kept.get("a")
    with kept.used("a"):
        kept.get("b")
        kept.get("c")
        assert [*kept] == ["a", "c"]
    kept.get("b")
    assert [*kept] == ["c", "b"]


def test_names_that_nobody_uses_are_forgotten(sized):
    """Visitors type any name: what is kept of each would stay for ever."""
    kept, _ = sized(10, a=4)
    with kept.used("a"):
        for i in range(20):
            with kept.used(f"no such model {i}"):
                pass
        assert dict(kept._kept.in_use) == {"a": 1}
    assert not kept._kept.in_use


def test_where_all_are_in_use_another_one_is_opened_all_the_same(sized):
    kept, opened = sized(10, a=6, b=6)
    kept.get("a")
    with kept.used("a"):
        assert kept.get("b").called == "b"
        assert [*kept] == ["a"]
    kept.get("b")
    assert [*kept] == ["b"]
    assert opened == ["a", "b", "b"]


def test_one_that_is_larger_than_all_may_take_stays_alone(sized):
    kept, opened = sized(10, a=4, b=99)
    for name in "abb":
        kept.get(name)
    assert [*kept] == ["b"]
    assert opened == ["a", "b"]


def test_idle_models_make_room_for_one_that_does_not_fit_into_memory(monkeypatch):
    monkeypatch.setattr(shelf, "weights_bytes", lambda model: 3)
    kept = Shelf(lambda name: Fake(name) if name != "large" or not [*kept] else refuse(), 10)
    kept.get("a")
    kept.get("b")
    with kept.used("a"), pytest.raises(ModelTooLargeError):
        kept.get("large")
    assert [*kept] == ["a"]
    assert kept.get("large").called == "large"
    assert [*kept] == ["large"]


def test_small_models_do_not_go_for_a_giant(monkeypatch):
    monkeypatch.setattr(shelf, "weights_bytes", lambda model: 1)
    kept = Shelf(lambda name: Fake(name) if name != "giant" else refuse(), 100)
    kept.get("a")
    with pytest.raises(ModelTooLargeError):
        kept.get("giant")
    assert [*kept] == ["a"]


def refuse():
    raise ModelTooLargeError("it does not fit")


def test_a_host_keeps_a_model_while_an_answer_comes_bit_by_bit(hooked, monkeypatch):
    monkeypatch.setattr("model_hooks.host.resolve", lambda name: bit_by_bit)
    host = Host(lambda name: hooked, model_bytes=1)
    values = host.answer(Question("model_hooks.x:y", Run("a", ())))
    assert next(values) == hooked
    threading.Thread(target=host.model, args=("b",)).start()
    assert next(values) == hooked
    assert [*host.names()] == ["a"]
    assert [*values] == []
    host.model("b")
    assert [*host.names()] == ["b"]


def bit_by_bit(model):
    yield model
    yield model


def test_a_container_has_no_more_memory_than_its_limit(tmp_path, monkeypatch):
    total = memory_limit()
    monkeypatch.setattr(shelf, "CGROUP_LIMIT", tmp_path / "max")
    (tmp_path / "max").write_text("1000000\n")
    assert memory_limit() == 10**6
    (tmp_path / "max").write_text("max\n")
    assert memory_limit() >= total


def test_all_bundled_models_fit_into_a_quarter_gigabyte_together():
    files = sum(path.stat().st_size for path in BUNDLED)
    assert len(BUNDLED) >= 10
    assert 2 * files < 0.4 * 2**28  # float16 on disk, float32 in memory


BUNDLED = [folder / "model.safetensors" for folder in bundled_models().values()]
