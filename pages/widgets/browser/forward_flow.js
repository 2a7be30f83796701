// The forward pass as one picture: five cards, one lane per token through them.
// Laid out along `u` (with the flow) and `v` (across the lanes): wide boxes flow to the right, narrow ones down.
const instances = new WeakMap();
const NARROW_PX = 640;
const SVG = "http://www.w3.org/2000/svg";

export default function ({ data, parentElement, setTriggerValue }) {
  let flow = instances.get(parentElement);
  if (!flow) {
    const root = document.createElement("div");
    root.className = "flow";
    root.setAttribute("role", "group");
    parentElement.append(root);
    flow = { root, width: 0 };
    instances.set(parentElement, flow);
    flow.observer = new ResizeObserver(() => {
      if (root.clientWidth !== flow.width) draw(flow);
    });
    flow.observer.observe(root);
  }
  flow.data = data;
  flow.send = (what, value) => setTriggerValue("picked", [what, value]);
  draw(flow);
  return () => flow.observer.disconnect();
}

function draw(flow) {
  const { root, data } = flow;
  flow.width = root.clientWidth;
  if (!flow.width) return;
  const focused = root.getRootNode().activeElement?.dataset?.name;
  root.setAttribute("aria-label", data.label);
  root.classList.toggle("tall", flow.width < NARROW_PX);
  const colors = getComputedStyle(root)
    .getPropertyValue("--st-chart-categorical-colors")
    .split(/,(?![^(]*\))/)
    .map((c) => c.trim());
  const role = (i, fallback) => colors[i] || fallback;
  const p = {
    flow,
    data,
    parts: [],
    lines: [],
    W: flow.width,
    attention: role(5, "#3d8fc4"),
    feedforward: role(3, "#b0568c"),
    positive: role(0, "#0072b2"),
    negative: role(1, "#d55e00"),
    primary: getComputedStyle(root).getPropertyValue("--st-primary-color").trim() || "#1d5fb4",
    lane: "var(--lane)",
  };
  if (flow.width < NARROW_PX) tall(p);
  else wide(p);
  const svg = document.createElementNS(SVG, "svg");
  svg.setAttribute("width", p.W);
  svg.setAttribute("height", p.H);
  svg.append(...p.lines);
  root.style.height = `${p.H}px`;
  const cards = p.parts.filter((part) => part.className.startsWith("card"));
  root.replaceChildren(...cards, svg, ...p.parts.filter((part) => !cards.includes(part)));
  if (focused) root.querySelector(`[data-name="${focused}"]`)?.focus({ preventScroll: true });
}

function wide(p) {
  const { data, W } = p;
  const gap = 18,
    top = 74,
    pitch = 32;
  const widths = share(W - 4 * gap, [130, 124, 270, 210, 112]);
  const starts = widths.map((_, i) => widths.slice(0, i).reduce((a, b) => a + b + gap, 0));
  const rows = laneRows(data);
  const body = Math.max(rows.length * pitch, 190);
  const offset = top + (body - rows.length * pitch) / 2;
  const bottom = top + body + 26;
  const at = (i) => offset + (i + 0.5) * pitch;
  const xy = (u, v) => [u, v];
  data.stages.forEach((stage, i) => {
    card(p, i, starts[i], 0, widths[i], bottom);
    head(p, i, starts[i], 0, widths[i], top - 24);
    if (i) chevron(p, starts[i] - gap / 2, 26, 0);
  });
  const spans = starts.map((s, i) => [s, s + widths[i]]);
  lanes(p, rows, at, spans, xy, pitch);
  rows.forEach((row, i) => {
    if (row.hidden) gapText(p, row, spans[0][0] + 10, at(i) - 9);
    else chip(p, row, spans[0][0] + 8, at(i) - 12, widths[0] - 16, 24);
  });
  bars(p, spans[3][0] + 24, top, widths[3] - 31, body, [spans[3][0], at(rows.length - 1)], xy);
  const middle = top + body / 2;
  const chosen =
    top +
    ((data.candidates.findIndex((row) => row.id === data.chosen.id) + 0.5) * body) /
      data.candidates.length;
  line(
    p,
    `M${spans[3][1] - 6},${chosen} C${spans[4][0]},${chosen} ${spans[3][1]},${middle} ${spans[4][0] + 8},${middle}`,
    p.primary,
    2,
  );
  pick(p, spans[4][0] + 8, middle - 30, widths[4] - 16, 60);
  note(p, spans[4][0] + 8, middle + 38, widths[4] - 16, data.chosen.note);
  note(p, spans[3][0] + 4, bottom - 22, widths[3] - 8, "The last lane predicts.");
  p.H = bottom + legend(p, 0, bottom + 10, W);
}

