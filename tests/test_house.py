"""The house rules: short files, short functions, frozen values, and nothing unformatted."""

import ast
from pathlib import Path
from statistics import median, quantiles
from typing import NamedTuple

import pytest

ROOT = Path(__file__).parents[1]
MAX_FILE_LINES = 400


class Limits(NamedTuple):
    """Lines that functions of a package may have, docstrings left out."""

    median: float
    ninth_decile: float
    longest: int


LIMITS = {
    "viz": Limits(15, 45, 45),
    "model_hooks": Limits(15, 45, 45),
    "pages": Limits(15, 45, 48),
}
"""The longest function of all pages may only fall."""


def sources(folder: Path) -> dict[str, str]:
    """Return the text of every Python file by its path."""
    paths = sorted(folder.rglob("*.py"))
    return {path.relative_to(folder.parent).as_posix(): path.read_text() for path in paths}


def function_lengths(source: str) -> dict[str, int]:
    """Count the lines of each function from its name to its end, without its docstring."""
    functions = (ast.FunctionDef, ast.AsyncFunctionDef)
    return {
        f"{node.lineno} {node.name}": _lines(node) - (_lines(node.body[0]) if _says(node) else 0)
        for node in ast.walk(ast.parse(source))
        if isinstance(node, functions)
    }


def _says(function: ast.FunctionDef | ast.AsyncFunctionDef) -> bool:
    return ast.get_docstring(function) is not None


def _lines(node: ast.stmt) -> int:
    return (node.end_lineno or node.lineno) - node.lineno + 1


def too_long(lengths: dict[str, int], limits: Limits) -> list[str]:
    """Say where lengths of functions break the limits."""
    counts = list(lengths.values())
    middle, tenth = median(counts), quantiles(counts, n=10, method="inclusive")[-1]
    faults = [f"{name}: {n} lines" for name, n in lengths.items() if n > limits.longest]
    if middle > limits.median:
        faults.append(f"half of the functions have more than {middle:g} lines")
    if tenth > limits.ninth_decile:
        faults.append(f"a tenth of the functions has more than {tenth:g} lines")
    return faults


def unformatted(files: dict[str, str]) -> list[str]:
    """Return the lines that ask the formatter to leave code as it is."""
    words = tuple(f"# fmt: {word}" for word in ("skip", "off"))
    return [
        f"{path}:{number}"
        for path, text in files.items()
        for number, line in enumerate(text.splitlines(), 1)
        if any(word in line for word in words)
    ]


@pytest.mark.parametrize("package", [*LIMITS, "tests", "training", "benchmarks"])
def test_no_file_is_too_long(package):
    lengths = {path: len(text.splitlines()) for path, text in sources(ROOT / package).items()}
    assert {path: n for path, n in lengths.items() if n > MAX_FILE_LINES} == {}


@pytest.mark.parametrize(("package", "limits"), LIMITS.items(), ids=LIMITS)
def test_functions_are_short(package, limits):
    lengths = {
        f"{path}:{name}": n
        for path, text in sources(ROOT / package).items()
        for name, n in function_lengths(text).items()
    }
    assert too_long(lengths, limits) == []


@pytest.mark.parametrize("folder", [*LIMITS, "tests/viz"])
def test_the_formatter_formats_everything(folder):
    assert unformatted(sources(ROOT / folder)) == []


FILLED = {"_SlowMemory", "_Slot", "BlockRun", "Heard", "LayerRecord", "ModuleCall", "Watched"}
"""Filled in while something runs; all other dataclasses are values."""


def changeable(source: str) -> set[str]:
    """Return the dataclasses that are not frozen."""
    return {
        node.name
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.ClassDef)
        for mark in node.decorator_list
        if "dataclass" in ast.unparse(mark) and "frozen=True" not in ast.unparse(mark)
    }


def test_no_style_asks_what_an_element_contains():
    """With `:has`, a browser computes most styles of the page anew after each change."""
    styles = sorted((ROOT / "pages").rglob("*.css"))
    assert styles
    assert [style.name for style in styles if ":has(" in style.read_text()] == []


@pytest.mark.parametrize("package", LIMITS)
def test_values_are_frozen(package):
    found = {name for text in sources(ROOT / package).values() for name in changeable(text)}
    assert found <= FILLED


def test_a_value_that_can_be_changed_is_noticed():
    source = "@dataclass(eq=False)\nclass A: ...\n\n@dataclass(frozen=True)\nclass B: ..."
    assert changeable(source) == {"A"}


LONG = '''
def long(x):
    """Do.

    Nothing of this counts.
    """
    a = x

    b = a
    return b


class Thing:
    async def short(self):
        return [1, 2]  # fmt: {word}
'''


def test_lines_of_a_docstring_do_not_count():
    assert function_lengths(LONG) == {"2 long": 5, "14 short": 2}


@pytest.mark.parametrize(
    ("limits", "fault"),
    [
        (Limits(9, 9, 4), "2 long: 5 lines"),
        (Limits(3, 9, 9), "half of the functions have more than 3.5 lines"),
        (Limits(9, 4, 9), "a tenth of the functions has more than 4.7 lines"),
    ],
)
def test_each_limit_is_noticed(limits, fault):
    assert too_long(function_lengths(LONG), limits) == [fault]


@pytest.mark.parametrize("word", ["skip", "off"])
def test_code_that_the_formatter_must_leave_is_noticed(word):
    assert unformatted({"a.py": LONG.replace("{word}", word)}) == ["a.py:15"]


def test_files_are_found_in_folders_of_any_depth(tmp_path):
    (tmp_path / "viz" / "inner").mkdir(parents=True)
    (tmp_path / "viz" / "inner" / "a.py").write_text("x = 1\n")
    assert sources(tmp_path / "viz") == {"viz/inner/a.py": "x = 1\n"}
