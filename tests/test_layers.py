"""The import direction: app.py → pages → {viz, model_hooks}, no circles, and nothing else."""

import ast
import os
import subprocess
import sys
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


def imported_modules(package: str, root: Path = ROOT) -> set[str]:
    """Import a package and all its modules in a fresh interpreter; return what got loaded."""
    code = (
        f"import importlib, pathlib, sys, {package}\n"
        f"root = pathlib.Path({package}.__file__).parents[1]\n"
        f"for path in (root / '{package}').rglob('*.py'):\n"
        f"    if path.stem != '__init__':\n"
        f"        importlib.import_module('.'.join(path.relative_to(root).with_suffix('').parts))\n"
        "print(*sys.modules)"
    )
    environment = {**os.environ, "PYTHONPATH": str(root)}
    output = subprocess.check_output([sys.executable, "-c", code], env=environment, text=True)
    return set(output.split())


def imports_in(packages: tuple[str, ...], root: Path = ROOT) -> dict[str, set[str]]:
    """Return which modules of some packages each of their modules imports, read from the source.

    Imports for the type checker alone, or inside of functions, count as well.
    """
    paths = {_dotted(path, root): path for name in packages for path in (root / name).rglob("*.py")}
    return {
        module: {name for name in _imported(ast.parse(path.read_text()), paths) if name != module}
        for module, path in paths.items()
    }


def _dotted(path: Path, root: Path) -> str:
    return ".".join(path.relative_to(root).with_suffix("").parts).removesuffix(".__init__")


def _imported(tree: ast.Module, modules: dict[str, Path]) -> set[str]:
    found: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            for alias in node.names:
                inner = f"{node.module}.{alias.name}"
                found.add(inner if inner in modules else node.module)
    return found & modules.keys()


def circle_in(graph: dict[str, set[str]]) -> list[str]:
    """Return modules that import each other in a circle; nothing if there is none."""
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        return error.args[1]
    return []


def wrong_way(graph: dict[str, set[str]], order: tuple[str, ...]) -> list[str]:
    """Return the imports between folders of model_hooks that go from an earlier to a later one."""

    def place(module: str) -> int:
        return order.index(module.split(".")[1])

    return [
        f"{module} imports {name}"
        for module, names in graph.items()
        for name in names
        if module.count(".") and name.count(".") and place(module) < place(name)
    ]


ORDER = (
    "scratch",
    "errors",
    "info",
    "arrays",
    "versions",
    "opening",
    "text",
    "parts",
    "run",
    "write",
    "model",
    "loading",
    "once",
    "read",
    "experiments",
    "bundled",
    "shelf",
    "host",
    "cluster",
)
"""Folders and files of model_hooks: each builds on earlier ones alone."""


@pytest.mark.parametrize("packages", [("model_hooks",), ("viz",), ("model_hooks", "viz", "pages")])
def test_modules_import_each_other_in_no_circle(packages):
    assert circle_in(imports_in(packages)) == []


def test_folders_of_model_hooks_build_on_each_other_in_one_order():
    assert wrong_way(imports_in(("model_hooks",)), ORDER) == []


@pytest.mark.parametrize(
    "back",
    [
        "from pkg.one import ONE",
        "from pkg import one",
        "import pkg.one",
        "if TYPE_CHECKING:\n    from pkg.one import ONE",
        "def f():\n    from pkg.one import ONE",
    ],
)
def test_a_circle_is_noticed(tmp_path, back):
    package = tmp_path / "pkg"
    package.mkdir()
    (package / "__init__.py").write_text("from pkg.one import ONE")
    (package / "one.py").write_text("from pkg.two import TWO")
    (package / "two.py").write_text("TWO = 2")
    assert circle_in(imports_in(("pkg",), tmp_path)) == []
    (package / "two.py").write_text(back)
    assert {"pkg.one", "pkg.two"} <= set(circle_in(imports_in(("pkg",), tmp_path)))


def test_a_folder_that_builds_on_a_later_one_is_noticed():
    graph = {"model_hooks.run.trace": {"model_hooks.read.lens", "model_hooks.arrays"}}
    assert wrong_way(graph, ORDER) == ["model_hooks.run.trace imports model_hooks.read.lens"]


@pytest.mark.parametrize(
    ("package", "forbidden"),
    [
        ("viz", {"torch", "transformers", "streamlit", "model_hooks", "pages"}),
        ("model_hooks", {"plotly", "streamlit", "viz", "pages"}),
    ],
)
def test_package_imports_nothing_from_above_or_beside(package, forbidden):
    assert forbidden.isdisjoint(imported_modules(package))


def test_a_forbidden_import_is_noticed(tmp_path):
    package = tmp_path / "viz"
    package.mkdir()
    (package / "__init__.py").write_text("")
    (package / "sneaky.py").write_text("import plotly")
    assert "plotly" in imported_modules("viz", root=tmp_path)


def test_no_helper_is_named_like_a_page():
    """`pages/_x.py` and `pages/x.py` would be one page to Streamlit, which refuses to start."""
    files = [path.stem for path in (ROOT / "pages").glob("*.py")]
    helpers = {name.lstrip("_") for name in files if name.startswith("_")}
    assert helpers.isdisjoint(files)
