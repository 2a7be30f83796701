// What are the colours of the theme, which Streamlit gives as CSS variables, and how large are its letters?

// The colours of a list such as "#0072b2, rgb(1, 2, 3)".
export function colourList(text) {
  return text.split(/,(?![^(]*\))/).map((colour) => colour.trim());
}

// A function that reads one variable of Streamlit's, "" where there is none.
export function variables(style) {
  return (name) => style.getPropertyValue(`--st-${name}`).trim();
}

const USUAL_LETTER_PX = 16;

// How much larger letters are than usual: at the projector, what is laid out in pixels grows with them.
export function letterScale() {
  return parseFloat(getComputedStyle(document.documentElement).fontSize) / USUAL_LETTER_PX;
}
