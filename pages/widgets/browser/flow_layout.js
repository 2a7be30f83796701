// Where does everything lie in the picture of the forward pass? Numbers only, in pixels.
// Stages follow each other along `u`, lanes lie side by side along `v`: a wide picture flows to the right, a
// tall one (on a phone) down.
const NARROW_PX = 640;
const LAST_LANE = "The last lane predicts.";

export function flowLayout(data, width) {
  return width < NARROW_PX ? tallLayout(data, width) : wideLayout(data, width);
}

// Rows of the picture: the lanes that are drawn, and one thin row for each run of hidden ones.
export function laneRows(positions) {
  const rows = [];
  let next = 0;
  for (const [lane, pos] of positions.entries()) {
    if (pos > next) rows.push({ hidden: pos - next, first: next });
    rows.push({ lane, pos });
    next = pos + 1;
  }
  return rows;
}

// A total shared out in proportion to what each wishes.
export function shares(total, wishes) {
  const sum = wishes.reduce((a, b) => a + b);
  return wishes.map((wish) => (wish * total) / sum);
}

// Where each begins when they follow each other.
export function stacked(sizes, gap) {
  return sizes.map((_, i) => sizes.slice(0, i).reduce((total, size) => total + size + gap, 0));
}

function wideLayout(data, width) {
  const [gap, top, pitch] = [18, 74, 32];
  const rows = laneRows(data.positions);
  const widths = shares(width - 4 * gap, [130, 124, 270, 210, 112]);
  const starts = stacked(widths, gap);
  const spans = starts.map((start, i) => [start, start + widths[i]]);
  const body = Math.max(rows.length * pitch, 190);
  const at = rows.map((_, i) => top + (body - rows.length * pitch) / 2 + (i + 0.5) * pitch);
  const [bottom, middle] = [top + body + 26, top + body / 2];
  const chosen = data.candidates.findIndex((row) => row.id === data.chosen.id);
  const lane = ({ hidden }, v) =>
    hidden ? box(10, v - 9, widths[0] - 20, 18) : box(8, v - 12, widths[0] - 16, 24);
  const words = box(spans[4][0] + 8, middle + 38, widths[4] - 16);
  return {
    isTall: false,
    rows,
    at,
    pitch,
    spans,
    cards: starts.map((x, i) => box(x, 0, widths[i], bottom)),
    headHeight: top - 24,
    chevrons: starts.slice(1).map((x) => ({ x: x - gap / 2, y: 26, degrees: 0 })),
    lanes: rows.map((row, i) => lane(row, at[i])),
    bars: box(spans[3][0] + 24, top, widths[3] - 31, body),
    barName: Math.min((widths[3] - 31) * 0.42, 90),
    // From the chosen candidate to the choice.
    choice: {
      from: [spans[3][1], top + ((chosen + 0.5) * body) / data.candidates.length],
      to: [spans[4][0], middle],
    },
    pick: box(spans[4][0] + 8, middle - 30, widths[4] - 16, 60),
    notes: [
      { ...words, words: data.chosen.note },
      { ...box(spans[3][0] + 4, bottom - 22, widths[3] - 8), words: LAST_LANE },
    ],
    width,
    bottom,
  };
}

function tallLayout(data, width) {
  const [gap, top, left, right, barPitch] = [22, 52, 34, 10, 25];
  const rows = laneRows(data.positions);
  const room = width - left - right;
  const pitch = Math.min(56, room / rows.length);
  const at = rows.map((_, i) => left + (room - pitch * rows.length) / 2 + (i + 0.5) * pitch);
  const band = data.layers.length > 16 ? 20 : 40;
  const barsHeight = data.candidates.length * barPitch;
  const inside = [104, 92, data.layers.length * band + 12, 46 + barsHeight + 10, 92];
  const heights = inside.map((height) => top + height);
  const starts = stacked(heights, gap);
  const spans = starts.map((start, i) => [start + top - 6, start + heights[i]]);
  const lane = ({ hidden }, v) =>
    hidden
      ? box(v - pitch / 2, spans[0][0] + 20, 24, 18)
      : box(v - pitch / 2 + 1.5, spans[0][0] + 4, pitch - 3, 98);
  return {
    isTall: true,
    rows,
    at,
    pitch,
    spans,
    cards: starts.map((y, i) => box(0, y, width, heights[i])),
    headHeight: top - 4,
    chevrons: starts.slice(1).map((y) => ({ x: width / 2, y: y - gap / 2, degrees: 90 })),
    lanes: rows.map((row, i) => lane(row, at[i])),
    bars: box(14, spans[3][0] + 46, width - 28, barsHeight),
    barName: 130,
    choice: null,
    pick: box(width / 2 - 90, starts[4] + top, 180, 60),
    notes: [
      { ...box(12, starts[4] + top + 68, width - 24), words: data.chosen.note },
      { ...box(8, starts[3] + 10, width / 2 - 60), words: LAST_LANE },
    ],
    width,
    bottom: starts[4] + heights[4],
  };
}

// The bands of the layers within their stage, with the button of each. Every so many a button says its
// number: `every` is how many need the room of one.
export function layerBands(layout, nLayers) {
  const { isTall, at, spans } = layout;
  const lead = isTall ? 6 : 12;
  const [from, to] = spans[2];
  const size = (to - from - lead - 12) / nLayers;
  const [v0, v1] = [at[0] - 13, at.at(-1) + 13];
  const every = Math.ceil((isTall ? 18 : 20) / size);
  const bands = Array.from({ length: nLayers }, (_, i) => {
    const u = from + lead + i * size;
    const button = isTall
      ? box(4, u + 2, 24, Math.max(size - 4, 8))
      : box(u + 1, v0 - 20, Math.max(size - 2, 6), 18);
    return { u, button };
  });
  return { size, every, v0, v1, bands };
}

// The bars of the candidates: the box of the token's name, of the bar, and of its share.
export function candidateBars(layout, candidates) {
  const { x, y, width, height } = layout.bars;
  const [name, number] = [layout.barName, 46];
  const pitch = height / Math.max(candidates.length, 1);
  const most = Math.max(...candidates.map((row) => row.p), 1e-9);
  const room = width - name - number - 6;
  return candidates.map(({ p }, i) => {
    const middle = y + (i + 0.5) * pitch;
    return {
      name: box(x, middle - 10, name, 20),
      bar: box(x + name + 4, middle - 7, Math.max((room * p) / most, 1), 14),
      share: box(x + width - number, middle - 8, number, 16),
      // Where the line from the last lane ends.
      end: layout.isTall
        ? [x + name / 2 + (i * (width - name)) / candidates.length, y - 6]
        : [x - 2, middle],
    };
  });
}

function box(x, y, width, height) {
  return { x, y, width, height };
}

// Whether a layer's number is written: that of the chosen one, and every so many, but none that would touch it.
export function isNumbered(layer, chosen, every) {
  if (layer === chosen) return true;
  return layer % every === 0 && !(Math.abs(layer - chosen) < every);
}
