// restante.js - a session of a restante server, kept through tunnels, proxies, reloads and upgrades.
//
//     const box = new Restante({ url, getToken: () => fetch('/token').then((r) => r.text()), topics: ['chat:1'] });
//     box.on('road', ({ road }) => console.log('by', road));
//     box.publish('chat:1', { event: 'said', data: 'hello' });
//     for await (const message of box) console.log(message.data);
//
// What it promises:
// - Every message once and in order, by whatever road is there: a WebSocket, or long-polls while
//   that fails, dies early or is mute. The WebSocket is tried again, ever more rarely, or at once
//   when the page is shown or online again.
// - Handlers of 'message' run for one message after another; a promise that they return is waited
//   for. What they are done with is acked and, with `storage`, remembered, so that a reload goes on
//   behind it. Without a handler messages wait, and past a number they wait at the server.
// - A message whose predecessor is missing is asked for again; if it is still missing, 'hole' says so.
// - What is asked of it (publish, subscribe, unsubscribe, ack) is repeated, with the same idempotency
//   key, until the server has answered; only a refusal, or close(), rejects its promise.
// - It waits longer from failure to failure, by chance a little more or less, and never shorter than
//   the server asks for. No answer, however wrong, makes it throw outside its promises.
//
// Events: open, offline (an Error), road {road, why}, message, hole {stream, last, prev, seq}, truncated
// {streams}, reset {reason}, closing {reason, retry_after_ms}, error (an Error), closed (an Error).
// A session that is gone is opened anew with the topics it had: 'reset' with the reason 'session'.
// One storage serves one reader: in a page, sessionStorage. Options and types: restante.d.ts.

const POLL_S = 25; //         a long-poll is held so long
const PATIENCE_MS = 10_000; // an answer may take so long; a WebSocket that lives longer was a good one
const HASTE_MS = 3_000; //    ... after a sleep; and so long polls wait for the first WebSocket
const FLUSH_MS = 200; //      acks and storage lag so far behind the handlers
const RETRY_MS = 250; //       the first pause after a failure
const RETRY_MAX_MS = 30_000;
const DIAL_MS = 500; //       between WebSockets
const DIAL_MAX_MS = 300_000;
const ADVICE_MAX_MS = 3_600_000;
const WINDOW = 50; //         commands of a WebSocket in flight
const QUEUE = 10_000; //      messages that wait for handlers

/** A refusal {code, status, detail...}; trouble on the road has no status, and is no 'error' event. */
const failure = (code, more) => Object.assign(new Error(more?.detail ?? code), more, { code });
const garbage = (detail) => failure('garbage', { detail, status: 0 });
/** Worth repeating: no answer at all, one that says so, or one that nobody understands. */
const isTransient = ({ code, status = 503 }) => /20.|401|408|429|50[234]|rate|unavail|session/.test(status + code);
const isText = (value) => value && typeof value === 'string';
/** The seq in a cursor; NaN where it shows none: then nothing is concluded from it. */
const seqOf = (cursor) => Number(cursor?.split('.')[1]);
const backoff = (tries, from, to) => Math.min(to, from * 2 ** tries) * (0.5 + Math.random() / 2);
const encode = encodeURIComponent;
const unique = () => `${Math.random()}${Math.random()}`;
const streamOf = (topic) => `topic:${topic}`;
const OPEN = 'open';
const CLOSED = 'closed';
const POLL = 'poll';
const scope = globalThis;

export class Restante {
  state = 'connecting'; // then 'open' or 'offline', at last 'closed'
  road = null; //          'websocket', 'poll', or null while there is none
  // session, its id; cursor: handlers are done with everything up to there

