// The client of worker/web with a clock of its own: nothing in it happens because time passes, only
// because a test says so.

import fs from 'node:fs';
import { Restante } from '../../../worker/web/restante.js';

export const CLIENT = new URL('../../../worker/web/restante.js', import.meta.url);
export { Restante };

export class Clock {
    #at = Date.now();
    #timers = new Map(); // id -> {due, every, fn}
    #ids = 0;

    now = () => this.#at;

    #set(fn, ms, every) {
        this.#timers.set(++this.#ids, { due: this.#at + Math.max(0, ms || 0), every, fn });
        return this.#ids;
    }

    setTimeout = (fn, ms) => this.#set(fn, ms, 0);
    setInterval = (fn, ms) => this.#set(fn, ms, ms);
    clear = (id) => void this.#timers.delete(id);

    /** Timers run in order, each at its time. */
    advance(ms) {
        const end = this.#at + ms;
        for (;;) {
            const [id, next] = [...this.#timers].reduce((a, b) => (b[1].due < a[1].due ? b : a), [0, { due: Infinity }]);
            if (next.due > end) break;
            this.#at = Math.max(this.#at, next.due);
            this.#run(id, next);
        }
        this.#at = end;
    }

    /** To the next timer, and what it does. */
    step() {
        this.advance(Math.max(0, Math.min(...[...this.#timers.values()].map(({ due }) => due)) - this.#at));
    }

    /** As after a sleep: all that is due runs late, and once. */
    jump(ms) {
        this.#at += ms;
        for (const [id, timer] of [...this.#timers].sort((a, b) => a[1].due - b[1].due)) {
            if (timer.due <= this.#at && this.#timers.has(id)) this.#run(id, timer);
        }
    }

    #run(id, timer) {
        if (timer.every) timer.due = this.#at + timer.every;
        else this.#timers.delete(id);
        timer.fn();
    }

    get waiting() {
        return this.#timers.size;
    }
}

/** The class, with this clock instead of the real one. */
export function withClock(clock) {
    const text = fs.readFileSync(CLIENT, 'utf8').replace('export class', 'return class').replaceAll('import.meta.url', "''");
    const globals = {
        setTimeout: clock.setTimeout, setInterval: clock.setInterval, clearTimeout: clock.clear, clearInterval: clock.clear,
        Date: { now: clock.now },
    };
    return new Function(...Object.keys(globals), `'use strict';\n${text}`)(...Object.values(globals));
}
