// Many prompts, one model loaded once, for same_text.py: `node same_text.mjs client '{…}'` or `node same_text.mjs page '{…}'`.
// On stdout the text and the seconds of each answer, each with a NUL behind it.

import fs from 'node:fs';
import { syncBuiltinESMExports } from 'node:module';
import { pathToFileURL } from 'node:url';

import { startBrowser } from '../web/browser.mjs';

const ASKING = { client: askClient, page: askPage };
const [kind, told] = [process.argv[2], JSON.parse(process.argv[3])];
const answers = await ASKING[kind](told);
process.stdout.write(answers.flat().map((part) => `${part}\0`).join(''));

/** A client of usage/, evaluated for each prompt as if it were the command line's; same_text.py's stub keeps the model. */
async function askClient({ client, prompts }) {
  const { readFileSync } = fs;
  const files = new Map();
  fs.readFileSync = (path, ...more) => {
    if (more.length) return readFileSync(path, ...more);
    if (!files.has(path)) files.set(path, readFileSync(path));
    return files.get(path);
  };
  syncBuiltinESMExports();
  const { write } = process.stdout;
  const said = [];
  for (const [i, prompt] of prompts.entries()) {
    let text = '';
    process.argv = [process.execPath, client, '--', prompt];
    process.stdout.write = (part) => {
      text += part;
      return true;
    };
    try {
      await import(`${pathToFileURL(client)}?${i}`);
    } finally {
      process.stdout.write = write;
    }
    if (process.exitCode) process.exit();
    said.push([text.replace(/\n$/, ''), globalThis.ranSeconds]);
  }
  return said;
}

/** The page's worker in Chromium, with as many threads as the page takes; words as they are, then completed. */
async function askPage({ page, tokens, prompts, ...more }) {
  const { open, close } = await startBrowser(more);
  const visit = await open(`${page}models.json`, { ready: false }); // a document there that loads no model by itself
  try {
    return await visit.page.evaluate(inPage, { tokens, prompts });
  } finally {
    await close();
  }
}

/** What askPage does in the document. */
async function inPage({ tokens, prompts }) {
  const [model] = (await (await fetch('models.json')).json()).models;
  const threads = model.threads && crossOriginIsolated ? Math.min(4, navigator.hardwareConcurrency) : 1;
  const worker = new Worker('worker.js');
  const asked = (message) => new Promise((resolve, reject) => {
    worker.onmessage = ({ data }) => {
      if (data.type === 'failed') reject(new Error(`${data.reason}: ${data.detail}`));
      else if (data.type === message.type) resolve(data);
    };
    worker.onerror = (event) => reject(new Error(event.message));
    worker.postMessage(message);
  });
  await asked({ type: 'load', model: { ...model, url: new URL(model.file, location.href).href }, threads });
  const said = [];
  for (const wholeWord of [false, true]) {
    for (const prompt of prompts) {
      const draw = { tokens, temperature: 0, topK: 0, seed: 0, wholeWord };
      const { text, ms } = await asked({ type: 'ask', text: prompt, context: prompt, draw, filter: false });
      said.push([prompt + text, ms / 1000]);
    }
  }
  return said;
}
