// Publishers that retry with their keys, and readers that come by every road and change it at
// random, work through random kills and stops of every process, while subscriptions come and go.
// Afterwards each accepted message is there exactly once, in the order of the store over mailbox and
// topics, for every reader and what restante.js hands on, and the store's invariants hold.
//
//   node chaos.js [--grade disk|memory] [--feed SIZE] [--seconds N] [--changes N] [--seed N] [--calm]
//
// It goes on for so many seconds, and until every reader that changes its road has done so so many
// times. --feed: so small a feed that workers are lapped all the time. --calm: nothing is killed or
// stopped. The choices come from the seed; the instants are the machine's.

import assert from 'node:assert/strict';
import { parseArgs } from 'node:util';
import { Reader } from '../e2e/lib/reader.js';
import { restante } from '../e2e/lib/run.js';
import { Server } from '../e2e/lib/server.js';
import { pause, until, within } from '../e2e/lib/wait.js';
import { makeCarriers } from './carriers.js';
import { Ledger } from './ledger.js';
import { Monkey } from './monkey.js';
import { Publisher } from './publisher.js';
import { Random } from './random.js';
import { Resident } from './resident.js';
import { makeRoads } from './roads.js';
import { Subscriber } from './subscriber.js';
import { Figures, Wanderer } from './wanderer.js';

const MAILBOXES = 4;
const GROUP = 3; // sessions of one subject
const RESIDENTS = 3; // sessions that restante.js keeps, one in each of its ways
const STEADY = 3; // readers that stay on their WebSocket
const TOPICS = ['chaos:0', 'chaos:1', 'chaos:2']; // that every session is subscribed to
const CHANGING = 'chaos:at/times'; // that each is subscribed to at times
const QUIET = 'chaos:nobody'; // that none is
const PUBLISHERS = 4;
const SETTLE_SECONDS = 90;
const SECONDS_A_CHANGE = 5; // at the very most, on average
const PROGRESS_MS = 60000;

const { values: args } = parseArgs({
    options: {
        grade: { type: 'string', default: 'disk' },
        feed: { type: 'string', default: '' },
        seconds: { type: 'string', default: '20' },
        changes: { type: 'string', default: '0' },
        seed: { type: 'string', default: String(Date.now() % 1e9) },
        calm: { type: 'boolean', default: false },
    },
});

const sum = (list, of) => list.reduce((total, item) => total + of(item), 0);

async function openSessions(client) {
    const open = async (subject, name) => client.session(subject, { name, ttl: '12h', topics: TOPICS });
    const made = new Map();
    const homes = new Map(); // of residents
    const keep = async (subject, name, rows = made) => {
        const row = await open(subject, name);
        rows.set(row.session, row);
        return row.session;
    };
    const mailboxes = [];
    const group = [];
    for (let i = 0; i < MAILBOXES; i++) mailboxes.push(await keep(`single-${i}`, 'box'));
    for (let i = 0; i < GROUP; i++) group.push(await keep('group', `box-${i}`));
    for (let i = 0; i < RESIDENTS; i++) mailboxes.push(await keep(`resident-${i}`, 'box', homes));
    return { mailboxes, group, made, homes, topics: TOPICS, changing: CHANGING, quiet: QUIET };
}

/**
 * Two readers a session: one changes its road, the other stays on the first that it found, the first
 * of those on a WebSocket that it does not leave by itself. The first mailbox and one of the group
 * have only one, and it acks.
 */
function makeReaders(server, roads, random, { mailboxes, group, made }) {
    const figures = new Figures();
    const acked = new Set([mailboxes[0], group[0]]);
    const make = (session, cursor, mine, steady) => new Wanderer(server.newClient(), session, cursor,
        { roads: mine, random: random.fork(), figures, acks: acked.has(session), steady });
    const sockets = roads.filter((road) => road.isSocket);
    const wanderers = [];
    const others = [];
    for (const [session, { cursor }] of made) {
        wanderers.push(make(session, cursor, roads, false));
        if (acked.has(session)) continue;
        const steady = others.length < STEADY;
        others.push(make(session, cursor, [random.pick(steady ? sockets : roads)], steady));
    }
    return { wanderers, readers: [...wanderers, ...others], acked, figures };
}

/**
 * One for each session; its readers know it. Their carriers are nobody else's: an unsubscribe whose
 * connection another one dropped may be done later than the subscribe that follows it.
 */
function makeSubscribers(readers, ledger, random, { made }, carriers, layers, credential) {
    return [...made.keys()].map((session) => {
        const mine = readers.filter((reader) => reader.session === session);
        const subscriber = new Subscriber({ session, topic: CHANGING, ledger, readers: mine, carriers, layers, credential, random: random.fork() });
        for (const reader of mine) reader.subscriber = subscriber;
        return subscriber;
    });
}

/** For so many seconds, and until every wanderer has changed its road so often. */
async function goOn(seconds, changes, wanderers) {
    const least = () => Math.min(...wanderers.map((wanderer) => wanderer.changes));
    const progress = setInterval(() => console.log(`chaos: at least ${least()} changes of road each so far`), PROGRESS_MS);
    try {
        await pause(seconds * 1000);
        await until(`${changes} changes of road`, () => least() >= changes, SETTLE_SECONDS + changes * SECONDS_A_CHANGE);
    } finally {
        clearInterval(progress);
    }
}

