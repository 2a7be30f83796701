// One head as lines from each query token (left) to the key tokens it reads (right).
import { focusable } from "./chips.js";
import { element } from "./dom.js";
import { moved } from "./keys.js";
import { pictured } from "./picture.js";

const instances = new WeakMap();
const ROW_PX = 22;
const SVG = "http://www.w3.org/2000/svg";
const STEPS = { ArrowDown: 1, ArrowUp: -1 };

export default function ({ data, parentElement, setTriggerValue }) {
  let view = instances.get(parentElement);
  if (!view) {
    view = create(parentElement);
    instances.set(parentElement, view);
  }
  view.send = (pos) => setTriggerValue("picked", pos);
  update(view, data);
}

// The path from the middle of the query's row to that of the key's row, across a width of 100.
export function curve(query, key) {
  const [from, to] = [query, key].map((pos) => (pos + 0.5) * ROW_PX);
  return `M0 ${from}C45 ${from} 55 ${to} 100 ${to}`;
}

// How far to scroll so that a row is in sight of a box of this height: only if it is not.
export function scrolled(pos, scrollTop, height) {
  const top = pos * ROW_PX;
  return top < scrollTop || top + ROW_PX > scrollTop + height ? top - height / 2 : scrollTop;
}

// Which lines go from one query, or to one key; and by key what that query reads from it.
export function linesOf(lines, side, pos) {
  const on = lines[side].map((end) => end === pos);
  const read = new Map();
  if (side === "query") {
    for (const [i, key] of lines.key.entries()) if (on[i]) read.set(key, lines.weight[i]);
  }
  return { on, read };
}

function create(parentElement) {
  const box = element("div", "box");
  const heads = element("div", "heads");
  heads.append(
    element("span", "", "query: this token reads …"),
    element("span", "", "… from this key"),
  );
  const scroll = element("div", "scroll");
  const lines = element("div", "lines");
  const queries = element("div", "column");
  const keys = element("div", "column");
  queries.setAttribute("role", "listbox");
  const svg = document.createElementNS(SVG, "svg");
  svg.setAttribute("preserveAspectRatio", "none");
  svg.setAttribute("aria-hidden", "true");
  lines.append(queries, svg, keys);
  scroll.append(lines);
  box.append(heads, scroll);
  parentElement.append(pictured(box));
  const view = { lines, queries, keys, svg, scroll, selected: null };
  listen(view);
  return view;
}

function listen(view) {
  const { lines, queries, keys } = view;
  const posOf = (event) => Number(event.target.closest(".token")?.dataset.pos ?? -1);
  const choose = (pos) => {
    if (pos < 0) return;
    mark(view, pos);
    view.send(pos);
  };
  queries.addEventListener("click", (event) => choose(posOf(event)));
  queries.addEventListener("keydown", (event) => {
    const pos = posOf(event);
    if (pos < 0) return;
    const to = moved(event.key, pos, queries.children.length, STEPS);
    if (event.key === "Enter" || event.key === " ") choose(pos);
    else if (to !== null) {
      focusable(queries.children, queries.children[to]);
      queries.children[to].focus();
    } else return;
    event.preventDefault();
    event.stopPropagation();
  });
  queries.addEventListener("pointerover", (event) => show(view, "query", posOf(event)));
  keys.addEventListener("pointerover", (event) => show(view, "key", posOf(event)));
  lines.addEventListener("pointerleave", () => show(view, "query", view.selected ?? -1));
}

function update(view, data) {
  const content = JSON.stringify([data.tokens, data.lines, data.label, data.start]);
  if (view.content !== content) {
    view.content = content;
    view.data = data;
    build(view, data);
    mark(view, view.selected < data.tokens.length ? view.selected : null);
  }
  view.scroll.style.setProperty("--height", `${data.height}px`);
  if (view.n_sent !== data.n_sent) {
    view.n_sent = data.n_sent;
    mark(view, data.selected);
  }
}

function build(view, { tokens, lines, label, start }) {
  view.queries.setAttribute("aria-label", label);
  view.queries.replaceChildren(...tokens.map((token, pos) => tokenRow("query", token, pos, start)));
  view.keys.replaceChildren(...tokens.map((token, pos) => tokenRow("key", token, pos, start)));
  const height = tokens.length * ROW_PX;
  view.svg.setAttribute("viewBox", `0 0 100 ${height}`);
  view.svg.style.height = `${height}px`;
  view.paths = lines.query.map((query, i) => {
    const path = document.createElementNS(SVG, "path");
    path.setAttribute("d", curve(query, lines.key[i]));
    path.style.setProperty("--w", lines.weight[i]);
    return path;
  });
  view.svg.replaceChildren(...view.paths);
}

function tokenRow(kind, token, pos, start) {
  const row = element("div", `token ${kind}`, token);
  row.dataset.pos = pos;
  row.dir = "auto";
  row.title = `token ${start + pos}: ${token}`;
  if (kind === "query") {
    row.setAttribute("role", "option");
    row.setAttribute("aria-label", row.title);
    row.tabIndex = pos === 0 ? 0 : -1;
  }
  return row;
}

function mark(view, pos) {
  view.selected = pos;
  for (const [i, row] of [...view.queries.children].entries()) {
    row.setAttribute("aria-selected", i === pos);
  }
  if (pos !== null) {
    focusable(view.queries.children, view.queries.children[pos]);
    const { scrollTop, clientHeight } = view.scroll;
    const to = scrolled(pos, scrollTop, clientHeight);
    if (to !== scrollTop) view.scroll.scrollTop = to;
  }
  show(view, "query", pos ?? -1);
}

// Shows only the lines from one query or to one key, with their numbers; all lines if pos is -1.
function show(view, side, pos) {
  const { lines, tokens } = view.data;
  const { on, read } = linesOf(lines, side, pos);
  view.lines.classList.toggle("focused", pos >= 0);
  for (const [i, path] of view.paths.entries()) path.classList.toggle("on", on[i]);
  for (const [i, row] of [...view.keys.children].entries()) {
    const weight = read.get(i);
    row.style.setProperty("--w", weight ?? 0);
    row.textContent = tokens[i];
    if (weight !== undefined) row.append(element("span", "number", weight.toFixed(2)));
  }
}
