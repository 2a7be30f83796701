"""The notebook runs from its first cell to its last, and its file holds each of its figures.

Its cells are run as they stand, without a kernel: so the check needs no package of Jupyter's, and
takes no longer than the same lines in a script.
"""

import ast
import json
import re
from pathlib import Path

import pytest

import viz
from viz.figure import Figure

NOTEBOOK = Path(__file__).parents[1] / "docs" / "notebook.ipynb"


def cells():
    """The code of each cell."""
    told = json.loads(NOTEBOOK.read_text(encoding="utf-8"))["cells"]
    return ["".join(one["source"]) for one in told if one["cell_type"] == "code"]


def run(code, names):
    """Run a cell as a notebook does; return what it shows, if its last line is a value."""
    tree = ast.parse(code)
    last = tree.body[-1]
    if not isinstance(last, ast.Expr):
        exec(compile(tree, "cell", "exec"), names)
        return None
    tree.body.pop()
    exec(compile(tree, "cell", "exec"), names)
    return eval(compile(ast.Expression(last.value), "cell", "eval"), names)


@pytest.fixture(scope="module")
def ran():
    """What the cells show, and the names they leave behind."""
    names = {}
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(NOTEBOOK.parent)
        patch.syspath_prepend("")
        shown = [run(code, names) for code in cells()]
    return shown, names


def test_every_cell_runs_and_each_kind_of_value_is_shown(ran):
    shown, names = ran
    assert sum(isinstance(one, Figure) for one in shown) >= 5
    traces = [one for one in shown if hasattr(one, "_repr_html_")]
    assert [one.tokens for one in traces] == [names["trace"].tokens] * 2
    assert "Redemption" in traces[0]._repr_html_()


def test_the_file_holds_each_figure(ran):
    _, names = ran
    written = (names["folder"] / "figures.html").read_text(encoding="utf-8")
    captions = re.findall(r"<h2>(.*?)</h2>", written)
    assert captions == list(names["figures"])
    assert len(captions) >= 28


def test_it_draws_with_functions_that_there_are():
    drawn = set(re.findall(r"viz\.(\w+)", "\n".join(cells())))
    assert drawn <= set(viz.__all__)
    assert len(drawn) >= 28


def test_nothing_that_it_showed_is_kept_in_it():
    told = json.loads(NOTEBOOK.read_text(encoding="utf-8"))["cells"]
    assert all(not one.get("outputs") for one in told)