function tall(p) {
  const { data, W } = p;
  const gap = 22,
    top = 52;
  const rows = laneRows(data);
  const left = 34,
    right = 10;
  const pitch = Math.min(56, (W - left - right) / rows.length);
  const at = (i) => left + (W - left - right - pitch * rows.length) / 2 + (i + 0.5) * pitch;
  const n = data.layers.length;
  const band = n > 16 ? 20 : 40;
  const n_bars = data.candidates.length;
  const heights = [top + 104, top + 92, top + n * band + 12, top + 46 + n_bars * 25 + 10, top + 92];
  const starts = heights.map((_, i) => heights.slice(0, i).reduce((a, b) => a + b + gap, 0));
  const xy = (u, v) => [v, u];
  data.stages.forEach((stage, i) => {
    card(p, i, 0, starts[i], W, heights[i]);
    head(p, i, 0, starts[i], W, top - 4);
    if (i) chevron(p, W / 2, starts[i] - gap / 2, 90);
  });
  const spans = starts.map((s, i) => [s + top - 6, s + heights[i]]);
  lanes(p, rows, at, spans, xy, pitch);
  rows.forEach((row, i) => {
    if (row.hidden) gapText(p, row, at(i) - pitch / 2, spans[0][0] + 20, true);
    else chip(p, row, at(i) - pitch / 2 + 1.5, spans[0][0] + 4, pitch - 3, 98);
  });
  const x = at(rows.length - 1);
  bars(p, 14, spans[3][0] + 46, W - 28, n_bars * 25, [spans[3][0], x], xy);
  pick(p, W / 2 - 90, starts[4] + top, 180, 60);
  note(p, 12, starts[4] + top + 68, W - 24, data.chosen.note);
  note(p, 8, starts[3] + 10, W / 2 - 60, "The last lane predicts.");
  p.H = starts[4] + heights[4] + legend(p, 0, starts[4] + heights[4] + 10, W);
}

// Rows of the picture: the lanes that are drawn, and one thin row for each run of hidden ones.
function laneRows(data) {
  const rows = [];
  let next = 0;
  data.positions.forEach((pos, lane) => {
    if (pos > next) rows.push({ hidden: pos - next, first: next });
    rows.push({ lane, pos });
    next = pos + 1;
  });
  return rows;
}

function lanes(p, rows, at, spans, xy, pitch) {
  const { data } = p;
  const chosenRow = rows.findIndex((row) => row.pos === data.pos);
  const last = rows.length - 1;
  const path = (u0, v0, u1, v1) => `M${xy(u0, v0)} L${xy(u1, v1)}`;
  rows.forEach((row, i) => {
    const own = i === chosenRow;
    const color = own || i === last ? p.primary : p.lane;
    const width = own ? 3 : i === last ? 2.5 : 1.4;
    if (row.hidden) {
      line(p, path(spans[0][1], at(i), spans[2][1] - 8, at(i)), p.lane, 1, "2 5");
      return;
    }
    line(p, path(spans[0][1] - 8, at(i), spans[1][0] + 8, at(i)), color, width);
    strip(p, row, spans[1], at(i), xy, pitch);
    line(
      p,
      path(spans[1][1] - 8, at(i), i === last ? spans[3][0] : spans[2][1] - 8, at(i)),
      color,
      width,
    );
    if (i !== last) dot(p, xy(spans[2][1] - 8, at(i)), 2.5, color);
  });
  blocks(p, rows, at, spans[2], xy, chosenRow);
}

