// How is what is written in the cells of a heatmap read on each of their colours? In black or in white,
// whichever stands out more. Plotly's own choice, white or a dark grey, leaves a quarter of our scales
// under the 4.5 : 1 of WCAG 2.2, 1.4.3.
import { listOf } from "./chart_table.js";

// A figure whose heatmaps' texts are marks of their own, each in the ink that fits its cell.
export function legible(figure, page) {
  const data = [];
  for (const trace of figure.data) {
    if (trace.type !== "heatmap" || trace.texttemplate !== "%{text}" || !trace.colorscale) {
      data.push(trace);
      continue;
    }
    const { texttemplate, text, textfont, ...cells } = trace;
    const z = rowsOf(trace.z);
    data.push(cells, written(trace, z, page));
    fit(figure.layout, trace, z);
  }
  return { ...figure, data };
}

function written(trace, z, page) {
  const [xs, ys] = [placesOf(trace.x, z[0]?.length ?? 0), placesOf(trace.y, z.length)];
  const made = { x: [], y: [], text: [], color: [] };
  const [low, high] = [trace.zmin ?? least(z, Math.min), trace.zmax ?? least(z, Math.max)];
  trace.text.forEach((row, i) => {
    row.forEach((text, j) => {
      if (text === "") return;
      made.x.push(xs[j]);
      made.y.push(ys[i]);
      made.text.push(text);
      const at = (z[i][j] - low) / (high - low || 1);
      made.color.push(ink(over(colourAt(trace.colorscale, at) ?? page, page)));
    });
  });
  const { xaxis, yaxis, textfont } = trace;
  const look = { type: "scatter", mode: "text", hoverinfo: "skip", showlegend: false };
  const { x, y, text, color } = made;
  return { ...look, x, y, text, textfont: { ...textfont, color }, xaxis, yaxis, cliponaxis: true };
}

// Marks would ask for room around the cells, which fill their axes.
function fit(layout, trace, z) {
  const sizes = { x: z[0]?.length ?? 0, y: z.length };
  for (const letter of ["x", "y"]) {
    const name = (trace[`${letter}axis`] ?? letter).replace(letter, `${letter}axis`);
    layout[name] ??= {};
    const axis = layout[name];
    if (axis.range) continue;
    const first = typeof trace[letter]?.[0] === "number" ? trace[letter][0] : 0;
    const ends = [first - 0.5, first + sizes[letter] - 0.5];
    axis.range = axis.autorange === "reversed" ? ends.reverse() : ends;
    delete axis.autorange;
  }
}

export function rowsOf(z) {
  const { list, width } = listOf(z);
  return Array.from({ length: list.length / width }, (_, i) =>
    list.slice(i * width, (i + 1) * width),
  );
}

function placesOf(labels, n) {
  const { list } = listOf(labels);
  return list.length ? list : Array.from({ length: n }, (_, i) => i);
}

function least(rows, of) {
  return of(...rows.flatMap((row) => [...row].filter(Number.isFinite)));
}

// The colour of a scale, as numbers, or null where there is none.
export function colourAt(scale, at) {
  if (!Number.isFinite(at)) return null;
  const within = Math.min(1, Math.max(0, at));
  const above = scale.findIndex(([stop]) => stop >= within);
  const [to, colour] = scale[above < 0 ? scale.length - 1 : above];
  if (above <= 0) return parts(colour);
  const [from, before] = scale[above - 1];
  const share = to > from ? (within - from) / (to - from) : 1;
  const [a, b] = [parts(before), parts(colour)];
  return a.map((one, i) => one + (b[i] - one) * share);
}

// Red, green, blue up to 255, and how opaque.
function parts(colour) {
  if (Array.isArray(colour)) return colour;
  if (colour.startsWith("#")) {
    return [...[1, 3, 5].map((i) => Number.parseInt(colour.slice(i, i + 2), 16)), 1];
  }
  const numbers = colour.match(/[\d.]+/g).map(Number);
  return [...numbers.slice(0, 3), numbers[3] ?? 1];
}

function over(colour, page) {
  const [front, back] = [parts(colour), parts(page)];
  return [0, 1, 2].map((i) => front[i] * front[3] + back[i] * (1 - front[3]));
}

// Black or white: one of both has at least 4.5 : 1 on any colour. The measure: WCAG 2.2, "relative luminance".
export function ink(colour) {
  const [r, g, b] = colour.map((one) => {
    const part = one / 255;
    return part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4;
  });
  const light = 0.2126 * r + 0.7152 * g + 0.0722 * b;
  return (light + 0.05) / 0.05 >= 1.05 / (light + 0.05) ? "#000000" : "#ffffff";
}
