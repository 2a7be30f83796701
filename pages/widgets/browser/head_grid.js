// All heads of all layers as small multiples: one button with a picture per head.
// data: uint32 length of a JSON header, the header, then one byte per pixel: 0 for a masked key, else
// 1 + 254 * sqrt(weight).
const instances = new WeakMap();

export default function ({ data, parentElement, setTriggerValue }) {
  let grid = instances.get(parentElement);
  if (!grid) {
    grid = create(parentElement);
    instances.set(parentElement, grid);
  }
  grid.send = (layer, head) => setTriggerValue("picked", [layer, head]);
  update(grid, data, parentElement);
}

function create(parentElement) {
  const box = element("div", "box");
  const scroll = element("div", "scroll");
  const root = element("div", "grid");
  const tip = element("div", "tip");
  tip.setAttribute("aria-hidden", "true");
  scroll.append(root);
  box.append(scroll, tip);
  parentElement.append(box);
  const grid = { root, tip, tiles: [], row: 0, column: 0, selected: null };
  const tileOf = (event) => event.target.closest(".tile");
  root.addEventListener("click", (event) => {
    const tile = tileOf(event);
    if (!tile) return;
    const [layer, head] = [Number(tile.dataset.layer), Number(tile.dataset.head)];
    mark(grid, [layer, head]);
    grid.send(layer, head);
  });
  root.addEventListener("keydown", (event) => {
    const from = grid.tiles.indexOf(tileOf(event));
    const n_columns = grid.n_heads ?? rowLength(grid);
    const step = { ArrowRight: 1, ArrowLeft: -1, ArrowDown: n_columns, ArrowUp: -n_columns }[
      event.key
    ];
    if (!step || from < 0) return;
    event.preventDefault();
    event.stopPropagation();
    const to = from + step;
    const sameRow = !grid.n_heads || Math.floor(to / n_columns) === Math.floor(from / n_columns);
    if (to < 0 || to >= grid.tiles.length || (Math.abs(step) === 1 && !sameRow)) return;
    focusable(grid, grid.tiles[to]);
    grid.tiles[to].focus();
  });
  const describe = (event) => {
    const tile = tileOf(event);
    tip.textContent = tile ? tile.title : grid.hint;
  };
  root.addEventListener("pointerover", describe);
  root.addEventListener("focusin", describe);
  root.addEventListener("pointerleave", () => (tip.textContent = grid.hint));
  return grid;
}

function update(grid, bytes, parentElement) {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const length = view.getUint32(0, true);
  const header = JSON.parse(new TextDecoder().decode(bytes.subarray(4, 4 + length)));
  const pixels = bytes.subarray(4 + length);
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
    grid.tiles.forEach((tile, i) => {
      tile.style.backgroundImage = `url(${paint(canvas, pixels, i, header.size, palette)})`;
    });
  }
  if (grid.n_sent !== header.n_sent) {
    grid.n_sent = header.n_sent;
    mark(grid, header.selected);
  }
}

function equal(one, other) {
  return one.length === other.length && one.every((number, i) => number === other[i]);
}

function build(grid, { layers, n_heads, captions, label }) {
  grid.n_heads = n_heads;
  grid.hint = "Each square is one head: rows are queries, columns are keys. Click one to open it.";
  grid.tip.textContent = grid.hint;
  grid.root.setAttribute("role", "group");
  grid.root.setAttribute("aria-label", label);
  grid.tiles = [];
  const cells = captions ? inOrder(grid, captions) : byLayerAndHead(grid, layers, n_heads);
  focusable(grid, grid.tiles[0]);
  mark(grid, grid.selected);
  grid.root.replaceChildren(...cells);
}

function byLayerAndHead(grid, layers, n_heads) {
  grid.root.style.gridTemplateColumns = `2.2em repeat(${n_heads}, minmax(18px, 104px))`;
  grid.heads = Array.from({ length: n_heads }, (_, head) => axis(`H${head}`));
  grid.layers = new Map();
  const cells = [axis(""), ...grid.heads];
  for (const layer of layers) {
    grid.layers.set(layer, axis(`L${layer}`));
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
    const text = axis(`L${layer} H${head}`);
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

function rowLength(grid) {
  const top = grid.tiles[0].offsetTop;
  const second = grid.tiles.findIndex((made) => made.offsetTop > top);
  return second < 0 ? grid.tiles.length : second;
}

// A picture, not a canvas of its own: many canvases slow down every frame of the page.
function paint(canvas, pixels, tile, size, palette) {
  const image = new ImageData(size, size);
  const out = new Uint32Array(image.data.buffer);
  const start = tile * size * size;
  for (let i = 0; i < size * size; i++) out[i] = palette[pixels[start + i]];
  canvas.getContext("2d").putImageData(image, 0, 0);
  return canvas.toDataURL();
}

// 256 colours between the theme's sequential chart colours, as little-endian RGBA; masked is transparent.
function colours(parentElement) {
  const host = parentElement.host ?? parentElement;
  const stops = getComputedStyle(host).getPropertyValue("--st-chart-sequential-colors").split(",");
  const canvas = document.createElement("canvas");
  canvas.width = 256;
  canvas.height = 1;
  const context = canvas.getContext("2d");
  const gradient = context.createLinearGradient(0, 0, 256, 0);
  stops.forEach((stop, i) => gradient.addColorStop(i / (stops.length - 1), stop.trim()));
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
    if (on) focusable(grid, tile);
  }
  grid.heads.forEach((label, i) => label.classList.toggle("on", i === head));
  grid.layers.forEach((label, i) => label.classList.toggle("on", i === layer));
}

function focusable(grid, chosen) {
  for (const tile of grid.tiles) tile.tabIndex = tile === chosen ? 0 : -1;
}

function axis(text) {
  const label = element("div", "axis");
  label.textContent = text;
  return label;
}

function element(tag, className) {
  const made = document.createElement(tag);
  made.className = className;
  return made;
}
