// Presence: who is in a topic. By session, not by connection; told by diffs, and listed.

import assert from 'node:assert/strict';
import { EventStream } from './lib/events.js';
import { NOBODY, problem, status } from './lib/expect.js';
import { H2 } from './lib/h2.js';
import { bothGrades, parked, withServer } from './lib/harness.js';
import { MSGPACK, pack, speak } from './lib/msgpack.js';
import { bySession, diffs, listed, presence, Roster, track } from './lib/presence.js';
import { restante } from './lib/run.js';
import { connect, Socket } from './lib/socket.js';
import { apiKey, as, history, join, leave, numbers, say, subscription } from './lib/topics.js';
import { persist, until } from './lib/wait.js';

const titled = [
    ['namespace', 'room:*', { presence: true, publish: 'client' }],
    ['namespace', 'chat:*', {}],
    apiKey('reader', 'read:room:a*'),
    apiKey('keeper', 'sessions:*'),
];
// So long that nobody leaves by it while a test runs.
const LONG = { session: { presence_grace: '10m' } };

/** The one session of a key in a diff's joins or leaves. */
const only = (part, key) => {
    assert.deepEqual(Object.keys(part), [key]);
    assert.equal(part[key].metas.length, 1);
    return part[key].metas[0];
};
const heard = (listener, topic, n) => until(`${n} diffs`, () => diffs(listener.messages, topic).length >= n && diffs(listener.messages, topic));
const unconnected = (client, session) => until('it has no connection',
    async () => (await client.get(`/v1/sessions/${session}`)).json.connections.length === 0);
const metaOf = async (client, topic, session) => bySession((await listed(client, topic)).members).get(session)?.[1];

/** Who listens hears what is not stored, from now on. */
const hears = (client, topic, listener) => until('it hears', async () => {
    status(await persist('a probe', () => say(client, topic, { event: 'probe', data: 0, ephemeral: true })), 202);
    return listener.messages.some(({ event }) => event === 'probe');
});

/** A WebSocket of its own session that is subscribed to the topic. */
async function watch(server, topic, options) {
    const made = await persist('a watcher', () => server.client.post('/v1/sessions', { subject: 'watcher', topics: [topic] }));
    const eye = await connect(server, status(made, 201).json.session, options);
    await hears(server.client, topic, eye);
    return eye;
}

