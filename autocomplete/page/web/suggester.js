// Asks the model in its worker one question at a time. Only the newest question waits; older ones are dropped.

const TRIES = 3; // answers that the filter may refuse, as in the public Android demo
const OTHERS = 6; // draws to get an answer other than the one that the user refused
const WARM = 0.8; // the temperature of a second draw if it is 0 else: greedy text would be the same again

/** Starts a worker with a model; `on` {progress, failed}: callbacks. */
export function startSuggester(model, threads, on) {
  const worker = new Worker(new URL('worker.js', import.meta.url));
  const { promise: loaded, resolve: tellLoaded } = withResolvers();
  let newest = 0;
  let running = null; // resolves the question that the worker is answering
  let waiting = null;

  worker.onmessage = ({ data: { type, ...what } }) => {
    if (type === 'progress') on.progress(what.share);
    else if (type === 'failed') fail(what);
    else if (type === 'load') tellLoaded(what);
    else finish(what);
  };
  worker.onerror = (event) => fail({ reason: 'runtime', detail: event.message ?? '' });

  function fail(what) {
    stop();
    on.failed(what);
  }

  function finish(answer) {
    const done = running;
    running = null;
    if (waiting) {
      const next = waiting;
      waiting = null;
      send(next);
    }
    done?.(answer);
  }

  function send({ message, resolve }) {
    running = resolve;
    worker.postMessage(message);
  }

  /** The worker's answer, or null if a newer question replaced this one. */
  function ask(message) {
    const { promise, resolve } = withResolvers();
    waiting?.resolve(null);
    waiting = null;
    if (running) waiting = { message, resolve };
    else send({ message, resolve });
    return promise;
  }

  /**
   * What the model adds: {text, refused, ms}, or null if a newer request came.
   * @param request {text, context, filter, tokens, temperature, topK, wholeWord, seed}; `other`: a text from which the
   *   answer must differ in more than blanks at its end.
   */
  async function suggest({ other = null, seed, temperature, tokens, topK, wholeWord, ...rest }) {
    newest += 1;
    const mine = newest;
    let refused = 0;
    let spent = 0;
    for (let draw = 0; draw < OTHERS && refused < TRIES; draw += 1) {
      const again = draw > 0 || other !== null;
      const how = { tokens, topK, wholeWord, seed: seed + draw, temperature: again ? temperature || WARM : temperature };
      const answer = await ask({ type: 'ask', draw: how, ...rest });
      if (answer === null || mine !== newest) return null;
      spent += answer.ms;
      if (answer.refused === 'output') refused += 1;
      else if (answer.refused || answer.text.trimEnd() !== other) return { ...answer, ms: spent };
    }
    return { text: '', refused: refused ? 'output' : 'same', ms: spent };
  }

  function stop() {
    worker.terminate();
    newest += 1;
    running?.(null);
    waiting?.resolve(null);
    running = waiting = null;
  }

  worker.postMessage({ type: 'load', model, threads });
  return {
    loaded,
    suggest,
    /** Drops all questions. */
    forget() {
      newest += 1;
      waiting?.resolve(null);
      waiting = null;
    },
    pace: () => ask({ type: 'pace' }),
    idle: () => running === null,
    stop,
  };
}

function withResolvers() {
  let resolve;
  const promise = new Promise((settle) => {
    resolve = settle;
  });
  return { promise, resolve };
}
