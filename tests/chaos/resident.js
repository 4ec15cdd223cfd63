// A session that worker/web/restante.js keeps, on whatever road that finds: what it hands to its
// handler must be what was published, exactly once, in order, and it must never speak of a hole. It
// subscribes and unsubscribes by itself, and at times it is closed and made anew from its storage.

import assert from 'node:assert/strict';
import { mint } from '../e2e/lib/token.js';
import { pause, until, within } from '../e2e/lib/wait.js';
import { WebSocket } from '../e2e/lib/ws.js';
import { Restante } from '../../worker/web/restante.js';
import { seqOf } from './ledger.js';
import { limit } from './sockets.js';

const PATIENCE = 90; // seconds until a change must be accepted
const MOST_QUIET_MS = 800;
const MOST_BUSY_MS = 3; // of a handler
const MOST_LIFE_MS = 2000; // of a WebSocket that is cut
const MOST_LIFE_BYTES = 100000;
const NEVER = ['hole', 'reset', 'truncated', 'closed']; // nothing here is a reason for these

/** WebSockets that are cut after some time, or in the middle of a frame. */
const fickle = (random) => class extends WebSocket {
    constructor(...what) {
        super(...what);
        if (random.below(2) === 0) {
            const bytes = 1 + random.below(MOST_LIFE_BYTES);
            this.on('upgrade', ({ socket }) => limit(socket, bytes, () => this.terminate()));
        } else {
            const timer = setTimeout(() => this.terminate(), random.below(MOST_LIFE_MS));
            this.on('close', () => clearTimeout(timer));
        }
    }
};

/** name -> the class of WebSockets that the client gets */
const WAYS = { WebSocket: () => WebSocket, 'cut WebSocket': fickle, 'long-poll': () => null };

export class Resident {
    /** row: the session's, as opened; n: chooses its way. */
    constructor(server, row, n, { topics, changing, ledger, random }) {
        Object.assign(this, { server, ledger, random, session: row.session, topic: changing });
        const [name, socketOf] = Object.entries(WAYS)[n % Object.keys(WAYS).length];
        this.road = { name: `restante.js, ${name}` };
        this.messages = [];
        this.roads = {}; // name -> times that the client took it
        this.wrong = [];
        this.window = null; // of the topic that it is subscribed to at times
        this.joins = 0;
        this.lives = 0;
        this.running = true;
        this.leaving = false; // handlers shall be done with what they have
        this.busy = null; // what a handler returned
        const kept = new Map();
        this.options = {
            url: server.url, session: row.session, token: row.token, cursor: row.cursor, name: row.name, topics,
            getToken: () => mint(server.tokenKey, { sub: row.subject }),
            storage: { getItem: (key) => kept.get(key), setItem: (key, value) => void kept.set(key, value) },
            WebSocket: socketOf(random.fork()),
        };
        this.#live();
    }

    /** For the ledger. */
    get chain() {
        return { position: this.messages.at(-1)?.seq ?? 0 };
    }

    #live() {
        this.lives++;
        const box = new Restante(this.options);
        this.box = box;
        box.on('message', (message) => {
            assert.equal(box, this.box, 'a client that was closed goes on');
            this.messages.push(message);
            this.busy = !this.leaving && this.random.below(10) === 0 ? pause(this.random.below(MOST_BUSY_MS)) : null;
            return this.busy;
        });
        box.on('road', ({ road }) => { this.roads[road] = (this.roads[road] ?? 0) + 1; });
        box.on('error', (error) => {
            if (error.status !== 503 && error.code !== 'unavailable') this.wrong.push(error.stack);
        });
        for (const event of NEVER) box.on(event, (what) => box === this.box && this.wrong.push(`${event} ${JSON.stringify(what)}`));
    }

    #ask(what, promise) {
        return within(PATIENCE, `${this.road.name}: ${what}`, promise);
    }

    async #toggle() {
        if (this.window) {
            this.window.closing([this]);
            await this.#ask('unsubscribe', this.box.unsubscribe(this.topic));
            this.window.closed(this.ledger.tick());
            this.window = null;
        } else {
            const { cursor } = await this.#ask('subscribe', this.box.subscribe(this.topic));
            this.window = this.ledger.join(this.session, this.topic, seqOf(cursor));
            this.joins++;
        }
    }

    /** As when a page goes: what a handler is not done with would come again. */
    async #close() {
        this.leaving = true;
        await this.busy;
        const { box } = this;
        this.box = null;
        await this.#ask('close', box.close());
        this.leaving = false;
    }

    async run() {
        while (this.running) {
            await pause(this.random.below(MOST_QUIET_MS));
            if (!this.running) break;
            await this.random.weighted([[3, () => this.#toggle()], [1, () => this.#close().then(() => this.#live())]])();
            this.#judge();
        }
    }

    toString() {
        const { messages, lives, joins } = this;
        const roads = Object.entries(this.roads).filter(([road]) => road !== 'null').map(([road, n]) => `${n} x by ${road}`);
        return `  ${this.road.name}: ${messages.length} messages, ${lives} lives, ${joins} subscriptions, ${roads.join(', ')}`;
    }

    #judge() {
        assert.deepEqual(this.wrong.slice(0, 5), [], this.road.name);
    }

    /** Once nobody publishes any more: all up to the seq that last() says has come; then it ends. */
    async done(last, seconds) {
        this.box.retry(); // it need not wait for its next attempt
        await until(`${this.road.name} has everything`, () => {
            this.#judge();
            return this.chain.position >= last;
        }, seconds);
        await this.#close();
        this.#judge();
    }
}
