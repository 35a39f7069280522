// The model in a thread of its own, so that the page never waits for it. Each message gets one answer, in order.
//
// A classic worker, not a module: LiteRT.js loads its WebAssembly by importScripts, which module workers refuse.
'use strict';

const RUNTIME = new URL('runtime/', self.location);
const SIGNATURE = 'generate';
const MEBIBYTE = 2 ** 20;
// messages of browsers and Emscripten: a failed allocation has no error class of its own
const NO_ROOM = /out of memory|could not allocate|allocation failed|cannot enlarge memory|\bOOM\b/i;
// the prompt that the model is timed with, and how many tokens it adds
const PACE = { text: 'The', few: 2, many: 26 };

let litert;
let model;
let refuses;
let lastBytes;
const used = new Set(); // URLs that a visit without a network needs

/** An error with a reason that the page has a text for. */
class Failure extends Error {
  constructor(reason, detail) {
    super(detail);
    this.reason = reason;
  }
}

const handlers = { load, ask, pace };
self.onmessage = async ({ data }) => {
  try {
    self.postMessage({ type: data.type, ...(await handlers[data.type](data)) });
  } catch (error) {
    const detail = String(error?.message ?? error);
    self.postMessage({ type: 'failed', reason: NO_ROOM.test(detail) ? 'memory' : error?.reason ?? 'other', detail });
  }
};

/** Starts the runtime while the model is downloaded, then compiles the model. */
async function load({ model: chosen, threads }) {
  const [bytes] = await Promise.all([download(chosen), start(threads), helpers()]);
  try {
    model = await litert.loadAndCompile(bytes, { accelerator: 'wasm', cpuOptions: { numThreads: threads } });
  } catch (error) {
    throw new Failure('damaged', error?.message ?? error);
  }
  if (!model.signatures[SIGNATURE]) throw new Failure('damaged', `no signature ${SIGNATURE}`);
  return { used: [...used], memory: memory() };
}

async function helpers() {
  const [words, filter, text] = await Promise.all([
    fetch('words.json').then((answer) => answer.json()), import('./filter.js'), import('./text.js'),
  ]).catch((error) => {
    throw new Failure('runtime', error.message);
  });
  refuses = filter.createFilter(words);
  lastBytes = text.lastBytes;
}

async function start(threads) {
  // these models do not run on a GPU, and looking for one takes a fifth of a second
  Object.defineProperty(self.navigator, 'gpu', { value: undefined });
  self.Module = { locateFile, printErr() {} }; // it logs how it starts
  if (threads > 1) self.Module.mainScriptUrlOrBlob = locateFile('litert_wasm_threaded_internal.js');
  const { warn } = console;
  console.warn = () => {}; // it warns that there is no GPU
  try {
    litert = await import('./runtime/index.js');
    await litert.loadLiteRt(RUNTIME.href, { threads: threads > 1 });
  } catch (error) {
    throw new Failure('runtime', error?.message ?? error);
  } finally {
    console.warn = warn;
  }
}

/** The URL of a file of the runtime; the script that loads a .wasm file has the same name. */
function locateFile(name) {
  used.add(new URL(name, RUNTIME).href).add(new URL(name.replace(/\.wasm$/, '.js'), RUNTIME).href);
  return new URL(name, RUNTIME).href;
}

/** The model's bytes, whose size and hash must be those of models.json. */
async function download({ url, bytes: size, sha256 }) {
  const answer = await fetch(url).catch((error) => {
    throw new Failure('network', error.message);
  });
  if (!answer.ok) throw new Failure('missing', `${answer.status} ${url}`);
  const bytes = new Uint8Array(size);
  let filled = 0;
  for (const reader = answer.body.getReader(); ;) {
    const { done, value } = await reader.read().catch((error) => {
      throw new Failure('network', error.message);
    });
    if (done) break;
    if (filled + value.length > size) throw new Failure('damaged', `longer than ${size} bytes`);
    bytes.set(value, filled);
    filled += value.length;
    self.postMessage({ type: 'progress', share: filled / size });
  }
  if (filled !== size) throw new Failure('damaged', `${filled} of ${size} bytes`);
  // crypto.subtle exists in secure contexts only: https and loopback
  if (self.crypto.subtle && (await hash(bytes)) !== sha256) throw new Failure('damaged', 'SHA-256 differs');
  used.add(url);
  return bytes;
}

async function hash(bytes) {
  const digest = new Uint8Array(await self.crypto.subtle.digest('SHA-256', bytes));
  return Array.from(digest, (byte) => byte.toString(16).padStart(2, '0')).join('');
}

/** What the model adds to a text, or whether the filter refused text or answer. The model reads `context`, its end. */
async function ask({ text, context, draw, filter }) {
  if (filter && refuses(text)) return { text: '', refused: 'input', ms: 0 };
  const began = performance.now();
  const added = await generate(context, draw);
  const ms = performance.now() - began;
  const refused = filter && refuses(text + added) ? 'output' : null;
  return { text: refused ? '' : added, refused, ms, memory: memory() };
}

/** Milliseconds for a few tokens and for many, which give the tokens per second; null if the model ends earlier. */
async function pace() {
  const timed = async (tokens) => {
    const began = performance.now();
    const text = await generate(PACE.text, { tokens, temperature: 0, topK: 0, seed: 0, wholeWord: false });
    return { text, ms: performance.now() - began };
  };
  const before = await timed(PACE.many - 1);
  const few = await timed(PACE.few);
  const many = await timed(PACE.many);
  const whole = before.text !== many.text; // the last token has text, so none of them was the end
  return { times: whole ? { few: few.ms, many: many.ms, tokens: PACE.many - PACE.few } : null };
}

async function generate(context, { tokens, temperature, topK, seed, wholeWord }) {
  const shape = model.signatures[SIGNATURE].getInputDetails().find(({ name }) => name === 'prompt').shape;
  const bytes = lastBytes(context, shape[1]);
  const prompt = new Uint8Array(shape[1]);
  prompt.set(bytes);
  const integer = (number) => new litert.Tensor(Int32Array.of(number), []);
  const real = (number) => new litert.Tensor(Float32Array.of(number), []);
  const inputs = {
    prompt: new litert.Tensor(prompt, [1, shape[1]]), prompt_length: integer(bytes.length), max_tokens: integer(tokens),
    temperature: real(temperature), top_k: integer(topK), top_p: real(1), seed: integer(seed),
    complete_word: integer(Number(wholeWord)),
  };
  let answer = {};
  try {
    answer = await model.run(SIGNATURE, inputs);
    const length = answer.text_length.toTypedArray()[0];
    return new TextDecoder('utf-8', { ignoreBOM: true }).decode(answer.text.toTypedArray().subarray(0, length));
  } finally {
    for (const tensor of [...Object.values(inputs), ...Object.values(answer)]) tensor.delete(); // WebAssembly's memory is not collected
  }
}

function memory() {
  return litert.getGlobalLiteRt().liteRtWasm.HEAPU8.byteLength / MEBIBYTE;
}
