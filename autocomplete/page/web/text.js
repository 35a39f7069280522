// Which part of a text the model reads, and how a suggestion is taken in parts.

/** The last `count` words, a word being a run of non-blanks; what stands behind them stays. */
export function lastWords(text, count) {
  const begins = Array.from(text.matchAll(/\S+/gu), (word) => word.index);
  return begins.length > count ? text.slice(begins[begins.length - count]) : text;
}

/** The last bytes of a text in UTF-8, at most `room`, no character cut. */
export function lastBytes(text, room) {
  const bytes = new TextEncoder().encode(text);
  let begin = Math.max(bytes.length - room, 0);
  while ((bytes[begin] & 0xc0) === 0x80) begin += 1;
  return bytes.subarray(begin);
}

/** The first word of a suggestion with the blanks before it. */
export function firstWord(text) {
  return text.match(/^\s*\S+/u)?.[0] ?? text;
}
