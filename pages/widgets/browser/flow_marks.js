// Which lines and shapes make the picture of the forward pass? Plain values, drawn in their order.
import { candidateBars, layerBands } from "./flow_layout.js";

const HIDDEN_BELOW = 0.01;

// `inks` names the colours: attention, feedforward, positive, negative, primary, lane.
export function flowMarks(data, layout, inks) {
  return [
    ...layout.chevrons.map((place) => chevron(place, inks)),
    ...laneMarks(data, layout, inks),
    ...layerMarks(data, layout, inks),
    ...barMarks(data, layout, inks),
    ...(layout.choice ? [choiceMark(layout.choice, inks)] : []),
  ];
}

// The radius of the mark of what is added, compared with what the lane holds; `size` is the layer's room.
export function radius(added, stream, size) {
  return Math.min(1.2 + 4.2 * Math.sqrt(Math.min(1.5, added / (stream || 1))), size * 0.22);
}

// (along the flow, across the lanes) to (x, y).
function turned({ isTall }) {
  return isTall ? (u, v) => [v, u] : (u, v) => [u, v];
}

function laneMarks(data, layout, inks) {
  const { rows, at, spans } = layout;
  const xy = turned(layout);
  const last = rows.length - 1;
  const straight = (i, from, to) => `M${xy(from, at[i])} L${xy(to, at[i])}`;
  const end = spans[2][1] - 8;
  return rows.flatMap((row, i) => {
    if (row.hidden) return [path(straight(i, spans[0][1], end), inks.lane, 1, "2 5")];
    const own = row.pos === data.pos;
    const ink = own || i === last ? inks.primary : inks.lane;
    const width = own ? 3 : i === last ? 2.5 : 1.4;
    return [
      path(straight(i, spans[0][1] - 8, spans[1][0] + 8), ink, width),
      ...stripMarks(data.strip, row, layout, at[i], inks),
      path(straight(i, spans[1][1] - 8, i === last ? spans[3][0] : end), ink, width),
      ...(i === last ? [] : [circle(xy(end, at[i]), 2.5, ink)]),
    ];
  });
}

// The first numbers of a token's embedding, as cells whose strength is their size.
function stripMarks({ values, limit }, row, layout, v, inks) {
  const xy = turned(layout);
  const [from, to] = layout.spans[1];
  const numbers = values[row.lane];
  const cell = (to - from - 16) / numbers.length;
  const across = Math.min(18, layout.pitch - 6);
  return numbers.map((value, i) => {
    const ink = value < 0 ? inks.negative : inks.positive;
    const strength = Math.round(Math.min(1, Math.abs(value) / limit) * 100);
    const fill = `color-mix(in srgb, ${ink} ${strength}%, var(--st-background-color))`;
    const corner = xy(from + 8 + i * cell, v - across / 2);
    const words = `token ${row.pos}, number ${i}: ${value}`;
    return rect(corner, xy(cell, across), { fill }, { words });
  });
}

function layerMarks(data, layout, inks) {
  const { size, v0, v1, bands } = layerBands(layout, data.layers.length);
  const xy = turned(layout);
  return data.layers.flatMap((layer, i) => {
    const { u } = bands[i];
    const isChosen = i === data.layer;
    const [width, height] = xy(size - 2, v1 - v0).map((side) => Math.max(side, 1));
    const style = {
      fill: isChosen ? inks.primary : inks.lane,
      fillOpacity: isChosen ? 0.2 : 0.1,
    };
    return [
      rect(xy(u + 1, v0), [width, height], style, { rx: 5 }),
      ...readMarks(data, layout, i, u, size, inks),
      ...layout.rows.flatMap((row, r) =>
        row.hidden ? [] : addedMarks(layer, i, row, xy, u, layout.at[r], size, inks),
      ),
    ];
  });
}

