// Which part of a text the model reads, and how a suggestion is accepted in parts.

/** The last `count` words (runs of non-blanks), and the blanks behind them. */
export function lastWords(text, count) {
  const begins = Array.from(text.matchAll(/\S+/gu), (word) => word.index);
  return begins.length > count ? text.slice(begins[begins.length - count]) : text;
}

/** The last bytes of a text in UTF-8, at most `room`, in whole characters. */
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
