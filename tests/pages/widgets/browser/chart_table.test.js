// A figure's table holds its numbers, under the titles of its axes; nothing in it is a formula.
import assert from "node:assert/strict";
import { test } from "node:test";
import { csvOf, tableOf, writtenNumber } from "../../../../pages/widgets/browser/chart_table.js";

const titled = (text, more = {}) => ({ title: { text }, ...more });
const sent = (values) => ({
  dtype: "f4",
  bdata: Buffer.from(new Float32Array(values).buffer).toString("base64"),
});

test("bars are named by their rows, and what is measured comes last", () => {
  const labels = { tickvals: [0, 1], ticktext: ["<b>a &lt; b</b>", "the"] };
  const bars = { type: "bar", orientation: "h", y: [0, 1], x: sent([0.5, 0.25]) };
  const layout = { xaxis: titled("share"), yaxis: titled("token", labels) };
  const { columns, rows } = tableOf({ data: [bars], layout });
  assert.deepEqual(columns, ["token", "share"]);
  assert.deepEqual(rows, [
    ["a < b", 0.5],
    ["the", 0.25],
  ]);
});

test("equal labels of two places are told apart", () => {
  const labels = { tickvals: [0, 1, 2], ticktext: ["the", "cat", "the"] };
  const line = { type: "scatter", x: [0, 1, 2], y: [1, 2, 3] };
  const layout = { xaxis: titled("token", labels), yaxis: titled("size") };
  const { rows } = tableOf({ data: [line], layout });
  assert.deepEqual(
    rows.map(([token]) => token),
    ["the (0)", "cat", "the (2)"],
  );
});

test("ticks that only write numbers leave the numbers as they are", () => {
  const line = { type: "scatter", x: [1, 7, 10], y: [1, 2, 3] };
  const axis = titled("tokens", { tickvals: [1, 10], ticktext: ["1", "10"] });
  const { rows } = tableOf({ data: [line], layout: { xaxis: axis, yaxis: titled("ms") } });
  assert.deepEqual(rows, [
    [1, 1],
    [7, 2],
    [10, 3],
  ]);
});

test("cells of a heatmap stand row by row, without those that are empty", () => {
  const z = { ...sent([1, Number.NaN, 0.25, 0.75]), shape: "2, 2" };
  const cells = { type: "heatmap", z, colorbar: titled("weight") };
  const layout = { xaxis: titled("key"), yaxis: titled("query") };
  const { columns, rows } = tableOf({ data: [cells], layout });
  assert.deepEqual(columns, ["query", "key", "weight"]);
  assert.deepEqual(rows, [
    [0, 0, 1],
    [1, 0, 0.25],
    [1, 1, 0.75],
  ]);
});

test("several lines are told apart by name, and what is not to be read is left out", () => {
  const one = { type: "scatter", name: "A", x: [0], y: [1] };
  const other = { ...one, name: "B", y: [2], customdata: ["why"], hovertemplate: "%{customdata}" };
  const quiet = { ...one, name: "frame", hoverinfo: "skip" };
  const layout = { xaxis: titled("step"), yaxis: titled("bits") };
  const { columns, rows } = tableOf({ data: [one, other, quiet], layout });
  assert.deepEqual(columns, ["which", "step", "bits", "in words"]);
  assert.deepEqual(rows, [
    ["A", 0, 1, ""],
    ["B", 0, 2, "why"],
  ]);
});

test("a picture without axes is told by what its hovers say", () => {
  const hidden = { visible: false };
  const data = [
    { type: "scatter", x: [1], y: [2], hovertext: ["adds"], hovertemplate: "%{hovertext}" },
  ];
  const { columns, rows } = tableOf({ data, layout: { xaxis: hidden, yaxis: hidden } });
  assert.deepEqual([columns, rows], [["in words"], [["adds"]]]);
});

test("numbers are written with three digits, shares in percent", () => {
  assert.equal(writtenNumber(1234567), "1,234,567");
  assert.equal(writtenNumber(-0.123456), "−0.123");
  assert.equal(writtenNumber(0.123456, true), "12.3%");
  assert.equal(writtenNumber(0.00000012), "1.20e-7");
  assert.equal(writtenNumber("word"), "word");
});

test("no text in the file is computed by a spreadsheet, and numbers stay numbers", () => {
  const rows = [
    ["=1+1", -2],
    ["＝1", 0.1],
    ['a "b", c', 3],
  ];
  const written = csvOf({ columns: ["@token", "bits"], rows });
  assert.equal(written, `'@token,bits\r\n'=1+1,-2\r\n'＝1,0.1\r\n"a ""b"", c",3\r\n`);
});
