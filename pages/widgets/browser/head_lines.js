// One head as lines from each query token (left) to the key tokens it reads (right).
const instances = new WeakMap();
const ROW_PX = 22;
const SVG = "http://www.w3.org/2000/svg";

export default function ({ data, parentElement, setTriggerValue }) {
  let view = instances.get(parentElement);
  if (!view) {
    view = create(parentElement);
    instances.set(parentElement, view);
  }
  view.send = (pos) => setTriggerValue("picked", pos);
  update(view, data);
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
  parentElement.append(box);
  const view = { lines, queries, keys, svg, scroll, selected: null };
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
    const last = view.queries.children.length - 1;
    const moves = { ArrowDown: pos + 1, ArrowUp: pos - 1, Home: 0, End: last };
    if (event.key === "Enter" || event.key === " ") choose(pos);
    else if (event.key in moves) {
      const next = Math.min(last, Math.max(0, moves[event.key]));
      focusable(view, next);
      view.queries.children[next].focus();
    } else return;
    event.preventDefault();
    event.stopPropagation();
  });
  queries.addEventListener("pointerover", (event) => show(view, "query", posOf(event)));
  keys.addEventListener("pointerover", (event) => show(view, "key", posOf(event)));
  lines.addEventListener("pointerleave", () => show(view, "query", view.selected ?? -1));
  return view;
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
  const y = (pos) => (pos + 0.5) * ROW_PX;
  view.paths = lines.query.map((query, i) => {
    const key = lines.key[i];
    const path = document.createElementNS(SVG, "path");
    path.setAttribute("d", `M0 ${y(query)}C45 ${y(query)} 55 ${y(key)} 100 ${y(key)}`);
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
  [...view.queries.children].forEach((row, i) => row.setAttribute("aria-selected", i === pos));
  if (pos !== null) {
    focusable(view, pos);
    const [top, height] = [pos * ROW_PX, view.scroll.clientHeight];
    if (top < view.scroll.scrollTop || top + ROW_PX > view.scroll.scrollTop + height)
      view.scroll.scrollTop = top - height / 2;
  }
  show(view, "query", pos ?? -1);
}

function focusable(view, pos) {
  [...view.queries.children].forEach((row, i) => (row.tabIndex = i === pos ? 0 : -1));
}

// Show only the lines from one query or to one key, with their numbers; all lines if pos is -1.
function show(view, side, pos) {
  const { lines, tokens } = view.data;
  view.lines.classList.toggle("focused", pos >= 0);
  const read = new Map();
  view.paths.forEach((path, i) => {
    const on = lines[side][i] === pos;
    path.classList.toggle("on", on);
    if (on && side === "query") read.set(lines.key[i], lines.weight[i]);
  });
  [...view.keys.children].forEach((row, i) => {
    const weight = read.get(i);
    row.style.setProperty("--w", weight ?? 0);
    row.textContent = tokens[i];
    if (weight !== undefined) row.append(element("span", "number", weight.toFixed(2)));
  });
}

function element(tag, className, text = "") {
  const made = document.createElement(tag);
  made.className = className;
  made.textContent = text;
  return made;
}
