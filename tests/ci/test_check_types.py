"""The number of type errors of a folder may fall and never rise."""

import importlib.util
import json
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / ".ci" / "check_types.py"


@pytest.fixture
def checker(monkeypatch, tmp_path):
    """The script, with pyright's answer and the written numbers made up; run it with `main()`."""
    spec = importlib.util.spec_from_file_location("check_types", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    monkeypatch.setattr(module, "NUMBERS", tmp_path / "type_errors.json")
    monkeypatch.setattr("sys.argv", ["check_types.py"])

    def arrange(allowed, paths):
        module.NUMBERS.write_text(json.dumps(allowed))
        faults = [module.TypeFault(path, 1, "wrong\n  as can be") for path in paths]
        monkeypatch.setattr(module, "pyright", lambda: faults)
        return module

    return arrange


def test_one_more_error_fails_and_is_shown(checker, capsys):
    module = checker({"pages": 1, "viz": 0}, ["pages/a.py", "pages/b.py"])
    assert module.main() == 1
    assert "pages/b.py:1: wrong" in capsys.readouterr().out


def test_as_many_errors_as_before_pass(checker):
    assert checker({"pages": 1, "viz": 0}, ["pages/a.py"]).main() == 0


def test_an_error_counts_for_the_innermost_folder_only(checker, capsys):
    module = checker({"pages": 5, "pages/state": 0}, ["pages/state/view.py"])
    assert module.main() == 1
    out = capsys.readouterr().out
    assert "pages/state: 1 type errors, 0 are allowed" in out
    assert "pages: 0 type errors left of 5" in out


def test_an_error_in_a_folder_without_a_number_fails(checker):
    assert checker({"pages": 0}, ["pagesque/a.py"]).main() == 1
    assert checker({"app.py": 1}, ["app.py"]).main() == 0


def test_a_number_that_fell_is_asked_for_and_written_only_on_request(checker, monkeypatch, capsys):
    module = checker({"pages": 2, "viz": 3}, ["pages/a.py", "viz/a.py"])
    before = module.NUMBERS.read_text()
    assert module.main() == 0
    assert "--lower" in capsys.readouterr().out
    assert module.NUMBERS.read_text() == before
    monkeypatch.setattr("sys.argv", ["check_types.py", "--lower"])
    assert module.main() == 0
    assert json.loads(module.NUMBERS.read_text()) == {"pages": 1, "viz": 1}


def test_no_number_is_raised_while_another_is_lowered(checker, monkeypatch):
    module = checker({"pages": 2, "viz": 0}, ["viz/a.py"])
    monkeypatch.setattr("sys.argv", ["check_types.py", "--lower"])
    assert module.main() == 1
    assert json.loads(module.NUMBERS.read_text()) == {"pages": 0, "viz": 0}
