// The picture of the forward pass fits its box, hides nothing silently, and is true to its numbers.
import assert from "node:assert/strict";
import { test } from "node:test";
import {
  candidateBars,
  flowLayout,
  laneRows,
  layerBands,
  shares,
  stacked,
} from "../../../../pages/widgets/browser/flow_layout.js";
import { flowMarks, radius } from "../../../../pages/widgets/browser/flow_marks.js";
import { inksOf } from "../../../../pages/widgets/browser/forward_flow.js";

const INKS = inksOf(() => "");
const STAGES = ["tokens", "embed", "blocks", "logits", "choice"];
const WIDTHS = [320, 390, 639, 640, 900, 1400];

function picture({ positions = [0, 3, 4], nLayers = 4, pos = 3, layer = 1 } = {}) {
  const rows = laneRows(positions);
  const each = (number) => positions.map(() => number);
  const oneLayer = { attn: each(1), mlp: each(2), pre: each(4), post: each(5) };
  return {
    positions,
    pos,
    layer,
    stage: "tokens",
    stages: STAGES.map((name) => ({ name })),
    layers: Array.from({ length: nLayers }, () => ({ ...oneLayer, reads: rows.map(() => 0.5) })),
    strip: { values: positions.map(() => [0.5, -2, 0]), limit: 1 },
    candidates: [
      { id: 7, p: 0.2 },
      { id: 8, p: 0.6 },
      { id: null, p: 0.2 },
    ],
    chosen: { id: 8, note: "most likely" },
  };
}

test("rows show every lane and say how many tokens lie between", () => {
  const rows = laneRows([0, 3, 4, 9]);
  assert.deepEqual(rows, [
    { lane: 0, pos: 0 },
    { hidden: 2, first: 1 },
    { lane: 1, pos: 3 },
    { lane: 2, pos: 4 },
    { hidden: 4, first: 5 },
    { lane: 3, pos: 9 },
  ]);
  const counted = rows.reduce((total, { hidden }) => total + (hidden ?? 1), 0);
  assert.equal(counted, 10);
});

test("shares keep the proportions and fill the total; what is stacked does not overlap", () => {
  const sizes = shares(600, [1, 2, 3]);
  assert.deepEqual(sizes, [100, 200, 300]);
  assert.deepEqual(stacked(sizes, 10), [0, 110, 320]);
});

test("all boxes lie inside the picture at every width", () => {
  for (const width of WIDTHS) {
    for (const nLayers of [1, 4, 24]) {
      const data = picture({ nLayers });
      const layout = flowLayout(data, width);
      const boxes = [...layout.cards, ...layout.lanes, layout.pick];
      for (const { name, bar, share } of candidateBars(layout, data.candidates)) {
        boxes.push(name, bar, share);
      }
      for (const { x, y, width: w, height } of boxes) {
        assert.ok(x >= 0 && x + w <= width + 1e-6, `x ${x} + ${w} in ${width}`);
        assert.ok(y >= 0 && y + height <= layout.bottom + 1e-6, `y ${y} + ${height}`);
      }
    }
  }
});

test("cards do not overlap, whichever way the picture flows", () => {
  for (const width of WIDTHS) {
    const { cards, isTall } = flowLayout(picture(), width);
    const [start, size] = isTall ? ["y", "height"] : ["x", "width"];
    for (let i = 1; i < cards.length; i++) {
      assert.ok(cards[i - 1][start] + cards[i - 1][size] < cards[i][start]);
    }
    assert.equal(isTall, width < 640);
  }
});

test("lanes are evenly apart and hidden ones take a row too", () => {
  for (const width of WIDTHS) {
    const { at, rows, pitch } = flowLayout(picture(), width);
    assert.equal(at.length, rows.length);
    for (let i = 1; i < at.length; i++) assert.ok(Math.abs(at[i] - at[i - 1] - pitch) < 1e-6);
  }
});

