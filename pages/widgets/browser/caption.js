// How are the lines set that a saved picture has below it?
export const LINE_PX = 20;
const LETTER_PX = 8;
const LEAST_LETTERS = 20; // of a line, however narrow the picture is

// Texts as lines that fit into so many pixels.
export function linesBelow(texts, width) {
  const letters = Math.max(LEAST_LETTERS, Math.floor(width / LETTER_PX));
  return texts.flatMap((text) => wrapped(text, letters));
}

// A text cut into lines of so many letters at the most, between words where there are any.
export function wrapped(text, letters) {
  const found = [];
  for (const word of text.split(" ").flatMap((one) => cutWord(one, letters))) {
    const last = found.length - 1;
    if (last >= 0 && found[last].length + 1 + word.length <= letters) found[last] += ` ${word}`;
    else found.push(word);
  }
  return found;
}

function cutWord(word, letters) {
  return word.match(new RegExp(`.{1,${letters}}`, "gsu")) ?? [];
}
