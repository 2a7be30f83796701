// Draws a Plotly figure, and updates it in place when it changes: nothing is torn down, so a click is
// painted sooner, nothing flickers, and the reader's zoom can stay.
import { legible } from "./cell_text.js";
import { hearKeys, oneStop } from "./chart_buttons.js";
import {
  clicked,
  coloured,
  dress,
  enlarged,
  look,
  plainLabel,
  saved,
  TEXT_PX,
} from "./chart_look.js";
import { follow, numbersOf } from "./chart_numbers.js";
import { letterScale, variables } from "./theme.js";

const charts = new WeakMap();
let measure;
const HEIGHT_PX = 450;
const PNG_SCALE = 2;
const MOST_GROWTH = 2.5;
const PAPER_PX = 680; // a sheet of A4 or letter between its margins
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
  if (!chart) {
    chart = create(parentElement);
    charts.set(parentElement, chart);
  }
  chart.data = data;
  chart.send = (point) => setTriggerValue("clicked", point);
  follow(chart.numbers);
  draw(chart);
  return () => {
    charts.delete(parentElement);
    chart.size.disconnect();
    window.removeEventListener("beforeprint", chart.onPaper);
    window.removeEventListener("afterprint", chart.onScreen);
    chart.gone = true;
    if (chart.drawn) window.Plotly.purge(chart.box);
    chart.box.remove();
    chart.numbers.fold.remove();
  };
}

function create(parentElement) {
  const box = document.createElement("div");
  box.className = "inlook-chart waiting";
  box.setAttribute("role", "figure");
  hearKeys(box);
  const chart = { box, drawn: false };
  chart.numbers = numbersOf(() => chart.data);
  parentElement.append(box, chart.numbers.fold);
  chart.size = new ResizeObserver(() => draw(chart));
  chart.size.observe(box);
  chart.onPaper = () => resize(chart, `${PAPER_PX}px`);
  chart.onScreen = () => resize(chart, "");
  window.addEventListener("beforeprint", chart.onPaper);
  window.addEventListener("afterprint", chart.onScreen);
  return chart;
}

// No script runs while a browser lays out paper, so that the size of a sheet is taken before.
function resize(chart, maxWidth) {
  chart.box.style.maxWidth = maxWidth;
  draw(chart);
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
  const usual = letterScale();
  const height = Math.round((data.height ?? HEIGHT_PX) * usual);
  box.style.minHeight = `${height}px`;
  const full = document.fullscreenElement === box;
  const size = [box.clientWidth, full ? box.clientHeight : height];
  if (!size[0]) return; // in a closed tab: drawn when it opens
  if (!full) chart.usual = size;
  const scale = usual * (full ? growth(chart.usual ?? size, size) : 1);
  const value = variables(getComputedStyle(box));
  const worn = { ...look(value), scale };
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
  let figure = JSON.parse(coloured(data.figure, value));
  [figure.layout.width, figure.layout.height] = size;
  figure.layout.uirevision = data.view ?? undefined;
  dress(figure.layout, worn);
  figure = legible(figure, worn.page);
  if (scale !== 1) figure = enlarged(figure, scale);
  await react(chart, Plotly, figure, size, worn.family);
}

async function react(chart, Plotly, figure, size, family) {
  const { box, data } = chart;
  // The same axes need the same room: finding it again would take half of the time.
  const frame = data.view && JSON.stringify([data.view, size, family]);
  const labels = frame && labelWidth(figure.layout, family);
  const fits = frame && frame === chart.frame && labels <= chart.labels;
  if (fits) figure.layout.margin = { ...chart.margin, autoexpand: false };
  chart.config ??= config(Plotly, chart); // another one would have everything built anew
  const drawing = Plotly.react(box, { ...figure, config: chart.config });
  if (!chart.drawn) {
    box.on("plotly_click", ({ points }) => chart.data.clickable && chart.send(clicked(points)));
  }
  chart.drawn = true;
  await drawing;
  oneStop(box);
  if (frame && !fits) {
    const { l, r, t, b } = box._fullLayout._size;
    chart.margin = { l, r, t, b, pad: figure.layout.margin?.pad };
    [chart.frame, chart.labels] = [frame, labels];
  }
  box.classList.remove("waiting");
}

// In full screen, letters grow with the chart.
function growth(from, to) {
  return Math.min(MOST_GROWTH, Math.max(1, Math.min(to[0] / from[0], to[1] / from[1])));
}

// The widest label beside the y axis in pixels, were all of them bold; 0 where they are not given.
function labelWidth({ yaxis }, family) {
  measure ??= document.createElement("canvas").getContext("2d");
  measure.font = `bold ${yaxis?.tickfont?.size ?? TEXT_PX}px ${family}`;
  const widths = (yaxis?.ticktext ?? []).map(
    (label) => measure.measureText(plainLabel(label)).width,
  );
  return Math.max(0, ...widths);
}

function config(Plotly, chart) {
  const save = (format, scale) => (box) => {
    const figure = saved(box, { ...chart.data, about: window.inlookAbout ?? "" });
    const { width, height } = figure.layout;
    const options = { format, scale, width, height, filename: chart.data.name };
    return Plotly.downloadImage({ ...figure, config: chart.config }, options);
  };
  return {
    displaylogo: false,
    showSendToCloud: false,
    modeBarButtonsToRemove: ["lasso2d", "select2d", "sendChartToCloud", "toImage"],
    modeBarButtonsToAdd: [
      {
        name: "png",
        title: "Download plot as a PNG",
        icon: Plotly.Icons.camera,
        click: save("png", PNG_SCALE),
      },
      {
        name: "svg",
        title: "Download plot as an SVG",
        icon: SVG_ICON,
        click: save("svg", 1),
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
