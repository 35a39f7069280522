// Suggestions: requested, offered behind the caret, accepted whole or word by word, or refused.

import { firstWord, lastWords } from './text.js';
import { showStatus, speak } from './view.js';

const WHILE_TYPING = 8; // tokens of a suggestion that is made while the user types
const STATUS = { input: 'statusRefusedInput', output: 'statusRefusedOutput', same: 'statusSame' };
const APART = 101; // between the seeds of two retries, each of which may use the next few seeds too

/**
 * @param editor the text area; `suggester`: a function that returns the model in use, or null.
 * @param on {change}: called when an offer appears or goes; {answered}: called with each answer and its milliseconds.
 */
export function createOffers(settings, editor, suggester, on) {
  let current = null; // {before, behind, text, tokens}: the text around the caret, the suggestion there, and its length
  let seed = 1;

  const has = () => current !== null;

  /** The text has changed: typing the suggestion's own characters shortens it, any other change asks for a new one. */
  function typed() {
    const rest = remaining();
    if (!rest) return renew();
    suggester()?.forget();
    return offer({ ...current, ...around(), text: rest });
  }

  /** Asks for a new suggestion, if the user wants suggestions while typing. */
  function renew() {
    withdraw();
    showStatus(null);
    if (settings.typing && editor.before().trim()) suggest(Math.min(WHILE_TYPING, settings.length));
  }

  /** The end of the suggestion, if its beginning has been typed; else null. */
  function remaining() {
    const { before, behind } = around();
    if (!current || behind !== current.behind || !before.startsWith(current.before)) return null;
    const added = before.slice(current.before.length);
    const rest = current.text.slice(added.length);
    return current.text.startsWith(added) && rest.trim() ? rest : null;
  }

  /** Withdraws the suggestion if the caret has left its place. */
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

  /** Handles a key; returns whether it was meant for the suggestion. */
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
