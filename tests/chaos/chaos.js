// Publishers that retry with their keys and readers of every style work through random kills and
// stops of every process. Afterwards each accepted message is there exactly once, in order, for
// every reader, and the store's invariants hold.
//
//   node chaos.js [--grade disk|memory] [--seconds N] [--seed N]
//
// The choices come from the seed; the instants are the machine's.

import assert from 'node:assert/strict';
import { parseArgs } from 'node:util';
import { Reader } from '../e2e/lib/reader.js';
import { restante } from '../e2e/lib/run.js';
import { Server } from '../e2e/lib/server.js';
import { pause, persist, within } from '../e2e/lib/wait.js';
import { Monkey } from './monkey.js';
import { Random } from './random.js';

const MAILBOXES = 4;
const GROUP = 3; // sessions of one subject
const PUBLISHERS = 4;
const BATCH = 20;
const PACE_MS = 5;
const SETTLE_SECONDS = 90;

const { values: args } = parseArgs({
    options: {
        grade: { type: 'string', default: 'disk' },
        seconds: { type: 'string', default: '20' },
        seed: { type: 'string', default: String(Date.now() % 1e9) },
    },
});

/** What must be in each mailbox: publisher -> numbers in order. */
class Ledger {
    constructor(sessions) {
        this.rows = new Map(sessions.map((session) => [session, new Map()]));
    }

    add(session, publisher, n) {
        const row = this.rows.get(session);
        if (!row.has(publisher)) row.set(publisher, []);
        row.get(publisher).push(n);
    }

    count(session) {
        let sum = 0;
        for (const numbers of this.rows.get(session).values()) sum += numbers.length;
        return sum;
    }

    check(session, who, messages) {
        const seen = new Map();
        for (const { data } of messages) {
            if (!seen.has(data.p)) seen.set(data.p, []);
            seen.get(data.p).push(data.n);
        }
        for (const [publisher, wanted] of this.rows.get(session)) {
            assert.deepEqual(seen.get(publisher) ?? [], wanted, `${who}: publisher ${publisher}`);
            seen.delete(publisher);
        }
        assert.deepEqual([...seen.keys()], [], `${who}: messages of nobody`);
    }
}

/** One request at a time, repeated with the same keys until it is accepted. */
class Publisher {
    constructor(id, client, random, world, ledger) {
        Object.assign(this, { id, client, random, world, ledger });
        this.n = 0;
        this.requests = 0;
        this.attempts = 0;
        this.running = true;
    }

    #target() {
        const { mailboxes, group } = this.world;
        if (this.random.below(8) === 0) return { to: { subject: 'group' }, sessions: group };
        const session = this.random.pick(mailboxes);
        return { to: { session }, sessions: [session] };
    }

    #message() {
        const n = this.n++;
        const data = { p: this.id, n, pad: 'x'.repeat(this.random.below(300)) };
        return { ...this.#target(), n, data, key: `${this.id}-${n}` };
    }

    #ask(messages) {
        this.attempts++;
        if (messages.length > 1) {
            const rows = messages.map(({ to, data, key }) => ({ ...to, data, key }));
            return this.client.post('/v1/publish', { messages: rows });
        }
        const [{ to, data, key }] = messages;
        const path = to.subject ? `/v1/subjects/${to.subject}/messages` : `/v1/sessions/${to.session}/messages`;
        return this.client.post(path, { data }, { headers: { 'Idempotency-Key': key } });
    }

    async #publish() {
        const size = this.random.below(3) === 0 ? 1 + this.random.below(BATCH) : 1;
        const messages = Array.from({ length: size }, () => this.#message());
        const answer = await persist('a publish is accepted', () => this.#ask(messages), SETTLE_SECONDS);
        const good = (row) => row.status === 200 || row.status === 201;
        assert.ok(good(answer), `${answer.status} ${answer.text}`);
        for (const row of answer.json.results ?? []) {
            assert.ok(good(row) && (row.results ?? []).every(good), `${JSON.stringify(row)}`);
        }
        for (const { sessions, n } of messages) for (const session of sessions) this.ledger.add(session, this.id, n);
        this.requests++;
    }

    async run() {
        while (this.running && !this.client.closed) {
            await this.#publish();
            await pause(this.random.below(PACE_MS));
        }
    }
}

