// Caches the files of a visit, so that the next one needs no network. files.js, which package writes, lists the files
// and their version, a hash of them all. Each version has a cache of its own, and the old cache is deleted.
'use strict';

importScripts('files.js');

const { version, files } = self.SITE;
const HERE = new URL('./', self.location).href;
const PAGES = `autocomplete-page ${HERE} `; // an origin may hold several pages
const PAGE = PAGES + version;
const MODELS = `autocomplete-models ${HERE}`; // by a URL that holds the model's hash
const LIST = 'models.json'; // may be edited on the server: taken from the cache only without a network
const PATIENCE_MS = 4000;

self.addEventListener('install', (event) => {
  event.waitUntil(keepPage().then(() => self.skipWaiting()));
});
self.addEventListener('activate', (event) => {
  event.waitUntil(forgetOthers().then(() => self.clients.claim()));
});
self.addEventListener('message', (event) => {
  if (event.data.type !== 'keep') return;
  event.waitUntil(keep(event.data.used, event.data.models).then(
    () => event.ports[0].postMessage(true), () => event.ports[0].postMessage(false),
  ));
});
self.addEventListener('fetch', (event) => {
  const { request } = event;
  const url = new URL(request.url);
  if (request.method !== 'GET' || url.origin !== self.location.origin) return;
  const name = url.href.startsWith(HERE) ? url.pathname.slice(new URL(HERE).pathname.length) : null;
  if (name === LIST) event.respondWith(newest(request));
  else if (url.searchParams.has('sha256')) event.respondWith(kept(MODELS, request));
  else if (name === '' || files.includes(name) || name?.startsWith('runtime/')) event.respondWith(kept(PAGE, request));
});

async function keepPage() {
  const cache = await caches.open(PAGE);
  await cache.addAll(['./', LIST, ...files].map((name) => new Request(name, { cache: 'reload' })));
}

async function forgetOthers() {
  const old = (await caches.keys()).filter((name) => name.startsWith(PAGES) && name !== PAGE);
  await Promise.all(old.map((name) => caches.delete(name)));
}

/** Caches the files that the model's worker used, and deletes models that are no longer in models.json. */
async function keep(used, models) {
  for (const url of used) {
    const cache = await caches.open(models.includes(url) ? MODELS : PAGE);
    if (!(await cache.match(url))) await cache.add(url);
  }
  const cache = await caches.open(MODELS);
  const gone = (await cache.keys()).filter((request) => !models.includes(request.url));
  await Promise.all(gone.map((request) => cache.delete(request)));
}

async function kept(name, request) {
  const cache = await caches.open(name);
  return (await cache.match(request, { ignoreSearch: request.mode === 'navigate' })) ?? fetch(request);
}

async function newest(request) {
  const cache = await caches.open(PAGE);
  try {
    const answer = await fetch(request, { signal: AbortSignal.timeout(PATIENCE_MS) });
    if (answer.ok) await cache.put(request, answer.clone());
    return answer;
  } catch {
    return (await cache.match(request)) ?? Response.error();
  }
}
