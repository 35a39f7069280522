// Completes a text with core.tflite of the bundle that this file lies in: $name, $mode.
//
// Needs Node 18 or newer and the npm package @litertjs/core. The answer on standard output is the prompt, then what
// the model adds, always the likeliest token.

import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const BUNDLE = dirname(dirname(fileURLToPath(import.meta.url)));
const WINDOW = $tokens_default; // tokens of the prompt that are read, its last ones: $tokens_minimum to $tokens_maximum
const LENGTH = $sequence_length; // tokens read and added, the start token included
const START = $start; // stands before every prompt
const END = $end;
const NO_TEXT = $no_text; // tokens that stand for no text
const SUPPRESSED = $suppressed; // tokens that are never said
const SLOTS = $cache_length; // of the KV cache
const PREFILL = $prefill_lengths; // tokens that the signatures prefill_<n> read
const MASKED = -0.7 * 3.4028234663852886e38;
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
    return (text.match(WORDS) ?? []).flatMap((word) => this.merged(word).map((token) => this.ids.get(token)));
  }

  merged(word) {
    const parts = [...new TextEncoder().encode(word)].map((b) => this.characters[b]);
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

/** One sequence through the model: what is in the KV cache. */
class Session {
  constructor(model, Tensor) {
    Object.assign(this, { model, Tensor, position: 0, cache: {} });
    for (const { name, shape } of model.signatures.decode.getInputDetails()) {
      if (name.startsWith('kv_cache')) {
        this.cache[name] = new Tensor(new Float32Array(shape.reduce((a, b) => a * b)), [...shape]);
      }
    }
  }

  /** Reads all tokens but the last, in padded passes: the next pass writes over what padding left in the cache. */
  async prefill(tokens) {
    while (this.position < tokens.length - 1) {
      const rest = tokens.slice(this.position, -1);
      const length = PREFILL.find((n) => n >= rest.length) ?? PREFILL.at(-1);
      const part = rest.slice(0, length);
      await this.run('prefill_' + length, [...part, ...Array(length - part.length).fill(0)]);
      this.position += part.length;
    }
  }

  /** Reads one token; gives the id of the likeliest next one that may be said. */
  async decode(token) {
    const logits = await this.run('decode', [token]);
    this.position += 1;
    const values = logits.toTypedArray();
    SUPPRESSED.forEach((id) => { values[id] = -Infinity; });
    const likeliest = values.reduce((best, value, id) => (value > values[best] ? id : best), 0);
    logits.delete();
    return likeliest;
  }

  async run(signature, tokens) {
    const positions = Int32Array.from(tokens, (_, i) => this.position + i);
    const mask = Float32Array.from({ length: tokens.length * SLOTS },
      (_, i) => (i % SLOTS <= positions[Math.floor(i / SLOTS)] ? 0 : MASKED));
    const given = {
      tokens: new this.Tensor(Int32Array.from(tokens), [1, tokens.length]),
      input_pos: new this.Tensor(positions, [tokens.length]),
      mask: new this.Tensor(mask, [1, 1, tokens.length, SLOTS]),
      ...this.cache,
    };
    const { logits, ...cache } = await this.model.run(signature, given);
    this.cache = cache;
    Object.values(given).forEach((tensor) => tensor.delete()); // their memory is not JavaScript's
    return logits;
  }
}

/** LiteRT.js, which is made for browsers: Node lacks what it loads its WebAssembly by. */
async function litert() {
  globalThis.self = globalThis;
  globalThis.Module = { printErr() {} }; // it tells how it starts
  globalThis.importScripts = (script) => {
    const load = new Function('require', '__dirname', readFileSync(script, 'utf8') + '; return ModuleFactory;');
    globalThis.ModuleFactory = load(createRequire(script), dirname(script));
  };
  const { warn } = console;
  console.warn = () => {}; // that there is no WebGPU
  const runtime = await import('@litertjs/core');
  await runtime.loadLiteRt(join(dirname(createRequire(import.meta.url).resolve('@litertjs/core')), '../wasm/'));
  console.warn = warn;
  return runtime;
}

async function complete(prompt) {
  const read = (name) => readFileSync(join(BUNDLE, name));
  const tokenizer = new Tokenizer(read('tokenizer/vocabulary.json').toString(), read('tokenizer/merges.txt').toString());
  const file = new Uint8Array(read('core.tflite'));
  const { loadAndCompile, Tensor } = await litert();
  const session = new Session(await loadAndCompile(file, { accelerator: 'wasm' }), Tensor);
  const tokens = [...START, ...tokenizer.encode(prompt).slice(-WINDOW)];
  if (!tokens.length) tokens.push(END);
  const given = tokens.length;
  await session.prefill(tokens);
  while (tokens.length < LENGTH) {
    tokens.push(await session.decode(tokens.at(-1)));
    if (tokens.at(-1) === END) break;
  }
  return prompt + tokenizer.decode(tokens.slice(given));
}

try {
  if (process.argv.length !== 3) throw new Error('one prompt is wanted, in quotes: node complete.mjs "Returns the"');
  process.stdout.write(await complete(process.argv[2]) + '\n');
} catch (error) {
  console.error('error: ' + String(error.message ?? error).split('\n')[0]);
  process.exitCode = 2;
}
