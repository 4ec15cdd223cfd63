// A reader that picks up a mailbox from its own cursor, in its own style, through whatever happens
// to the server, and checks the chain of every answer.

import { Chain } from './chain.js';
import { isBroken, pause } from './wait.js';

const LIMITED = 50; // ms between attempts while the server is away

export const STYLES = {
    short: () => ({ wait: 0 }),
    long: () => ({ wait: 5 }),
    alternating: (turn) => ({ wait: turn % 2 ? 5 : 0 }),
};

export class Reader {
    constructor(client, session, cursor, { style = 'long', limit = 100, credential = client.credential, acks = false } = {}) {
        Object.assign(this, { client, session, style, limit, credential, acks });
        this.chain = new Chain(cursor);
        this.messages = [];
        this.turn = 0;
    }

    /** Reads until enough(messages) says so, or the client is closed. Refusals but 503 are errors. */
    async until(enough) {
        while (!this.client.closed && !enough(this.messages)) await this.step();
        return this.messages;
    }

    /** Asks once: {status, messages, cursor, truncated, text}. */
    async pick() {
        const query = { cursor: this.chain.cursor, limit: this.limit, ...STYLES[this.style](this.turn++) };
        const { status, headers, json, text } = await this.client.pick(this.session, query, { credential: this.credential });
        return { status, text, messages: [], cursor: headers['restante-cursor'], ...json };
    }

    async step() {
        try {
            const answer = await this.pick();
            if (answer.status === 200 || answer.status === 204) {
                this.messages.push(...this.chain.take(answer));
                if (answer.messages.length === 0) await pause(LIMITED / 5);
                else if (this.acks) await this.ack();
            } else if (answer.status === 503) {
                await pause(LIMITED);
            } else {
                throw new Error(`${this.style} reader: ${answer.status} ${answer.text}`);
            }
        } catch (error) {
            if (this.client.closed) return;
            if (!isBroken(error)) throw error;
            await pause(LIMITED);
        }
    }

    async ack() {
        const { status, text } = await this.client.ack(this.session, this.chain.cursor, { credential: this.credential });
        if (status === 204) this.chain.acked(this.chain.cursor);
        else if (status !== 503) throw new Error(`ack: ${status} ${text}`);
    }
}

/** The bytes of a message that was text or anything else. */
export const bytesOf = (message) =>
    message.data_b64 === undefined ? Buffer.from(message.data) : Buffer.from(message.data_b64, 'base64');