function strip(p, row, span, v, xy, pitch) {
  const values = p.data.strip.values[row.lane];
  const room = span[1] - span[0] - 16;
  const cell = room / values.length,
    across = Math.min(18, pitch - 6);
  values.forEach((value, i) => {
    const strength = Math.min(1, Math.abs(value) / p.data.strip.limit);
    const [x, y] = xy(span[0] + 8 + i * cell, v - across / 2);
    const [width, height] = xy(cell, across);
    const rect = shape("rect", { x, y, width, height, class: "hit" });
    rect.style.fill = `color-mix(in srgb, ${value < 0 ? p.negative : p.positive} ${Math.round(strength * 100)}%, var(--st-background-color))`;
    rect.append(tip(`token ${row.pos}, number ${i}: ${value}`));
    p.lines.push(rect);
  });
}

function blocks(p, rows, at, span, xy, chosenRow) {
  const { data } = p;
  const n = data.layers.length;
  const isTall = p.flow.root.classList.contains("tall");
  const lead = isTall ? 6 : 12;
  const size = (span[1] - span[0] - lead - 12) / n;
  const every = Math.ceil((isTall ? 18 : 20) / size);
  const v0 = at(0) - 13,
    v1 = at(rows.length - 1) + 13;
  data.layers.forEach((layer, i) => {
    const u = span[0] + lead + i * size;
    const [x, y] = xy(u + 1, v0);
    const [w, h] = xy(size - 2, v1 - v0);
    const box = shape("rect", { x, y, width: Math.max(w, 1), height: Math.max(h, 1), rx: 5 });
    box.style.fill = i === data.layer ? p.primary : p.lane;
    box.style.fillOpacity = i === data.layer ? 0.2 : 0.1;
    p.lines.push(box);
    const middle = u + size * 0.5;
    if (layer.reads && chosenRow >= 0) {
      rows.forEach((row, r) => {
        const weight = layer.reads[r];
        if (!weight || weight < 0.01) return;
        const from = xy(u + size * 0.06, at(r)),
          to = xy(middle, at(chosenRow));
        const c1 = xy(u + size * 0.4, at(r)),
          c2 = xy(u + size * 0.2, at(chosenRow));
        const arc = line(p, `M${from} C${c1} ${c2} ${to}`, p.attention, 1 + 4 * weight);
        arc.style.strokeOpacity = 0.25 + 0.75 * Math.sqrt(weight);
        arc.classList.add("hit");
        arc.append(
          tip(
            `layer ${i}: token ${data.pos} reads ${row.hidden ? `${row.hidden} tokens not drawn` : `token ${row.pos}`} with weight ${weight} (mean over heads)`,
          ),
        );
      });
    }
    rows.forEach((row, r) => {
      if (row.hidden) return;
      const j = row.lane;
      if (layer.attn)
        dot(
          p,
          xy(middle, at(r)),
          radius(layer.attn[j], layer.pre[j], size),
          p.attention,
          `layer ${i}, token ${row.pos}: attention adds ${layer.attn[j]} to a stream of ${layer.pre[j]}`,
        );
      if (layer.mlp)
        dot(
          p,
          xy(u + size * 0.78, at(r)),
          radius(layer.mlp[j], layer.pre[j], size),
          p.feedforward,
          `layer ${i}, token ${row.pos}: feedforward adds ${layer.mlp[j]}; the stream leaves with ${layer.post[j]}`,
          true,
        );
    });
    const button = element(
      "button",
      "layer" + (i === data.layer && size >= 12 ? " chosen" : ""),
      p,
    );
    button.textContent = i % every === 0 || i === data.layer ? i : "";
    button.setAttribute("aria-label", `layer ${i}`);
    button.dataset.name = `layer ${i}`;
    button.title = `layer ${i}`;
    if (isTall) place(button, 4, u + 2, 24, Math.max(size - 4, 8));
    else place(button, u + 1, v0 - 20, Math.max(size - 2, 6), 18);
    button.addEventListener("click", () => p.flow.send("layer", i));
  });
}

