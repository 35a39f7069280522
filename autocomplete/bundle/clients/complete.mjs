// Completes a text with tokens.tflite of the bundle that this file lies in: $name, $mode.
//
// Needs Node 20 or newer and the npm package @litertjs/core. The answer on standard output is the prompt, then what
// the model adds.

import { readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

import { litert, main } from './litert.mjs';

const BUNDLE = dirname(dirname(fileURLToPath(import.meta.url)));
const WINDOW = $tokens_default; // the model reads so many of the prompt's last tokens: $tokens_minimum to $tokens_maximum
const LENGTH = $sequence_length; // tokens read and added, the start token included
const START = $start; // stands before every prompt
const END = $end;
const NO_TEXT = $no_text; // tokens that stand for no text
const COMPLETE_WORD = $complete_word_js; // whether the model completes a word that the prompt ends in
const DIGITS_APART = $digits_apart; // whether each digit is a word by itself
const WORDS = new RegExp("'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\p{White_Space}\\p{L}\\p{N}]+"
  + '|\\p{White_Space}+(?!\\P{White_Space})|\\p{White_Space}+', 'gu');

/** Byte-level byte-pair encoding as GPT-2 has it. */
class Tokenizer {
  constructor(vocabulary, merges) {
    this.ids = new Map(Object.entries(JSON.parse(vocabulary)));
    this.tokens = new Map([...this.ids].map(([token, id]) => [id, token]));
    const lines = merges.split('\n').filter((line) => line && !line.startsWith('#version'));
    this.ranks = new Map(lines.map((line, rank) => [line, rank]));
    // Each byte is written as a printable character: itself, or one from 256 on.
    const printable = (b) => (b >= 0x21 && b <= 0x7e) || (b >= 0xa1 && b !== 0xad);
    let next = 256;
    this.characters = Array.from({ length: 256 }, (_, b) => String.fromCharCode(printable(b) ? b : next++));
    this.bytes = new Map(this.characters.map((character, b) => [character, b]));
  }

  encode(text) {
    const parts = DIGITS_APART ? text.split(/(\p{N})/u) : [text];
    return parts.flatMap((part) => part.match(WORDS) ?? [])
      .flatMap((word) => this.merged(word).map((token) => this.ids.get(token)));
  }

  merged(word) {
    // bytes that are no token are left out
    const parts = [...new TextEncoder().encode(word)].map((b) => this.characters[b]).filter((c) => this.ids.has(c));
    const rank = (i) => this.ranks.get(parts[i] + ' ' + parts[i + 1]) ?? Infinity;
    while (parts.length > 1) {
      const best = parts.slice(1).reduce((least, _, i) => (rank(i) < rank(least) ? i : least), 0);
      if (rank(best) === Infinity) break;
      parts.splice(best, 2, parts[best] + parts[best + 1]);
    }
    return parts;
  }

  /** Bytes that are no text, or a part of a character, are left out. */
  decode(ids) {
    const characters = ids.filter((id) => !NO_TEXT.includes(id)).flatMap((id) => [...this.tokens.get(id)]);
    const bytes = Uint8Array.from(characters, (character) => this.bytes.get(character));
    return new TextDecoder('utf-8', { ignoreBOM: true }).decode(bytes).replaceAll('\ufffd', '');
  }
}

/** The prompt and what the model adds; temperature 0 takes the likeliest token, topK 0 draws among the likeliest 64. */
async function complete(prompt, temperature = 0, topK = 0, seed = 0) {
  const [file, ...texts] = ['tokens.tflite', 'tokenizer/vocabulary.json', 'tokenizer/merges.txt']
    .map((name) => readFileSync(join(BUNDLE, name)));
  const tokenizer = new Tokenizer(...texts.map(String));
  const ids = [...START, ...tokenizer.encode(prompt).slice(-WINDOW)];
  if (!ids.length) ids.push(END);
  const { loadAndCompile, Tensor } = await litert();
  const model = await loadAndCompile(file, { accelerator: 'wasm' });
  const integer = (number) => new Tensor(Int32Array.of(number), []);
  const real = (number) => new Tensor(Float32Array.of(number), []);
  const tokens = Int32Array.from({ length: LENGTH }, (_, i) => ids[i] ?? END);
  const inputs = {
    tokens: new Tensor(tokens, [1, LENGTH]), length: integer(ids.length), max_length: integer(LENGTH),
    temperature: real(temperature), top_k: integer(topK), top_p: real(1), seed: integer(seed),
  };
  if (COMPLETE_WORD) inputs.complete_word = integer(1);
  const answer = await model.run('generate', inputs);
  const answered = [...answer.tokens.toTypedArray()].slice(0, answer.length.toTypedArray()[0]);
  const tensors = [...Object.values(inputs), ...Object.values(answer), model];
  tensors.forEach((each) => each.delete()); // WebAssembly's memory is not collected
  // The answer may spell the end of the prompt in other tokens, but its text is the same.
  return prompt + tokenizer.decode(answered).slice(tokenizer.decode(ids).length);
}

await main(complete);
