// The chain that lets anyone see a lost, doubled or reordered message: for every message, prev is
// the last one seen of its stream; or, for the first one, at or below where the reader began (or
// joined, or acked); or the message says skipped; or the answer says truncated.

const seqOf = (cursor) => {
    const found = /^([0-9a-f]{16})\.(\d+)$/.exec(cursor);
    if (!found) throw new Error(`not a cursor: ${cursor}`);
    return { epoch: found[1], seq: Number(found[2]) };
};

export class Chain {
    /** cursor: where the reader begins. */
    constructor(cursor) {
        this.cursor = cursor;
        this.start = seqOf(cursor);
        this.position = this.start.seq;
        this.last = new Map(); // stream -> seq last seen
        this.floor = new Map(); // stream -> join cursor, or the mailbox's ack
        this.from = this.position; // what the answer at hand was asked from
        this.passed = null; // a list: gaps below that are noted in it as {stream, seq}, not refused
    }

    joined(stream, cursor) {
        this.floor.set(stream, seqOf(cursor).seq);
    }

    acked(cursor) {
        this.floor.set('mailbox', Math.max(this.floor.get('mailbox') ?? 0, seqOf(cursor).seq));
    }

    /** Judges one answer that was asked for with this.cursor, and moves on. Returns its messages. */
    take(answer) {
        this.from = this.position;
        const lost = new Map();
        for (const row of answer.truncated ?? []) {
            if (!(row.from <= row.to)) throw new Error(`truncated backwards: ${JSON.stringify(row)}`);
            if (row.to <= (this.last.get(row.stream) ?? this.start.seq)) {
                throw new Error(`truncated names what was seen: ${JSON.stringify(row)}`);
            }
            lost.set(row.stream, row.to);
        }
        for (const message of answer.messages) this.#message(message, lost);
        const after = seqOf(answer.cursor);
        if (after.epoch !== this.start.epoch) throw new Error(`epoch changed to ${after.epoch}`);
        if (after.seq < this.position) throw new Error(`cursor ${answer.cursor} is before what was delivered`);
        this.position = after.seq;
        this.cursor = answer.cursor;
        return answer.messages;
    }

    #message({ seq, prev, stream, cursor, skipped }, lost) {
        const at = `seq ${seq} of ${stream}`;
        if (!(seq > this.position)) throw new Error(`${at} comes after ${this.position}: doubled or reordered`);
        if (!(prev < seq)) throw new Error(`${at} has prev ${prev}`);
        if (seqOf(cursor).seq !== seq) throw new Error(`${at} has cursor ${cursor}`);
        const last = this.last.get(stream);
        const begun = Math.max(this.start.seq, this.floor.get(stream) ?? 0);
        const linked = last === undefined ? prev <= begun : prev === last;
        const acked = last !== undefined && prev <= (this.floor.get(stream) ?? 0) && prev >= last;
        const cut = lost.has(stream) && prev <= lost.get(stream);
        // A cursor passes what is not for the session. Whoever knows what was not judges it by the list.
        const passed = this.passed !== null && last !== undefined && prev > last && prev <= this.from;
        if (passed && !acked && !skipped && !cut) this.passed.push({ stream, seq: prev });
        if (!linked && !acked && !skipped && !cut && !passed) {
            throw new Error(`${at} has prev ${prev}, but ${last ?? `the start ${begun}`} was before it: something is lost`);
        }
        this.last.set(stream, seq);
        this.position = seq;
    }
}
