// Where do the arrow keys lead, and are letters commands where they are pressed?

// In a list of `n`, Home and End to its ends and the keys of `steps` so far; null for any other key.
export function moved(key, pos, n, steps) {
  const to = { Home: 0, End: n - 1 }[key] ?? pos + steps[key];
  return Number.isNaN(to) ? null : Math.min(n - 1, Math.max(0, to));
}

// Among `n` tiles in rows of `nColumns`: null for any other key, the same tile at an edge. Only where
// the reading order goes on from row to row (`wraps`) does a step sideways leave its row.
export function movedInGrid(key, from, n, nColumns, wraps) {
  const step = { ArrowRight: 1, ArrowLeft: -1, ArrowDown: nColumns, ArrowUp: -nColumns }[key];
  if (!step) return null;
  const to = from + step;
  const isVertical = key === "ArrowDown" || key === "ArrowUp";
  const sameRow = Math.floor(to / nColumns) === Math.floor(from / nColumns);
  return to >= 0 && to < n && (isVertical || wraps || sameRow) ? to : from;
}

// Whether something is typed where a key was pressed, so that letters are letters.
export function isTyping(event) {
  const at = event.composedPath()[0];
  return at instanceof Element && at.matches("input, textarea, select, [contenteditable=true]");
}
