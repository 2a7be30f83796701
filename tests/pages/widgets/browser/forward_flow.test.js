// The picture of the forward pass fits its box, hides nothing silently, and is true to its numbers.
import assert from "node:assert/strict";
import { test } from "node:test";
import {
  candidateBars,
  flowLayout,
  isNumbered,
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

// Runs a check on pictures of several shapes, wide and tall.
function everyPicture(check) {
  for (const width of WIDTHS) {
    for (const nLayers of [1, 4, 24]) {
      for (const positions of [[0], [0, 3, 4], [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]]) {
        const data = picture({ nLayers, positions, pos: positions.at(-1), layer: nLayers - 1 });
        const layout = flowLayout(data, width);
        check(layout, data, flowMarks(data, layout, INKS));
      }
    }
  }
}

const near = (one, other) => Math.abs(one - other) < 1e-6;
const middle = ({ x, y, width, height }) => [x + width / 2, y + height / 2];
const said = (marks, pattern) => marks.filter(({ words }) => pattern.test(words ?? ""));
const holds = (outer, { x, y, width, height }) =>
  x >= outer.x - 1e-6 &&
  y >= outer.y - 1e-6 &&
  x + width <= outer.x + outer.width + 1e-6 &&
  y + height <= outer.y + outer.height + 1e-6;

// Where a mark reaches to: of a path, its points.
function extent({ tag, attributes }) {
  if (tag === "rect") return [attributes];
  const { cx, cy, r, d } = attributes;
  if (tag === "circle") return [{ x: cx - r, y: cy - r, width: 2 * r, height: 2 * r }];
  const numbers = d.match(/-?[\d.]+(e-?\d+)?/g).map(Number);
  return numbers.flatMap((x, i) => (i % 2 ? [] : [{ x, y: numbers[i + 1], width: 0, height: 0 }]));
}

test("everything lies inside the picture at every width", () => {
  everyPicture((layout, _, marks) => {
    const whole = { x: 0, y: 0, width: layout.width, height: layout.bottom };
    const boxes = [...layout.cards, ...layout.lanes, layout.pick, ...marks.flatMap(extent)];
    for (const box of boxes) assert.ok(holds(whole, box), JSON.stringify(box));
  });
});

test("what belongs to a stage lies on its card, below the heading", () => {
  everyPicture((layout, data, marks) => {
    const onCard = (i, box) => {
      const { x, y, width, height } = layout.cards[i];
      const { headHeight } = layout;
      const free = { x, y: y + headHeight, width, height: height - headHeight };
      assert.ok(holds(free, box), `card ${i}: ${JSON.stringify(box)}`);
    };
    for (const box of layout.lanes) onCard(0, box);
    for (const cell of said(marks, /, number/)) onCard(1, cell.attributes);
    for (const mark of said(marks, /adds/)) for (const box of extent(mark)) onCard(2, box);
    for (const { button } of layerBands(layout, data.layers.length).bands) onCard(2, button);
    for (const { name, bar, share } of candidateBars(layout, data.candidates)) {
      for (const box of [name, bar, share]) onCard(3, box);
    }
    onCard(4, layout.pick);
    assert.ok(near(middle(layout.pick)[0], middle(layout.cards[4])[0]));
  });
});

test("cells, dots and chips lie in the middle of their lane", () => {
  everyPicture((layout, data, marks) => {
    const across = layout.isTall ? 0 : 1;
    layout.rows.forEach((row, r) => {
      if (row.hidden) return;
      const own = said(marks, new RegExp(`token ${row.pos}[:,].*(number|adds)`));
      assert.equal(own.length, 3 + 2 * data.layers.length);
      const boxes = [...own.flatMap(extent), layout.lanes[r]];
      for (const box of boxes) assert.ok(near(middle(box)[across], layout.at[r]));
    });
  });
});

test("the numbers of a token follow each other without a gap", () => {
  everyPicture((layout, _, marks) => {
    const [start, size] = layout.isTall ? ["y", "height"] : ["x", "width"];
    const cells = said(marks, /token 0, number/).map(({ attributes }) => attributes);
    assert.ok(near(cells[0][start] + cells[0][size], cells[1][start]));
    assert.ok(near(cells[1][start] + cells[1][size], cells[2][start]));
    assert.ok(cells[0][size] * 3 > 0.7 * (layout.spans[1][1] - layout.spans[1][0]));
  });
});

test("what a layer adds is drawn in its own band, attention before feedforward", () => {
  everyPicture((layout, data, marks) => {
    const along = layout.isTall ? 1 : 0;
    const { size, bands } = layerBands(layout, data.layers.length);
    bands.forEach(({ u }, i) => {
      const [attention, feedforward] = said(marks, new RegExp(`layer ${i}, token 0: .*adds`));
      const [first, second] = [attention, feedforward].map(
        (mark) => middle(extent(mark)[0])[along],
      );
      assert.ok(u < first && first < second && second < u + size);
      assert.equal(attention.style.fill, INKS.attention);
      assert.equal(feedforward.style.fill, INKS.feedforward);
    });
  });
});

test("only the last lane goes on to the candidates, in the colour of what is chosen", () => {
  everyPicture((layout, _, marks) => {
    const along = layout.isTall ? "y" : "x";
    const goal = layout.spans[3][0];
    const arriving = marks.filter(
      ({ tag, attributes: { d } }) =>
        tag === "path" &&
        d.includes(" L") &&
        near(extent({ tag, attributes: { d } }).at(-1)[along], goal),
    );
    assert.equal(arriving.filter(({ attributes }) => !attributes.transform).length, 1);
    assert.equal(arriving[0].style.stroke, INKS.primary);
  });
});

test("an arc begins at the lane that is read and ends at the chosen one", () => {
  everyPicture((layout, data, marks) => {
    const across = layout.isTall ? "x" : "y";
    const chosen = layout.rows.findIndex((row) => row.pos === data.pos);
    layout.rows.forEach((row, r) => {
      if (row.hidden) return;
      const [arc] = said(marks, new RegExp(`layer 0: .* reads token ${row.pos} `));
      const points = extent(arc).map((point) => point[across]);
      const lanes = [r, r, chosen, chosen].map((i) => layout.at[i]);
      assert.ok(points.every((point, i) => near(point, lanes[i])));
    });
  });
});

test("what is chosen stands out: its layer, its lane, its candidate", () => {
  const data = picture({ nLayers: 3, pos: 3, layer: 1 });
  const layout = flowLayout(data, 900);
  const marks = flowMarks(data, layout, INKS);
  const bands = marks.filter(({ attributes }) => attributes.rx === 5);
  assert.deepEqual(
    bands.map(({ style }) => style.fill === INKS.primary),
    [false, true, false],
  );
  const bars = marks.filter(({ attributes }) => attributes.rx === 2);
  assert.deepEqual(
    bars.map(({ style }) => style.fill === INKS.primary),
    [false, true, false],
  );
  const [some, , others] = bars.map(({ style }) => style.fillOpacity);
  assert.ok(others < some);
  const widest = layout.at.map((v) => {
    const on = marks.filter(
      ({ tag, attributes }) => tag === "path" && attributes.d.includes(`,${v} L`),
    );
    return Math.max(...on.map(({ style }) => style.strokeWidth));
  });
  assert.equal(widest.indexOf(Math.max(...widest)), 2); // after one row for the hidden tokens
});

test("the line from the last lane to a candidate ends at its bar, and its bends lie between", () => {
  everyPicture((layout, data, marks) => {
    const ends = candidateBars(layout, data.candidates).map(({ end }) => end);
    const fans = marks.filter(
      ({ style }) => style.strokeOpacity === 0.6 || style.strokeOpacity === 1,
    );
    const lines = fans.filter(({ words }) => !words);
    assert.equal(lines.length, ends.length);
    lines.forEach((line, i) => {
      const [from, first, second, to] = extent(line);
      assert.ok(near(to.x, ends[i][0]) && near(to.y, ends[i][1]));
      for (const axis of ["x", "y"]) {
        const [least, most] = [from[axis], to[axis]].sort((a, b) => a - b);
        for (const bend of [first, second]) {
          assert.ok(bend[axis] >= least - 1e-6 && bend[axis] <= most + 1e-6);
        }
      }
    });
  });
});

test("names, bars and shares of the candidates do not overlap", () => {
  everyPicture((layout, data) => {
    const bars = candidateBars(layout, data.candidates);
    bars.forEach(({ name, bar, share }, i) => {
      assert.ok(name.x + name.width <= bar.x && bar.x + bar.width <= share.x);
      for (const box of [name, bar, share]) {
        assert.ok(near(middle(box)[1], middle(bar)[1]));
        if (i) assert.ok(middle(bars[i - 1].bar)[1] + 20 <= middle(box)[1]);
      }
    });
  });
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
      for (let i = 1; i < nLayers; i++) assert.ok(near(bands[i].u, bands[i - 1].u + size));
      assert.ok(bands.at(-1).u + size <= layout.spans[2][1]);
      assert.ok(every * size >= 18);
      assert.ok((every - 1) * size < 20);
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
    assert.ok(near(bars[1].bar.x + second, bars[1].share.x - 2)); // it has all the room there is
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

test("the number of the chosen layer is touched by no other", () => {
  const numbered = (chosen, every) =>
    [...Array(12).keys()].filter((i) => isNumbered(i, chosen, every));
  assert.deepEqual(numbered(4, 3), [0, 4, 9]);
  assert.deepEqual(numbered(6, 3), [0, 3, 6, 9]);
  assert.equal(numbered(4, 1).length, 12);
});
