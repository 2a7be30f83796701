"""Under each chart of each page stand its numbers as a table: those that the figure holds.

The table is made by the browser's own script, here run by node; what it should say is decoded from
the figure's arrays by NumPy.
"""

import csv
import io
import json
import os
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

from app import PAGES
from tests.conftest import tiny_llama
from tests.pages.charts import drawn, numbers

SCRIPT = Path(__file__).parents[2] / "pages/widgets/browser/chart_table.js"
FOLDERS = [place.folder for group in PAGES.values() for place in group]
WRITE = """
import {{ csvOf, tableOf }} from "{script}";
let told = "";
for await (const part of process.stdin) told += part;
const tables = JSON.parse(told).map((figure) => tableOf(figure));
console.log(JSON.stringify(tables.map((table) => [table.columns, csvOf(table)])));
"""


def tables_of(figures):
    """Return (columns, rows as in the CSV file) of each figure."""
    if (node := shutil.which("node")) is None:
        if os.environ.get("CI"):
            pytest.fail("node is missing")
        pytest.skip("no node")
    write = WRITE.format(script=SCRIPT.as_uri())
    command = [node, "--input-type=module", "-e", write]
    ran = subprocess.run(
        command, input=json.dumps(figures), capture_output=True, text=True, check=True, timeout=60
    )
    return [
        (columns, list(csv.reader(io.StringIO(text, newline="")))[1:])
        for columns, text in json.loads(ran.stdout)
    ]


def speaking(figure):
    """The marks that say something when they are hovered over."""
    return [mark for mark in figure["data"] if mark.get("hoverinfo") != "skip"]


def values_of(figure):
    """The numbers that a figure shows: cells of heatmaps, lengths of bars, heights of lines."""
    layout, found = figure["layout"], []
    for mark in speaking(figure):
        place = "x" if mark.get("orientation") == "h" else "y"
        axis = layout.get(f"{place}axis{mark.get(f'{place}axis', place)[1:]}", {})
        shown = "z" if "z" in mark else place
        template = mark.get("hovertemplate", "%{z}")
        if shown == "z" and not mark.get("colorbar", {}).get("title") and "%{z" not in template:
            continue  # its numbers only stand for colours
        hidden = axis.get("visible") is False or not axis.get("title")
        if shown != "z" and (hidden or mark["type"] not in ("bar", "scatter") or is_named(axis)):
            continue
        values = numbers(mark[shown]).ravel().astype(float)
        other = mark.get("y" if place == "x" else "x")
        if shown != "z" and isinstance(other, list):
            values = np.where([one is None for one in other], np.nan, values)
        found.append(values[np.isfinite(values)])
    return np.concatenate(found or [np.array([])])


def is_named(axis):
    return any(not text[:1].isdigit() for text in axis.get("ticktext", ()))


@pytest.mark.slow
@pytest.mark.parametrize("hooked", [tiny_llama], indirect=True)
@pytest.mark.parametrize("folder", FOLDERS)
def test_each_chart_has_its_numbers_as_a_table(open_page, folder):
    app = open_page(folder)
    expect_tables(app)
    for key, names in [(tabs.key, options_of(tabs)) for tabs in app.get("tab_container")]:
        for name in names[1:]:
            app.session_state[key] = name
            expect_tables(app.run())
    assert not app.exception


def options_of(tabs):
    return [tab.label for tab in tabs.children.values()]


def expect_tables(app):
    """Compare the table of each chart with the figure's arrays."""
    sent = [
        json.loads(one.proto.json)
        for one in app.get("bidi_component")
        if one.proto.component_name == "inlook_chart"
    ]
    charts = drawn(app)
    tables = tables_of([one.figure for one in charts])
    for chart, told, (columns, rows) in zip(charts, sent, tables, strict=True):
        assert told["table"] or len(app.dataframe), f"{chart.key}: no table"
        assert len(set(columns)) == len(columns), chart.key
        assert all(any(row) for row in rows), chart.key
        cells = [cell for row in rows for cell in row]
        found = np.array(sorted(float(cell) for cell in cells if is_number(cell)))
        for value in values_of(chart.figure):
            at = np.searchsorted(found, value)
            near = found[max(0, at - 1) : at + 1]
            assert near.size, f"{chart.key}: {value} is not in the table"
            assert np.isclose(near, value, rtol=1e-6, atol=0).any(), f"{chart.key}: {value}"


def is_number(cell):
    try:
        return np.isfinite(float(cell))
    except ValueError:
        return False
