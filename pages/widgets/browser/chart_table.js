// What do the marks of a Plotly figure say as a table? Its axes' titles head the columns.

const NUMBERS = {
  f8: Float64Array,
  f4: Float32Array,
  i4: Int32Array,
  u4: Uint32Array,
  i2: Int16Array,
  u2: Uint16Array,
  i1: Int8Array,
  u1: Uint8Array,
};
const VARIABLE = /%\{(\w+)(?:\[(\d+)\])?(?::([^}]*))?\}/g;
const PLACES = ["x", "y", "z", "base"];
const WHICH = "which";
const WORDS = "in words";
const ENTITIES = { lt: "<", gt: ">", quot: '"', "#39": "'", nbsp: " ", amp: "&" };

// { columns, rows, percent }: one row per mark that says something when it is hovered over, each a list
// of texts and numbers. `percent` names the columns whose numbers are shares.
export function tableOf({ data, layout = {} }) {
  const speaking = data.filter((trace) => trace.hoverinfo !== "skip" && trace.visible !== false);
  const traces = speaking.length ? speaking : data.filter((trace) => trace.visible !== false);
  const names = new Set(traces.map((trace) => plainText(trace.name ?? "")));
  const percent = new Set();
  const found = traces.flatMap((trace) => marksOf(trace, layout, names.size > 1, percent));
  const columns = [WHICH, ...new Set(found.flatMap((row) => Object.keys(row))), WORDS].filter(
    (name, at, all) => found.some((row) => name in row) && all.lastIndexOf(name) === at,
  );
  if (columns.includes(WHICH)) columns.unshift(...columns.splice(columns.indexOf(WHICH), 1));
  return { columns, rows: found.map((row) => columns.map((name) => row[name] ?? "")), percent };
}

// As CSV (RFC 4180). A text that a spreadsheet would compute begins with an apostrophe.
export function csvOf({ columns, rows }) {
  const cell = (value) => {
    const text = typeof value === "string" ? inert(value) : String(value);
    return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
  };
  return [columns, ...rows].map((row) => `${row.map(cell).join(",")}\r\n`).join("");
}

function inert(text) {
  return /^[=+\-@\t\r]/.test(text.slice(0, 1).normalize("NFKC")) ? `'${text}` : text;
}

// A number as the page writes numbers: whole ones in full, others with three digits.
export function writtenNumber(value, isShare = false) {
  if (typeof value !== "number") return value;
  const shown = isShare ? value * 100 : value;
  const size = Math.abs(shown);
  if (size && (size < 1e-4 || size >= 1e15))
    return `${shown.toExponential(2)}${isShare ? "%" : ""}`;
  const digits = Number.isInteger(shown) || size >= 1000 ? { maximumFractionDigits: 0 } : {};
  const few = digits.maximumFractionDigits === 0 ? digits : { maximumSignificantDigits: 3 };
  return `${shown.toLocaleString("en", few).replace("-", "−")}${isShare ? "%" : ""}`;
}

// The numbers or texts of an array as it is sent, in one list, and how long its rows are.
export function listOf(sent) {
  if (sent === undefined || sent === null) return { list: [], width: null };
  if (sent.bdata !== undefined) {
    const bytes = Uint8Array.from(atob(sent.bdata), (letter) => letter.charCodeAt(0));
    const shape = String(sent.shape ?? "").split(",");
    const width = shape.length > 1 ? Number(shape[1]) : null;
    return { list: [...new NUMBERS[sent.dtype](bytes.buffer)], width };
  }
  const rows = [...sent];
  const isMatrix = Array.isArray(rows[0]);
  return { list: isMatrix ? rows.flat() : rows, width: isMatrix ? rows[0].length : null };
}

function marksOf(trace, layout, isNamed, percent) {
  const axes = {
    x: axisOf(layout, trace.xaxis ?? "x", "x"),
    y: axisOf(layout, trace.yaxis ?? "y", "y"),
  };
  const of = valuesOf(trace);
  const titles = titlesOf(trace, axes, layout);
  for (const place of PLACES) {
    if (titles[place] && isShare(trace, axes[place], place)) percent.add(titles[place]);
  }
  const label = {
    x: labels(axes.x, of.values.x),
    y: labels(axes.y, of.values.y),
  };
  const name = plainText(trace.name ?? "");
  const isAcross = trace.orientation === "h" || trace.z !== undefined;
  const order = isAcross ? ["y", "x", "z", "base"] : PLACES; // what is measured comes last
  const rows = [];
  for (let i = 0; i < of.n; i++) {
    const values = Object.fromEntries(PLACES.map((place) => [place, of.values[place][i]]));
    if (["x", "y", "z"].some((place) => of.has[place] && isNothing(values[place]))) continue;
    const row = isNamed && name ? { [WHICH]: name } : {};
    for (const place of order) {
      if (titles[place] && of.has[place])
        row[titles[place]] = label[place]?.(values[place]) ?? textOf(values[place]);
    }
    const words = wordsOf(trace, of, i);
    if (words) row[WORDS] = words;
    if (Object.keys(row).some((key) => key !== WHICH)) rows.push(row);
  }
  return rows;
}

function isNothing(value) {
  return value === null || value === undefined || Number.isNaN(value);
}

