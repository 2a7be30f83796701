"""The browser gets whole scripts: nothing left to import, nothing named twice."""

import re
import shutil
import subprocess

import pytest

from pages.widgets.scripts import BROWSER, script

COMPONENTS = [path.stem for path in sorted(BROWSER.glob("*.css")) if path.stem != "page"]
TOP_LEVEL = re.compile(
    r"^(?:export )?(?:async )?(?:const|let|var|class|function\*?) (\w+)", re.MULTILINE
)


def test_every_component_is_looked_at():
    exporting = {
        path.stem
        for path in BROWSER.glob("*.js")
        if "export default" in path.read_text(encoding="utf-8")
    }
    assert exporting == set(COMPONENTS)


@pytest.mark.parametrize("name", COMPONENTS)
def test_script_needs_no_other_and_names_nothing_twice(name):
    text = script(name)
    assert not re.search(r"^\s*import\b", text, re.MULTILINE)
    assert text.count("export default") == 1
    names = TOP_LEVEL.findall(text)
    assert sorted(names) == sorted(set(names))


@pytest.mark.parametrize("name", COMPONENTS)
def test_script_holds_each_file_it_needs_once_and_before_its_use(name):
    needed, reached = [name], set()
    while needed:
        if (one := needed.pop()) not in reached:
            reached.add(one)
            source = (BROWSER / f"{one}.js").read_text(encoding="utf-8")
            needed += re.findall(r'from "\./(\w+)\.js"', source)
    first_lines = {
        one: (BROWSER / f"{one}.js").read_text(encoding="utf-8").splitlines()[0] for one in reached
    }
    text = script(name)
    assert all(text.count(line) == 1 for line in first_lines.values())
    assert max(reached, key=lambda one: text.index(first_lines[one])) == name


@pytest.mark.parametrize("name", COMPONENTS)
def test_script_is_a_module_that_node_can_read(name, tmp_path):
    node = shutil.which("node")
    if node is None:
        pytest.skip("no node")
    (path := tmp_path / "joined.mjs").write_text(script(name), encoding="utf-8")
    checked = subprocess.run([node, "--check", path], capture_output=True, text=True)
    assert checked.returncode == 0, checked.stderr
