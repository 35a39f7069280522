// What the JavaScript clients share: LiteRT.js in Node, and a command line of a prompt and numbers.

import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { parseArgs } from 'node:util';

/** LiteRT.js in Node, with a stand-in for importScripts, by which it loads its WebAssembly in browsers. */
export async function litert() {
  globalThis.self = globalThis;
  globalThis.Module = { printErr() {} }; // it logs how it starts
  globalThis.importScripts = (script) => {
    const load = new Function('require', '__dirname', readFileSync(script, 'utf8') + '; return ModuleFactory;');
    globalThis.ModuleFactory = load(createRequire(script), dirname(script));
  };
  const { warn } = console;
  console.warn = () => {}; // it warns that there is no WebGPU
  const runtime = await import('@litertjs/core');
  await runtime.loadLiteRt(join(dirname(createRequire(import.meta.url).resolve('@litertjs/core')), '../wasm/'));
  console.warn = warn;
  return runtime;
}

/** The prompt and numbers of the command line. */
function readArguments() {
  const number = { type: 'string', default: '0' };
  const options = { temperature: number, 'top-k': number, seed: number };
  const { values, positionals } = parseArgs({ options, allowPositionals: true });
  if (positionals.length !== 1) throw new Error('one prompt is wanted, in quotes: "Returns the"');
  return [positionals[0], ...Object.keys(options).map((name) => {
    if (!Number.isFinite(Number(values[name]))) throw new Error('--' + name + ' wants a number, not ' + values[name]);
    return Number(values[name]);
  })];
}

const ADVICE = {
  ENOENT: '; usage/ belongs inside the bundle', ERR_MODULE_NOT_FOUND: '; usage/README.md says what to install',
};

/** Prints what a function returns for the prompt, temperature, top-k and seed; a mistake is one line and status 2. */
export async function main(complete) {
  try {
    process.stdout.write(await complete(...readArguments()) + '\n');
  } catch (error) {
    console.error('error: ' + String(error.message ?? error).split('\n')[0] + (ADVICE[error.code] ?? ''));
    process.exitCode = 2;
  }
}
