// What must be in each mailbox, and whether it is what a reader got.

import assert from 'node:assert/strict';

/** session -> publisher -> what it published, in order. */
export class Ledger {
    constructor(sessions) {
        this.rows = new Map(sessions.map((session) => [session, new Map()]));
    }

    add(session, data) {
        const row = this.rows.get(session);
        if (!row.has(data.p)) row.set(data.p, []);
        row.get(data.p).push(data);
    }

    count(session) {
        let sum = 0;
        for (const published of this.rows.get(session).values()) sum += published.length;
        return sum;
    }

    /** Every message exactly once, in its publisher's order, as it was published. */
    check(session, who, messages) {
        const seen = new Map();
        for (const { data } of messages) {
            if (!seen.has(data.p)) seen.set(data.p, []);
            seen.get(data.p).push(data);
        }
        const numbers = (list) => list.map(({ n }) => n);
        for (const [publisher, wanted] of this.rows.get(session)) {
            const got = seen.get(publisher) ?? [];
            assert.deepEqual(numbers(got), numbers(wanted), `${who}: publisher ${publisher}`);
            assert.deepEqual(got, wanted, `${who}: payloads of publisher ${publisher}`);
            seen.delete(publisher);
        }
        assert.deepEqual([...seen.keys()], [], `${who}: messages of nobody`);
    }
}
