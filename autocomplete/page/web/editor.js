// A text area that shows a suggestion behind the caret. A copy of the text lies under it, of which only the suggestion
// is visible. So the text area stays the browser's own, with undo, input methods and screen readers.

const SEAL = '\u200b'; // gives a last, empty line its height

/** @param parts {text, typed, ghost, behind, between, betweenText}: elements; `on` {input, key, moved}: callbacks. */
export function createEditor(parts, on) {
  const { text } = parts;
  let composing = false;

  const before = () => text.value.slice(0, text.selectionStart);
  const behind = () => text.value.slice(text.selectionEnd);

  /** Shows a suggestion; if there is text behind the caret, on a line of its own below. */
  function show(suggestion) {
    const inline = behind().trim() === '';
    parts.typed.textContent = before();
    parts.ghost.textContent = inline ? suggestion : '';
    parts.behind.textContent = text.value.slice(text.selectionStart) + SEAL;
    parts.between.hidden = inline || !suggestion;
    parts.betweenText.textContent = inline ? '' : suggestion;
  }

  /** Inserts text at the caret in a way that the browser can undo. */
  function insert(added) {
    text.focus();
    // deprecated, but nothing else enters the undo history
    if (!document.execCommand('insertText', false, added)) {
      text.setRangeText(added, text.selectionStart, text.selectionEnd, 'end');
      text.dispatchEvent(new InputEvent('input', { bubbles: true }));
    }
  }

  text.addEventListener('compositionstart', () => {
    composing = true;
    show('');
    on.moved();
  });
  text.addEventListener('compositionend', () => {
    composing = false;
    on.input();
  });
  text.addEventListener('input', () => {
    show('');
    if (!composing) on.input();
  });
  text.addEventListener('keydown', (event) => {
    if (!event.isComposing && on.key(event)) event.preventDefault();
  });
  document.addEventListener('selectionchange', () => {
    if (document.activeElement === text && !composing) on.moved();
  });
  show('');
  return {
    show, insert, before, behind,
    composing: () => composing,
    focus: () => text.focus(),
    caret: () => (text.selectionStart === text.selectionEnd ? text.selectionStart : null),
  };
}
