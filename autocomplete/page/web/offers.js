// Suggestions: asked for, offered behind the caret, taken whole or by the word, refused.

import { firstWord, lastWords } from './text.js';
import { showStatus, speak } from './view.js';

const WHILE_TYPING = 8; // tokens of a suggestion that nobody asked for
const STATUS = { input: 'statusRefusedInput', output: 'statusRefusedOutput', same: 'statusSame' };
const APART = 101; // between the seeds of two draws, each of which may try some more

/**
 * @param editor where to write; `suggester`: a function to the model in use, null without one.
 * @param on {change}: told when something is offered or no longer, {answered}: of each answer and its milliseconds.
 */
export function createOffers(settings, editor, suggester, on) {
  let current = null; // {before, behind, text, tokens}: the text around the caret, what is offered there, and its length
  let seed = 1;

  const has = () => current !== null;

  /** The text has changed: what fits the suggestion uses it up, anything else asks for a new one. */
  function typed() {
    const rest = remaining();
    if (!rest) return renew();
    suggester()?.forget();
    return offer({ ...current, ...around(), text: rest });
  }

  /** Asks anew for what is suggested unasked. */
  function renew() {
    withdraw();
    showStatus(null);
    if (settings.typing && editor.before().trim()) suggest(Math.min(WHILE_TYPING, settings.length));
  }

  /** What is left of the suggestion when the new text is its beginning; null where it is not. */
  function remaining() {
    const { before, behind } = around();
    if (!current || behind !== current.behind || !before.startsWith(current.before)) return null;
    const added = before.slice(current.before.length);
    const rest = current.text.slice(added.length);
    return current.text.startsWith(added) && rest.trim() ? rest : null;
  }

  /** The caret may have left the place that the suggestion is for. */
  function moved() {
    if (current && (editor.caret() !== current.before.length || editor.behind() !== current.behind)) withdraw();
  }

  async function suggest(tokens, other = null) {
    const model = suggester();
    if (!model || editor.composing()) return;
    const { before, behind } = around();
    const began = performance.now();
    const answer = await model.suggest({
      text: before, context: lastWords(before, settings.words), filter: settings.filter, tokens, other, seed,
      temperature: settings.temperature, topK: settings.topK, wholeWord: settings.wholeWord,
    });
    if (answer === null || editor.composing() || before !== editor.before() || behind !== editor.behind()) return;
    const text = answer.text.trimEnd();
    if (text) offer({ before, behind, text, tokens });
    showStatus(STATUS[answer.refused] ?? (text ? null : 'statusNone'));
    on.answered({ ...answer, ms: performance.now() - began, typed: tokens <= WHILE_TYPING && other === null });
  }

  function offer(suggestion) {
    current = suggestion;
    editor.show(suggestion.text);
    speak('spokenSuggestion', suggestion);
    on.change();
  }

  function withdraw() {
    suggester()?.forget();
    if (current) editor.show('');
    current = null;
    speak(null);
    on.change();
  }

  function generate() {
    if (suggester()) {
      showStatus('statusWorking');
      suggest(settings.length);
    }
    return true;
  }

  function retry() {
    seed = (seed + APART) % 2 ** 31;
    showStatus('statusWorking');
    suggest(current.tokens, current.text);
  }

  function take(text) {
    editor.insert(text);
    speak('spokenAccepted');
    return true;
  }

  function refuse() {
    withdraw();
    showStatus(null);
    return true;
  }

  /** Whether a key was meant for the suggestion. */
  function pressed(event) {
    if (event.key === 'Enter' && (event.ctrlKey || event.metaKey)) return generate();
    if (!current || event.ctrlKey || event.metaKey || event.altKey || event.shiftKey) return false;
    if (event.key === 'Tab') return take(current.text);
    if (event.key === 'ArrowRight') return take(firstWord(current.text));
    return event.key === 'Escape' && refuse();
  }

  function around() {
    return { before: editor.before(), behind: editor.behind() };
  }

  return {
    has, typed, renew, moved, pressed, withdraw, generate, retry,
    acceptAll: () => take(current.text),
    acceptWord: () => take(firstWord(current.text)),
  };
}
