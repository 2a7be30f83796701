// How is what a component has drawn saved? As it stands, whole, with its styles and what it shows.
import { LINE_PX, linesBelow } from "./caption.js";
import { hearKeys, oneStop } from "./chart_buttons.js";
import { element } from "./dom.js";

const EDGE_PX = 12;
const PNG_SCALE = 2;
const LOOK = `
  .pictured { position: relative; }
  .modebar { position: absolute; bottom: -0.9rem; right: 0; display: flex; gap: 2px; z-index: 2; opacity: 0; }
  .pictured:hover .modebar, .modebar:focus-within { opacity: 1; }
  .modebar-btn { border: 1px solid var(--st-border-color); border-radius: 4px; padding: 1px 6px; cursor: pointer;
    background: var(--st-background-color); color: var(--st-text-color); font: 600 0.75rem var(--st-font); }
  @media print { .modebar { display: none; } }`;

// Puts a component into a box that offers it as PNG and SVG, by pointer or keys.
export function pictured(root) {
  const box = element("div", "pictured");
  const bar = element("div", "modebar");
  bar.setAttribute("role", "toolbar");
  for (const format of ["PNG", "SVG"]) {
    const button = element("button", "modebar-btn", format);
    button.type = "button";
    button.title = `Download picture as ${format === "PNG" ? "a PNG" : "an SVG"}`;
    button.setAttribute("aria-label", button.title);
    button.addEventListener("click", () => save(root, format));
    bar.append(button);
  }
  box.append(element("style", "", LOOK), root, bar);
  hearKeys(box);
  oneStop(box);
  return box;
}

// "Attention of every layer and head" as a file's name.
export function fileName(label) {
  const words = label.toLowerCase().match(/[a-z0-9]+/g) ?? [];
  return ["inlook", ...words].join("-").slice(0, 80);
}

async function save(root, format) {
  const label =
    root.getAttribute("aria-label") ?? root.querySelector("[aria-label]")?.ariaLabel ?? "";
  const svg = await asSvg(root, [label, window.inlookAbout ?? ""]);
  const blob = format === "SVG" ? new Blob([svg], { type: "image/svg+xml" }) : await asPng(svg);
  const link = element("a", "");
  link.href = URL.createObjectURL(blob);
  link.download = `${fileName(label)}.${format.toLowerCase()}`;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 1000);
}

async function asSvg(root, about) {
  const { copy, hidden } = wholeCopy(root);
  const width = Math.ceil(root.scrollWidth) + 2 * EDGE_PX;
  const lines = linesBelow(about, width - 2 * EDGE_PX);
  const height = Math.ceil(root.offsetHeight + hidden) + lines.length * LINE_PX + 3 * EDGE_PX;
  const sheet = element("div", "sheet");
  const styles = [...root.getRootNode().querySelectorAll("style")].map((one) => one.textContent);
  const value = getComputedStyle(root);
  for (const [name] of styles.join().matchAll(/--st-[\w-]+/g)) {
    sheet.style.setProperty(name, value.getPropertyValue(name));
  }
  const caption = element("div", "");
  caption.style.cssText = `margin-top: ${EDGE_PX}px; line-height: ${LINE_PX}px; white-space: pre; font-size: 14px;`;
  caption.textContent = lines.join("\n");
  sheet.style.cssText += `padding: ${EDGE_PX}px; box-sizing: border-box; width: ${width}px; height: ${height}px;
    background: ${value.getPropertyValue("--st-background-color")}; color: ${value.color}; font-family: ${value.fontFamily};`;
  const fonts = await fontFaces(
    value.getPropertyValue("--st-font") + value.getPropertyValue("--st-code-font"),
  );
  sheet.append(element("style", "", [...styles, ...fonts].join("\n")), copy, caption);
  const drawn = new XMLSerializer().serializeToString(sheet);
  return `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}" viewBox="0 0 ${width} ${height}" font-size="16"><foreignObject width="100%" height="100%">${drawn}</foreignObject></svg>`;
}

// A copy in which nothing scrolls, and by how many pixels it is higher.
function wholeCopy(root) {
  const copy = root.cloneNode(true);
  const copies = [copy, ...copy.querySelectorAll("*")];
  let hidden = 0;
  for (const [i, one] of [root, ...root.querySelectorAll("*")].entries()) {
    const beneath = one.scrollHeight - one.clientHeight;
    if (beneath <= 1 || !/auto|scroll/.test(getComputedStyle(one).overflowY)) continue;
    copies[i].style.maxHeight = "none";
    copies[i].style.overflow = "visible";
    hidden += beneath;
  }
  return { copy, hidden };
}

// The fonts of the page that are named, for a file that has to bring its own.
async function fontFaces(families) {
  const rules = [...document.styleSheets].flatMap((sheet) => [...rulesOf(sheet)]);
  const faces = rules.filter(
    (rule) =>
      rule instanceof CSSFontFaceRule &&
      families.includes(plainName(rule)) &&
      rule.style.getPropertyValue("font-style") !== "italic",
  );
  const written = faces.map(async (face) => {
    const address = /url\("?([^")]+)"?\)/.exec(face.cssText)?.[1];
    if (!address) return "";
    try {
      const got = await fetch(new URL(address, face.parentStyleSheet.href ?? document.baseURI));
      return face.cssText.replace(address, await asAddress(await got.blob()));
    } catch {
      return ""; // the next best font of the list is taken
    }
  });
  return Promise.all(written);
}

function plainName(face) {
  return face.style.getPropertyValue("font-family").replaceAll(/["']/g, "");
}

function rulesOf(sheet) {
  try {
    return sheet.cssRules;
  } catch {
    return []; // of another origin
  }
}

function asAddress(blob) {
  return new Promise((done, failed) => {
    const reader = new FileReader();
    reader.onload = () => done(reader.result);
    reader.onerror = failed;
    reader.readAsDataURL(blob);
  });
}

async function asPng(svg) {
  const image = new Image();
  image.src = `data:image/svg+xml;charset=utf-8,${encodeURIComponent(svg)}`;
  await image.decode();
  const canvas = document.createElement("canvas");
  [canvas.width, canvas.height] = [image.width * PNG_SCALE, image.height * PNG_SCALE];
  canvas.getContext("2d").drawImage(image, 0, 0, canvas.width, canvas.height);
  return new Promise((done) => canvas.toBlob(done, "image/png"));
}