function radius(added, stream, size) {
  return Math.min(1.2 + 4.2 * Math.sqrt(Math.min(1.5, added / (stream || 1))), size * 0.22);
}

function bars(p, x, y, width, height, from, xy) {
  const { data } = p;
  const rows = data.candidates;
  const pitch = height / Math.max(rows.length, 1);
  const most = Math.max(...rows.map((row) => row.p), 1e-9);
  const isTall = p.flow.root.classList.contains("tall");
  const name = isTall ? 130 : Math.min(width * 0.42, 90),
    number = 46;
  const start = xy(...from);
  rows.forEach((row, i) => {
    const mid = y + (i + 0.5) * pitch;
    const end = isTall ? [x + name / 2 + (i * (width - name)) / rows.length, y - 6] : [x - 2, mid];
    const bend = isTall
      ? [
          [start[0], (start[1] + end[1]) / 2],
          [end[0], (start[1] + end[1]) / 2],
        ]
      : [
          [(start[0] + end[0]) / 2, start[1]],
          [(start[0] + end[0]) / 2, end[1]],
        ];
    const isChosen = row.id === data.chosen.id;
    const fan = line(
      p,
      `M${start} C${bend[0]} ${bend[1]} ${end}`,
      isChosen ? p.primary : p.lane,
      isChosen ? 2 : 1,
    );
    fan.style.strokeOpacity = isChosen ? 1 : 0.6;
    const text = element(
      "div",
      "bar-token" + (row.id === null ? " others" : "") + (isChosen ? " strong" : ""),
      p,
    );
    text.dir = "auto";
    text.textContent = row.token;
    text.title = row.id === null ? row.token : `${row.token} (ID ${row.id})`;
    place(text, x, mid - 10, name, 20);
    const room = width - name - number - 6;
    const rect = shape("rect", {
      x: x + name + 4,
      y: mid - 7,
      width: Math.max((room * row.p) / most, 1),
      height: 14,
      rx: 2,
    });
    rect.style.fill = isChosen ? p.primary : p.lane;
    rect.style.fillOpacity = row.id === null ? 0.4 : 0.85;
    p.lines.push(rect);
    const share = element("div", "bar-share" + (isChosen ? " strong" : ""), p);
    share.textContent = row.share;
    place(share, x + width - number, mid - 8, number, 16);
  });
}

function pick(p, x, y, width, height) {
  const { chosen } = p.data;
  const box = element("div", "pick", p);
  const text = span("text", chosen.token);
  text.style.display = "block";
  text.dir = "auto";
  box.append(text, span("share", chosen.share));
  box.title = `${chosen.token} (ID ${chosen.id})`;
  place(box, x, y, width, height);
}

function card(p, i, x, y, width, height) {
  place(
    element("div", "card" + (p.data.stages[i].name === p.data.stage ? " open" : ""), p),
    x,
    y,
    width,
    height,
  );
}

function head(p, i, x, y, width, height) {
  const stage = p.data.stages[i];
  const button = element("button", "head", p);
  const title = span("title", stage.title);
  title.prepend(span("number", i + 1));
  button.append(title, span("shape", stage.shape));
  button.dataset.name = stage.name;
  button.setAttribute("aria-label", `Open ${stage.title}, ${stage.shape}`);
  button.setAttribute("aria-pressed", stage.name === p.data.stage);
  button.title = `Open ${stage.title}`;
  button.addEventListener("click", () => {
    p.flow.send("stage", stage.name);
    if (p.flow.root.classList.contains("tall"))
      document.querySelector(p.data.details)?.scrollIntoView({ behavior: "smooth" });
  });
  place(button, x, y, width, height);
}

