// All heads of all layers as small multiples: one button with a picture per head.
import { focusable } from "./chips.js";
import { element } from "./dom.js";
import { movedInGrid } from "./keys.js";
import { pictured } from "./picture.js";
import { colourList, variables } from "./theme.js";

const instances = new WeakMap();
const WHAT = "Each square is one head: rows are queries, columns are keys.";
const MOST_SPELLED = 10;
const HINT = globalThis.inlookComponents ? WHAT : `${WHAT} Click one to open it.`; // not in a file

export default function ({ data, parentElement, setTriggerValue }) {
  let grid = instances.get(parentElement);
  if (!grid) {
    grid = create(parentElement);
    instances.set(parentElement, grid);
  }
  grid.send = (layer, head) => setTriggerValue("picked", [layer, head]);
  update(grid, data, parentElement);
}

// What Python sends: the length of a JSON header as uint32, the header, then one byte per pixel, 0 for a
// masked key, else 1 + 254 * sqrt(weight).
export function unpacked(bytes) {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const length = view.getUint32(0, true);
  const header = JSON.parse(new TextDecoder().decode(bytes.subarray(4, 4 + length)));
  return { header, pixels: bytes.subarray(4 + length) };
}

// The colours of one tile, `size` pixels wide and high.
export function tileColours(pixels, tile, size, palette) {
  const out = new Uint32Array(size * size);
  const start = tile * out.length;
  for (let i = 0; i < out.length; i++) out[i] = palette[pixels[start + i]];
  return out;
}

// How many tiles lie in the first row, from the upper edges of all.
export function rowLength(tops) {
  const second = tops.findIndex((top) => top > tops[0]);
  return second < 0 ? tops.length : second;
}

export function equal(one, other) {
  return one.length === other.length && one.every((number, i) => number === other[i]);
}

function create(parentElement) {
  const box = element("div", "box");
  const scroll = element("div", "scroll");
  const root = element("div", "grid");
  const tip = element("div", "tip");
  tip.setAttribute("aria-hidden", "true");
  scroll.append(root);
  box.append(scroll, tip);
  parentElement.append(pictured(box));
  const grid = { root, tip, tiles: [], selected: null };
  listen(grid);
  return grid;
}

function listen(grid) {
  const { root, tip } = grid;
  const tileOf = (event) => event.target.closest(".tile");
  root.addEventListener("click", (event) => {
    const tile = tileOf(event);
    if (!tile) return;
    const [layer, head] = [Number(tile.dataset.layer), Number(tile.dataset.head)];
    mark(grid, [layer, head]);
    grid.send(layer, head);
  });
  root.addEventListener("keydown", (event) => {
    const { tiles, n_heads } = grid;
    const from = tiles.indexOf(tileOf(event));
    if (from < 0) return;
    const nColumns = n_heads ?? rowLength(tiles.map((tile) => tile.offsetTop));
    const to = movedInGrid(event.key, from, tiles.length, nColumns, !n_heads);
    if (to === null) return;
    event.preventDefault();
    event.stopPropagation();
    focusable(tiles, tiles[to]);
    tiles[to].focus();
  });
  const describe = (event) => {
    tip.textContent = tileOf(event)?.title ?? HINT;
  };
  root.addEventListener("pointerover", describe);
  root.addEventListener("focusin", describe);
  root.addEventListener("pointerleave", () => {
    tip.textContent = HINT;
  });
}

function update(grid, bytes, parentElement) {
  const { header, pixels } = unpacked(bytes);
  const shape = JSON.stringify([header.layers, header.n_heads, header.captions, header.label]);
  if (grid.shape !== shape) {
    grid.shape = shape;
    grid.picture = null;
    build(grid, header);
  }
  const palette = colours(parentElement);
  const picture = [pixels, palette];
  if (!grid.picture || !picture.every((part, i) => equal(part, grid.picture[i]))) {
    grid.picture = picture;
    const canvas = document.createElement("canvas");
    canvas.width = canvas.height = header.size;
    for (const [i, tile] of grid.tiles.entries()) {
      const painted = paint(canvas, tileColours(pixels, i, header.size, palette));
      tile.style.backgroundImage = `url(${painted})`;
    }
  }
  if (grid.n_sent !== header.n_sent) {
    grid.n_sent = header.n_sent;
    if (String(grid.selected) !== String(header.selected)) mark(grid, header.selected);
  }
}