async function openSessions(client) {
    const open = async (subject, name) => client.session(subject, { name, ttl: '12h' });
    const made = new Map();
    const keep = async (subject, name) => {
        const row = await open(subject, name);
        made.set(row.session, row);
        return row.session;
    };
    const mailboxes = [];
    const group = [];
    for (let i = 0; i < MAILBOXES; i++) mailboxes.push(await keep(`single-${i}`, 'box'));
    for (let i = 0; i < GROUP; i++) group.push(await keep('group', `box-${i}`));
    return { mailboxes, group, made };
}

/** Two readers a mailbox; the first mailbox and one of the group have one that acks instead. */
function makeReaders(server, random, { mailboxes, group, made }) {
    const acked = new Set([mailboxes[0], group[0]]);
    const readers = [];
    for (const [session, { cursor }] of made) {
        const styles = acked.has(session) ? ['long'] : ['long', random.pick(['short', 'alternating'])];
        for (const style of styles) {
            const limit = 1 + random.below(200);
            readers.push(new Reader(server.newClient(), session, cursor, { style, limit, acks: acked.has(session) }));
        }
    }
    return { readers, acked };
}

async function main() {
    const seed = Number(args.seed);
    const seconds = Number(args.seconds);
    console.log(`chaos: grade ${args.grade}, ${seconds} s, seed ${seed}`);
    const random = new Random(seed);
    const server = new Server({
        grade: args.grade,
        sections: { session: { mailbox_messages: 1000000, mailbox_bytes: '1G' }, publish: { timeout: '2s', dedup_window: '1h' } },
    });
    try {
        await server.start();
        const world = await openSessions(server.client);
        const ledger = new Ledger([...world.made.keys()]);
        const { readers, acked } = makeReaders(server, random.fork(), world);
        const publishers = Array.from({ length: PUBLISHERS }, (_, id) =>
            new Publisher(id, server.newClient(), random.fork(), world, ledger));
        const monkey = new Monkey(server, random.fork());
        let settled = false;
        const reading = readers.map((reader) =>
            reader.until((messages) => settled && messages.length >= ledger.count(reader.session)));
        const publishing = publishers.map((publisher) => publisher.run());
        const breaking = monkey.run();
        const failed = Promise.all([...reading, ...publishing, breaking]); // the first error ends it all
        failed.catch(() => {});

        await Promise.race([pause(seconds * 1000), failed]);
        monkey.stop();
        await within(SETTLE_SECONDS, 'the last act of chaos', breaking);
        for (const publisher of publishers) publisher.running = false;
        await within(SETTLE_SECONDS, 'the publishers', Promise.all(publishing));
        settled = true;
        await within(SETTLE_SECONDS, 'the readers', Promise.all(reading));

        for (const reader of readers) ledger.check(reader.session, `${reader.style} reader`, reader.messages);
        for (const [session, { cursor }] of world.made) {
            if (acked.has(session)) continue;
            const late = new Reader(server.client, session, cursor, { style: 'short', limit: 1000 });
            await within(SETTLE_SECONDS, 'a late reader', late.until((messages) => messages.length >= ledger.count(session)));
            await late.step(); // and nothing comes after
            ledger.check(session, 'late reader', late.messages);
        }
        await server.stop();
        const verify = await restante(server, ['--config', server.conf, 'verify']);
        assert.equal(verify.code, 0, `${verify.out}${verify.err}`);

        const sum = (list, of) => list.reduce((total, item) => total + of(item), 0);
        console.log(`chaos: ${JSON.stringify(monkey.done)}`);
        console.log(`chaos: ${sum(publishers, (p) => p.n)} messages in ${sum(publishers, (p) => p.requests)} requests, ` +
            `${sum(publishers, (p) => p.attempts - p.requests)} repeats; ${readers.length} readers, each exactly once, in order`);
    } catch (error) {
        console.error(`--- log\n${server.tail(100)}\n---\nchaos: failed; repeat with --grade ${args.grade} --seed ${seed}`);
        throw error;
    } finally {
        await server.dispose();
    }
}

await main();
