// What the page shows and speaks, in the chosen language.

import { told } from './strings.js';

const SPEAK_MS = 600; // pause in typing after which a screen reader is told
const MEGABYTE = 1e6;

const $ = (id) => document.getElementById(id);
const shown = new Map(); // function → its last arguments, to show them again in another language
let language = 'en';
let speaking = 0;

const lasting = (show) => (...values) => {
  shown.set(show, values);
  show(...values);
};
const say = (key, values) => told(language, key, values);

export function setLanguage(chosen) {
  language = chosen;
  document.documentElement.lang = language;
  for (const element of document.querySelectorAll('[data-text]')) element.textContent = say(element.dataset.text);
  for (const element of document.querySelectorAll('[data-label]')) element.setAttribute('aria-label', say(element.dataset.label));
  for (const element of document.querySelectorAll('[data-placeholder]')) element.placeholder = say(element.dataset.placeholder);
  for (const [show, values] of shown) show(...values);
}

export function setTheme(theme) {
  document.documentElement.dataset.theme = theme;
}

export const showStatus = lasting((key) => {
  $('status').textContent = key ? say(key) : '';
});

/** Tells a screen reader after a pause, unless something newer is to be told by then. */
export function speak(key, values) {
  clearTimeout(speaking);
  speaking = setTimeout(() => {
    $('spoken').textContent = key ? say(key, values) : '';
  }, SPEAK_MS);
}

/** Disabled buttons can still be reached by the keyboard, so that their order stays. */
export function showButtons({ ready, offered }) {
  for (const id of ['retry', 'accept', 'word']) $(id).setAttribute('aria-disabled', String(!offered));
  $('generate').setAttribute('aria-disabled', String(!ready));
}

export const showSettings = lasting(({ words, length, temperature, topK }) => {
  const tell = (id, text) => {
    $(`${id}-told`).textContent = text;
    $(id).setAttribute('aria-valuetext', text);
  };
  tell('words', say('wordsTold', { n: number(words ?? 0) }));
  tell('length', say('lengthTold', { n: number(length) }));
  tell('temperature', temperature ? number(temperature, 1) : say('temperatureGreedy'));
  tell('topK', say('topKTold', { n: number(topK) }));
});

export const showModels = lasting((models, mode) => {
  const option = (model) => new Option(say('modelOption', { mode: model.mode, size: number(model.bytes / MEGABYTE, 1) }), model.mode);
  $('model').replaceChildren(...models.map(option));
  if (mode) $('model').value = mode;
  $('model-setting').hidden = models.length < 2;
});

/** @param measured {load, suggestion: milliseconds; perSecond: tokens; memory: MiB; offline}, each if it was measured. */
export const showMeasured = lasting(({ load, suggestion, perSecond, memory, offline }) => {
  $('load-time').textContent = load ? unit(load / 1000, 'second', 2) : '–';
  $('per-suggestion').textContent = suggestion ? unit(suggestion, 'millisecond', suggestion < 10 ? 1 : 0) : '–';
  $('per-second').textContent = perSecond ? say('perSecondTold', { n: number(perSecond) }) : '–';
  $('memory').textContent = memory ? `${number(memory)} MiB` : '–';
  $('offline').textContent = say(offline ? 'offlineReady' : 'offlineNo');
  $('offline').dataset.ready = offline ? 'yes' : 'no';
});

/** Shows what went wrong and what to do; null hides it. */
export const showTrouble = lasting((trouble) => {
  $('trouble').hidden = trouble === null;
  if (trouble === null) return;
  const name = trouble.reason[0].toUpperCase() + trouble.reason.slice(1);
  $('trouble').dataset.reason = trouble.reason;
  $('trouble').title = trouble.detail;
  $('trouble-title').textContent = say(`trouble${name}`);
  $('trouble-advice').textContent = say(`advice${name}`, { detail: trouble.detail });
});

/** Shows the share of the model that is downloaded, 0 to 1; null hides it. */
export function showProgress(share) {
  $('progress').hidden = share === null;
  if (share !== null) $('progress').value = share;
}

function number(value, digits = 0) {
  return new Intl.NumberFormat(language, { maximumFractionDigits: digits, minimumFractionDigits: digits }).format(value);
}

function unit(value, name, digits) {
  return new Intl.NumberFormat(language, { style: 'unit', unit: name, maximumFractionDigits: digits }).format(value);
}
