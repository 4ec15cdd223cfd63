// Types of restante.js, the client of a restante server. What it promises stands there.

/** Where messages come from at present. */
export type Road = 'websocket' | 'poll';
export type State = 'connecting' | 'open' | 'offline' | 'closed';

export interface Options {
  /** The server, with a path where a proxy has given it one; default: the origin of this module. */
  url?: string;
  /** Resolves with a fresh bootstrap token (a JWT), whenever a session has to be opened or found
   * again. Without it sessions are anonymous, where the server allows that. */
  getToken?: () => Promise<string> | string;
  /** A session that was opened elsewhere, its token, and where to go on (default: its ack). When it
   * is gone, and there is no getToken, the client ends. */
  session?: string;
  token?: string;
  cursor?: string;
  /** The session's name: the same subject and name find the same session. Default: one by chance,
   * so that a session is found again when its token is refused. */
  name?: string;
  /** More members of POST /v1/sessions: subject (with an API key), attributes, ttl. */
  open?: { subject?: string; attributes?: Record<string, unknown>; ttl?: string | number };
  /** Topics that the session has. */
  topics?: Iterable<string>;
  /** Keeps session and cursor; may throw, may answer later. Holds a token: sessionStorage in pages. */
  storage?: {
    getItem(key: string): string | null | undefined | Promise<string | null | undefined>;
    setItem(key: string, value: string): unknown;
  };
  /** Default: restante:<url>:<session or name>. Where users take turns, give each a key of its own. */
  storageKey?: string;
  /** Whether what handlers are done with is acked; default true. */
  ack?: boolean;
  /** A WebSocket class, for instance of npm's ws; null: long-polls only. Default: the global one. */
  WebSocket?: (new (url: string, protocols: string[]) => unknown) | null;
  fetch?: typeof fetch;
}

export interface Message {
  /** A stored message has seq, prev, cursor and stream; an ephemeral one has no place. */
  seq?: number;
  prev?: number;
  cursor?: string;
  stream?: string;
  skipped?: boolean;
  ephemeral?: boolean;
  id?: string;
  event: string;
  time: string;
  content_type: string;
  data?: any;
  data_b64?: string;
  publisher?: string;
  trace?: string;
  expires_at?: string;
}

export interface Publication {
  event?: string;
  data?: unknown;
  data_b64?: string;
  content_type?: string;
  ttl?: string | number;
  collapse?: string;
  ephemeral?: boolean;
  except?: string[];
}

export interface Published {
  seq: number | null;
  cursor?: string;
  stream?: string;
  durability?: 'disk' | 'memory';
  duplicate?: boolean;
}

/** A refusal has a code of the API and, over HTTP, a status (null: by WebSocket). Trouble on the road has neither status
 * nor detail that matters: lost, mute, slow, doubt, hasty; garbage is what no server says. */
export interface RestanteError extends Error {
  code: string;
  status?: number | null;
  detail?: string;
  retry_after_ms?: number;
}

export interface Events {
  open: undefined;
  offline: RestanteError;
  road: { road: Road | null; why?: RestanteError };
  /** May return a promise: the next message waits for it, and so does the ack. */
  message: Message;
  /** Still missing when it was asked for again. */
  hole: { stream: string; last?: number; prev: number; seq: number };
  /** Taken by retention before they were picked up. */
  truncated: { streams: { stream: string; from: number; to: number }[] };
  /** reason: epoch or ahead (of the cursor); session: that is gone, and a new one open. */
  reset: { reason: string; oldest?: string; newest?: string };
  closing: { reason?: string; retry_after_ms?: number };
  error: Error;
  closed: RestanteError;
}

export class Restante implements AsyncIterable<Message> {
  constructor(options?: Options);
  readonly state: State;
  readonly road: Road | null;
  readonly session?: string;
  /** Handlers are done with everything up to here. */
  readonly cursor?: string;

  /** Returns what ends it. */
  on<E extends keyof Events>(event: E, fn: (what: Events[E]) => unknown): () => void;
  /** A message counts as handled when the next one is asked for, or the loop is left. */
  [Symbol.asyncIterator](): AsyncGenerator<Message, void, undefined>;

  /** presence: what the topic's presence list shows of this session. */
  subscribe(topic: string, options?: { presence?: Record<string, unknown> }): Promise<{ topic: string; cursor: string }>;
  unsubscribe(topic: string): Promise<unknown>;
  publish(topic: string, message: Publication, options?: { key?: string }): Promise<Published>;
  /** With {ack: false}: this message, or what lies up to this cursor, is processed. */
  ack(message: Message | string): Promise<unknown>;
  /** The network may be better now: what waits tries at once. */
  retry(): void;
  /** One request with the session's token. */
  http(method: string, path: string, more?: { body?: unknown; headers?: Record<string, string> }): Promise<{ status: number; json?: any }>;
  /** end: the session too. */
  close(options?: { end?: boolean }): Promise<void>;
}