function chip(p, row, x, y, width, height) {
  const { data } = p;
  const text = data.tokens[row.lane],
    id = data.ids[row.lane];
  const isLast = row.pos === data.n_tokens - 1;
  const button = element("button", "token" + (row.pos === data.pos ? " chosen" : ""), p);
  const shown = span("text", text);
  shown.dir = "auto";
  button.append(shown, span("id", id));
  button.title = `token ${row.pos}: ${text}, ID ${id}${isLast ? ", its lane makes the prediction" : ""}`;
  button.setAttribute("aria-label", button.title);
  button.setAttribute("aria-pressed", row.pos === data.pos);
  button.dataset.name = `token ${row.pos}`;
  button.addEventListener("click", () => p.flow.send("pos", row.pos));
  place(button, x, y, width, height);
}

function gapText(p, row, x, y, isTall) {
  const text = element("div", "gap", p);
  text.textContent = isTall ? "⋯" : `⋮ ${row.hidden} more`;
  text.title = `tokens ${row.first} to ${row.first + row.hidden - 1} are not drawn`;
  place(text, x, y, isTall ? 24 : 130, 18);
}

function note(p, x, y, width, words) {
  const text = element("div", "note", p);
  text.textContent = words;
  text.style.left = `${x}px`;
  text.style.top = `${y}px`;
  text.style.width = `${width}px`;
}

// Says what the marks mean; returns the height it takes.
function legend(p, x, y, width) {
  const box = element("div", "legend", p);
  const entries = [
    ["●", p.attention, "attention: lanes meet"],
    ["■", p.feedforward, "feedforward: each lane alone"],
    ["⌒", p.attention, "what the chosen token reads (mean over heads)"],
    ["", "", "A mark is larger where more is added, compared with what the lane holds."],
  ];
  for (const [mark, color, words] of entries) {
    const entry = span("entry", "");
    if (mark) {
      const symbol = span("symbol", mark);
      symbol.style.color = color;
      entry.append(symbol);
    }
    entry.append(words);
    box.append(entry);
  }
  Object.assign(box.style, { left: `${x}px`, top: `${y}px`, width: `${width}px` });
  p.flow.root.append(box);
  return box.offsetHeight + 12;
}

function chevron(p, x, y, degrees) {
  const path = line(p, `M${x - 4},${y - 7} L${x + 4},${y} L${x - 4},${y + 7}`, p.lane, 2.5);
  path.setAttribute("transform", `rotate(${degrees} ${x} ${y})`);
}

function dot(p, [x, y], r, color, words, hollow) {
  const circle = shape("circle", { cx: x, cy: y, r });
  circle.style.fill = color;
  if (words) {
    circle.classList.add("hit");
    circle.append(tip(words));
  }
  if (hollow) {
    const square = shape("rect", {
      x: x - r,
      y: y - r,
      width: 2 * r,
      height: 2 * r,
      rx: 1,
      class: "hit",
    });
    square.style.fill = color;
    square.append(tip(words));
    p.lines.push(square);
    return;
  }
  p.lines.push(circle);
}

function line(p, d, color, width, dashes) {
  const path = shape("path", { d, fill: "none", "stroke-linecap": "round" });
  path.style.stroke = color;
  path.style.strokeWidth = width;
  if (dashes) path.style.strokeDasharray = dashes;
  p.lines.push(path);
  return path;
}

function shape(name, attributes) {
  const node = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
  return node;
}

function tip(words) {
  const title = document.createElementNS(SVG, "title");
  title.textContent = words;
  return title;
}

function element(tag, className, p) {
  const node = document.createElement(tag);
  node.className = className;
  if (tag === "button") node.type = "button";
  p.parts.push(node);
  return node;
}

function span(className, text) {
  const node = document.createElement("span");
  node.className = className;
  node.textContent = text;
  return node;
}

function place(node, x, y, width, height) {
  Object.assign(node.style, {
    left: `${x}px`,
    top: `${y}px`,
    width: `${width}px`,
    height: `${height}px`,
  });
}

function share(total, wishes) {
  const sum = wishes.reduce((a, b) => a + b);
  return wishes.map((wish) => (wish * total) / sum);
}
