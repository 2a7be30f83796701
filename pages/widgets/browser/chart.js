// Draws a Plotly figure, and updates it in place when it changes: nothing is torn down, so a click is
// painted sooner, nothing flickers, and the reader's zoom can stay.
const charts = new WeakMap();
let measure;
const TEXT_PX = 12,
  TITLE_PX = 14,
  HEADING_PX = 16,
  HEIGHT_PX = 450,
  PNG_SCALE = 2;
const SVG_ICON = {
  width: 24,
  height: 24,
  path: "M3 17.2V21h3.8L17.8 10 14 6.2zM20.7 7a1 1 0 0 0 0-1.4l-2.3-2.3a1 1 0 0 0-1.4 0L15.2 5 19 8.8z",
};
const FULL_ICON = {
  width: 24,
  height: 24,
  path: "M4 4h6v2H6v4H4zM14 4h6v6h-2V6h-4zM4 14h2v4h4v2H4zM18 14h2v6h-6v-2h4z",
};

export default function ({ data, parentElement, setTriggerValue }) {
  let chart = charts.get(parentElement);
  if (!chart) charts.set(parentElement, (chart = create(parentElement)));
  chart.data = data;
  chart.send = (point) => setTriggerValue("clicked", point);
  draw(chart);
  return () => {
    charts.delete(parentElement);
    chart.size.disconnect();
    chart.gone = true;
    if (chart.drawn) window.Plotly.purge(chart.box);
    chart.box.remove();
  };
}

function create(parentElement) {
  const box = document.createElement("div");
  box.className = "inlook-chart waiting";
  box.setAttribute("role", "figure");
  parentElement.append(box);
  const chart = { box, drawn: false };
  chart.size = new ResizeObserver(() => draw(chart));
  chart.size.observe(box);
  return chart;
}

// Plotly lies with the app, and is fetched when the first chart needs it.
function plotly(address) {
  window.inlookPlotly ??= new Promise((loaded, failed) => {
    const script = document.createElement("script");
    script.src = new URL(address, document.baseURI);
    script.onload = () => loaded(window.Plotly);
    script.onerror = failed;
    document.head.append(script);
  });
  return window.inlookPlotly;
}

async function draw(chart) {
  const { box, data } = chart;
  box.setAttribute("aria-label", data.alt);
  box.classList.toggle("clickable", data.clickable);
  const height = data.height ?? HEIGHT_PX;
  box.style.minHeight = `${height}px`;
  const full = document.fullscreenElement === box;
  const size = [box.clientWidth, full ? box.clientHeight : height];
  if (!size[0]) return; // in a closed tab: drawn when it opens
  const style = getComputedStyle(box);
  const worn = look(style);
  const wanted = JSON.stringify([data.figure, data.view, size, worn]);
  if (chart.wanted === wanted) return;
  chart.wanted = wanted;
  let Plotly;
  try {
    Plotly = await plotly(data.script);
  } catch {
    box.textContent =
      "This chart could not be drawn: its drawing library did not arrive. Reload the page.";
    return;
  }
  if (chart.gone || chart.wanted !== wanted) return;
  const figure = JSON.parse(coloured(data.figure, style));
  [figure.layout.width, figure.layout.height] = size;
  figure.layout.uirevision = data.view ?? undefined;
  dress(figure.layout, worn);
  // The same axes need the same room: finding it again would take half of the time.
  const frame = data.view && JSON.stringify([data.view, size, worn.family]);
  const labels = frame && labelWidth(figure.layout, worn.family);
  const fits = frame && frame === chart.frame && labels <= chart.labels;
  if (fits) figure.layout.margin = { ...chart.margin, autoexpand: false };
  chart.config ??= config(Plotly, data.name); // another one would have everything built anew
  const drawing = Plotly.react(box, { ...figure, config: chart.config });
  if (!chart.drawn)
    box.on("plotly_click", ({ points }) => chart.data.clickable && report(chart, points));
  chart.drawn = true;
  await drawing;
  if (frame && !fits) {
    const { l, r, t, b } = box._fullLayout._size;
    chart.margin = { l, r, t, b, pad: figure.layout.margin?.pad };
    [chart.frame, chart.labels] = [frame, labels];
  }
  box.classList.remove("waiting");
}