// Each mark's place and value, and what else it carries, at the same index.
function valuesOf(trace) {
  if (trace.type === "icicle") {
    const labels = listOf(trace.labels).list;
    return {
      n: labels.length,
      values: { x: labels, y: listOf(trace.values).list, z: [], base: [] },
      has: { x: true, y: true, z: false, base: false },
      rowOf: (i) => i,
    };
  }
  const x = listOf(trace.x).list;
  const y = listOf(trace.y).list;
  if (trace.z !== undefined) {
    const { list: z, width } = listOf(trace.z);
    const across = z.map((_, i) => x[i % width] ?? i % width);
    const down = z.map((_, i) => y[Math.floor(i / width)] ?? Math.floor(i / width));
    const values = { x: across, y: down, z, base: [] };
    return { n: z.length, values, has: { x: true, y: true, z: true, base: false } };
  }
  const n = Math.max(x.length, y.length);
  const counted = (list) => (list.length ? list : Array.from({ length: n }, (_, i) => i));
  const base = listOf(Array.isArray(trace.base) || trace.base?.bdata ? trace.base : []).list;
  const values = { x: counted(x), y: counted(y), z: [], base };
  return { n, values, has: { x: true, y: true, z: false, base: base.length > 0 } };
}

function axisOf(layout, name, letter) {
  return layout[`${letter}axis${name.slice(1)}`] ?? {};
}

// What heads the column of each place; nothing where the place only arranges a drawing.
function titlesOf(trace, axes, layout) {
  if (trace.type === "icicle") return { x: "name", y: "number" };
  const lies = trace.orientation === "h";
  const titles = {};
  for (const [letter, other] of [
    ["x", "column"],
    ["y", "row"],
  ]) {
    const axis = axes[letter];
    const title = plainText(axis.title?.text ?? axis.title ?? "");
    const isRead = axis.visible !== false && axis.showticklabels !== false;
    const isLabelled = axis.ticktext?.length || axis.matches || axis.categoryarray;
    const shared = axis.matches && titleOf(layout, letter, axis.matches);
    if (title || shared) titles[letter] = title || shared;
    else if (isRead && (isLabelled || trace.type === "bar" || trace.z !== undefined))
      titles[letter] = (lies ? letter === "x" : letter === "y" && !trace.z) ? "value" : other;
  }
  if (titles.x && titles.x === titles.y)
    [titles.x, titles.y] = [`${titles.x} (across)`, `${titles.y} (down)`];
  if (trace.z !== undefined) titles.z = cellTitle(trace);
  if (titles[lies ? "x" : "y"]) titles.base = `${titles[lies ? "x" : "y"]}: begins at`;
  return titles;
}

function titleOf(layout, letter, name) {
  return plainText(axisOf(layout, name, letter).title?.text ?? "");
}

// A heatmap's numbers: as its scale of colours is titled, else as its hover calls them. Where neither
// says any, they only stand for colours.
function cellTitle(trace) {
  const title = plainText(trace.colorbar?.title?.text ?? "");
  const told = /([^%<>{}:,]+):? %\{z/.exec(trace.hovertemplate ?? "")?.[1];
  if (title || told !== undefined) return title || plainText(told).trim();
  return /%\{z/.test(trace.hovertemplate ?? "%{z") ? "value" : "";
}

function isShare(trace, axis, place) {
  const format = new RegExp(`%\\{${place}:[^}]*[p%]\\}`);
  const ticks = place === "z" ? (trace.colorbar ?? {}) : (axis ?? {});
  const inTicks = /[p%]$/.test(ticks.tickformat ?? "") || ticks.ticktext?.some?.(endsInPercent);
  return format.test(trace.hovertemplate ?? "") || Boolean(inTicks);
}

function endsInPercent(text) {
  return /\d%$/.test(String(text));
}

// Gives the label of a place on an axis whose ticks are labelled one by one.
function labels(axis, values) {
  const texts = (axis.ticktext ?? []).map((text) => plainText(String(text)));
  const at = listOf(axis.tickvals).list;
  const isWord = (text) => text !== "" && !/^[\d.,\s]+[%a-zA-Z]*$/.test(text);
  if (!texts.some(isWord)) return undefined;
  const found = new Map(at.map((place, i) => [place, texts[i]]));
  const all = values.every((value) => found.has(value));
  const twice = new Set(texts.filter((text, i) => texts.indexOf(text) !== i));
  return (value) => {
    const text = found.get(value);
    if (text === undefined || (!all && !isWord(text))) return undefined;
    return twice.has(text) ? `${text} (${value})` : text;
  };
}

function textOf(value) {
  return typeof value === "string" ? plainText(value) : value;
}

// Those lines of a mark's hover that say more than where it is.
function wordsOf(trace, of, i) {
  const template = (trace.hovertemplate ?? "").replace(/<extra>.*<\/extra>/s, "");
  if (trace.type === "icicle" && !template) return "";
  const lines = template.split(/<br\s*\/?>/).filter((line) => {
    const used = [...line.matchAll(VARIABLE)].map(([, name]) => name);
    return line && (!used.length || used.some((name) => !PLACES.includes(name)));
  });
  const filled = lines.map((line) =>
    line.replace(VARIABLE, (_, name, index, format) => {
      const value = PLACES.includes(name) ? of.values[name][i] : carried(trace, name, index, i);
      return writtenNumber(value ?? "", /[p%]$/.test(format ?? ""));
    }),
  );
  return plainText(filled.join("; "));
}

function carried(trace, name, index, i) {
  const sent = trace[name] ?? trace[`${name}s`];
  if (typeof sent !== "object" || sent === null) return sent;
  if (index !== undefined) {
    const { list, width } = listOf(sent);
    return list[i * width + Number(index)];
  }
  return listOf(sent).list[i];
}

function plainText(label) {
  const spaced = label.replaceAll(/<br\s*\/?>/g, "; ");
  const bare = spaced.replaceAll(/<\/?[a-z][^>]*>/gi, "");
  return bare.replaceAll(/&(lt|gt|quot|#39|nbsp|amp);/g, (_, name) => ENTITIES[name]);
}