bothGrades('presence', { titled, sections: LONG }, (check) => {
    for (const encoding of ['json', 'msgpack']) {
        check(`by WebSocket (${encoding}): track, update, untrack`, async (server) => {
            const { client } = server;
            const topic = `room:ws-${encoding}`;
            const alice = await client.session(`alice-${encoding}`);
            const eye = await watch(server, topic, { encoding });
            const base = (await listed(client, topic)).version;
            const mouth = await connect(server, alice.session, { encoding, credential: alice.token });
            const said = await mouth.ask('subscribe', { topic, presence: { mood: 'fine', n: 1 } });
            assert.deepEqual([said.t, said.topic], ['ok', topic]);
            const [join1] = await heard(eye, topic, 1);
            assert.deepEqual(Object.keys(join1), ['version', 'prev', 'joins', 'leaves']);
            assert.deepEqual([join1.version, join1.prev, join1.leaves], [base + 1, base, {}]);
            const first = only(join1.joins, alice.subject);
            assert.deepEqual(first, { mood: 'fine', n: 1, session: alice.session, since: first.since, ref: first.ref });
            assert.match(first.ref, /^[0-9a-f]{16}$/);
            assert.deepEqual(eye.messages.at(-1).ephemeral, true);

            await mouth.ask('subscribe', { topic, presence: { mood: 'better' } });
            const [, update] = await heard(eye, topic, 2);
            const second = only(update.joins, alice.subject);
            assert.deepEqual(second, { mood: 'better', session: alice.session, since: first.since, ref: second.ref, prev_ref: first.ref });
            assert.notEqual(second.ref, first.ref);
            assert.deepEqual([update.version, update.prev, update.leaves], [base + 2, base + 1, {}]);
            // What is subscribed again without a word of it stays as it is.
            await mouth.ask('subscribe', { topic });
            assert.equal((await metaOf(client, topic, alice.session)).ref, second.ref);

            await mouth.ask('subscribe', { topic, presence: null });
            const [, , end] = await heard(eye, topic, 3);
            assert.deepEqual([end.version, end.prev, end.joins], [base + 3, base + 2, {}]);
            assert.equal(only(end.leaves, alice.subject).ref, second.ref);
            assert.equal((await listed(client, topic)).count, 0);
            assert.deepEqual((await client.get(`/v1/sessions/${alice.session}`)).json.topics, [topic]);
            await Promise.all([eye.close(), mouth.close()]);
        });
    }

    check('by REST: an event stream and parked polls hear of it, in JSON, MessagePack, and over HTTP/2', async (server) => {
        const { client } = server;
        const topic = 'room:rest';
        const [watcher, parker, bob] = [await client.session('watcher', { topics: [topic] }), await client.session('parker', { topics: [topic] }),
            await client.session('bob')];
        const stream = await new EventStream(server, watcher.session).open();
        await hears(client, topic, stream);
        const base = (await listed(client, topic)).version;
        const h2 = new H2(server.url, server.key);
        const changes = [
            () => track(client, bob.session, topic, { n: 0 }),
            () => speak(client, 'PUT', subscription(bob.session, topic), { value: { presence: { n: 1 } } }),
            () => h2.request('PUT', subscription(bob.session, topic), { headers: { 'content-type': MSGPACK }, body: pack({ presence: { n: 2 } }) }),
            () => track(client, bob.session, topic, null),
        ];
        for (const [i, change] of changes.entries()) {
            const poll = client.pick(parker.session, { wait: 30 });
            await parked(client, parker.session);
            status(await change(), 200);
            const [diff] = diffs((await poll).json.messages, topic);
            assert.deepEqual([diff.version, diff.prev], [base + i + 1, base + i]);
            if (i < 3) assert.equal(only(diff.joins, 'bob').n, i);
            else assert.equal(only(diff.leaves, 'bob').n, 2);
            assert.deepEqual((await heard(stream, topic, i + 1)).at(-1), diff);
        }
        h2.close();
        await stream.close();
    });

    check('two sessions of one subject: a key comes with the first and goes with the last', async (server) => {
        const { client } = server;
        const topic = 'room:two';
        const eye = await watch(server, topic);
        const roster = await new Roster(client, topic).fetch();
        const [one, two] = [await client.session('carol'), await client.session('carol')];
        const steps = [
            [() => track(client, one.session, topic, { n: 1 }), ['carol'], [], 1],
            [() => track(client, two.session, topic, { n: 2 }), ['carol'], [], 2],
            [() => leave(client, one.session, topic), [], ['carol'], 1],
            [() => client.request('DELETE', `/v1/sessions/${two.session}`), [], ['carol'], 0],
        ];
        for (const [i, [change, joins, leaves, count]] of steps.entries()) {
            assert.ok((await change()).status < 300);
            const diff = (await heard(eye, topic, i + 1))[i];
            assert.deepEqual([Object.keys(diff.joins), Object.keys(diff.leaves)], [joins, leaves]);
            const list = await listed(client, topic);
            assert.deepEqual([list.count, list.members.get('carol')?.length ?? 0], [count, count]);
            await roster.take(eye.messages);
            assert.ok(await roster.equals());
        }
        assert.deepEqual([roster.fetches, roster.applied], [1, 4]);
        await eye.close();
    });

    check('a connection that comes back within the grace shows nobody anything', async (server) => {
        const { client } = server;
        const topic = 'room:back';
        const eye = await watch(server, topic);
        const { session } = await client.session('dora');
        status(await track(client, session, topic, { n: 1 }), 200);
        await heard(eye, topic, 1);
        const before = await listed(client, topic);
        for (const end of ['cut', 'close']) {
            const socket = await connect(server, session);
            await socket[end]();
            await unconnected(client, session);
            assert.deepEqual(await listed(client, topic), before);
            const again = await connect(server, session);
            assert.deepEqual(await listed(client, topic), before);
            await again.close();
        }
        // The next diff is of what is said next, and follows the last one.
        const other = await client.session('emil');
        status(await track(client, other.session, topic, {}), 200);
        const [, next, ...more] = await heard(eye, topic, 2);
        assert.deepEqual([next.prev, Object.keys(next.joins), next.leaves, more], [before.version, ['emil'], {}, []]);
        await eye.close();
    });

    check('within the grace neither dead processes nor a new server change anything', async (server) => {
        const { client } = server;
        const topic = 'room:kept';
        const sessions = [];
        for (const subject of ['fred', 'fred', 'gina']) {
            const { session } = await client.session(subject);
            sessions.push(await connect(server, session));
            await sessions.at(-1).ask('subscribe', { topic, presence: { subject } });
        }
        const quiet = await until('the diffs are out', async () => {
            const [a, b] = [await listed(client, topic), await say(client, topic, { data: 1 })];
            return a.count === 3 && b.status === 201 && (await listed(client, topic)).version === a.version && a;
        });
        const same = async () => assert.deepEqual((await listed(client, topic)).members, quiet.members);
        await same();
        await server.replace('0');
        await server.replace('1');
        await same();
        await server.replace('writer');
        await same();
        await server.restart();
        await same();
        await server.crash();
        await server.start();
        await same();
        assert.ok((await listed(client, topic)).version >= quiet.version);
        // And what changes now is told.
        const eye = await watch(server, topic);
        const roster = await new Roster(client, topic).fetch();
        status(await persist('an update', () => track(client, sessions[2].session, topic, { subject: 'gina', n: 2 })), 200);
        await heard(eye, topic, 1);
        await until('they are equal', async () => (await roster.take(eye.messages)).equals());
        await eye.close();
        for (const socket of sessions) await socket.cut().catch(() => {});
    }, 90);
});

