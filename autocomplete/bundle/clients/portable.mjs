// Completes a text with portable.tflite of the bundle that this file lies in: $name, $mode.
//
// Needs Node 20 or newer and the npm package @litertjs/core. The answer on standard output is the prompt, then what
// the model adds.

import { readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

import { litert, main } from './litert.mjs';

const BUNDLE = dirname(dirname(fileURLToPath(import.meta.url)));
const ROOM = $portable_prompt_bytes; // the model reads so many of the prompt's last bytes
const TOKENS = $sequence_length; // added at most

/** The prompt and what the model adds; temperature 0 takes the likeliest token, topK 0 draws among the likeliest 64. */
async function complete(prompt, temperature = 0, topK = 0, seed = 0) {
  const file = readFileSync(join(BUNDLE, 'portable.tflite'));
  let text = new TextEncoder().encode(prompt).slice(-ROOM);
  while ((text[0] & 0xc0) === 0x80) text = text.slice(1); // the rest of a character that was cut
  const { loadAndCompile, Tensor } = await litert();
  const model = await loadAndCompile(file, { accelerator: 'wasm' });
  const integer = (number) => new Tensor(Int32Array.of(number), []);
  const real = (number) => new Tensor(Float32Array.of(number), []);
  const padded = new Uint8Array(ROOM);
  padded.set(text);
  const inputs = {
    prompt: new Tensor(padded, [1, ROOM]), prompt_length: integer(text.length), max_tokens: integer(TOKENS),
    temperature: real(temperature), top_k: integer(topK), top_p: real(1), seed: integer(seed), complete_word: integer(1),
  };
  const answer = await model.run('generate', inputs);
  const added = answer.text.toTypedArray().slice(0, answer.text_length.toTypedArray()[0]);
  const tensors = [...Object.values(inputs), ...Object.values(answer), model];
  tensors.forEach((each) => each.delete()); // WebAssembly's memory is not collected
  return prompt + new TextDecoder('utf-8', { ignoreBOM: true }).decode(added);
}

await main(complete);
