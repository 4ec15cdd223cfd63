// A publisher as it ought to be: it waits for its answer, and repeats with the same keys until it has
// one.

import assert from 'node:assert/strict';
import { pause, persist } from '../e2e/lib/wait.js';

const BATCH = 20;
const PACE_MS = 5;
const PATIENCE = 90; // seconds until a message must be accepted
const PADS = [[60, 300], [1, 100000]]; // [weight, longest padding]

/** world: {mailboxes, group}, the sessions alone and those of the subject "group". */
export class Publisher {
    constructor(id, client, random, world, ledger) {
        Object.assign(this, { id, client, random, world, ledger });
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

    #ask(messages) {
        this.attempts++;
        if (messages.length > 1) {
            const rows = messages.map(({ to, data, key }) => ({ ...to, data, key }));
            return this.client.post('/v1/publish', { messages: rows });
        }
        const [{ to, data, key }] = messages;
        const path = to.subject ? `/v1/subjects/${to.subject}/messages` : `/v1/sessions/${to.session}/messages`;
        return this.client.post(path, { data }, { headers: { 'Idempotency-Key': key } });
    }

    async #publish() {
        const size = this.random.below(3) === 0 ? 1 + this.random.below(BATCH) : 1;
        const messages = Array.from({ length: size }, () => this.#message());
        const answer = await persist('a publish is accepted', () => this.#ask(messages), PATIENCE);
        const good = (row) => row.status === 200 || row.status === 201;
        assert.ok(good(answer), `${answer.status} ${answer.text}`);
        for (const row of answer.json.results ?? []) {
            assert.ok(good(row) && (row.results ?? []).every(good), `${JSON.stringify(row)}`);
        }
        for (const { sessions, data } of messages) for (const session of sessions) this.ledger.add(session, data);
        this.requests++;
    }

    async run() {
        while (this.running && !this.client.closed) {
            await this.#publish();
            await pause(this.random.below(PACE_MS));
        }
    }
}