withServer('presence: who may, and what is no presence', {
    grade: 'memory', titled,
    sections: { ...LONG, limits: { presence_meta: '1K' }, topics: { members: 3 } },
}, (check) => {
    check('refusals', async (server) => {
        const { client } = server;
        const { session, token } = await client.session('alice');
        for (const bad of [7, true, 'x', [], [{}]]) problem(await track(client, session, 'room:x', bad), 400, 'bad_request');
        problem(await track(client, session, 'room:x', { a: 'x'.repeat(1024) }), 413, 'too_large');
        const deep = (n) => JSON.parse(`${'{"a":'.repeat(n)}1${'}'.repeat(n)}`);
        problem(await track(client, session, 'room:x', deep(33)), 400, 'bad_request');
        status(await track(client, session, 'room:deep', deep(32)), 200);
        problem(await track(client, session, 'chat:x', {}), 403, 'forbidden');
        problem(await track(client, session, 'nowhere', {}), 404, 'topic_unknown');
        problem(await track(client, NOBODY, 'room:x', {}), 404, 'session_unknown');
        problem(await presence(client, 'chat:x'), 403, 'forbidden');
        problem(await presence(client, 'nowhere'), 404, 'topic_unknown');
        problem(await presence(client, 'room:abc', {}, as('keeper')), 403, 'forbidden');
        problem(await presence(client, 'room:b', {}, as('reader')), 403, 'forbidden');
        status(await presence(client, 'room:abc', {}, as('reader')), 200);
        problem(await presence(client, 'room:x', {}, { credential: token }), 403, 'forbidden');
        for (const query of [{ limit: 0 }, { limit: 1001 }, { after: 'x' }, { after: '' }]) {
            problem(await presence(client, 'room:x', query), 400, 'bad_request');
        }
        assert.deepEqual((await client.get(`/v1/sessions/${session}`)).json.topics, ['room:deep']);
        const socket = await connect(server, session);
        for (const [topic, said, code] of [
            ['room:x', 7, 'bad_request'], ['room:x', [], 'bad_request'], ['room:x', { a: 'x'.repeat(1024) }, 'too_large'], ['chat:x', {}, 'forbidden'],
            ['nowhere', {}, 'topic_unknown'], ['room:x', deep(33), 'bad_request'],
        ]) {
            const answer = await socket.ask('subscribe', { topic, presence: said });
            assert.deepEqual([answer.t, answer.code], ['error', code]);
        }
        // A session sees who is where it is itself.
        status(await join(client, session, 'room:x'), 200);
        const { json } = status(await presence(client, 'room:x', {}, { credential: token }), 200);
        assert.deepEqual(json, { topic: 'room:x', version: json.version, count: 0, members: [], next: null });
        assert.deepEqual(status(await presence(client, 'room:never'), 200).json, { topic: 'room:never', version: 0, count: 0, members: [], next: null });
        await socket.close();
    });

    check('nobody else says what presence says', async (server) => {
        const { client } = server;
        const { session, token } = await client.session('forger');
        const forged = { event: 'presence', data: { version: 9, prev: 0, joins: {}, leaves: {} }, ephemeral: true };
        for (const credential of [token, undefined]) problem(await say(client, 'room:x', forged, { credential }), 400, 'bad_request');
        const batch = status(await client.post('/v1/publish', { messages: [{ topic: 'room:x', ...forged }, { topic: 'chat:x', ...forged }] }), 200);
        assert.deepEqual(batch.json.results.map((row) => row.code ?? row.status), ['bad_request', 202]);
        const socket = await connect(server, session, { credential: token });
        const answer = await socket.ask('publish', { topic: 'room:x', ...forged });
        assert.deepEqual([answer.t, answer.code], ['error', 'bad_request']);
        await socket.close();
    });

    check('names that mean something elsewhere are names', async ({ client }) => {
        const names = ['__proto__', 'constructor', 'hasOwnProperty'];
        const text = '{"presence":{"__proto__":{"polluted":true},"constructor":1,"toString":null,"session":"x","since":0,"ref":"y","prev_ref":"z","n":9007199254740993}}';
        for (const name of names) {
            const { session } = await client.session(name);
            status(await client.request('PUT', subscription(session, 'room:names'), { body: text, headers: { 'Content-Type': 'application/json' } }), 200);
        }
        const page = status(await presence(client, 'room:names'), 200);
        assert.equal(page.json.count, 3);
        assert.deepEqual(page.json.members.map(({ key }) => key).sort(), [...names].sort());
        for (const { metas: [meta] } of page.json.members) {
            assert.equal(Object.getPrototypeOf(meta), Object.prototype);
            assert.deepEqual(Object.keys(meta), ['__proto__', 'constructor', 'toString', 'n', 'session', 'since', 'ref']);
            assert.match(meta.ref, /^[0-9a-f]{16}$/);
        }
        assert.ok(page.text.includes('"n":9007199254740993'));
        assert.equal({}.polluted, undefined);
        // No more than topics.members; an update is none more, and who goes makes room.
        const fourth = await client.session('dave');
        problem(await track(client, fourth.session, 'room:names', {}), 403, 'limit_reached');
        assert.deepEqual((await client.get(`/v1/sessions/${fourth.session}`)).json.topics, []);
        const [{ metas: [{ session }] }] = page.json.members;
        status(await track(client, session, 'room:names', { n: 2 }), 200);
        status(await leave(client, session, 'room:names'), 204);
        status(await track(client, fourth.session, 'room:names', {}), 200);
    });

    check('the command', async (server) => {
        const { client } = server;
        const [a, b] = [await client.session('anna'), await client.session('ben')];
        status(await track(client, a.session, 'room:cli', { mood: 'ok' }), 200);
        status(await track(client, b.session, 'room:cli', {}), 200);
        const plain = await restante(server, ['presence', 'room:cli']);
        assert.equal(plain.code, 0, plain.err);
        const lines = plain.out.trim().split('\n').map((line) => line.split('  ')).sort();
        assert.deepEqual(lines.map(([key, session]) => [key, session]), [['anna', a.session], ['ben', b.session]]);
        assert.equal(JSON.parse(lines[0][3]).mood, 'ok');
        assert.equal(lines[0][2], JSON.parse(lines[0][3]).since);
        const json = (await restante(server, ['presence', 'room:cli', '--json'])).out.trim().split('\n').map((line) => JSON.parse(line));
        assert.deepEqual(json.map(({ key, metas }) => [key, metas.length]).sort(), [['anna', 1], ['ben', 1]]);
        const shown = JSON.parse((await restante(server, ['session', 'show', a.session])).out);
        const { since, ref } = JSON.parse(lines[0][3]);
        assert.deepEqual(shown.presence, [{ topic: 'room:cli', here: true, ref, since, meta: { mood: 'ok' } }]);
        assert.deepEqual([(await restante(server, ['presence'])).code, (await restante(server, ['presence', 'a', 'b'])).code], [2, 2]);
        const refused = await restante(server, ['presence', 'nowhere']);
        assert.equal(refused.code, 1);
        assert.match(refused.err, /topic_unknown/);
        // Subscriptions may go while the session stays: so does its presence.
        status(await leave(client, a.session, 'room:cli'), 204);
        assert.deepEqual((await client.get(`/v1/sessions/${a.session}`)).json.presence, []);
    });
});

