// Under a chart: its numbers as a table, folded, and made only when somebody opens it.
import { csvOf, tableOf, writtenNumber } from "./chart_table.js";
import { element } from "./dom.js";

const PAGE_ROWS = 50;
const NAME = "Numbers as a table";

// The folded table of a chart; `told` gives what its script was given last.
export function numbersOf(told) {
  const fold = element("details", "inlook-numbers");
  const summary = element("summary", "", NAME);
  const place = element("div", "");
  fold.append(summary, place);
  const numbers = { fold, summary, place, told, shown: null };
  fold.addEventListener("toggle", () => fill(numbers));
  return numbers;
}

// To be called when the chart has other data: a table that is open follows.
export function follow(numbers) {
  const { figure, alt, table } = numbers.told();
  numbers.fold.hidden = !table;
  numbers.summary.setAttribute("aria-label", `${NAME}: ${alt.split(":")[0]}`);
  if (numbers.shown !== figure) fill(numbers);
}

function fill(numbers) {
  const { fold, place } = numbers;
  if (!fold.open || fold.hidden) return;
  const { figure, alt, name } = numbers.told();
  if (numbers.shown === figure) return;
  numbers.shown = figure;
  const found = tableOf(JSON.parse(figure));
  if (!found.rows.length) {
    place.replaceChildren(element("p", "", "This picture has no numbers: it shows how parts lie."));
    return;
  }
  const body = element("div", "inlook-numbers-rows");
  body.tabIndex = 0;
  body.setAttribute("role", "region");
  body.setAttribute("aria-label", `Table: ${alt.split(":")[0]}`);
  place.replaceChildren(bar(found, name, body), body);
}

function bar(found, name, body) {
  const line = element("div", "inlook-numbers-bar");
  const says = element("span", "");
  says.setAttribute("role", "status");
  const n = found.rows.length;
  let first = 0;
  const before = button("Rows before", () => show(first - PAGE_ROWS));
  const after = button("Rows after", () => show(first + PAGE_ROWS));
  const show = (from) => {
    first = Math.min(Math.max(0, from), Math.max(0, n - 1));
    const stop = Math.min(first + PAGE_ROWS, n);
    const whole = n.toLocaleString("en");
    says.textContent =
      n > PAGE_ROWS
        ? `Rows ${first + 1} to ${stop} of ${whole}`
        : `${whole} ${n === 1 ? "row" : "rows"}`;
    before.setAttribute("aria-disabled", String(first === 0));
    after.setAttribute("aria-disabled", String(stop === n));
    body.replaceChildren(table(found, first, stop));
    body.scrollTop = 0;
  };
  const turning = n > PAGE_ROWS ? [before, after] : [];
  line.append(
    says,
    ...turning,
    button("Save as CSV", () => save(found, name)),
  );
  show(0);
  return line;
}

function button(text, act) {
  const made = element("button", "", text);
  made.type = "button";
  made.addEventListener("click", () => made.getAttribute("aria-disabled") !== "true" && act());
  return made;
}

function table({ columns, rows, percent }, first, stop) {
  const made = element("table", "");
  const head = made.createTHead().insertRow();
  for (const name of columns) {
    const cell = element("th", "", name);
    cell.scope = "col";
    head.append(cell);
  }
  const body = made.createTBody();
  for (const row of rows.slice(first, stop)) {
    const line = body.insertRow();
    row.forEach((value, at) => {
      const cell = line.insertCell();
      cell.textContent = writtenNumber(value, percent.has(columns[at]));
      if (typeof value === "number") cell.className = "number";
    });
  }
  return made;
}

function save(found, name) {
  const link = document.createElement("a");
  const address = URL.createObjectURL(new Blob([csvOf(found)], { type: "text/csv" }));
  link.href = address;
  link.download = `${name}-numbers.csv`;
  link.click();
  setTimeout(() => URL.revokeObjectURL(address), 0);
}
