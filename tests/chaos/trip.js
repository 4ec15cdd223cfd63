// One request and its answer on a carrier, broken off where the client likes.

import { within } from '../e2e/lib/wait.js';

const PATIENCE = 60000; // ms that an answer may take beyond the wait that was asked for

export async function gather(body) {
    const parts = [];
    for await (const part of body) parts.push(part);
    return Buffer.concat(parts);
}

/** limits: {wait, cut}, as in roads.js. */
export class Trip {
    constructor(carrier, { wait, cut }, method, path, headers, body) {
        this.cut = cut;
        this.wasCut = false;
        this.call = carrier.ask(method, path, headers, body);
        this.name = carrier.name;
        this.seconds = (wait + PATIENCE) / 1000;
        if (cut?.ms !== undefined) this.timer = setTimeout(() => this.#cutOff(), cut.ms);
    }

    #cutOff() {
        this.wasCut = true;
        this.call.drop(this.cut.connection);
    }

    /** The answer's body, up to where it is cut. */
    async* #body(body) {
        let left = this.cut?.bytes ?? Infinity;
        for await (const part of body) {
            if (this.wasCut) return;
            yield part.length > left ? part.subarray(0, left) : part;
            left -= part.length;
            if (left <= 0 && !this.wasCut) this.#cutOff();
        }
    }

    /** What read(answer) makes of it. */
    async through(what, read) {
        try {
            return await within(this.seconds, () => `${what} by ${this.name} (${this.call.where()})`, (async () => {
                const answer = await this.call.answer;
                return read({ ...answer, body: this.#body(answer.body) });
            })());
        } finally {
            clearTimeout(this.timer);
            this.call.answer.catch(() => {}); // told already, or nobody waits for it
        }
    }

    drop() {
        this.call.drop(false);
    }
}