// The widest label beside the y axis in pixels, were all of them bold; 0 where they are not given.
function labelWidth({ yaxis }, family) {
  measure ??= document.createElement("canvas").getContext("2d");
  measure.font = `bold ${yaxis?.tickfont?.size ?? TEXT_PX}px ${family}`;
  const plain = (label) => label.replaceAll(/<[^>]*>/g, "").replaceAll(/&\w+;/g, "M");
  return Math.max(
    0,
    ...(yaxis?.ticktext ?? []).map((label) => measure.measureText(plain(label)).width),
  );
}

// Of several marks on one spot, a heatmap's cell goes first.
function report(chart, points) {
  const isCell = (point) => Array.isArray(point.pointNumber);
  const { x, y, customdata, pointNumber } = points.find(isCell) ?? points[0];
  const cell = Array.isArray(pointNumber) ? pointNumber : null;
  const known =
    Array.isArray(customdata) || ArrayBuffer.isView(customdata) ? customdata[0] : customdata;
  chart.send({ x, y, cell, customdata: known ?? null });
}

function config(Plotly, name) {
  const picture = { filename: name, scale: PNG_SCALE };
  return {
    displaylogo: false,
    showSendToCloud: false,
    modeBarButtonsToRemove: ["lasso2d", "select2d", "sendChartToCloud"],
    toImageButtonOptions: picture,
    modeBarButtonsToAdd: [
      {
        name: "svg",
        title: "Download plot as an SVG",
        icon: SVG_ICON,
        click: (box) =>
          Plotly.downloadImage(box, {
            ...picture,
            format: "svg",
            scale: 1,
            width: null,
            height: null,
          }),
      },
      {
        name: "fullscreen",
        title: "Fullscreen",
        icon: FULL_ICON,
        click: (box) =>
          document.fullscreenElement ? document.exitFullscreen() : box.requestFullscreen(),
      },
    ],
  };
}

// Figures name the colours of Streamlit's Plotly theme by placeholders, "#000001" and so on.
function coloured(text, style) {
  const value = (name) => style.getPropertyValue(`--st-${name}`).trim();
  const list = (name) =>
    value(`chart-${name}-colors`)
      .split(/,(?![^(]*\))/)
      .map((colour) => colour.trim());
  const lists = [list("categorical"), list("sequential"), list("diverging")];
  const rest = {
    36: "text-color",
    37: "text-color",
    38: "background-color",
    39: "border-color",
    40: "secondary-background-color",
  };
  const colour = (number) => {
    const colours = lists[Math.floor((number - 1) / 10)];
    return colours
      ? colours[((number - 1) % 10) % colours.length]
      : value(rest[number] ?? "text-color");
  };
  return text.replaceAll(
    /"#0000(0[1-9]|[1-3]\d|40)"/g,
    (_, digits) => `"${colour(Number(digits))}"`,
  );
}

function look(style) {
  const value = (name) => style.getPropertyValue(`--st-${name}`).trim();
  return {
    text: value("text-color"),
    line: value("border-color-light") || value("border-color"),
    page: value("background-color"),
    family: value("font"),
  };
}

// Fonts, lines and backgrounds of the page, under what the figure itself asks for.
function dress(layout, { text, line, page, family }) {
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
  layout.template ??= {};
  for (const trace of layout.template.data?.icicle ?? []) delete trace.textfont; // white on light blue
  layout.template.layout = merged(layout.template.layout ?? {}, {
    font,
    paper_bgcolor: page,
    plot_bgcolor: page,
    title: {
      font: { family, size: HEADING_PX, color: text },
      xanchor: "left",
      x: 0,
      pad: { l: 4 },
    },
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
  });
  if (layout.title?.text) layout.title.text = `<b>${layout.title.text}</b>`;
}

function merged(under, over) {
  const both = { ...under };
  for (const [key, value] of Object.entries(over)) {
    const nested = value && typeof value === "object" && both[key] && typeof both[key] === "object";
    both[key] = nested ? merged(both[key], value) : value;
  }
  return both;
}
