// The user's settings, stored in this browser. The bounds of the context window come with the model.

const KEPT = 'autocomplete-settings';
const DEFAULTS = {
  language: null, theme: 'auto', model: null, words: null, length: 32, temperature: 0, topK: 5, typing: true,
  wholeWord: true, filter: true,
};

/** The settings of the last visit, without values of a wrong type. */
export function readSettings() {
  let kept = {};
  try {
    kept = JSON.parse(localStorage.getItem(KEPT)) ?? {};
  } catch {
    // no storage, or another content: the defaults
  }
  const sound = ([name, value]) => name in DEFAULTS && (DEFAULTS[name] === null || typeof value === typeof DEFAULTS[name]);
  return { ...DEFAULTS, ...Object.fromEntries(Object.entries(kept).filter(sound)) };
}

export function keepSettings(settings) {
  try {
    localStorage.setItem(KEPT, JSON.stringify(settings));
  } catch {
    // a private window without storage: the settings last as long as the page
  }
}

/** Fills a form from the settings, and calls `changed` for each change. */
export function bindSettings(form, settings, changed) {
  for (const field of form.querySelectorAll('input')) {
    if (field.type === 'checkbox') field.checked = settings[field.name];
    else if (settings[field.name] !== null) field.value = settings[field.name];
  }
  form.addEventListener('submit', (event) => event.preventDefault());
  form.addEventListener('input', ({ target }) => {
    changed(target.name, target.type === 'checkbox' ? target.checked : target.type === 'range' ? Number(target.value) : target.value);
  });
}
