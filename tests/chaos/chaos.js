// Publishers that retry with their keys, and readers that come by every road and change it at
// random, work through random kills and stops of every process. Afterwards each accepted message is
// there exactly once, in order, for every reader, and the store's invariants hold.
//
//   node chaos.js [--grade disk|memory] [--seconds N] [--changes N] [--seed N] [--calm]
//
// It goes on for so many seconds, and until every reader that changes its road has done so so many
// times. --calm: nothing is killed or stopped. The choices come from the seed; the instants are the
// machine's.

import assert from 'node:assert/strict';
import { parseArgs } from 'node:util';
import { Reader } from '../e2e/lib/reader.js';
import { restante } from '../e2e/lib/run.js';
import { Server } from '../e2e/lib/server.js';
import { pause, until, within } from '../e2e/lib/wait.js';
import { Ledger } from './ledger.js';
import { Monkey } from './monkey.js';
import { Publisher } from './publisher.js';
import { Random } from './random.js';
import { makeRoads } from './roads.js';
import { Figures, Wanderer } from './wanderer.js';

const MAILBOXES = 4;
const GROUP = 3; // sessions of one subject
const PUBLISHERS = 4;
const SETTLE_SECONDS = 90;
const SECONDS_A_CHANGE = 5; // at the very most, on average
const PROGRESS_MS = 60000;

const { values: args } = parseArgs({
    options: {
        grade: { type: 'string', default: 'disk' },
        seconds: { type: 'string', default: '20' },
        changes: { type: 'string', default: '0' },
        seed: { type: 'string', default: String(Date.now() % 1e9) },
        calm: { type: 'boolean', default: false },
    },
});

const sum = (list, of) => list.reduce((total, item) => total + of(item), 0);

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

/**
 * Two readers a mailbox: one changes its road, the other stays on the first that it found. The first
 * mailbox and one of the group have only one, and it acks.
 */
function makeReaders(server, roads, random, { mailboxes, group, made }) {
    const figures = new Figures();
    const acked = new Set([mailboxes[0], group[0]]);
    const make = (session, cursor, mine) => new Wanderer(server.newClient(), session, cursor,
        { roads: mine, random: random.fork(), figures, acks: acked.has(session) });
    const wanderers = [];
    const others = [];
    for (const [session, { cursor }] of made) {
        wanderers.push(make(session, cursor, roads));
        if (!acked.has(session)) others.push(make(session, cursor, [random.pick(roads)]));
    }
    return { wanderers, readers: [...wanderers, ...others], acked, figures };
}

/** For so many seconds, and until every wanderer has changed its road so often. */
async function last(seconds, changes, wanderers) {
    const least = () => Math.min(...wanderers.map((wanderer) => wanderer.changes));
    const progress = setInterval(() => console.log(`chaos: at least ${least()} changes of road each so far`), PROGRESS_MS);
    try {
        await pause(seconds * 1000);
        await until(`${changes} changes of road`, () => least() >= changes, SETTLE_SECONDS + changes * SECONDS_A_CHANGE);
    } finally {
        clearInterval(progress);
    }
}

async function main() {
    const seed = Number(args.seed);
    const seconds = Number(args.seconds);
    const changes = Number(args.changes);
    console.log(`chaos: grade ${args.grade}, ${seconds} s, ${changes} changes of road, seed ${seed}`);
    const random = new Random(seed);
    const server = new Server({
        grade: args.grade,
        tls: true,
        sections: {
            session: { mailbox_messages: 1000000, mailbox_bytes: '1G' },
            publish: { timeout: '2s', dedup_window: '1h' },
            server: { ticket_rotation: '2s', keepalive: '1s' },
        },
    });
    let ways = null;
    let monkey = null;
    let breaking = Promise.resolve();
    try {
        await server.start();
        ways = makeRoads(server, server.key);
        const world = await openSessions(server.client);
        const ledger = new Ledger([...world.made.keys()]);
        const { wanderers, readers, acked, figures } = makeReaders(server, ways.roads, random.fork(), world);
        const publishers = Array.from({ length: PUBLISHERS }, (_, id) =>
            new Publisher(id, { carriers: ways.carriers, credential: server.key, random: random.fork(), world, ledger }));
        monkey = new Monkey(server, random.fork());
        let settled = false;
        const reading = readers.map((reader) =>
            reader.until((messages) => settled && messages.length >= ledger.count(reader.session)));
        const publishing = publishers.map((publisher) => publisher.run());
        if (!args.calm) breaking = monkey.run();
        const failed = Promise.all([...reading, ...publishing, breaking]); // the first error ends it all
        failed.catch(() => {});

        await Promise.race([last(seconds, changes, wanderers), failed]);
        monkey.stop();
        await within(SETTLE_SECONDS, 'the last act of chaos', breaking);
        for (const publisher of publishers) publisher.running = false;
        await within(SETTLE_SECONDS, 'the publishers', Promise.all(publishing));
        settled = true;
        await within(SETTLE_SECONDS, 'the readers', Promise.all(reading));

        for (const reader of readers) ledger.check(reader.session, `reader on ${reader.road.name}`, reader.messages);
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

        console.log(`${figures}`);
        console.log(`chaos: ${JSON.stringify(monkey.done)}`);
        console.log(`chaos: ${sum(publishers, (p) => p.n)} messages in ${sum(publishers, (p) => p.requests)} requests, ` +
            `${sum(publishers, (p) => p.attempts - p.requests)} repeats; ${readers.length} readers, ` +
            `${sum(wanderers, (w) => w.changes)} changes of road (at least ${Math.min(...wanderers.map((w) => w.changes))} each), ` +
            'each message exactly once, in order');
    } catch (error) {
        console.error(`--- log\n${server.tail(100)}\n---\nchaos: failed; repeat with --grade ${args.grade} ` +
            `--changes ${changes} --seed ${seed}`);
        throw error;
    } finally {
        monkey?.stop();
        ways?.close();
        await breaking.catch(() => {}); // told already
        await server.dispose();
    }
}

await main();