withServer('presence: a list of many', { grade: 'memory', titled, sections: LONG }, (check) => {
    check('is read in pages, each once, each key whole', async ({ client }) => {
        const made = await Promise.all(numbers(250).map((i) => client.session(i < 200 ? `s${i}` : 'many')));
        const large = { text: 'x'.repeat(4000) };
        await Promise.all(made.map(async ({ session }, i) => status(await track(client, session, 'room:many', i < 200 ? { i } : large), 200)));
        for (const limit of [1, 7, 100, 200, 201, 1000]) {
            const { members, count } = await listed(client, 'room:many', { limit });
            assert.equal(count, 250);
            assert.equal(members.size, 201);
            assert.equal(members.get('many').length, 50);
            assert.deepEqual([...bySession(members).keys()].sort(), made.map(({ session }) => session).sort());
        }
    }, 60);
});

/** The time of a message that is published now: the store's. */
async function storeTime(client, topic) {
    const { seq } = status(await say(client, topic, { data: 'now' }), 201).json;
    const { messages } = (await history(client, topic, { reverse: 1, limit: 100 })).json;
    return Date.parse(messages.find((one) => one.seq === seq).time);
}

// More than twice the second to which the store rounds what is due.
const GRACE = 2500;

withServer('presence: after the grace', { titled, sections: { session: { presence_grace: `${GRACE}ms` } } }, (check) => {
    /** Waits for a session's leave; it must not have come before the grace was over. */
    async function leaves(eye, topic, session, since) {
        const message = await until('it leaves', () => eye.messages.find(({ event, data }) => event === 'presence' &&
            Object.values(data.leaves).some(({ metas }) => metas.some((meta) => meta.session === session))), 20);
        assert.ok(Date.parse(message.time) >= since + GRACE, `it left ${Date.parse(message.time) - since} ms after`);
        assert.equal(await metaOf(eye.server.client, topic, session), undefined);
    }

    for (const end of ['cut', 'close']) {
        check(`who does not come back leaves, and joins by coming back (${end})`, async (server) => {
            const { client } = server;
            const topic = `room:gone-${end}`;
            const eye = await watch(server, topic);
            const { session } = await client.session('alice');
            const socket = await connect(server, session);
            await socket.ask('subscribe', { topic, presence: { n: 1 } });
            const { ref, since } = await metaOf(client, topic, session);
            const before = await storeTime(client, topic);
            await socket[end]();
            await leaves(eye, topic, session, before);
            const [row] = (await client.get(`/v1/sessions/${session}`)).json.presence;
            assert.deepEqual([row.topic, row.here, row.meta], [topic, false, { n: 1 }]);
            const again = await connect(server, session);
            const back = await until('it is back', () => metaOf(client, topic, session));
            assert.notEqual(back.ref, ref);
            assert.ok(Date.parse(back.since) > Date.parse(since));
            assert.equal(back.n, 1);
            assert.equal((await client.get(`/v1/sessions/${session}`)).json.presence[0].here, true);
            const roster = await new Roster(client, topic).fetch();
            await until('they are equal', async () => (await roster.take(eye.messages)).equals());
            await Promise.all([again.close(), eye.close()]);
        });
    }

    check('who never connects leaves by itself', async (server) => {
        const { client } = server;
        const topic = 'room:never';
        const eye = await watch(server, topic);
        const { session } = await client.session('bob');
        const before = await storeTime(client, topic);
        status(await track(client, session, topic, {}), 200);
        await leaves(eye, topic, session, before);
        // To say something is to be here again.
        status(await track(client, session, topic, { n: 2 }), 200);
        const after = await storeTime(client, topic);
        await until('it joined', () => diffs(eye.messages, topic).find(({ joins }) => joins.bob?.metas.some(({ n }) => n === 2)));
        assert.ok(after > before);
        await eye.close();
    });

    check('who was on a worker that died leaves; who comes back stays', async (server) => {
        const { client } = server;
        const topic = 'room:killed';
        const [gone, kept] = [await client.session('carol'), await client.session('dave')];
        const lost = await connect(server, gone.session);
        const follower = new Socket(server, kept.session).follow();
        await follower.control('hello');
        await lost.ask('subscribe', { topic, presence: {} });
        await follower.ask('subscribe', { topic, presence: {} });
        const watcher = new Socket(server, (await client.session('watcher', { topics: [topic] })).session).follow();
        await watcher.control('hello');
        const before = await storeTime(client, topic);
        await server.replace('0');
        await server.replace('1');
        await until('one left, one stayed', async () => {
            const here = bySession((await listed(client, topic)).members);
            return here.size === 1 && here.has(kept.session);
        }, 30);
        const told = watcher.messages.find(({ event, data }) => event === 'presence' && data.leaves.carol);
        if (told) assert.ok(Date.parse(told.time) >= before + GRACE);
        // The supervisor's death, and a new server: the same.
        await server.crash();
        await server.start();
        await until('it stays', async () => (await metaOf(client, topic, kept.session)) !== undefined && follower.connections >= 2, 30);
        await follower.close();
        await until('all left', async () => (await listed(client, topic)).count === 0, 30);
        await server.restart();
        assert.equal((await listed(client, topic)).count, 0);
        await watcher.close();
    }, 90);

    check('a server that stays away: all leave after the grace of the next one', async (server) => {
        const { client } = server;
        const topic = 'room:restart';
        const { session } = await client.session('erna');
        const socket = await connect(server, session);
        await socket.ask('subscribe', { topic, presence: {} });
        await server.crash();
        await server.start();
        await until('it left', async () => (await listed(client, topic)).count === 0, 30);
        assert.equal((await client.get(`/v1/sessions/${session}`)).json.presence[0].here, false);
        await socket.closed;
    }, 60);
});
