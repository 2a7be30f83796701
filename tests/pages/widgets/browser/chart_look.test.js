// A figure wears the page's colours and fonts, and says what was clicked.
import assert from "node:assert/strict";
import { test } from "node:test";
import {
  clicked,
  coloured,
  dress,
  enlarged,
  look,
  merged,
  plainLabel,
  saved,
} from "../../../../pages/widgets/browser/chart_look.js";

const THEME = {
  "chart-categorical-colors": "c0,c1,rgb(2, 2, 2)",
  "chart-sequential-colors": "s0,s1,s2,s3,s4,s5,s6,s7,s8,s9",
  "chart-diverging-colors": "d0,d1",
  "text-color": "ink",
  "background-color": "paper",
  "border-color": "edge",
  "border-color-light": "",
  "secondary-background-color": "panel",
  font: "Inter",
};
const value = (name) => THEME[name] ?? "";
const PAGE = { text: "ink", line: "edge", page: "paper", family: "Inter" };

test("every placeholder becomes a colour of its own list", () => {
  const shown = (number) => JSON.parse(coloured(`"#0000${number}"`, value));
  assert.deepEqual(["01", "02", "03", "04", "10"].map(shown), [
    "c0",
    "c1",
    "rgb(2, 2, 2)",
    "c0",
    "c0",
  ]);
  assert.deepEqual(["11", "20", "21", "22", "23"].map(shown), ["s0", "s9", "d0", "d1", "d0"]);
  assert.deepEqual(["36", "37", "38", "39", "40"].map(shown), [
    "ink",
    "ink",
    "paper",
    "edge",
    "panel",
  ]);
});

test("other colours and text that only looks like a placeholder stay", () => {
  for (const text of ['"#000041"', '"#000000"', '"#0000ff"', '"see #000001"', "#000001"]) {
    assert.equal(coloured(text, value), text);
  }
});

test("the border is drawn in the light colour where the theme has one", () => {
  assert.deepEqual(look(value), PAGE);
  const light = look((name) => (name === "border-color-light" ? "pale" : value(name)));
  assert.equal(light.line, "pale");
});

test("what a template asks for is kept where the page says nothing of it", () => {
  const under = { a: { b: 1, c: 2 }, list: 1 };
  assert.deepEqual(merged(under, { a: { c: 3 }, d: 4 }), { a: { b: 1, c: 3 }, list: 1, d: 4 });
  assert.deepEqual(under, { a: { b: 1, c: 2 }, list: 1 });
  assert.deepEqual(merged({ a: null, b: { c: 1 } }, { a: { d: 2 }, b: null }), {
    a: { d: 2 },
    b: null,
  });
});

test("the page's look goes into the template, so that the figure's own wishes come first", () => {
  const layout = {
    title: { text: "Weights" },
    xaxis: { showgrid: true },
    template: { layout: { colorway: ["x"] }, data: { icicle: [{ textfont: {}, type: "icicle" }] } },
  };
  dress(layout, PAGE);
  assert.equal(layout.title.text, "<b>Weights</b>");
  assert.deepEqual(layout.xaxis, { showgrid: true });
  assert.deepEqual(layout.template.layout.colorway, ["x"]);
  assert.equal(layout.template.layout.paper_bgcolor, "paper");
  assert.equal(layout.template.layout.xaxis.tickfont.color, "ink");
  assert.deepEqual(layout.template.data.icicle, [{ type: "icicle" }]);
});

test("a figure without a title or template is dressed too", () => {
  const layout = {};
  dress(layout, PAGE);
  assert.equal(layout.title, undefined);
  assert.equal(layout.template.layout.font.family, "Inter");
});

test("a label is measured without its tags, an entity as one letter", () => {
  assert.equal(plainLabel("<b>a &lt;i&gt;</b> b"), "a MiM b");
});

test("of several marks on one spot the cell of a heatmap is reported", () => {
  const bar = { x: 1, y: 2, pointNumber: 3, customdata: 9 };
  const cell = { x: "a", y: "b", pointNumber: [4, 5] };
  assert.deepEqual(clicked([bar, cell]), { x: "a", y: "b", cell: [4, 5], customdata: null });
  assert.deepEqual(clicked([bar]), { x: 1, y: 2, cell: null, customdata: 9 });
});

test("of a list of custom data the first is reported, also when that is zero", () => {
  const point = { x: 0, y: 0, pointNumber: 0 };
  assert.equal(clicked([{ ...point, customdata: [0, 7] }]).customdata, 0);
  assert.equal(clicked([{ ...point, customdata: new Float32Array([2, 7]) }]).customdata, 2);
  assert.equal(clicked([{ ...point, customdata: 0 }]).customdata, 0);
});

test("a saved figure says what it shows, of which model and text, below all that was drawn", () => {
  const drawn = { data: [1], layout: { width: 400, height: 300, margin: { b: 50 }, sliders: [1] } };
  const about = "Inlook, tiny: a <b> & c";
  const { data, layout } = saved(drawn, { alt: "Two bars: 1, 2", about });
  assert.equal(data, drawn.data);
  const [caption] = layout.annotations;
  assert.equal(caption.text, "Two bars<br>Inlook, tiny: a &lt;b&gt; &amp; c");
  assert.equal(layout.height - drawn.layout.height, layout.margin.b - drawn.layout.margin.b);
  assert.ok(-caption.yshift >= drawn.layout.margin.b);
  assert.equal(drawn.layout.annotations, undefined);
});

test("all letters of a figure grow once, with its margins; marks stay as they are", () => {
  const font = { size: 10 };
  const figure = {
    data: [{ textfont: { size: [10, 20] }, marker: { size: 5 }, x: [1, 2] }],
    layout: { font, hoverlabel: { font }, margin: { t: 8, pad: 3 }, height: 100 },
  };
  const large = enlarged(figure, 1.5);
  assert.deepEqual(large.data, [{ textfont: { size: [15, 30] }, marker: { size: 5 }, x: [1, 2] }]);
  assert.equal(large.layout.font.size, 15);
  assert.equal(large.layout.hoverlabel.font.size, 15);
  assert.deepEqual(large.layout.margin, { t: 12, pad: 3 });
  assert.equal(large.layout.height, 100);
  assert.equal(font.size, 10);
});
