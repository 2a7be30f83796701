// The forward pass as one picture: five cards, one lane per token through them.
import { named } from "./chips.js";
import { element } from "./dom.js";
import { candidateBars, flowLayout, layerBands } from "./flow_layout.js";
import { flowMarks } from "./flow_marks.js";
import { pictured } from "./picture.js";
import { colourList, letterScale, variables } from "./theme.js";

const instances = new WeakMap();
const SVG = "http://www.w3.org/2000/svg";

export default function ({ data, parentElement, setTriggerValue }) {
  let flow = instances.get(parentElement);
  if (!flow) {
    const root = element("div", "flow");
    root.setAttribute("role", "group");
    parentElement.append(pictured(root));
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

// The colours of the parts, from the theme.
export function inksOf(value) {
  const colours = colourList(value("chart-categorical-colors"));
  return {
    attention: colours[5] || "#3d8fc4",
    feedforward: colours[3] || "#b0568c",
    positive: colours[0] || "#0072b2",
    negative: colours[1] || "#d55e00",
    primary: value("primary-color") || "#1d5fb4",
    lane: "var(--lane)",
  };
}

// The picture is laid out in pixels for letters of the usual size; larger ones enlarge all of it.
function enlarge(root, scale) {
  root.style.zoom = scale === 1 ? "" : scale;
  if (scale === 1) root.style.removeProperty("--letter");
  else root.style.setProperty("--letter", "16px");
}

function draw(flow) {
  const { root, data } = flow;
  enlarge(root, letterScale());
  flow.width = root.clientWidth;
  if (!flow.width) return;
  const focused = root.getRootNode().activeElement?.dataset?.name;
  const layout = flowLayout(data, flow.width);
  root.setAttribute("aria-label", data.label);
  root.classList.toggle("tall", layout.isTall);
  const inks = inksOf(variables(getComputedStyle(root)));
  const key = legend(layout, inks);
  root.append(key); // to learn how high it is
  const height = layout.bottom + key.offsetHeight + 12;
  const svg = document.createElementNS(SVG, "svg");
  svg.setAttribute("width", layout.width);
  svg.setAttribute("height", height);
  svg.append(...flowMarks(data, layout, inks).map(drawn));
  root.style.height = `${height}px`;
  root.replaceChildren(...cards(data, layout), svg, ...buttonsAndWords(flow, layout), key);
  if (focused) root.querySelector(`[data-name="${focused}"]`)?.focus({ preventScroll: true });
}

function cards(data, layout) {
  return layout.cards.map((box, i) => {
    const isOpen = data.stages[i].name === data.stage;
    return placed(element("div", isOpen ? "card open" : "card"), box);
  });
}

function buttonsAndWords(flow, layout) {
  const { data } = flow;
  return [
    ...data.stages.map((stage, i) => head(flow, layout, stage, i)),
    ...layerButtons(flow, layout),
    ...layout.rows.map((row, i) =>
      row.hidden ? gap(layout, row, layout.lanes[i]) : chip(flow, row, layout.lanes[i]),
    ),
    ...bars(data, layout),
    pick(data.chosen, layout.pick),
    ...layout.notes.map((note) => placed(element("div", "note", note.words), note)),
  ];
}

function head(flow, layout, stage, i) {
  const { data, send } = flow;
  const made = button("head", stage.name);
  const title = element("span", "title", stage.title);
  title.prepend(element("span", "number", i + 1), " ");
  made.append(title, element("span", "shape", stage.shape));
  made.setAttribute("aria-pressed", stage.name === data.stage);
  named(made, `Open ${stage.title}`);
  made.addEventListener("click", () => {
    send("stage", stage.name);
    // Where there is room, the whole picture stays over the beginning of what it opens.
    const shown = layout.isTall ? document.querySelector(data.details) : made.closest(".flow");
    const still = window.matchMedia("(prefers-reduced-motion: reduce)").matches;
    shown?.scrollIntoView({ behavior: still ? "auto" : "smooth", block: "start" });
  });
  return placed(made, { ...layout.cards[i], height: layout.headHeight });
}

function layerButtons({ data, send }, layout) {
  const { size, every, bands } = layerBands(layout, data.layers.length);
  return bands.map((band, i) => {
    const isChosen = i === data.layer;
    const made = button(isChosen && size >= 12 ? "layer chosen" : "layer", `layer ${i}`);
    made.textContent = isNumbered(i, data.layer, every) ? i : "";
    made.setAttribute("aria-label", `layer ${i}`);
    made.title = `layer ${i}`;
    made.addEventListener("click", () => send("layer", i));
    return placed(made, band.button);
  });
}

function chip({ data, send }, { lane, pos }, box) {
  const [text, id] = [data.tokens[lane], data.ids[lane]];
  const isLast = pos === data.n_tokens - 1;
  const made = button(pos === data.pos ? "token chosen" : "token", `token ${pos}`);
  const shown = element("span", "text", text);
  shown.dir = "auto";
  made.append(shown, element("span", "id", id));
  named(made, `token ${pos}: ${text}, ID ${id}${isLast ? ", its lane makes the prediction" : ""}`);
  made.setAttribute("aria-pressed", pos === data.pos);
  made.addEventListener("click", () => send("pos", pos));
  return placed(made, box);
}

function gap({ isTall }, { hidden, first }, box) {
  const made = element("div", "gap", isTall ? "⋯" : `⋮ ${hidden} more`);
  made.title = `tokens ${first} to ${first + hidden - 1} are not drawn`;
  return placed(made, box);
}

function bars(data, layout) {
  return candidateBars(layout, data.candidates).flatMap((boxes, i) => {
    const { id, token, share } = data.candidates[i];
    const strong = id === data.chosen.id ? " strong" : "";
    const name = element("div", `bar-token${id === null ? " others" : ""}${strong}`, token);
    name.dir = "auto";
    name.title = id === null ? token : `${token} (ID ${id})`;
    const number = element("div", `bar-share${strong}`, share);
    return [placed(name, boxes.name), placed(number, boxes.share)];
  });
}

function pick(chosen, box) {
  const made = element("div", "pick");
  const text = element("span", "text", chosen.token);
  text.style.display = "block";
  text.dir = "auto";
  made.append(text, element("span", "share", chosen.share));
  made.title = `${chosen.token} (ID ${chosen.id})`;
  return placed(made, box);
}

// Says what the marks mean.
function legend(layout, inks) {
  const made = element("div", "legend");
  const entries = [
    ["●", inks.attention, "attention: lanes meet"],
    ["■", inks.feedforward, "feedforward: each lane alone"],
    ["⌒", inks.attention, "what the chosen token reads (mean over heads)"],
    ["", "", "A mark is larger where more is added, compared with what the lane holds."],
  ];
  for (const [mark, colour, words] of entries) {
    const entry = element("span", "entry");
    if (mark) {
      const symbol = element("span", "symbol", mark);
      symbol.style.color = colour;
      entry.append(symbol);
    }
    entry.append(words);
    made.append(entry);
  }
  return placed(made, { x: 0, y: layout.bottom + 10, width: layout.width });
}

function button(className, name) {
  const made = element("button", className);
  made.type = "button";
  made.dataset.name = name;
  return made;
}

function placed(node, { x, y, width, height }) {
  const style = { left: `${x}px`, top: `${y}px`, width: `${width}px` };
  if (height !== undefined) style.height = `${height}px`;
  Object.assign(node.style, style);
  return node;
}

function drawn({ tag, attributes, style, words }) {
  const node = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
  Object.assign(node.style, style);
  if (words) {
    node.classList.add("hit");
    const title = document.createElementNS(SVG, "title");
    title.textContent = words;
    node.append(title);
  }
  return node;
}
