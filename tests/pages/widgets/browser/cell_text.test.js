// What is written in cells can be read on every colour, and stands where its cell is.
import assert from "node:assert/strict";
import { test } from "node:test";
import { colourAt, ink, legible, rowsOf } from "../../../../pages/widgets/browser/cell_text.js";

const SCALE = [
  [0, "#ffffff"],
  [0.5, "#808080"],
  [1, "#000000"],
];

function heatmap(more = {}) {
  const z = [
    [0, 1],
    [2, null],
  ];
  const text = [
    ["none", "half"],
    ["all", ""],
  ];
  const cells = { type: "heatmap", z, text, texttemplate: "%{text}", x: ["a", "b"], y: ["c", "d"] };
  return { ...cells, colorscale: SCALE, zmin: 0, zmax: 2, textfont: { size: 14 }, ...more };
}

test("black and white part where both are as good: relative luminance 0.179", () => {
  assert.equal(ink([0, 0, 0]), "#ffffff");
  assert.equal(ink([255, 255, 255]), "#000000");
  // Greys of WCAG's own scale: 117 is 4.54 : 1 to black and 4.61 : 1 to white; 118 is better with black.
  assert.equal(ink([117, 117, 117]), "#ffffff");
  assert.equal(ink([118, 118, 118]), "#000000");
});

test("a colour lies between its neighbours of the scale", () => {
  assert.deepEqual(colourAt(SCALE, 0.25), [191.5, 191.5, 191.5, 1]);
  assert.deepEqual(colourAt(SCALE, -3), [255, 255, 255, 1]);
  assert.deepEqual(colourAt(SCALE, 9), [0, 0, 0, 1]);
  assert.equal(colourAt(SCALE, Number.NaN), null);
});

test("texts become marks in the ink of their cells", () => {
  const { data, layout } = legible({ data: [heatmap()], layout: {} }, "#123456");
  const [cells, texts] = data;
  assert.equal("texttemplate" in cells, false);
  assert.deepEqual(texts.text, ["none", "half", "all"]);
  assert.deepEqual(texts.x, ["a", "b", "a"]);
  assert.deepEqual(texts.y, ["c", "c", "d"]);
  assert.deepEqual(texts.textfont, { size: 14, color: ["#000000", "#000000", "#ffffff"] });
  assert.equal(texts.hoverinfo, "skip");
  assert.deepEqual(layout, { xaxis: { range: [-0.5, 1.5] }, yaxis: { range: [-0.5, 1.5] } });
});

test("what has a range keeps it, and what counts down still does", () => {
  const layout = { xaxis: { range: [5, -5] }, yaxis2: { autorange: "reversed" } };
  legible({ data: [heatmap({ yaxis: "y2", y: [3, 4] })], layout }, "#000000");
  assert.deepEqual(layout, { xaxis: { range: [5, -5] }, yaxis2: { range: [4.5, 2.5] } });
});

test("a figure without texts in cells is left alone", () => {
  const data = [heatmap({ texttemplate: undefined }), { type: "bar", texttemplate: "%{text}" }];
  assert.deepEqual(legible({ data, layout: {} }, "#fff"), { data, layout: {} });
});

test("numbers packed into bytes are read", () => {
  const bytes = Buffer.from(new Float32Array([1, 2, 3, 4, 5, 6]).buffer).toString("base64");
  const rows = rowsOf({ bdata: bytes, dtype: "f4", shape: "2, 3" });
  assert.deepEqual(
    rows.map((row) => [...row]),
    [
      [1, 2, 3],
      [4, 5, 6],
    ],
  );
});
