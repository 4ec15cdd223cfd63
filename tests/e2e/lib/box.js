// Clients of worker/web/restante.js under observation: everything that they say is kept.

import WebSocket from 'ws';
import { Restante } from '../../../worker/web/restante.js';
import { mint } from './token.js';
import { until } from './wait.js';

const EVENTS = ['open', 'offline', 'road', 'hole', 'truncated', 'reset', 'closing', 'error', 'closed'];

export { WebSocket };

/** Remembers what a box says: messages, events as [name, what]; counts requests that are under way. */
export class Watched {
    constructor(options, { Client = Restante, listens = true } = {}) {
        this.messages = [];
        this.events = [];
        this.requests = []; // [method, path]
        this.underWay = 0;
        this.box = new Client({ WebSocket, fetch: (...what) => this.#fetch(...what), ...options });
        for (const event of EVENTS) this.box.on(event, (what) => void this.events.push([event, what]));
        if (listens) this.box.on('message', (message) => void this.messages.push(message));
    }

    async #fetch(url, init) {
        this.underWay++;
        this.requests.push([init.method, new URL(url).pathname]);
        try {
            return await fetch(url, init);
        } finally {
            this.underWay--;
        }
    }

    /** What events of this name said. */
    said(name) {
        return this.events.filter(([event]) => event === name).map(([, what]) => what);
    }

    get data() {
        return this.messages.map(({ data }) => data);
    }

    open(road, seconds = 30) {
        return until(`a box is open${road ? ` by ${road}` : ''}`, () => this.box.state === 'open' && (!road || this.box.road === road), seconds)
            .catch((error) => this.#explain(error));
    }

    /** Waits for a WebSocket (one that also passes `good`), but not for the pauses between its attempts. */
    hurry(good = () => true, seconds = 30) {
        return until('it is on a WebSocket again', () => {
            if (this.box.road === 'poll') this.box.retry();
            return this.box.road === 'websocket' && good();
        }, seconds).catch((error) => this.#explain(error));
    }

    got(n, seconds = 40) {
        return until(`${n} messages`, () => this.messages.length >= n, seconds).catch((error) => this.#explain(error));
    }

    #explain(error) {
        const told = this.events.slice(-20).map(([event, what]) => `${event} ${what?.road ?? what?.code ?? what?.message ?? ''}`);
        throw new Error(`${error.message}; state ${this.box.state}, road ${this.box.road}, ${this.messages.length} messages; ${told.join(', ')}`);
    }
}

/** A box of a server's subject; what is given is merged over its options. */
export function boxOf(server, options = {}, how) {
    return new Watched({ url: server.url, getToken: async () => mint(server.tokenKey), ...options }, how);
}
