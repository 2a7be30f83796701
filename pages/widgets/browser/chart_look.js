// How does a Plotly figure get the look of the page, and what does a click on it say?
import { LINE_PX, linesBelow } from "./caption.js";
import { colourList } from "./theme.js";

export const TEXT_PX = 14;
const TITLE_PX = 15;
const HEADING_PX = 16;
// The placeholders after those of the three lists of colours, by number.
const SINGLE_COLOURS = {
  36: "text-color",
  37: "text-color",
  38: "background-color",
  39: "border-color",
  40: "secondary-background-color",
};

// Figures name the colours of Streamlit's Plotly theme by placeholders, "#000001" and so on; `value`
// gives a variable of the theme.
export function coloured(figure, value) {
  const lists = ["categorical", "sequential", "diverging"].map((name) =>
    colourList(value(`chart-${name}-colors`)),
  );
  const colour = (number) => {
    const colours = lists[Math.floor((number - 1) / 10)];
    if (colours) return colours[((number - 1) % 10) % colours.length];
    return value(SINGLE_COLOURS[number] ?? "text-color");
  };
  return figure.replaceAll(
    /"#0000(0[1-9]|[1-3]\d|40)"/g,
    (_, digits) => `"${colour(Number(digits))}"`,
  );
}

export function look(value) {
  return {
    text: value("text-color"),
    line: value("border-color-light") || value("border-color"),
    page: value("background-color"),
    family: value("font"),
  };
}

// Puts fonts, lines and backgrounds of the page under what the figure itself asks for.
export function dress(layout, worn) {
  layout.template ??= {};
  for (const trace of layout.template.data?.icicle ?? []) delete trace.textfont; // white on light blue
  layout.template.layout = merged(layout.template.layout ?? {}, pageLayout(worn));
  if (layout.title?.text) layout.title.text = `<b>${layout.title.text}</b>`;
}

function pageLayout({ text, line, page, family }) {
  const font = { color: text, family, size: TEXT_PX };
  const title = { color: text, size: TITLE_PX };
  const axis = {
    gridcolor: line,
    zerolinecolor: line,
    tickcolor: line,
    automargin: true,
    ticklabeloverflow: "allow",
    tickfont: { color: text, size: TEXT_PX },
    minor: { gridcolor: line },
  };
  const heading = { family, size: HEADING_PX, color: text };
  return {
    font,
    paper_bgcolor: page,
    plot_bgcolor: page,
    title: { font: heading, xanchor: "left", x: 0, pad: { l: 4 } },
    legend: {
      valign: "top",
      borderwidth: 0,
      font: { size: TEXT_PX, color: text },
      title: { font, side: "top" },
    },
    xaxis: { ...axis, showgrid: false, zeroline: false, title: { font: title, standoff: 20 } },
    yaxis: { ...axis, ticklabelposition: "outside", title: { font: title, standoff: 24 } },
    margin: { pad: 8, r: 0, l: 0 },
    hoverlabel: { bgcolor: page, bordercolor: line, font },
    coloraxis: { colorbar: { thickness: 16, title: { font: title }, tickfont: font } },
  };
}

// A figure with all letters larger, and the margins that hold them. Parts that it has twice stay apart.
export function enlarged(part, scale) {
  if (Array.isArray(part)) return part.map((one) => enlarged(one, scale));
  if (!part || typeof part !== "object") return part;
  const made = {};
  for (const [key, value] of Object.entries(part)) {
    made[key] = enlarged(value, scale);
    const grows = key.endsWith("font") ? ["size"] : key === "margin" ? ["l", "r", "t", "b"] : [];
    for (const name of grows) if (value?.[name]) made[key][name] = times(value[name], scale);
  }
  return made;
}

function times(px, scale) {
  return Array.isArray(px) ? px.map((one) => one * scale) : px * scale;
}

export function merged(under, over) {
  const both = { ...under };
  for (const [key, value] of Object.entries(over)) {
    const nested = value && typeof value === "object" && both[key] && typeof both[key] === "object";
    both[key] = nested ? merged(both[key], value) : value;
  }
  return both;
}

// A label as wide as it is drawn: without its tags, and each entity as one letter.
export function plainLabel(label) {
  return label.replaceAll(/<[^>]*>/g, "").replaceAll(/&\w+;/g, "M");
}

// What Python hears of a click. Of several marks on one spot, a heatmap's cell goes first.
export function clicked(points) {
  const isCell = (point) => Array.isArray(point.pointNumber);
  const { x, y, customdata, pointNumber } = points.find(isCell) ?? points[0];
  const cell = Array.isArray(pointNumber) ? pointNumber : null;
  const isList = Array.isArray(customdata) || ArrayBuffer.isView(customdata);
  return { x, y, cell, customdata: (isList ? customdata[0] : customdata) ?? null };
}

// A figure as it is saved: with what it shows, of which model and text, on lines of their own below.
export function saved({ data, layout }, { alt, about }) {
  const width = layout.width;
  const lines = linesBelow([alt.split(":")[0], about], width);
  const below = lines.length * LINE_PX + 16;
  const margin = { ...layout.margin, b: (layout.margin?.b ?? 80) + below };
  const text = lines.map(escaped).join("<br>");
  const place = { xref: "paper", yref: "paper", x: 0, y: 0, xanchor: "left", yanchor: "top" };
  const caption = { ...place, text, align: "left", showarrow: false, yshift: below - margin.b };
  const annotations = [...(layout.annotations ?? []), caption];
  const height = layout.height + below;
  return { data, layout: { ...layout, margin, annotations, height, updatemenus: [], sliders: [] } };
}

function escaped(text) {
  return text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");
}
