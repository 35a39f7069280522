// Bad language by a list of words, as the package glin-profanity matches whole words (words.json says which version).

// invisible characters, which could hide a word
const UNSEEN = /[\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180e\u200b-\u200f\u2060-\u2064\u3164\ufeff]/gu;
const ACCENTS = /[\u0300-\u036f]/gu;

/** A function that tells whether a text holds a word of words.json. */
export function createFilter({ patterns, lookalikes }) {
  const listed = new RegExp(patterns.join('|'), 'u');
  const plain = (text) => [...text.replace(UNSEEN, '')].map((character) => lookalikes[character] ?? character).join('')
    .normalize('NFKD').replace(ACCENTS, '');
  return (text) => [text, plain(text)].some((view) => listed.test(view.toLowerCase()));
}
