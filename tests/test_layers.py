"""The import direction: app.py → pages → {viz, model_hooks}, and nothing else."""

import os
import subprocess
import sys
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
