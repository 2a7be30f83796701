// How is a token written, so that its white space is seen?

// A token cut at the signs that stand for its white space.
export function pieces(token) {
  const parts = token.split(/([·↵⇥])/).filter((part) => part !== "");
  return parts.map((text) => ({ text, isSpace: /[·↵⇥]/.test(text) }));
}