// What the chosen token reads in this layer, as arcs from the lanes it reads.
function readMarks(data, layout, i, u, size, inks) {
  const { rows, at } = layout;
  const { reads } = data.layers[i];
  const xy = turned(layout);
  const chosen = rows.findIndex((row) => row.pos === data.pos);
  if (!reads || chosen < 0) return [];
  return rows.flatMap((row, r) => {
    const weight = reads[r];
    if (!weight || weight < HIDDEN_BELOW) return [];
    const from = xy(u + size * 0.06, at[r]);
    const bends = [xy(u + size * 0.4, at[r]), xy(u + size * 0.2, at[chosen])];
    const arc = path(
      `M${from} C${bends[0]} ${bends[1]} ${xy(u + size * 0.5, at[chosen])}`,
      inks.attention,
      1 + 4 * weight,
    );
    arc.style.strokeOpacity = 0.25 + 0.75 * Math.sqrt(weight);
    const read = row.hidden ? `${row.hidden} tokens not drawn` : `token ${row.pos}`;
    arc.words = `layer ${i}: token ${data.pos} reads ${read} with weight ${weight} (mean over heads)`;
    return [arc];
  });
}

// What attention and feedforward add to one lane in one layer.
function addedMarks(layer, i, { lane, pos }, xy, u, v, size, inks) {
  const { attn, mlp, pre, post } = layer;
  const marks = [];
  if (attn) {
    const words = `attention adds ${attn[lane]} to a stream of ${pre[lane]}`;
    const mark = circle(xy(u + size * 0.5, v), radius(attn[lane], pre[lane], size), inks.attention);
    marks.push({ ...mark, words: `layer ${i}, token ${pos}: ${words}` });
  }
  if (mlp) {
    const words = `feedforward adds ${mlp[lane]}; the stream leaves with ${post[lane]}`;
    const r = radius(mlp[lane], pre[lane], size);
    const corner = xy(u + size * 0.78, v).map((middle) => middle - r);
    const more = { rx: 1, words: `layer ${i}, token ${pos}: ${words}` };
    marks.push(rect(corner, [2 * r, 2 * r], { fill: inks.feedforward }, more));
  }
  return marks;
}

function barMarks(data, layout, inks) {
  const [x, y] = turned(layout)(layout.spans[3][0], layout.at.at(-1));
  return candidateBars(layout, data.candidates).flatMap(({ bar, end }, i) => {
    const { id } = data.candidates[i];
    const isChosen = id === data.chosen.id;
    const ink = isChosen ? inks.primary : inks.lane;
    const [halfX, halfY] = [(x + end[0]) / 2, (y + end[1]) / 2];
    const bend = layout.isTall
      ? `${x},${halfY} ${end[0]},${halfY}`
      : `${halfX},${y} ${halfX},${end[1]}`;
    const fan = path(`M${x},${y} C${bend} ${end}`, ink, isChosen ? 2 : 1);
    fan.style.strokeOpacity = isChosen ? 1 : 0.6;
    const style = { fill: ink, fillOpacity: id === null ? 0.4 : 0.85 };
    return [fan, rect([bar.x, bar.y], [bar.width, bar.height], style, { rx: 2 })];
  });
}

function choiceMark({ from, to }, inks) {
  const [start, end] = [
    [from[0] - 6, from[1]],
    [to[0] + 8, to[1]],
  ];
  return path(`M${start} C${to[0]},${from[1]} ${from[0]},${to[1]} ${end}`, inks.primary, 2);
}

function chevron({ x, y, degrees }, inks) {
  const made = path(`M${x - 4},${y - 7} L${x + 4},${y} L${x - 4},${y + 7}`, inks.lane, 2.5);
  made.attributes.transform = `rotate(${degrees} ${x} ${y})`;
  return made;
}

// A mark: what it is, its attributes and style, and what its tooltip says.
function path(d, stroke, strokeWidth, strokeDasharray) {
  const style = { stroke, strokeWidth, ...(strokeDasharray && { strokeDasharray }) };
  return { tag: "path", attributes: { d, fill: "none", "stroke-linecap": "round" }, style };
}

function circle([cx, cy], r, fill) {
  return { tag: "circle", attributes: { cx, cy, r }, style: { fill } };
}

function rect([x, y], [width, height], style, { rx, words }) {
  const attributes = { x, y, width, height, ...(rx && { rx }) };
  return { tag: "rect", attributes, style, words };
}
