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

/** world: {mailboxes, group}, the sessions alone and those of the subject "group". */
export class Publisher {
    constructor(id, { carriers, credential, random, world, ledger }) {
        Object.assign(this, { id, carriers, credential, random, world, ledger });
        this.n = 0;
        this.requests = 0;
        this.attempts = 0;
        this.running = true;
    }

    #target() {
        const { mailboxes, group } = this.world;
        if (this.random.below(8) === 0) return { to: { subject: 'group' }, sessions: group };
        const session = this.random.pick(mailboxes);
        return { to: { session }, sessions: [session] };
    }

    #pad() {
        const length = this.random.below(this.random.weighted(PADS));
        return this.random.pick(['x', 'ü', '\n', '"']).repeat(length);
    }

    #message() {
        const n = this.n++;
        const data = { p: this.id, n, pad: this.#pad() };
        return { ...this.#target(), n, data, key: `${this.id}-${n}` };
    }

    /** The request for these messages, the same however often it is made. */
    #request(messages) {
        const { type, encode, decode } = this.random.pick(ENCODINGS);
        const headers = { authorization: `Bearer ${this.credential}`, 'content-type': type, accept: type };
        if (messages.length > 1) {
            const rows = messages.map(({ to, data, key }) => ({ ...to, data, key }));
            return { path: '/v1/publish', headers, body: encode({ messages: rows }), decode };
        }
        const [{ to, data, key }] = messages;
        const path = to.subject ? `/v1/subjects/${to.subject}/messages` : `/v1/sessions/${to.session}/messages`;
        return { path, headers: { ...headers, 'idempotency-key': key }, body: encode({ data }), decode };
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
        const answer = await until('a publish is accepted', () => this.#attempt(request), PATIENCE);
        const good = (row) => row.status === 200 || row.status === 201;
        assert.ok(good(answer), `${answer.status} ${answer.value}`);
        for (const row of answer.value.results ?? []) {
            assert.ok(good(row) && (row.results ?? []).every(good), `${JSON.stringify(row)}`);
        }
        for (const { sessions, data } of messages) for (const session of sessions) this.ledger.add(session, data);
        this.requests++;
    }

    async run() {
        while (this.running) {
            await this.#publish();
            await pause(this.random.below(PACE_MS));
        }
    }
}

