// Subscribes a session to a topic and unsubscribes it again, at random instants, by connections that
// are not its readers': REST on any carrier, or a command on a WebSocket of its own.

import assert from 'node:assert/strict';
import { isBroken, pause, until } from '../e2e/lib/wait.js';
import { seqOf } from './ledger.js';
import { CODECS, command } from './sockets.js';
import { Trip, gather } from './trip.js';

const PATIENCE = 90; // seconds until a change must be accepted
const MOST_AWAY_MS = 400;
const MOST_STAY_MS = 1500;

export class Subscriber {
    constructor({ session, topic, ledger, readers, carriers, layers, credential, random }) {
        Object.assign(this, { session, topic, ledger, readers, carriers, layers, credential, random });
        this.stream = `topic:${topic}`;
        this.window = null; // where it is subscribed now
        this.floor = 0; // nothing of the topic at or below it comes to whoever asks from now on
        this.joining = null; // a join under way; what it leads to may come before its answer
        this.joins = 0;
        this.running = true;
    }

    /** One attempt by REST: the answer's body, or null when it must be repeated. */
    async #request(method, good) {
        const path = `/v1/sessions/${this.session}/subscriptions/${encodeURIComponent(this.topic)}`;
        const headers = { authorization: `Bearer ${this.credential}` };
        const trip = new Trip(this.random.pick(this.carriers), { wait: 0, cut: null }, method, path, headers);
        return trip.through(`an answer to ${method} ${path}`, async ({ status, body }) => {
            const text = String(await gather(body));
            if (status === 503) return null;
            assert.equal(status, good, `${method} ${path}: ${text}`);
            return text ? JSON.parse(text) : {};
        });
    }

    async #command(t) {
        const query = { session: this.session, cursor: this.readers[0].chain.cursor };
        const answer = await command(this.random.pick(this.layers), this.random.pick(Object.keys(CODECS)), this.credential, query, { t, topic: this.topic });
        if (answer === null || answer.code === 'unavailable') return null;
        assert.equal(answer.t, 'ok', JSON.stringify(answer));
        return answer;
    }

    /** Until it is accepted; each attempt by whatever way chance names. */
    #change(what, method, good) {
        return until(`${what} is accepted`, async () => {
            try {
                return await (this.random.below(3) === 0 ? this.#command(what) : this.#request(method, good));
            } catch (error) {
                if (isBroken(error)) return null;
                throw error;
            }
        }, PATIENCE);
    }

    async #join() {
        const { topic, cursor } = await this.#change('subscribe', 'PUT', 200);
        assert.equal(topic, this.topic);
        this.floor = seqOf(cursor);
        this.window = this.ledger.join(this.session, this.topic, this.floor);
        for (const { chain } of this.readers) chain.joined(this.stream, cursor);
        this.joins++;
    }

    async #leave() {
        this.window.closing(this.readers);
        await this.#change('unsubscribe', 'DELETE', 204);
        this.window.closed(this.ledger.tick());
        this.window = null;
    }

    /** Everything that was accepted by now has come to all of them. */
    #caughtUp() {
        const target = this.ledger.last(this.session);
        return until('the readers catch up', () => this.readers.every((reader) => reader.chain.position >= target), PATIENCE);
    }

    async run() {
        while (this.running) {
            await pause(this.random.below(MOST_AWAY_MS));
            this.joining = this.#join();
            await this.joining;
            this.joining = null;
            await pause(this.random.below(MOST_STAY_MS));
            if (!this.running) break; // at times it ends subscribed
            if (this.random.below(2) === 0) await this.#caughtUp();
            await this.#leave();
        }
    }

    /** For a reader that got this answer to what it asked when the floor was so. */
    async judge(floor, messages) {
        const mine = messages.filter(({ stream }) => stream === this.stream);
        if (mine.length > 0) await this.joining;
        for (const { seq } of mine) assert.ok(seq > floor, `seq ${seq} of ${this.stream} came after a subscription from ${floor}`);
    }
}