  constructor(options = {}) {
    const box = this;
    const { getToken, storage, ack: acks = true } = options;
    const url = (options.url ?? new URL(import.meta.url).origin).replace(/\/+$/, '');
    const storageKey = options.storageKey ?? `restante:${url}:${options.session ?? options.name ?? ''}`;

    let token; //                 none: the session has to be opened, or found again
    let name = options.name ?? (getToken && `js-${unique()}`); // finds the session again, by its subject
    let at; //                    cursor of the last message that came
    let newest = 0; //            its seq
    let begin = NaN; //           the seq that we began from
    let doubt; //                 seq of the message whose predecessor was missing
    const last = new Map(); //    stream -> seq that came last
    const floor = new Map(); //   stream -> seq at which it was joined, or up to which it was cut
    const topics = new Map((options.topics ?? []).map((topic) => [topic])); // -> presence
    const listeners = { message: new Set() }; // event -> functions
    const ending = new AbortController();

    // --- small tools ---

    let wake = () => {}; // ends the pause of the loop below, which looks at everything again
    let resting = 0; //     1: pausing after a failure; 2: the server asked for it
    const nudge = () => resting || wake();
    const pause = (ms) => new Promise((resolve) => {
      const timer = ms && setTimeout(resolve, ms);
      wake = () => {
        clearTimeout(timer);
        resolve();
      };
    });

    const emit = (event, what) => {
      for (const fn of listeners[event] ?? (event === 'error' ? [console.error] : [])) {
        try {
          fn(what);
        } catch (error) {
          console.error(error);
        }
      }
    };

    const turn = (state, road, why) => {
      const was = box.state;
      if (was === CLOSED) return;
      box.state = state;
      if (box.road !== road) {
        box.road = road;
        emit('road', { road, why });
      }
      if (was !== state) emit(state, why);
    };

    const path = (rest) => `/v1/sessions/${box.session}${rest}`;

    const onward = (query) => new URLSearchParams({ ...query, ...(at && { cursor: at }) });

    const http = async (method, where, { body, headers, bearer = token, seconds = 0, abort = new AbortController() } = {}) => {
      const timer = setTimeout(() => abort.abort(), seconds * 1000 + PATIENCE_MS);
      try {
        const response = await (options.fetch ?? fetch)(url + where, {
          method,
          signal: abort.signal,
          headers: {
            ...(bearer && { Authorization: `Bearer ${bearer}` }),
            'Content-Type': 'application/json',
            ...headers,
          },
          body: body && JSON.stringify(body),
        }).catch(({ message }) => {
          throw failure('lost', { detail: message });
        });
        const { status } = response;
        const json = await response.json().catch(() => {});
        if (status === 204 || (response.ok && json)) return { status, json };
        const advice = response.headers.get('Retry-After');
        throw failure(json?.code ?? `http_${status}`, { ...json, status, retry_after_ms: advice * 1000 });
      } finally {
        clearTimeout(timer);
      }
    };

    /** Later each time, and not before the server wants it. */
    const delay = ({ retry_after_ms: advice }, failures) =>
      Math.max(backoff(failures, RETRY_MS, RETRY_MAX_MS), (Math.min(advice, ADVICE_MAX_MS) || 0) * (1 + Math.random() / 4));

    // --- messages: in from any road, out to the handlers ---

    let queue = [];
    let pumping;

    const take = (message) => {
      const { seq, prev, stream, cursor } = message;
      if (!message.ephemeral) {
        if (!(seq > prev && prev >= 0 && isText(stream) && isText(cursor))) throw garbage('a message');
        if (seq <= newest) return; // it came by another road
        const seen = last.get(stream);
        const joined = floor.get(stream) ?? 0;
        // A topic whose join is not known yet may begin anywhere.
        const from = seen ?? (stream === 'mailbox' || joined ? begin : NaN);
        if (!message.skipped && (prev < seen || prev > Math.max(from, joined))) {
          if (doubt !== seq) {
            doubt = seq;
            throw failure('doubt');
          }
          emit('hole', { stream, last: seen, prev, seq });
        }
        last.set(stream, seq);
        newest = seq;
        at = cursor;
      }
      queue.push(message);
      pump();
      if (queue.length > QUEUE) throw failure('slow');
    };

    const pump = async () => {
      if (pumping || !queue.length || box.state === CLOSED) return;
      pumping = true;
      const fns = listeners.message;
      let i = 0;
      for (; i < queue.length && fns.size; i++) {
        for (const fn of fns) {
          try {
            const busy = fn(queue[i]);
            if (busy?.then) await busy;
          } catch (error) {
            emit('error', error);
          }
        }
        if (box.state === CLOSED) return; // nobody knows whether they were done with it
        box.cursor = queue[i].cursor ?? box.cursor;
        flushSoon();
      }
      queue = queue.slice(i);
      pumping = false;
      if (!queue.length) nudge();
    };

    const truncated = (streams) => {
      for (const { stream, to } of streams) floor.set(stream, to);
      emit('truncated', { streams });
    };

    // --- what they are done with: acked and remembered ---

    let acked;
    let flushing;
    const isDue = () => acks && box.cursor !== acked;
    const flushSoon = () => {
      flushing ??= setTimeout(flush, FLUSH_MS);
    };

    const flush = () => {
      clearTimeout(flushing);
      flushing = null;
      if (!token || box.state === CLOSED) return;
      store({ session: box.session, token, name, cursor: box.cursor, topics: [...topics], floor: [...floor] });
      if (live && isDue()) send({ t: 'ack', cursor: acked = box.cursor });
    };

    /** A storage may be full, forbidden, or answer later. */
    let unstored;
    const store = async (what) => {
      try {
        await storage?.setItem(storageKey, JSON.stringify(what));
      } catch (error) {
        if (!unstored) emit('error', error);
        unstored = true;
      }
    };

    const restore = async () => {
      try {
        const kept = JSON.parse(await storage?.getItem(storageKey) || '{}');
        if (![kept.session, kept.token].every(isText) ) return;
        name = kept.name;
        for (const [stream, seq] of kept.floor) floor.set(stream, seq);
        for (const [topic, presence] of kept.topics) if (!topics.get(topic)) topics.set(topic, presence);
        resume(kept);
      } catch (error) {
        emit('error', error);
      }
    };

    // --- the session ---

    /** Goes on from there, knowing nothing of what was before. */
    const place = (cursor) => {
      at = cursor;
      begin = seqOf(cursor);
      newest = begin || 0;
      last.clear();
      acked = null;
      if (!queue.length) box.cursor = cursor;
    };

    const resume = (what) => {
      box.session = what.session;
      token = what.token;
      if (isText(what.cursor)) place(what.cursor);
      for (const [topic, presence] of topics) {
        if (presence || !floor.has(streamOf(topic))) subscribe(topic, { presence }).catch((error) => error.code === CLOSED || emit('error', error));
      }
    };

    const open = async () => {
      const bearer = await getToken?.();
      const body = { ...options.open, name, topics: [...topics.keys()] };
      const { status, json } = await http('POST', '/v1/sessions', { body, bearer });
      if (![json.session, json.token, json.cursor].every(isText)) throw garbage('a session');
      const before = box.session;
      if (before === json.session) {
        json.cursor = null; // ours is better
      } else {
        floor.clear();
        if (before) emit('reset', { reason: 'session' });
      }
      // What is joined in one step with the session begins where that does.
      if (status === 201) for (const topic of topics.keys()) floor.set(streamOf(topic), seqOf(json.cursor));
      resume(json);
      flush();
    };

    const reset = (what) => {
      place(what.oldest);
      floor.clear();
      emit('reset', what);
    };

    // --- the loop: a session, then a road, then the next ---

    let tries = 0; // failures in a row
    let lost; //      why the last WebSocket ended
    let polling; //   AbortController

    const run = async () => {
      if (options.session) resume(options);
      await null; // listeners first
      await restore();
      while (box.state !== CLOSED) {
        try {
          if (!token) await open();
          if (live) {
            await pause();
            if (!live) throw lost;
          } else if (queue.length) {
            await pause();
          } else {
            if (!dialing) dial();
            if (socket && box.state !== OPEN) await pause(HASTE_MS);
            if (!live) await poll();
          }
        } catch (error) {
          await recover(error);
        }
      }
    };

    const recover = async (error) => {
      const { code, status } = error;
      if (live || box.state === CLOSED) return; // a poll that was ended for it
      const fenced = code === 'superseded';
      const gone = token && (status === 401 || code === 'session_unknown');
      if (fenced && socket) return pause(PATIENCE_MS); // by our own WebSocket, it seems
      if (fenced || (gone && options.session && !getToken)) return finish(error);
      turn('offline', null, error);
      if (code === 'cursor_reset') reset(error);
      else if (gone) token = null;
      else if (!code || status >= 0) emit('error', error);
      resting = error.retry_after_ms > 0 ? 2 : 1;
      await pause(delay(error, tries++));
      resting = 0;
    };

    const poll = async () => {
      const seconds = box.road === POLL ? POLL_S : 0; // the first one tells whether there is a road
      const ack = acks && box.cursor === at;
      flush(); // what is acked must be remembered: it does not come again
      const asked = Date.now();
      const before = at;
      polling = new AbortController();
      const { json } = await http('GET', path(`/messages?${onward({ wait: seconds, limit: 500, ack: +ack })}`), { seconds, abort: polling });
      if (live) return; // it has them too
      if (ack) acked = before;
      if (json?.truncated) truncated(json.truncated);
      if (json) {
        json.messages.forEach(take);
        if (!isText(json.cursor)) throw garbage('cursor');
        at = json.cursor;
      }
      if (!queue.length) box.cursor = at;
      turn(OPEN, POLL);
      drain();
      if (at !== before || Date.now() - asked > 1000) tries = 0;
      else if (seconds) throw failure('hasty'); // it was to wait
    };

    // --- WebSocket ---

    let socket; // that is being opened, or is open
    let live; //  it said hello
    let failed = 1; // in a row; 0: the last one was good
    let dialing; // timer; until then none is dialled
    let watching; // timer
    let quiet; // looks since it said something

    const dial = () => {
      const { WebSocket = scope.WebSocket } = options;
      if (!WebSocket || socket) return;
      try {
        const bearer = btoa(token).replace(/[=+/]/g, (c) => ({ '+': '-', '/': '_' })[c] ?? '');
        socket = new WebSocket(`${url.replace(/^http/, 'ws')}/v1/socket?${onward({ session: box.session })}`, ['restante.v1.json', `restante.bearer.${bearer}`]);
        socket.onerror = () => {}; // onclose follows
        socket.onclose = ({ code, reason }) => drop(failure(code === 4409 ? 'superseded' : 'lost', { ...lost, detail: `${code} ${reason}` }));
        socket.onmessage = ({ data }) => {
          quiet = 0;
          try {
            hear(JSON.parse(data));
          } catch (error) {
            drop(error);
          }
        };
        lost = null;
        quiet = 2; // a hello is due
        watching = setInterval(look, PATIENCE_MS);
      } catch (error) {
        drop(error);
      }
    };

    const dialSoon = (ms) => {
      clearTimeout(dialing);
      dialing = setTimeout(() => {
        dialing = null;
        if (box.road === POLL) dial(); // beside the polls
      }, ms);
    };

    const drop = (why) => {
      clearInterval(watching);
      if (socket) {
        socket.onmessage = socket.onclose = null;
        socket.close();
      }
      dialSoon(failed && backoff(failed, DIAL_MS, DIAL_MAX_MS));
      failed++;
      socket = live = null;
      lost = why;
      nudge();
    };

    const send = (frame) => {
      try {
        if (live) socket.send(JSON.stringify(frame));
      } catch (error) {
        drop(error);
      }
    };

    /** Silence proves nothing; silence after a question does. */
    const look = () => {
      if (quiet > 1) return drop(failure('mute'));
      failed = 0;
      if (quiet++) ping();
    };
    const ping = () => send({ t: 'ping', n: 0 });

    const hear = ({ t, ...what }) => {
      if (t === 'hello') {
        live = true;
        if (!at) place(what.cursor);
        acked = null;
        tries = 0;
        polling?.abort();
        turn(OPEN, 'websocket');
        flushSoon();
        drain();
        wake();
      } else if (t === 'message') take(what);
      else if (t === 'ok' || t === 'error') answer(t, what);
      else if (t === 'truncated') truncated(what.streams);
      else if (t === 'reset') reset(what);
      else if (t === 'closing') {
        lost = what;
        failed = 0; // not its fault
        emit(t, what);
      }
    };

    // --- what is asked of us ---

    const asks = []; // in order, until they are answered
    let n = 0;
    let holding;
    let holds = 0;
    let posting;

    const ofTopic = (topic) => path(`/subscriptions/${encode(topic)}`);
    const requests = {
      publish: ({ t, topic, key, ...body }) => ['POST', `/v1/topics/${encode(topic)}/messages`, { body, headers: { 'Idempotency-Key': key } }],
      subscribe: ({ topic, presence }) => ['PUT', ofTopic(topic), { body: { presence } }],
      unsubscribe: ({ topic }) => ['DELETE', ofTopic(topic)],
      ack: ({ cursor }) => ['POST', path('/ack'), { body: { cursor } }],
    };

    /** As it is now: what is repeated must be the same. */
    const ask = (frame, done) => {
      const promise = new Promise((resolve, reject) => {
        if (box.state === CLOSED) throw failure(CLOSED);
        asks.push({ frame: JSON.parse(JSON.stringify(frame)), done, resolve, reject });
      });
      promise.catch(() => {}); // who does not look does not mind
      drain();
      return promise;
    };

    const settle = (one, error, ok) => {
      const i = asks.indexOf(one);
      if (i < 0) return;
      if (error && isTransient(error)) {
        one.by = null;
        holding ??= setTimeout(() => {
          holding = null;
          drain();
        }, delay(error, holds++));
        return;
      }
      asks.splice(i, 1);
      holds = 0;
      if (error) return one.reject(error);
      one.done?.(ok);
      one.resolve(ok);
      flushSoon();
    };

    const drain = async () => {
      if (holding) return;
      if (live) {
        for (const one of asks.slice(0, WINDOW)) {
          if (one.by === socket) continue;
          one.by = socket;
          one.n = ++n;
          send({ ...one.frame, n });
        }
      } else if (box.road === POLL && asks[0] && !posting) {
        const one = asks[0]; // one after another, so that they keep their order
        posting = true;
        await http(...requests[one.frame.t](one.frame)).then(({ json }) => settle(one, null, json), (error) => settle(one, error));
        posting = false;
        drain();
      }
    };

    const answer = (t, { re, ...what }) => {
      const one = asks.find((other) => other.n === re && other.by === socket);
      const error = t === 'error' && failure(what.code, { status: null, ...what });
      if (one) settle(one, error, what);
      else if (error) emit('error', error);
      drain();
    };

    // --- for callers ---

    const on = (event, fn) => {
      (listeners[event] ??= new Set()).add(fn);
      pump();
      return () => listeners[event].delete(fn);
    };

    const subscribe = (topic, { presence } = {}) => {
      last.delete(streamOf(topic)); // where it begins is not known until the answer is here
      floor.delete(streamOf(topic));
      return ask({ t: 'subscribe', topic, presence }, (ok) => {
        topics.set(topic, presence);
        floor.set(streamOf(topic), seqOf(ok.cursor) || 0);
      });
    };

    const unsubscribe = (topic) => ask({ t: 'unsubscribe', topic }, () => topics.delete(topic));

    const publish = (topic, message, { key = unique() } = {}) => ask({ ...message, t: 'publish', topic, key });

    const ack = (message) => ask({ t: 'ack', cursor: message.cursor ?? message });

    const retry = () => {
      flush(); // the page may be about to go
      const mine = socket;
      if (!live) dialSoon(0);
      else {
        quiet = 1;
        ping();
        setTimeout(() => mine === socket && quiet && drop(failure('mute')), HASTE_MS);
      }
      if (resting < 2) wake();
    };

    const finish = (why) => {
      if (box.state === CLOSED) return;
      flush();
      turn(CLOSED, null, why);
      ending.abort();
      drop(why);
      polling?.abort();
      clearTimeout(dialing);
      clearTimeout(holding);
      for (const { reject } of asks) reject(why);
      wake();
    };

    const close = async ({ end } = {}) => {
      flush();
      const last = end ? ['DELETE', path('')] : isDue() && requests.ack(box);
      finish(failure(CLOSED));
      if (end) store({});
      if (last && token) await http(...last).catch(() => {});
    };

    Object.assign(box, { on, subscribe, unsubscribe, publish, ack, retry, close, http });
    for (const event of ['online', 'pagehide', 'visibilitychange']) scope.addEventListener?.(event, retry, ending);
    run();
  }

  /** A message counts as handled when the next one is asked for, or the loop is left. */
  async *[Symbol.asyncIterator]() {
    let next;
    let wake = () => {};
    let done = wake;
    const off = this.on('message', (message) => new Promise((resolve) => {
      next = [message, resolve];
      wake();
    }));
    this.on(CLOSED, () => wake());
    try {
      while (this.state !== CLOSED) {
        if (next) {
          const [message] = [, done] = next;
          next = null;
          yield message;
          done();
        } else {
          await new Promise((resolve) => { wake = resolve; });
        }
      }
    } finally {
      off();
      done();
    }
  }
}