/** A reader that begins when all is over, and what it must find. */
async function readLate(server, ledger, session, cursor, subscriber) {
    const late = new Reader(server.client, session, cursor, { style: 'short', limit: 1000 });
    if (subscriber.window) late.chain.joined(subscriber.stream, `${cursor.split('.')[0]}.${subscriber.window.join}`);
    const last = ledger.last(session);
    await within(SETTLE_SECONDS, 'a late reader', late.until(() => late.chain.position >= last));
    await late.step(); // and nothing comes after
    ledger.check(session, 'late reader', late.messages, late);
}

function makeServer() {
    return new Server({
        grade: args.grade,
        tls: true,
        sections: {
            session: { mailbox_messages: 1000000, mailbox_bytes: '1G' },
            publish: { timeout: '2s', dedup_window: '1h' },
            server: { ticket_rotation: '2s', keepalive: '1s', heartbeat: '2s' },
            ...(args.feed ? { shm: { feed: args.feed } } : {}),
        },
        titled: [['namespace', 'chaos:*', { history: 1000000, bytes: '1G', ttl: '12h' }]],
    });
}

async function main() {
    const seed = Number(args.seed);
    const seconds = Number(args.seconds);
    const changes = Number(args.changes);
    const feed = args.feed ? `, a feed of ${args.feed}` : '';
    console.log(`chaos: grade ${args.grade}${feed}, ${seconds} s, ${changes} changes of road, seed ${seed}`);
    const begun = Date.now();
    const random = new Random(seed);
    const server = makeServer();
    let ways = null;
    let own = [];
    let monkey = null;
    let breaking = Promise.resolve();
    try {
        await server.start();
        ways = makeRoads(server, server.key);
        own = makeCarriers(server);
        const world = await openSessions(server.client);
        const ledger = new Ledger();
        for (const row of [...world.made.values(), ...world.homes.values()]) ledger.open(row, TOPICS);
        const { wanderers, readers, acked, figures } = makeReaders(server, ways.roads, random.fork(), world);
        const subscribers = makeSubscribers(readers, ledger, random.fork(), world, own, ways.layers, server.key);
        const residents = [...world.homes.values()].map((row, n) => new Resident(server, row, n, { ...world, ledger, random: random.fork() }));
        const publishers = Array.from({ length: PUBLISHERS }, (_, id) =>
            new Publisher(id, { carriers: ways.carriers, credential: server.key, random: random.fork(), world, ledger }));
        monkey = new Monkey(server, random.fork());
        const last = new Map(); // session -> the seq of its last message, once that is known
        const reading = readers.map((reader) => reader.until(() => reader.chain.position >= (last.get(reader.session) ?? Infinity)));
        const publishing = publishers.map((publisher) => publisher.run());
        const subscribing = subscribers.map((subscriber) => subscriber.run());
        const residing = residents.map((resident) => resident.run());
        if (!args.calm) breaking = monkey.run();
        const failed = Promise.all([...reading, ...publishing, ...subscribing, ...residing, breaking]); // the first error ends it all
        failed.catch(() => {});

        await Promise.race([goOn(seconds, changes, wanderers), failed]);
        monkey.stop();
        await within(SETTLE_SECONDS, 'the last act of chaos', breaking);
        for (const actor of [...publishers, ...subscribers, ...residents]) actor.running = false;
        await within(SETTLE_SECONDS, 'the publishers', Promise.all(publishing));
        await within(SETTLE_SECONDS, 'the subscribers', Promise.all(subscribing));
        await within(SETTLE_SECONDS, 'the residents', Promise.all(residing));
        for (const session of world.made.keys()) last.set(session, ledger.last(session));
        await within(SETTLE_SECONDS, 'the readers', Promise.all(reading));
        await Promise.all(residents.map((resident) => resident.done(ledger.last(resident.session), SETTLE_SECONDS)));

        const checked = sum([...readers, ...residents], (reader) => ledger.check(reader.session, `reader on ${reader.road.name}`, reader.messages, reader));
        for (const [session, { cursor }] of world.made) {
            const subscriber = subscribers.find((one) => one.session === session);
            if (!acked.has(session)) await readLate(server, ledger, session, cursor, subscriber);
        }
        const [lapped, used] = [await server.metric('restante_feed_lapped_total'), await server.metric('restante_store_used_bytes')];
        await server.stop();
        const verify = await restante(server, ['--config', server.conf, 'verify']);
        assert.equal(verify.code, 0, `${verify.out}${verify.err}`);

        console.log(`${figures}`);
        console.log(residents.join('\n'));
        console.log(`chaos: ${JSON.stringify(monkey.done)}`);
        console.log(`chaos: ${ledger.count} messages in ${sum(publishers, (p) => p.requests)} requests, ` +
            `${sum(publishers, (p) => p.attempts - p.requests)} repeats; ${sum(subscribers, (s) => s.joins)} subscriptions; ` +
            `${lapped} laps since the server's last start; ${Math.round(used / 2 ** 20)} MiB of store`);
        console.log(`chaos: ${readers.length + residents.length} readers, ${sum(wanderers, (w) => w.changes)} changes of road ` +
            `(at least ${Math.min(...wanderers.map((w) => w.changes))} each), ${checked} messages came, ` +
            `each exactly once, in order; ${Math.round((Date.now() - begun) / 1000)} s`);
    } catch (error) {
        console.error(`--- log\n${server.tail(100)}\n---\nchaos: failed; repeat with --grade ${args.grade} ` +
            `${args.feed ? `--feed ${args.feed} ` : ''}--changes ${changes} --seed ${seed}`);
        throw error;
    } finally {
        monkey?.stop();
        ways?.close();
        for (const carrier of own) carrier.close();
        await breaking.catch(() => {}); // told already
        await server.dispose();
    }
}

await main();
