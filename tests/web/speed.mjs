// How fast the page is in Chromium: `node speed.mjs '{…}'`, a JSON report on stdout. Run by tests/benchmarks/page.py.

import { startBrowser } from './browser.mjs';

const SETTLED_MS = 2000;
const told = JSON.parse(process.argv[2]);
const { open, close } = await startBrowser(told);

/** Notes in the page when a key went down, and when the frame with a suggestion for it was drawn. */
function clock() {
  window.drawn = [];
  let pressed = 0;
  addEventListener('keydown', (event) => {
    pressed = event.timeStamp;
  }, true);
  addEventListener('DOMContentLoaded', () => {
    new MutationObserver(() => {
      if (!document.querySelector('#ghost').textContent.trim()) return;
      const since = pressed;
      requestAnimationFrame(() => window.drawn.push({ at: performance.now(), ms: performance.now() - since }));
    }).observe(document.querySelector('#ghost'), { childList: true });
  });
}

/**
 * A visit with nothing kept from an earlier one: milliseconds from its beginning to a suggestion for a text. Chromium is busy
 * with itself when a window opens (its address bar is a page of its own), so the visit begins when that is over.
 */
async function cold() {
  const settled = (context) => context.pages()[0].waitForTimeout(SETTLED_MS);
  const visit = await open(told.page, { ready: false, script: clock, before: settled });
  await visit.text.fill('Returns a list of');
  await visit.until(() => window.drawn.length > 0);
  const ms = await visit.page.evaluate(() => window.drawn[0].at);
  await visit.close();
  return ms;
}

/** Milliseconds from a key to its suggestion, of keys that ask the model: one that types along a suggestion does not. */
async function keys() {
  const visit = await open(told.page, { script: clock });
  await visit.write('The ');
  await visit.suggestion();
  await visit.page.waitForTimeout(3000); // the model is timed and the compiler has made its fast code
  const found = [];
  for (const line of told.lines) {
    await visit.text.fill('');
    for (const letter of line) {
      await visit.page.evaluate(() => {
        window.drawn = [];
        window.before = window.asked.length;
      });
      await visit.page.keyboard.type(letter);
      await visit.page.waitForTimeout(120);
      const ms = await visit.page.evaluate(() => (window.asked.length === window.before + 1 ? window.drawn.at(-1)?.ms : null));
      if (ms) found.push(ms);
    }
  }
  const shown = await visit.page.locator('dl').innerText();
  await visit.close();
  return { found, shown };
}

const report = { cold: [], ...(await keys()) };
for (let i = 0; i < told.visits; i += 1) report.cold.push(await cold());
await close();
console.log(JSON.stringify(report));
