// A publisher as it ought to be: it waits for its answer, and repeats with the same keys until it has
// one. Each attempt goes by whatever carrier chance names, and at times it is the publisher who does
// not wait.

import assert from 'node:assert/strict';
import { MSGPACK, pack, unpack } from '../e2e/lib/msgpack.js';
import { isBroken, pause, until } from '../e2e/lib/wait.js';
import { Trip, gather } from './trip.js';

const BATCH = 20;
const PACE_MS = 5;
const PATIENCE = 90; // seconds until a message must be accepted
const MOST_CUT_MS = 200;
const PADS = [[60, 300], [1, 100000]]; // [weight, longest padding]

const ENCODINGS = [
    { type: 'application/json', encode: JSON.stringify, decode: (bytes) => JSON.parse(bytes.toString('utf8')) },
    { type: MSGPACK, encode: pack, decode: unpack },
];

/**
 * world: {mailboxes, group, topics, changing, quiet}: the sessions alone and those of the subject
 * "group"; the topics that all are subscribed to, that some are at times, that nobody is.
 */
export class Publisher {
    constructor(id, { carriers, credential, random, world, ledger }) {
        Object.assign(this, { id, carriers, credential, random, world, ledger });
        this.n = 0;
        this.requests = 0;
        this.attempts = 0;
        this.running = true;
    }

    /** {to}: where to; and rows(row of the answer): [stream, seq] of each message that it made. */
    #target() {
        const { mailboxes, group, topics, changing, quiet } = this.world;
        const kind = this.random.weighted([[2, 'subject'], [6, 'session'], [5, 'topic'], [2, 'changing'], [1, 'quiet']]);
        if (kind === 'subject') {
            const rows = ({ results }) => results.map(({ session, seq }) => [`mailbox ${session}`, Number(seq)]);
            return { to: { subject: 'group' }, rows, copies: group.length };
        }
        if (kind === 'session') {
            const session = this.random.pick(mailboxes);
            return { to: { session }, rows: ({ seq }) => [[`mailbox ${session}`, Number(seq)]], copies: 1 };
        }
        const topic = { topic: this.random.pick(topics), changing, quiet }[kind];
        const except = this.random.below(6) === 0 ? [this.random.pick([...mailboxes, ...group])] : [];
        return { to: { topic }, rows: ({ seq }) => [[`topic:${topic}`, Number(seq)]], copies: 1, except };
    }

    #pad() {
        const length = this.random.below(this.random.weighted(PADS));
        return this.random.pick(['x', 'ü', '\n', '"']).repeat(length);
    }

    #message() {
        const n = this.n++;
        const data = { p: this.id, n, pad: this.#pad() };
        return { except: [], ...this.#target(), data, key: `${this.id}-${n}` };
    }

    /** The request for these messages, the same however often it is made. */
    #request(messages) {
        const { type, encode, decode } = this.random.pick(ENCODINGS);
        const headers = { authorization: `Bearer ${this.credential}`, 'content-type': type, accept: type };
        const envelope = ({ data, except }) => (except.length > 0 ? { data, except } : { data });
        if (messages.length > 1) {
            const rows = messages.map((message) => ({ ...message.to, ...envelope(message), key: message.key }));
            return { path: '/v1/publish', headers, body: encode({ messages: rows }), decode };
        }
        const [{ to, key }] = messages;
        const [[kind, name]] = Object.entries(to);
        const path = `/v1/${kind}s/${encodeURIComponent(name)}/messages`;
        return { path, headers: { ...headers, 'idempotency-key': key }, body: encode(envelope(messages[0])), decode };
    }

    /** One attempt: {status, value}, or null when it must be repeated. */
    async #attempt({ path, headers, body, decode }) {
        this.attempts++;
        const cut = this.random.below(10) === 0 ? { ms: this.random.below(MOST_CUT_MS), connection: this.random.below(2) === 0 } : null;
        try {
            const trip = new Trip(this.random.pick(this.carriers), { wait: 0, cut }, 'POST', path, headers, body);
            return await trip.through(`an answer to POST ${path}`, async (answer) => {
                const bytes = await gather(answer.body);
                if (trip.wasCut || answer.status === 503) return null;
                return { status: answer.status, value: answer.status < 300 ? decode(bytes) : String(bytes) };
            });
        } catch (error) {
            if (isBroken(error)) return null;
            throw error;
        }
    }

    async #publish() {
        const size = this.random.below(3) === 0 ? 1 + this.random.below(BATCH) : 1;
        const messages = Array.from({ length: size }, () => this.#message());
        const request = this.#request(messages);
        const sent = this.ledger.tick();
        const answer = await until('a publish is accepted', () => this.#attempt(request), PATIENCE);
        const good = (row) => row.status === 200 || row.status === 201;
        assert.ok(good(answer), `${answer.status} ${answer.value}`);
        const rows = size > 1 ? answer.value.results : [{ status: answer.status, ...answer.value }];
        assert.equal(rows.length, size);
        rows.forEach((row, i) => {
            const { rows: made, copies, data, except } = messages[i];
            assert.ok(good(row) && (row.results ?? []).every(good), `${JSON.stringify(row)}`);
            const list = made(row);
            assert.equal(list.length, copies);
            this.ledger.add(list, { data, sent, except });
        });
        this.requests++;
    }

    async run() {
        while (this.running) {
            await this.#publish();
            await pause(this.random.below(PACE_MS));
        }
    }
}

