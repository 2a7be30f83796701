// Reports which cell of a heatmap was clicked. The chart is rebuilt whenever its data change, so
// each new one is noticed when the pointer first enters it.
const instances = new WeakMap();

export default function ({ data, parentElement, setTriggerValue }) {
  let watch = instances.get(parentElement);
  if (!watch) {
    watch = { charts: new WeakSet() };
    watch.notice = (event) => notice(watch, event.target);
    document.addEventListener("pointerover", watch.notice, true);
    instances.set(parentElement, watch);
  }
  watch.inside = `.st-key-${data.figure} .js-plotly-plot`;
  watch.send = (cell) => setTriggerValue("picked", cell);
  return () => {
    document.removeEventListener("pointerover", watch.notice, true);
    instances.delete(parentElement);
  };
}

function notice(watch, target) {
  const chart = target.closest?.(watch.inside);
  if (!chart?.on || watch.charts.has(chart)) return;
  watch.charts.add(chart);
  chart.on("plotly_click", ({ points }) => {
    const cell = points[0]?.pointNumber;
    if (Array.isArray(cell)) watch.send(cell);
  });
}
