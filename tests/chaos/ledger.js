// What was accepted, with the seq it was given; who is subscribed to what; and whether a reader got
// exactly what it was owed.
//
// A stream is "mailbox <session>" or "topic:<name>". A session's streams are windows: from a join
// cursor on, until an unsubscribe. While an unsubscribe is under way nobody can say which side of it
// a message falls on: such a message may come or not. Everything else is certain.

import assert from 'node:assert/strict';

export const seqOf = (cursor) => Number(cursor.slice(cursor.indexOf('.') + 1));
const streamOf = (session, stream) => (stream === 'mailbox' ? `mailbox ${session}` : stream);

/** From seq `join` on, everything; once it is closed, what a reader had behind it by then. */
class Window {
    constructor(stream, join) {
        this.stream = stream;
        this.join = join;
        this.passed = null; // reader -> seq up to which it had everything when the unsubscribe was sent
        this.closedAt = Infinity; // tick at which the unsubscribe was answered
    }

    owes(seq, reader) {
        return seq > this.join && (this.passed === null || seq <= (this.passed.get(reader) ?? 0));
    }

    allows(seq, { sent }) {
        return seq > this.join && sent < this.closedAt;
    }

    /** The unsubscribe is about to be sent. */
    closing(readers) {
        this.passed = new Map(readers.map((reader) => [reader, reader.chain.position]));
    }

    closed(tick) {
        this.closedAt = tick;
    }
}

export class Ledger {
    constructor() {
        this.streams = new Map(); // stream -> seq -> {data, sent, except}
        this.windows = new Map(); // session -> windows
        this.newest = new Map(); // publisher -> the highest seq of its messages
        this.ticks = 0;
        this.count = 0;
    }

    /** The order of what this process did. */
    tick() {
        return ++this.ticks;
    }

    /** A session with its mailbox; answer: of its opening. */
    open({ session, cursor }, topics) {
        this.windows.set(session, [new Window(`mailbox ${session}`, 0)]);
        for (const topic of topics) this.join(session, topic, seqOf(cursor));
    }

    join(session, topic, seq) {
        const window = new Window(`topic:${topic}`, seq);
        this.windows.get(session).push(window);
        return window;
    }

    /**
     * A message was accepted: rows [stream, seq]. sent: the tick of its first attempt; except:
     * sessions that it is not for. A publisher waits for its answer, so its seqs only rise.
     */
    add(rows, { data, sent, except }) {
        const seqs = rows.map(([, seq]) => seq);
        assert.ok(Math.min(...seqs) > (this.newest.get(data.p) ?? 0), `publisher ${data.p}: ${seqs} after ${this.newest.get(data.p)}`);
        this.newest.set(data.p, Math.max(...seqs));
        for (const [stream, seq] of rows) {
            if (!this.streams.has(stream)) this.streams.set(stream, new Map());
            const known = this.streams.get(stream);
            assert.ok(!known.has(seq), `seq ${seq} of ${stream} was given twice`);
            known.set(seq, { data, sent, except });
            this.count++;
        }
    }

    #rows(stream) {
        return this.streams.get(stream) ?? new Map();
    }

    /** What this reader of the session must have got, by seq. */
    owed(session, reader) {
        const owed = [];
        for (const window of this.windows.get(session)) {
            for (const [seq, row] of this.#rows(window.stream)) {
                if (window.owes(seq, reader) && !row.except.includes(session)) owed.push({ seq, stream: window.stream });
            }
        }
        return owed.sort((a, b) => a.seq - b.seq);
    }

    /** The seq of the last message that it is still waiting for, once nobody publishes any more. */
    last(session) {
        return this.owed(session, null).at(-1)?.seq ?? 0;
    }

    /** Every message exactly once, in the store's order over all its streams, as it was published. */
    check(session, who, messages, reader) {
        const got = new Set();
        let newest = 0;
        for (const { stream: named, seq, data } of messages) {
            const stream = streamOf(session, named);
            const at = `${who}: seq ${seq} of ${named}`;
            assert.ok(seq > newest, `${at} came after ${newest}`);
            newest = seq;
            const row = this.#rows(stream).get(seq);
            assert.ok(row, `${at} is nobody's message`);
            assert.deepEqual(data, row.data, at);
            assert.ok(!row.except.includes(session), `${at} was not for it`);
            const allowed = this.windows.get(session).some((window) => window.stream === stream && window.allows(seq, row));
            assert.ok(allowed, `${at} came without a subscription`);
            got.add(seq);
        }
        for (const { stream, seq } of reader.chain.passed ?? []) {
            const row = this.#rows(streamOf(session, stream)).get(seq);
            assert.ok(row?.except.includes(session), `${who}: the cursor passed seq ${seq} of ${stream}, which was for it`);
        }
        const lost = this.owed(session, reader).filter(({ seq }) => !got.has(seq));
        assert.deepEqual(lost.slice(0, 20), [], `${who}: ${lost.length} messages are lost`);
        return got.size;
    }
}
