// Chromium, started once, and what the scenarios do in it again and again.

import { join } from 'node:path';
import { pathToFileURL } from 'node:url';

const WAIT_MS = 30000;

/** @param told {modules, chromium, screens}: node_modules, the browser's program, the folder for pictures. */
export async function startBrowser({ modules, chromium, screens }) {
  const { chromium: driver } = await import(pathToFileURL(join(modules, 'playwright-core/index.mjs')));
  // the sandbox asks for what a container does not give; the pages are our own
  const browser = await driver.launch({ executablePath: chromium, args: ['--no-sandbox'] });
  return { browser, open: (url, options) => open(browser, url, { screens, ...options }), close: () => browser.close() };
}

/**
 * A page in a context of its own, and what a user sees and does there. `before` may route requests; `script` runs in the
 * page before its own; without `ready` the model is not waited for.
 */
async function open(browser, url, { screens, before, script = () => {}, ready = true, ...options }) {
  const context = await browser.newContext({ viewport: { width: 1000, height: 860 }, serviceWorkers: 'block', ...options });
  context.setDefaultTimeout(WAIT_MS);
  const seen = { errors: [], requests: [] };
  context.on('request', (request) => seen.requests.push(request.url()));
  const page = await context.newPage();
  page.on('pageerror', (error) => seen.errors.push(String(error)));
  await page.addInitScript(watch);
  await page.addInitScript(script);
  await before?.(context);
  await page.goto(url);
  const user = actions(page, context, screens, seen);
  if (ready) await user.ready();
  return user;
}

/** Notes what the page asks of its worker, how many questions are with it at once, and whether it is timed (`pacing`). */
function watch() {
  window.asked = [];
  window.most = 0;
  window.busy = false;
  window.pacing = false;
  const open = new Map();
  const count = (worker, more) => {
    open.set(worker, (open.get(worker) ?? 0) + more);
    window.busy = open.get(worker) > 0;
    window.most = Math.max(window.most, open.get(worker));
  };
  const Original = window.Worker;
  window.Worker = class extends Original {
    constructor(...args) {
      super(...args);
      this.addEventListener('message', ({ data }) => {
        if (data.type === 'ask') count(this, -1);
        if (data.type === 'pace') window.pacing = false;
      });
    }

    postMessage(message, ...rest) {
      if (message.type === 'ask') {
        window.asked.push(message);
        count(this, 1);
      }
      if (message.type === 'pace') window.pacing = true;
      super.postMessage(message, ...rest);
    }
  };
}

function actions(page, context, screens, seen) {
  const text = page.locator('#text');
  const ghost = () => page.locator('#ghost').textContent();
  const until = (condition, argument) => page.waitForFunction(condition, argument, { polling: 20 });
  return {
    page, context, seen, text, ghost, until,
    ready: () => until(() => document.querySelector('#generate').getAttribute('aria-disabled') === 'false'),
    value: () => text.inputValue(),
    status: () => page.locator('#status').textContent(),
    trouble: async () => {
      await page.locator('#trouble').waitFor();
      return { reason: await page.locator('#trouble').getAttribute('data-reason'), words: await page.locator('#trouble p').innerText() };
    },
    /** Writes behind what is there, all at once: one question to the model. */
    async write(more) {
      await text.focus();
      await page.keyboard.press('Control+End');
      await page.keyboard.insertText(more);
    },
    async suggestion() {
      await until(() => document.querySelector('#ghost').textContent.trim() !== '');
      return ghost();
    },
    /** A suggestion other than one that was there. */
    async another(than) {
      await until((old) => ![old, ''].includes(document.querySelector('#ghost').textContent), than);
      return ghost();
    },
    told: (wanted) => until((what) => document.querySelector('#status').textContent.includes(what), wanted),
    async set(id, value) {
      await page.locator(`#${id}`).fill(String(value));
    },
    picture: (name) => page.screenshot({ path: join(screens, `${name}.png`), fullPage: true }),
    close: () => context.close(),
  };
}