test("every layer has a band in its stage, and enough numbers that none overlap", () => {
  for (const width of WIDTHS) {
    for (const nLayers of [1, 12, 48]) {
      const layout = flowLayout(picture({ nLayers }), width);
      const { size, every, bands } = layerBands(layout, nLayers);
      assert.equal(bands.length, nLayers);
      assert.ok(bands[0].u >= layout.spans[2][0]);
      assert.ok(bands.at(-1).u + size <= layout.spans[2][1]);
      assert.ok(every * size >= 18);
    }
  }
});

test("bars are as long as their probabilities, and the line to the choice starts at the chosen", () => {
  for (const width of WIDTHS) {
    const data = picture();
    const layout = flowLayout(data, width);
    const bars = candidateBars(layout, data.candidates);
    const [first, second] = bars.map(({ bar }) => bar.width);
    assert.ok(Math.abs(second / first - 3) < 1e-6);
    if (!layout.isTall) assert.equal(layout.choice.from[1], bars[1].bar.y + 7);
  }
});

test("a mark grows with what is added to the lane, up to the room of its layer", () => {
  assert.ok(radius(1, 4, 100) < radius(2, 4, 100));
  assert.equal(radius(2, 4, 100), radius(1, 2, 100));
  assert.equal(radius(1e9, 1, 100), radius(2, 1, 100));
  assert.ok(Math.abs(radius(5, 1, 10) - 2.2) < 1e-9);
  assert.ok(Number.isFinite(radius(1, 0, 100)));
});

test("each lane has a mark for each part of each layer, none where the part is unknown", () => {
  const data = picture({ nLayers: 3 });
  data.layers[1].mlp = null;
  data.layers[2].attn = null;
  const words = flowMarks(data, flowLayout(data, 900), INKS).flatMap((mark) => mark.words ?? []);
  const count = (pattern) => words.filter((text) => pattern.test(text)).length;
  assert.equal(count(/attention adds/), 2 * 3);
  assert.equal(count(/feedforward adds/), 2 * 3);
  assert.equal(count(/layer 1, token 3: attention adds 1 to a stream of 4/), 1);
});

test("arcs go only to what is read, and name tokens that are not drawn", () => {
  const data = picture({ nLayers: 1 });
  data.layers[0].reads = [0.5, 0.3, 0.2, 0.001];
  const marks = flowMarks(data, flowLayout(data, 900), INKS);
  const arcs = marks.filter(({ words }) => words?.includes("reads"));
  assert.deepEqual(
    arcs.map(({ words }) => words.match(/reads (.*) with weight (.*) \(/).slice(1)),
    [
      ["token 0", "0.5"],
      ["2 tokens not drawn", "0.3"],
      ["token 3", "0.2"],
    ],
  );
  const widths = arcs.map(({ style }) => style.strokeWidth);
  assert.ok(widths[0] > widths[1] && widths[1] > widths[2]);
});

test("a chosen token outside the picture reads nothing", () => {
  const data = picture({ pos: 1 });
  const marks = flowMarks(data, flowLayout(data, 900), INKS);
  assert.ok(!marks.some(({ words }) => words?.includes("reads")));
});

test("a number's sign and size are its colour, at most in full strength", () => {
  const data = picture({ positions: [0] });
  const marks = flowMarks(data, flowLayout(data, 900), INKS);
  const fills = marks.flatMap(({ words, style }) => (words?.includes("number") ? style.fill : []));
  assert.match(fills[0], new RegExp(`${INKS.positive} 50%`));
  assert.match(fills[1], new RegExp(`${INKS.negative} 100%`));
  assert.match(fills[2], / 0%/);
});

test("the tall picture is the wide one turned: as many marks, and no line to the choice", () => {
  const data = picture();
  const count = (width) => flowMarks(data, flowLayout(data, width), INKS).length;
  assert.equal(count(900), count(390) + 1);
});

test("parts take the theme's colours by role, and their own where it has none", () => {
  const theme = {
    "chart-categorical-colors": "a, b, c, d, e, f",
    "primary-color": "p",
  };
  const inks = inksOf((name) => theme[name]);
  assert.deepEqual(
    [inks.positive, inks.negative, inks.feedforward, inks.attention, inks.primary],
    ["a", "b", "d", "f", "p"],
  );
  for (const ink of Object.values(INKS)) assert.match(ink, /^#|^var/);
});
