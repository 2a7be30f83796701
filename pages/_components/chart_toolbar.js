// Adds "Download plot as an SVG" beside every chart's PNG button, and gives both files a name.
// Charts are rebuilt when their data change, so a toolbar is looked at whenever it is entered.
const instances = new WeakMap();
const ICON = `<svg viewBox="0 0 24 24" class="icon" height="1em" width="1em" aria-hidden="true">
  <path d="M3 17.2V21h3.8L17.8 10 14 6.2zM20.7 7a1 1 0 0 0 0-1.4l-2.3-2.3a1 1 0 0 0-1.4 0L15.2 5 19 8.8z"/></svg>`;
const ENTERED = ["pointerover", "focusin"];
const PNG_SCALE = 2;

export default function ({ parentElement }) {
  let look = instances.get(parentElement);
  if (!look) {
    look = (event) => complete(event.target.closest?.(".js-plotly-plot"));
    for (const type of ENTERED) document.addEventListener(type, look, true);
    instances.set(parentElement, look);
  }
  return () => {
    for (const type of ENTERED) document.removeEventListener(type, look, true);
    instances.delete(parentElement);
  };
}

function complete(chart) {
  const png = [...(chart?.querySelectorAll(".modebar-btn") ?? [])].find((button) => /PNG/.test(button.dataset.title));
  if (!png || png.parentElement.querySelector("[data-inlook=svg]")) return;
  const options = chart._context.toImageButtonOptions;
  chart._context.toImageButtonOptions = { ...options, filename: nameOf(chart), scale: PNG_SCALE };
  const svg = png.cloneNode(false);
  svg.dataset.inlook = "svg";
  svg.dataset.title = "Download plot as an SVG";
  svg.setAttribute("aria-label", svg.dataset.title);
  svg.innerHTML = ICON;
  const path = svg.querySelector("path");
  const { color, activecolor } = chart._fullLayout.modebar;
  path.style.fill = color;
  svg.addEventListener("pointerenter", () => (path.style.fill = activecolor));
  svg.addEventListener("pointerleave", () => (path.style.fill = color));
  svg.addEventListener("click", () => save(chart, png));
  png.after(svg);
}

// The PNG button reads its options when it is clicked: for one click, they say SVG.
function save(chart, png) {
  const options = chart._context.toImageButtonOptions;
  chart._context.toImageButtonOptions = { ...options, format: "svg", scale: 1 };
  png.click();
  chart._context.toImageButtonOptions = options;
}

function nameOf(chart) {
  const key = /st-key-(\S+)/.exec(chart.closest("[class*=st-key-]")?.className ?? "")?.[1];
  return `inlook-${key ?? "figure"}`.replaceAll(/[^\w-]+/g, "-");
}
