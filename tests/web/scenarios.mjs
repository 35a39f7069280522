// What a user of the page does, in Chromium. Run by test_chromium.py: `node scenarios.mjs '{…}'`, a JSON report on stdout.

import assert from 'node:assert/strict';
import { appendFileSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

import { startBrowser } from './browser.mjs';

const told = JSON.parse(process.argv[2]);
const { open, close } = await startBrowser(told);
const report = {};
const PROMPT = 'Returns a list of';
const LONG = 'Raises ValueError if the'; // whose likeliest text is several words

/** Runs one, whatever became of the others. */
async function scenario(name, run) {
  const began = Date.now();
  try {
    await run();
    report[name] = { passed: true, ms: Date.now() - began };
  } catch (error) {
    report[name] = { passed: false, ms: Date.now() - began, why: String(error.stack ?? error) };
  }
}

const disabled = (user, id) => user.page.locator(`#${id}`).getAttribute('aria-disabled');

// ---- one visit after another in the same page ----

const user = await open(told.page);

await scenario('it suggests while one types, and Tab accepts', async () => {
  await user.text.focus();
  await user.page.keyboard.type(PROMPT, { delay: 10 });
  await user.until((text) => !window.busy && document.querySelector('#text').value === text, PROMPT);
  const suggestion = await user.suggestion();
  assert.equal(await disabled(user, 'accept'), 'false');
  await user.page.keyboard.press('Tab');
  assert.equal(await user.value(), PROMPT + suggestion);
  assert.equal(await user.page.evaluate(() => document.activeElement.id), 'text');
});

await scenario('undo takes an accepted suggestion back', async () => {
  await user.page.keyboard.press('Control+z');
  assert.equal(await user.value(), PROMPT);
});

await scenario('the right arrow takes one word and leaves the rest', async () => {
  await user.text.fill('');
  await user.write(LONG);
  const suggestion = await user.suggestion();
  const [word] = suggestion.match(/^\s*\S+/);
  assert.ok(word.length < suggestion.length, suggestion);
  const asked = await user.page.evaluate(() => window.asked.length);
  await user.page.keyboard.press('ArrowRight');
  assert.equal(await user.value(), LONG + word);
  assert.equal(await user.ghost(), suggestion.slice(word.length));
  assert.equal(await user.page.evaluate(() => window.asked.length), asked, 'what is left was asked for again');
});

await scenario('typing along uses a suggestion up, typing otherwise drops it', async () => {
  const rest = await user.ghost();
  await user.page.keyboard.type(rest[0]);
  assert.equal(await user.ghost(), rest.slice(1));
  await user.page.keyboard.type('§');
  assert.notEqual(await user.ghost(), rest.slice(2));
});

await scenario('Escape refuses, and Tab then leaves the text', async () => {
  await user.text.fill('');
  await user.write(PROMPT);
  await user.suggestion();
  await user.page.keyboard.press('Escape');
  assert.equal(await user.ghost(), '');
  assert.equal(await disabled(user, 'accept'), 'true');
  await user.page.keyboard.press('Tab');
  assert.equal(await user.page.evaluate(() => document.activeElement.id), 'generate');
  assert.equal(await user.value(), PROMPT);
});

await scenario('without text behind the caret the arrow moves as ever', async () => {
  await user.text.focus();
  await user.page.keyboard.press('Control+Home');
  await user.page.keyboard.press('ArrowRight');
  assert.equal(await user.text.evaluate((text) => text.selectionStart), 1);
});

await scenario('within a text the suggestion has a line of its own', async () => {
  await user.text.fill('Returns a list of\nand more');
  await user.text.evaluate((text) => text.setSelectionRange(14, 14));
  await user.page.keyboard.type(' ');
  await user.page.locator('#between').waitFor();
  const suggestion = await user.page.locator('#between-text').textContent();
  assert.equal(await user.ghost(), '');
  await user.page.keyboard.press('Tab');
  assert.equal(await user.value(), `Returns a list ${suggestion} of\nand more`);
});

await scenario('a half-typed word is completed', async () => {
  await user.text.fill('');
  await user.write('This function retur');
  const suggestion = await user.suggestion();
  assert.match(suggestion, /^ns?\b/);
});

await scenario('Generate, Retry and Accept', async () => {
  await user.text.fill('');
  await user.write(PROMPT);
  const short = await user.suggestion();
  await user.page.click('#generate');
  const long = await user.another(short);
  assert.ok(long.length > short.length && long.startsWith(short.slice(0, 6)), `${short} | ${long}`);
  await user.page.click('#retry');
  const other = await user.another(long);
  await user.page.click('#retry');
  const third = await user.another(other);
  assert.equal(new Set([long, other, third]).size, 3);
  await user.page.click('#accept');
  assert.equal(await user.value(), PROMPT + third);
  await user.text.fill(PROMPT);
  await user.page.keyboard.press('Control+Enter');
  await user.another(short);
});

await scenario('the output is as long as the slider says', async () => {
  await user.text.fill('');
  await user.set('length', 4);
  await user.write(PROMPT);
  const short = await user.suggestion();
  await user.set('length', 48);
  await user.page.click('#generate');
  await user.until((length) => document.querySelector('#ghost').textContent.length > 2 * length, short.length);
  assert.equal(await user.page.evaluate(() => window.asked.at(-1).draw.tokens), 48);
});

await scenario('the context window decides what the model reads', async () => {
  await user.text.fill('');
  await user.set('words', 3);
  await user.write('If the value is not None, returns a list of');
  const narrow = await user.suggestion();
  assert.equal(await user.page.evaluate(() => window.asked.at(-1).context), 'a list of');
  await user.set('words', 20);
  await user.until((old) => window.asked.at(-1).context.startsWith('If') && document.querySelector('#ghost').textContent !== old, narrow);
});

await scenario('temperature and top-k reach the model', async () => {
  await user.set('temperature', 1.2);
  await user.set('topK', 40);
  await user.until(() => window.asked.at(-1).draw.topK === 40);
  assert.equal(await user.page.evaluate(() => window.asked.at(-1).draw.temperature), 1.2);
});

await scenario('bad language in the text is refused in words', async () => {
  const { patterns } = JSON.parse(readFileSync(told.words));
  const word = patterns.find((pattern) => /^\\b[a-z]{6,}\\b$/.test(pattern)).slice(2, -2);
  await user.text.fill('');
  await user.write(`You are a ${word.toUpperCase()}, and`);
  await user.told('the filter refuses');
  assert.equal(await user.ghost(), '');
  await user.page.click('#generate');
  await user.told('the filter refuses');
  await user.page.uncheck('#filter');
  await user.suggestion();
  await user.page.check('#filter');
  await user.told('the filter refuses');
});

await scenario('while an input method composes nothing is suggested', async () => {
  await user.text.fill('');
  await user.write(`${PROMPT} `);
  await user.suggestion();
  const keys = await user.context.newCDPSession(user.page);
  const asked = await user.page.evaluate(() => window.asked.length);
  await keys.send('Input.imeSetComposition', { text: '하', selectionStart: 1, selectionEnd: 1 });
  assert.equal(await user.ghost(), '');
  await keys.send('Input.imeSetComposition', { text: '한', selectionStart: 1, selectionEnd: 1 });
  assert.equal(await user.page.evaluate(() => window.asked.length), asked);
  await keys.send('Input.insertText', { text: '한' });
  assert.equal(await user.value(), `${PROMPT} 한`);
  await user.until((before) => window.asked.length > before, asked);
});

await scenario('one question is with the model at a time, and only the newest waits', async () => {
  await user.text.fill('');
  const { asked, last } = await user.page.evaluate(async () => {
    // looked at in the task that types: else the page may begin to time the model in between, and the first letter waits too
    while (window.busy || window.pacing) await new Promise((go) => setTimeout(go, 10));
    const text = document.querySelector('#text');
    const before = window.asked.length;
    text.focus();
    for (const letter of 'Returns a dictionary of all ') document.execCommand('insertText', false, letter); // faster than any model
    const full = text.value;
    while (window.asked.at(-1).text !== full) await new Promise((go) => setTimeout(go, 10));
    return { asked: window.asked.length - before, last: window.asked.at(-1).text };
  });
  await user.suggestion();
  assert.equal(last, 'Returns a dictionary of all ');
  assert.equal(asked, 2, 'the first letter, and the text when that was answered');
  assert.equal(await user.page.evaluate(() => window.most), 1);
});

await scenario('a screen reader is told, in its language', async () => {
  await user.text.fill('');
  await user.write(PROMPT);
  const suggestion = await user.suggestion();
  await user.until((what) => document.querySelector('#spoken').textContent === `Suggestion: ${what}`, suggestion);
  await user.page.selectOption('#language', 'ko');
  assert.equal(await user.page.getAttribute('html', 'lang'), 'ko');
  assert.equal(await user.page.innerText('#generate'), '생성');
  await user.page.keyboard.press('Escape');
});

await scenario('time, speed and memory are measured', async () => {
  await user.page.selectOption('#language', 'en');
  await user.until(() => /^[\d,]+ tokens\/s$/.test(document.querySelector('#per-second').textContent));
  assert.match(await user.page.innerText('#load-time'), /^\d+(\.\d+)? sec$/);
  assert.match(await user.page.innerText('#per-suggestion'), /^[\d.]+ ms$/);
  assert.match(await user.page.innerText('#memory'), /^\d+ MiB$/);
});

await scenario('settings last', async () => {
  await user.set('length', 16);
  await user.page.uncheck('#typing');
  await user.page.reload();
  await user.ready();
  assert.equal(await user.page.inputValue('#length'), '16');
  assert.equal(await user.page.isChecked('#typing'), false);
  await user.write(PROMPT);
  await user.page.waitForTimeout(200);
  assert.equal(await user.ghost(), '');
  await user.page.click('#generate');
  await user.suggestion();
});

await scenario('nothing went wrong unseen, and nothing was asked of another server', async () => {
  assert.deepEqual(user.seen.errors, []);
  const { origin } = new URL(told.page);
  assert.deepEqual(user.seen.requests.filter((url) => new URL(url).origin !== origin), []);
});
await user.close();

// ---- visits of their own ----

await scenario('another model is another choice', async () => {
  const visit = await open(told.page);
  const modes = await visit.page.locator('#model option').evaluateAll((options) => options.map(({ value }) => value));
  assert.deepEqual(modes, ['dynamic_range', 'float32']);
  await visit.write(PROMPT);
  await visit.suggestion();
  await visit.page.selectOption('#model', 'float32');
  await visit.until(() => document.querySelector('#ghost').textContent === '');
  await visit.suggestion();
  assert.ok(visit.seen.requests.some((url) => url.includes('models/float32.tflite')));
  await visit.page.reload();
  await visit.ready();
  assert.equal(await visit.page.inputValue('#model'), 'float32');
  await visit.close();
});

await scenario('an answer that the filter refuses is asked for again', async () => {
  const words = (patterns) => (context) => context.route('**/words.json', (route) => route.fulfill({ json: { patterns, lookalikes: {} } }));
  const free = await open(told.page, { before: words(['\\bnothing of this\\b']) });
  await free.write(PROMPT);
  const likeliest = await free.suggestion();
  await free.close();
  const exactly = likeliest.toLowerCase().replace(/[.*+?^${}()|[\]\\/]/g, '\\$&');

  const first = await open(told.page, { before: words([`list of${exactly}`]) });
  await first.write(PROMPT);
  assert.notEqual(await first.suggestion(), likeliest);
  const draws = await first.page.evaluate(() => window.asked.filter(({ text }) => text.endsWith('list of')).map(({ draw }) => draw));
  assert.ok(draws.length >= 2 && draws[0].temperature === 0 && draws[1].temperature > 0 && draws[0].seed !== draws[1].seed);
  await first.close();

  const all = await open(told.page, { before: words(['(?<=list of)[^]']) });
  await all.write(PROMPT);
  await all.told('refused each of them');
  assert.equal(await all.ghost(), '');
  assert.equal(await all.page.evaluate(() => window.asked.filter(({ text }) => text.endsWith('list of')).length), 3);
  await all.close();
});

await scenario('after one visit it works without a network', async () => {
  const visit = await open(told.page, { serviceWorkers: 'allow' });
  await visit.page.locator('#offline[data-ready="yes"]').waitFor();
  await visit.context.setOffline(true);
  await visit.page.reload();
  await visit.ready();
  await visit.write(PROMPT);
  await visit.suggestion();
  assert.equal(await visit.page.evaluate(() => navigator.onLine), false);
  await visit.page.selectOption('#model', 'float32'); // which this visit never had
  assert.equal((await visit.trouble()).reason, 'network');
  await visit.page.selectOption('#model', 'dynamic_range');
  await visit.suggestion();
  await visit.close();
});

await scenario('a plain static host will do, and what is newer there replaces what was kept', async () => {
  const visit = await open(told.plain, { serviceWorkers: 'allow' });
  assert.equal(await visit.page.evaluate(() => crossOriginIsolated), false);
  await visit.write(PROMPT);
  await visit.suggestion();
  assert.equal(await visit.page.locator('#model-setting').isVisible(), false);
  await visit.page.locator('#offline[data-ready="yes"]').waitFor();

  appendFileSync(join(told.plainFolder, 'style.css'), '/* newer */');
  const list = join(told.plainFolder, 'files.js');
  writeFileSync(list, readFileSync(list, 'utf8').replace(/"version": "\w+"/, '"version": "newer"'));
  await visit.page.reload(); // still the page that was kept, while the newer one comes
  await visit.page.evaluate(async () => {
    const pages = async () => (await caches.keys()).filter((name) => name.startsWith('autocomplete-page'));
    while (!(await pages()).every((name) => name.endsWith(' newer'))) await new Promise((go) => setTimeout(go, 50));
  });
  await visit.page.reload();
  await visit.page.locator('#offline[data-ready="yes"]').waitFor();
  assert.match(await visit.page.evaluate(async () => (await fetch('style.css')).text()), /newer/);
  await visit.context.setOffline(true);
  await visit.page.reload();
  await visit.ready();
  await visit.close();
});

const TROUBLES = {
  unsupported: { script: () => delete globalThis.WebAssembly, says: 'WebAssembly' },
  missing: { url: '**/models/*', answer: (route) => route.fulfill({ status: 404 }), says: 'was not found' },
  network: { url: '**/models/*', answer: (route) => route.abort(), says: 'could not be loaded' },
  damaged: { url: '**/models/*', answer: (route) => route.fulfill({ body: 'not a model' }), says: 'damaged' },
  runtime: { url: '**/*_internal.wasm', answer: (route) => route.fulfill({ status: 404 }), says: 'did not start' },
  memory: {
    url: '**/*_internal.js',
    answer: (route) => route.fulfill({
      contentType: 'text/javascript',
      body: 'ModuleFactory = async () => { throw new RangeError("WebAssembly.Memory(): could not allocate memory"); }',
    }),
    says: 'not enough memory',
  },
};

await scenario('what goes wrong is told in words', async () => {
  for (const [reason, { script, url, answer, says }] of Object.entries(TROUBLES)) {
    const visit = await open(told.page, { ready: false, script, before: (context) => url && context.route(url, answer) });
    const { reason: given, words } = await visit.trouble();
    assert.equal(given, reason);
    assert.ok(words.includes(says), words);
    await visit.text.fill('Text can be written all the same');
    assert.equal(await visit.value(), 'Text can be written all the same');
    assert.equal(await disabled(visit, 'generate'), 'true');
    if (reason === 'network') {
      await visit.page.selectOption('#language', 'ko');
      assert.match((await visit.trouble()).words, /모델을 불러오지 못했습니다/);
      await visit.context.unroute(url);
      await visit.page.click('#again');
      await visit.ready();
      assert.equal(await visit.page.locator('#trouble').isVisible(), false);
    }
    await visit.close();
  }
});

await scenario('nobody is kept out, and the pictures', async () => {
  const axe = readFileSync(join(told.modules, 'axe-core/axe.min.js'), 'utf8');
  const looks = {
    desktop: { colorScheme: 'light' },
    dark: { colorScheme: 'dark' },
    phone: { colorScheme: 'light', viewport: { width: 360, height: 740 }, deviceScaleFactor: 2, hasTouch: true, isMobile: true },
  };
  for (const [name, options] of Object.entries(looks)) {
    const visit = await open(told.page, { serviceWorkers: 'allow', ...options });
    await visit.until(() => /tokens\/s/.test(document.querySelector('#per-second').textContent));
    for (const part of LONG.split(/(?<= )/)) {
      const before = await visit.ghost();
      await visit.write(part);
      await visit.another(before);
    }
    await visit.page.locator('#offline[data-ready="yes"]').waitFor();
    const wide = await visit.page.evaluate(() => document.scrollingElement.scrollWidth - document.documentElement.clientWidth);
    assert.equal(wide, 0, 'the page is wider than the screen');
    const ground = await visit.page.evaluate(() => getComputedStyle(document.body).backgroundColor);
    assert.equal(ground, name === 'dark' ? 'rgb(21, 23, 26)' : 'rgb(246, 245, 242)');
    await visit.picture(name);
    await visit.page.evaluate(axe);
    for (const language of ['en', 'ko']) {
      await visit.page.selectOption('#language', language);
      const { violations } = await visit.page.evaluate(() => window.axe.run());
      assert.deepEqual(violations.map(({ id, nodes }) => [name, id, nodes.map(({ html }) => html)]), []);
    }
    await visit.page.selectOption('#theme', name === 'dark' ? 'light' : 'dark');
    assert.notEqual(await visit.page.evaluate(() => getComputedStyle(document.body).backgroundColor), ground);
    await visit.close();
  }
});

// ---- what Python compares ----

const visit = await open(told.page);
const texts = await visit.page.evaluate(async ({ prompts, tokens }) => {
  const models = (await (await fetch('models.json')).json()).models;
  const model = models.find(({ mode }) => mode === 'float32');
  const worker = new Worker('worker.js');
  const next = (type) => new Promise((resolve, reject) => {
    worker.addEventListener('message', function heard({ data }) {
      if (data.type === 'failed') reject(new Error(data.detail));
      if (data.type !== type) return;
      worker.removeEventListener('message', heard);
      resolve(data);
    });
  });
  const loaded = next('load');
  worker.postMessage({ type: 'load', model: { ...model, url: new URL(model.file, location.href).href }, threads: 1 });
  await loaded;
  const said = [];
  for (const prompt of prompts) {
    const answer = next('ask');
    const draw = { tokens, temperature: 0, topK: 0, seed: 0, wholeWord: false };
    worker.postMessage({ type: 'ask', text: prompt, context: prompt, draw, filter: false });
    said.push((await answer).text);
  }
  return said;
}, { prompts: told.prompts, tokens: told.tokens });
const refused = await visit.page.evaluate(async ({ words, candidates }) => {
  const { createFilter } = await import('./filter.js');
  return candidates.map(createFilter(words));
}, { words: JSON.parse(readFileSync(told.allWords)), candidates: JSON.parse(readFileSync(told.candidates)) });
await visit.close();
await close();
console.log(JSON.stringify({ scenarios: report, texts, refused }));
