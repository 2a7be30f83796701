// Shows what a page of Inlook had drawn, with the same scripts, in a file that needs nothing else.
const root = document.documentElement;
const dark = window.matchMedia("(prefers-color-scheme: dark)");

export function bytesOf(base64) {
  return Uint8Array.from(atob(base64), (letter) => letter.charCodeAt(0));
}

export default function (components, styles) {
  const figures = [...document.querySelectorAll("section")].map((section) => {
    const told = JSON.parse(section.querySelector("script").textContent);
    const data = told.bytes === undefined ? told.data : bytesOf(told.bytes);
    const place = section.querySelector(".place");
    const parentElement = told.alone ? place.attachShadow({ mode: "open" }) : place;
    if (told.alone) {
      const style = document.createElement("style");
      style.textContent = styles[told.component];
      parentElement.append(style);
    }
    return { show: components[told.component], data, parentElement };
  });
  const show = (scheme) => {
    root.dataset.scheme = scheme;
    for (const { show: draw, data, parentElement } of figures) {
      draw({ data, parentElement, setTriggerValue() {}, setStateValue() {} });
    }
  };
  const asWanted = () => show(dark.matches ? "dark" : "light");
  dark.addEventListener("change", asWanted);
  window.addEventListener("beforeprint", () => show("light"));
  window.addEventListener("afterprint", asWanted);
  asWanted();
}
