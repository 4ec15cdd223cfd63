// Topics: their paths, and short cuts for what is asked of them.

import { createHash } from 'node:crypto';
import { status } from './expect.js';

export const numbers = (n, from = 0) => Array.from({ length: n }, (_, i) => from + i);
export const at = (topic) => `/v1/topics/${encodeURIComponent(topic)}`;
export const messages = (topic, query = {}) => {
    const text = new URLSearchParams(query).toString();
    return `${at(topic)}/messages${text ? `?${text}` : ''}`;
};
export const subscription = (session, topic) => `/v1/sessions/${session}/subscriptions/${encodeURIComponent(topic)}`;
export const keyed = (key) => ({ headers: { 'Idempotency-Key': key } });
export const seqOf = (cursor) => Number(cursor.split('.')[1]);

/** A stanza of the configuration; the key is its own name. */
export const apiKey = (name, ...scopes) => ['api_key', name, { sha256: createHash('sha256').update(name).digest('hex'), scopes }];
export const as = (name) => ({ credential: name });

export const say = (client, topic, envelope, options) => client.post(messages(topic), envelope, options);
export const history = (client, topic, query, options) => client.get(messages(topic, query), options);
export const join = (client, session, topic, options) => client.request('PUT', subscription(session, topic), options);
export const leave = (client, session, topic, options) => client.request('DELETE', subscription(session, topic), options);

/** Publishes these payloads one after another; their seqs. */
export async function sayAll(client, topic, data) {
    const seqs = [];
    for (const one of data) seqs.push(status(await say(client, topic, { data: one }), 201).json.seq);
    return seqs;
}
