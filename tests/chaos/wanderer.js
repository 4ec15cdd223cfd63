// A reader that changes its road at random: after every answer, after a random number of messages,
// when its road broke. At times it breaks an answer off itself, at any point of it. Whatever road a
// message came by, the chain over all of them must hold.

import { Reader } from '../e2e/lib/reader.js';

const MOST_STAY = 20; // messages on one road
const MOST_CUT_MS = 400;
const MOST_CUT_BYTES = 20000;

const LIMITS = [[3, 5], [3, 100], [1, 1000]]; // [weight, most messages of one answer]
const WAITS = [[5, 200], [1, 2500]]; // [weight, most milliseconds of one answer]
const STEADY = { limit: 1e9, bytes: 1 << 20, wait: 1000, cut: null, ack: false };
const BYTES = [[3, 1 << 20], [1, 1]]; // 1: always at least one message

export class Wanderer extends Reader {
    /**
     * figures: what happened on each road, shared with other readers. steady: it never leaves by
     * itself, so that most of what it gets comes live. subscriber: who changes its session's
     * subscriptions, or null; set before it reads.
     */
    constructor(client, session, cursor, { roads, random, figures, acks = false, steady = false }) {
        super(client, session, cursor, { style: 'wandering', acks });
        Object.assign(this, { roads, random, figures, steady, subscriber: null });
        this.chain.passed = []; // for the ledger
        this.road = null;
        this.changes = -1; // the first road is none
        this.leaveAt = 0;
    }

    #choose() {
        if (this.messages.length < this.leaveAt) return;
        const others = this.roads.filter((road) => road !== this.road);
        if (others.length === 0) return;
        this.road = this.random.pick(others);
        this.changes++;
        this.leaveAt = this.messages.length + this.random.weighted([[3, 1], [1, this.random.below(MOST_STAY)]]);
    }

    #cut() {
        const connection = this.random.below(2) === 0;
        return this.random.weighted([
            [4, null],
            [1, { connection, ms: this.random.below(MOST_CUT_MS) }],
            [1, { connection, bytes: 1 + this.random.below(this.random.weighted([[1, 200], [1, MOST_CUT_BYTES]])) }],
        ]);
    }

    #limits() {
        if (this.steady) return STEADY;
        const ack = this.acks && this.random.below(4) === 0;
        if (ack) this.chain.acked(this.chain.cursor);
        return {
            limit: 1 + this.random.below(this.random.weighted(LIMITS)),
            bytes: this.random.weighted(BYTES),
            wait: this.random.below(this.random.weighted(WAITS)),
            cut: this.#cut(),
            ack,
        };
    }

    async step() {
        try {
            await super.step();
        } catch (error) {
            error.message = `${this.session} by ${this.road.name}${this.steady ? ', steady' : ''}: ${error.message}`;
            throw error;
        }
    }

    async pick() {
        this.#choose();
        const row = this.figures.on(this.road.name);
        const floor = this.subscriber?.floor;
        try {
            const answer = await this.road.pick(this.session, this.chain.cursor, this.#limits());
            if (answer.messages.length === 0) this.leaveAt--; // a quiet road is not for ever
            await this.subscriber?.judge(floor, answer.messages);
            if (answer.truncated?.length > 0) throw new Error(`nothing was to be truncated: ${JSON.stringify(answer.truncated)}`);
            row.answers++;
            row.messages += answer.messages.length;
            row.cut += answer.cut ? 1 : 0;
            return answer;
        } catch (error) {
            row.broken++;
            if (this.random.below(2) === 0) this.leaveAt = 0;
            throw error;
        }
    }
}

/** road -> {answers, messages, cut, broken} */
export class Figures {
    rows = new Map();

    on(road) {
        if (!this.rows.has(road)) this.rows.set(road, { answers: 0, messages: 0, cut: 0, broken: 0 });
        return this.rows.get(road);
    }

    toString() {
        return [...this.rows].sort().map(([road, row]) =>
            `  ${road}: ${Object.entries(row).map(([name, n]) => `${n} ${name}`).join(', ')}`).join('\n');
    }
}
