// Presence as a client keeps it: the list, brought up to date by diffs, fetched anew where a version
// was missed. And the crowd of sessions whose presence is kept.

import assert from 'node:assert/strict';
import net from 'node:net';
import { at, join } from './topics.js';
import { isBroken, pause, persist } from './wait.js';

export const track = (client, session, topic, meta, options) => join(client, session, topic, { body: { presence: meta }, ...options });
export const presence = (client, topic, query = {}, options) => client.get(`${at(topic)}/presence?${new URLSearchParams(query)}`, options);

/** All pages: {version of the first, count of the last, members: Map of key -> metas}. */
export async function listed(client, topic, { limit = 1000, ...options } = {}) {
    const members = new Map();
    let first = null;
    let page = null;
    do {
        const query = { limit, ...(page ? { after: page.next } : {}) };
        const { status, text, json } = await persist(`the list of ${topic}`, () => presence(client, topic, query, options));
        assert.equal(status, 200, text);
        page = json;
        first ??= page;
        assert.ok(page.members.length <= limit);
        for (const { key, metas } of page.members) {
            assert.ok(!members.has(key), `${key} stands on two pages`);
            assert.ok(metas.length > 0);
            members.set(key, metas);
        }
    } while (page.next !== null);
    return { version: first.version, count: page.count, members };
}

/** session -> [key, meta], to be compared. */
export const bySession = (members) => new Map([...members].flatMap(([key, metas]) => metas.map((meta) => [meta.session, [key, meta]])));

export class Roster {
    constructor(client, topic, options = {}) {
        Object.assign(this, { client, topic, options });
        this.version = null;
        this.sessions = new Map(); // session -> [key, meta]
        this.applied = 0;
        this.fetches = 0;
        this.seen = 0; // of the messages handed in
    }

    async fetch() {
        const { version, members } = await listed(this.client, this.topic, this.options);
        assert.ok(this.version === null || version >= this.version, `the list's version fell from ${this.version} to ${version}`);
        this.version = version;
        this.sessions = bySession(members);
        this.fetches++;
        return this;
    }

    #apply({ version, joins, leaves }) {
        for (const [key, { metas }] of Object.entries(joins)) {
            for (const { prev_ref: _, ...meta } of metas) this.sessions.set(meta.session, [key, meta]);
        }
        for (const { metas } of Object.values(leaves)) {
            for (const { session } of metas) this.sessions.delete(session);
        }
        this.version = version;
        this.applied++;
    }

    /** Takes what is new of a growing list of messages. */
    async take(messages) {
        while (this.seen < messages.length) {
            const { event, stream, data, ephemeral } = messages[this.seen++];
            if (event !== 'presence' || stream !== `topic:${this.topic}`) continue;
            assert.equal(ephemeral, true);
            assert.ok(data.prev < data.version);
            if (data.version <= this.version) continue;
            if (data.prev === this.version) this.#apply(data);
            else await this.fetch();
        }
        return this;
    }

    /**
     * Whether it equals the list as it is now. Where the last diff of all was missed, no later one
     * will show it: so whoever is behind the list for good fetches it, as a client would after it
     * connected again.
     */
    async equals({ patience = 5 } = {}) {
        const now = await listed(this.client, this.topic, this.options);
        if (now.version !== this.version) {
            this.behind = this.behind?.version === now.version ? this.behind : { version: now.version, since: Date.now() };
            if (Date.now() - this.behind.since > patience * 1000) await this.fetch();
            return false;
        }
        const theirs = bySession(now.members);
        const same = ([session, one]) => JSON.stringify(this.sessions.get(session)) === JSON.stringify(one);
        return theirs.size === this.sessions.size && [...theirs].every(same);
    }
}

/** The diffs among messages, of one topic. */
export const diffs = (messages, topic) => messages.filter((one) => one.event === 'presence' && one.stream === `topic:${topic}`).map((one) => one.data);

/** A session held by an event stream whose bytes nobody looks at, so that a thousand are cheap. */
export class Holder {
    constructor(server, session) {
        Object.assign(this, { server, session, stays: true, connects: 0 });
    }

    /** Resolves once the answer's head is there. */
    open() {
        return new Promise((resolve, reject) => {
            const socket = net.connect(this.server.port, '127.0.0.1', () => {
                socket.write(`GET /v1/sessions/${this.session}/messages HTTP/1.1\r\nHost: x\r\nAccept: text/event-stream\r\n` +
                    `Authorization: Bearer ${this.server.key}\r\n\r\n`);
            });
            this.socket = socket;
            this.closed = new Promise((end) => socket.once('close', end));
            socket.once('close', () => reject(Object.assign(new Error('closed'), { code: 'ECONNRESET' })));
            socket.on('error', () => {}); // 'close' follows
            socket.once('data', (part) => {
                const head = part.toString('latin1', 0, part.indexOf('\r\n'));
                if (head.startsWith('HTTP/1.1 200')) resolve(this);
                else reject(new Error(head));
                socket.resume();
            });
        });
    }

    /** Connected again and again, until leave(). */
    follow() {
        this.following = (async () => {
            while (this.stays) {
                try {
                    await this.open();
                    this.connects++;
                    await this.closed;
                } catch (error) {
                    // Who is leaving may find its session gone.
                    if (this.stays && !isBroken(error) && !/ 503/.test(error.message)) throw error;
                }
                if (this.stays) await pause(30);
            }
        })();
        this.following.catch(() => {});
        return this;
    }

    cut() {
        this.socket?.destroy();
    }

    async leave() {
        this.stays = false;
        this.cut();
        await this.following;
    }
}
