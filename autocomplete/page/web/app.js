// The page: settings, text and the model's worker, brought together.

import { createEditor } from './editor.js';
import { createOffers } from './offers.js';
import { bindSettings, keepSettings, readSettings } from './settings.js';
import { preferred, STRINGS } from './strings.js';
import { startSuggester } from './suggester.js';
import * as view from './view.js';

const REMEMBERED = 25; // times of suggestions, of which the page shows the median
const MOST_THREADS = 4;
const PATIENCE_MS = 250; // between two checks of whether the model is idle
const ROUNDS = 5;
const REASONS = ['unsupported', 'runtime', 'missing', 'damaged', 'network', 'memory', 'other'];

const $ = (id) => document.getElementById(id);
const settings = readSettings();
let models = [];
let suggester = null; // null until its model is loaded
let starting = null;
let times = [];
let measured = {};

const editor = createEditor(
  { text: $('text'), typed: $('typed'), ghost: $('ghost'), behind: $('behind'), between: $('between'), betweenText: $('between-text') },
  { input: () => offers.typed(), key: (event) => offers.pressed(event), moved: () => offers.moved() },
);
const offers = createOffers(settings, editor, () => suggester, { change: showButtons, answered });

// ---- the model ----

/** Starts the chosen model and stops the one before. */
async function start() {
  const began = performance.now();
  stop(null);
  if (typeof WebAssembly === 'undefined' || typeof Worker === 'undefined') return fail({ reason: 'unsupported', detail: '' });
  view.showStatus('statusLoading');
  try {
    models = models.length ? models : await readModels();
  } catch (error) {
    return fail({ reason: error instanceof TypeError ? 'network' : 'missing', detail: error.message });
  }
  const model = chosen();
  fitSettings(model);
  view.showModels(models, model.mode);
  const mine = startSuggester(model, threadsFor(model), { progress: view.showProgress, failed: fail });
  starting = mine;
  const { used, memory } = await mine.loaded;
  if (starting !== mine) return undefined;
  suggester = mine;
  measure({ load: performance.now() - began, memory });
  view.showProgress(null);
  view.showStatus(null);
  showButtons();
  offers.renew();
  keepForLater(used);
  return whenIdle(mine, () => pace(mine), 0); // at once if no text waits: the runs also warm the code up for the first key
}

function stop(trouble) {
  starting?.stop();
  starting = suggester = null;
  times = [];
  measured = { offline: measured.offline };
  view.showTrouble(trouble);
  view.showProgress(null);
  view.showStatus(null);
  view.showMeasured(measured);
  offers.withdraw();
}

function fail({ reason, detail }) {
  stop({ reason: REASONS.includes(reason) ? reason : 'other', detail });
}

function chosen() {
  return models.find(({ mode }) => mode === settings.model) ?? models[0];
}

async function readModels() {
  const answer = await fetch('models.json', { cache: 'no-cache' });
  if (!answer.ok) throw new Error(`${answer.status} models.json`);
  const list = await answer.json();
  $('title').textContent = document.title = list.title;
  return list.models.map((model) => {
    const url = new URL(model.file, location.href);
    url.searchParams.set('sha256', model.sha256); // another model has another URL, so that no cache returns the old one
    return { ...model, url: url.href };
  });
}

/** More threads than one only for a model that is large enough for them, as models.json says. */
function threadsFor({ threads }) {
  return threads && crossOriginIsolated ? Math.min(MOST_THREADS, navigator.hardwareConcurrency) : 1;
}

// ---- what was measured ----

function answered({ ms, memory, refused, typed }) {
  if (typed && !refused) times = [...times, ms].slice(-REMEMBERED);
  const suggestion = [...times].sort((a, b) => a - b)[Math.floor(times.length / 2)];
  measure({ suggestion, memory: memory ?? measured.memory });
}

function measure(more) {
  measured = { ...measured, ...more };
  view.showMeasured(measured);
}

/** Times the model in a few rounds; the fastest counts, as only other work on the machine makes a round slower. */
async function pace(asked, best = { few: Infinity, many: Infinity }, rounds = 1) {
  const { times: round } = (await asked.pace()) ?? {};
  if (!round || suggester !== asked) return;
  const now = { few: Math.min(best.few, round.few), many: Math.min(best.many, round.many) };
  if (now.many > now.few) measure({ perSecond: round.tokens / (now.many - now.few) * 1000 });
  if (rounds < ROUNDS) whenIdle(asked, () => pace(asked, now, rounds + 1));
}

/** Runs an action as soon as nobody waits for the model; checks that now and then. */
function whenIdle(asked, action, patience = PATIENCE_MS) {
  setTimeout(() => suggester === asked && (asked.idle() ? action() : whenIdle(asked, action)), patience);
}

/** Tells the service worker which files this visit used, so that a later visit needs no network. */
async function keepForLater(used) {
  if (!('serviceWorker' in navigator)) return;
  try {
    // the browser must not take files.js from its own cache: the version in it shows that the page is a newer one
    await navigator.serviceWorker.register('service-worker.js', { updateViaCache: 'none' });
    const { active } = await navigator.serviceWorker.ready;
    const { port1, port2 } = new MessageChannel();
    port1.onmessage = ({ data: offline }) => measure({ offline });
    active.postMessage({ type: 'keep', used, models: models.map(({ url }) => url) }, [port2]);
  } catch {
    // no secure context, or no storage left: the page needs the network each time
  }
}

// ---- settings ----

function changed(name, value) {
  settings[name] = value;
  keepSettings(settings);
  view.showSettings(settings);
  if (name === 'model') start();
  else offers.renew();
}

/** Brings the settings within the model's bounds. */
function fitSettings({ words, longest }) {
  Object.assign($('words'), { min: words.minimum, max: words.maximum });
  settings.words = Math.min(Math.max(settings.words ?? words.default, words.minimum), words.maximum);
  $('words').value = settings.words;
  $('length').max = longest;
  settings.length = Math.min(settings.length, longest);
  $('length').value = settings.length;
  view.showSettings(settings);
}

function bindLooks() {
  const language = settings.language in STRINGS ? settings.language : preferred(navigator.languages);
  const bind = (id, value, apply) => {
    $(id).value = value;
    $(id).addEventListener('input', ({ target }) => {
      settings[id] = target.value;
      keepSettings(settings);
      apply(target.value);
    });
    apply(value);
  };
  bind('language', language, view.setLanguage);
  bind('theme', settings.theme, view.setTheme);
}

function showButtons() {
  view.showButtons({ ready: suggester !== null, offered: offers.has() });
}

function bindButtons() {
  const bind = (id, action) => $(id).addEventListener('click', () => $(id).getAttribute('aria-disabled') !== 'true' && action());
  bind('generate', offers.generate);
  bind('retry', offers.retry);
  bind('accept', offers.acceptAll);
  bind('word', offers.acceptWord);
  $('again').addEventListener('click', start);
}

view.showSettings(settings);
bindLooks();
bindButtons();
bindSettings($('settings'), settings, changed);
start();