function build(grid, { layers, n_heads, captions, label }) {
  grid.n_heads = n_heads;
  grid.tip.textContent = HINT;
  grid.root.setAttribute("role", "group");
  grid.root.setAttribute("aria-label", label);
  grid.tiles = [];
  const cells = captions ? inOrder(grid, captions) : byLayerAndHead(grid, layers, n_heads);
  focusable(grid.tiles, grid.tiles[0]);
  mark(grid, grid.selected);
  grid.root.replaceChildren(...cells);
}

function byLayerAndHead(grid, layers, n_heads) {
  grid.root.style.gridTemplateColumns = `2.2em repeat(${n_heads}, minmax(18px, 104px))`;
  // Two letters and a digit do not fit over a narrow square: there, the corner says what is counted.
  const [corner, before] = n_heads > MOST_SPELLED ? ["H", ""] : ["", "H"];
  const titled = (_, head) => element("div", "axis", `${before}${head}`);
  grid.heads = Array.from({ length: n_heads }, titled);
  grid.layers = new Map(layers.map((layer) => [layer, element("div", "axis", `L${layer}`)]));
  const cells = [element("div", "axis", corner), ...grid.heads];
  for (const layer of layers) {
    cells.push(grid.layers.get(layer));
    for (let head = 0; head < n_heads; head++) cells.push(tile(grid, layer, head));
  }
  return cells;
}

function inOrder(grid, captions) {
  grid.root.style.gridTemplateColumns = "repeat(auto-fill, minmax(46px, 1fr))";
  grid.heads = [];
  grid.layers = new Map();
  return captions.map(([layer, head, caption]) => {
    const cell = element("div", "cell");
    const text = element("div", "axis", `L${layer} H${head}`);
    text.append(document.createElement("br"), caption);
    cell.append(tile(grid, layer, head, `: ${caption}`), text);
    return cell;
  });
}

function tile(grid, layer, head, caption = "") {
  const made = element("button", "tile");
  made.type = "button";
  made.dataset.layer = layer;
  made.dataset.head = head;
  made.title = `Layer ${layer}, head ${head}${caption}`;
  made.setAttribute("aria-label", made.title);
  grid.tiles.push(made);
  return made;
}

// A picture, not a canvas of its own: many canvases slow down every frame of the page.
function paint(canvas, tileOfColours) {
  const image = new ImageData(canvas.width, canvas.height);
  new Uint32Array(image.data.buffer).set(tileOfColours);
  canvas.getContext("2d").putImageData(image, 0, 0);
  return canvas.toDataURL();
}

// 256 colours between the theme's sequential chart colours, as little-endian RGBA; masked is transparent.
function colours(parentElement) {
  const style = getComputedStyle(parentElement.host ?? parentElement);
  const stops = colourList(variables(style)("chart-sequential-colors"));
  const canvas = document.createElement("canvas");
  canvas.width = 256;
  canvas.height = 1;
  const context = canvas.getContext("2d");
  const gradient = context.createLinearGradient(0, 0, 256, 0);
  for (const [i, stop] of stops.entries()) gradient.addColorStop(i / (stops.length - 1), stop);
  context.fillStyle = gradient;
  context.fillRect(0, 0, 256, 1);
  const palette = new Uint32Array(context.getImageData(0, 0, 256, 1).data.buffer.slice(0));
  palette[0] = 0;
  return palette;
}

function mark(grid, selected) {
  grid.selected = selected;
  const [layer, head] = selected ?? [null, null];
  for (const tile of grid.tiles) {
    const on = Number(tile.dataset.layer) === layer && Number(tile.dataset.head) === head;
    tile.setAttribute("aria-pressed", on);
    if (on) focusable(grid.tiles, tile);
  }
  for (const [i, label] of grid.heads.entries()) label.classList.toggle("on", i === head);
  for (const [i, label] of grid.layers) label.classList.toggle("on", i === layer);
}
