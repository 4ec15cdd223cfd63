// A crowd on one topic: everyone is served, and who does not read costs the others nothing. And
// workers that are lapped by a feed that is too small for what comes.

import assert from 'node:assert/strict';
import { Chain } from './lib/chain.js';
import { Crowd } from './lib/crowd.js';
import { payloads, status } from './lib/expect.js';
import { withServer } from './lib/harness.js';
import { connect, Socket } from './lib/socket.js';
import { messages, numbers, say } from './lib/topics.js';
import { persist, until } from './lib/wait.js';

const EACH = 5000; // sockets in clear text, and as many over TLS
const SESSIONS = 2500;
const PATIENCE = 180; // seconds; for machines that have other things to do
const TOPIC = 'crowd:all';
const namespace = ['namespace', 'crowd:*', { history: 10000, bytes: '64M', ttl: '1h' }];

/** Opens n sessions that are subscribed to the topic, many at once. */
async function openAll({ client }, n) {
    const made = [];
    let next = 0;
    const one = async () => {
        while (next < n) {
            const i = next++;
            made[i] = await client.session(`member-${i}`, { topics: [TOPIC], ttl: '1h' });
        }
    };
    await Promise.all(Array.from({ length: 32 }, one));
    return made;
}

withServer('ten thousand sockets on one topic', {
    grade: 'memory',
    tls: true,
    titled: [namespace],
    sections: {
        // A slow machine is no reason to send anyone away.
        limits: { connections: 15000, handshake_timeout: '5m', head_timeout: '5m', write_timeout: '5m' },
        session: { mailbox_bytes: '64M' },
        server: { heartbeat: '10m' },
    },
}, (check) => {
    check('are all served, while one that does not read costs them nothing', async (server) => {
        const { client, key } = server;
        const made = await openAll(server, SESSIONS);
        const members = numbers(EACH).map((i) => {
            const { session, cursor } = made[i % SESSIONS];
            return { session, cursor };
        });

        const frozen = await client.session('frozen', { topics: [TOPIC] });
        const letters = numbers(60).map((i) => `${i} ${'x'.repeat(200 * 1024)}`);
        const socket = await connect(server, frozen.session, { cursor: frozen.cursor });
        socket.pause();
        for (const letter of letters) status(await client.send(frozen.session, { data: letter }), 201);

        const crowds = [];
        try {
            crowds.push(new Crowd({ port: server.port, key }, members));
            crowds.push(new Crowd({ port: server.tls.port, key, ca: server.tls.certificate.toString() }, members));
            await Promise.all(crowds.map((crowd) => crowd.opened(PATIENCE)));
            assert.equal(await server.metric('restante_sockets'), 2 * EACH + 1);

            const wanted = ['one', 'two', 'three'];
            for (const data of wanted) status(await say(client, TOPIC, { data }), 201);
            await Promise.all(crowds.map((crowd) => crowd.got(wanted, PATIENCE)));
            assert.ok(socket.messages.length < letters.length, 'it has read nothing meanwhile');

            socket.resume();
            await socket.got(letters.length + wanted.length, PATIENCE);
            assert.deepEqual(socket.payloads, [...letters, ...wanted]);
            const chain = new Chain(frozen.cursor);
            chain.take({ messages: socket.messages, cursor: socket.cursor });
            assert.equal(await server.metric('restante_sockets'), 2 * EACH + 1, 'nobody was sent away');
            assert.deepEqual(payloads(await client.get(messages(TOPIC))), wanted, 'each is stored once');
        } finally {
            await Promise.all(crowds.map((crowd) => crowd.close()));
            await socket.cut();
        }
        await until('they are gone', async () => await server.metric('restante_sockets') === 0, PATIENCE);
        assert.equal(await server.metric('restante_respawns_total{role="worker"}'), 0);
    }, 4 * PATIENCE);
});

withServer('a feed that is too small', { grade: 'memory', titled: [namespace], sections: { shm: { feed: '64K' } } }, (check) => {
    const readers = async (server, topic) => {
        const list = [];
        for (const encoding of ['json', 'msgpack', 'json', 'msgpack']) {
            const { session, cursor } = await server.client.session('reader', { topics: [topic] });
            const reader = new Socket(server, session, { cursor, encoding });
            reader.start = cursor;
            list.push(reader.follow());
        }
        await until('all are there', () => list.every((reader) => reader.controls.length > 0));
        return list;
    };
    const verify = async (list, wanted) => {
        for (const reader of list) {
            await reader.got(wanted.length);
            assert.deepEqual(reader.payloads, wanted);
            new Chain(reader.start).take({ messages: reader.messages, cursor: reader.cursor });
            await reader.close();
        }
    };
    const pad = 'x'.repeat(1000);

    check('a batch that does not fit it comes from the store', async (server) => {
        const topic = 'crowd:batches';
        const list = await readers(server, topic);
        const wanted = numbers(600).map((i) => `${i} ${pad}`);
        for (let i = 0; i < wanted.length; i += 100) {
            const items = wanted.slice(i, i + 100).map((data) => ({ topic, data }));
            const { results } = status(await server.client.post('/v1/publish', { messages: items }), 200).json;
            assert.ok(results.every((one) => one.status === 201));
        }
        await verify(list, wanted);
        assert.ok(await server.metric('restante_feed_lapped_total') > 0);
    });

    check('what passed a worker that was stopped comes from the store', async (server) => {
        const topic = 'crowd:stopped';
        const list = await readers(server, topic);
        const { client } = server;
        const wanted = numbers(300).map((i) => `${i} ${pad}`);
        const pid = await server.signal('0', 'SIGSTOP');
        let accepted = 0;
        const sent = wanted.map(async (data, i) => {
            const { json } = await persist(`message ${i}`, () => client.post(messages(topic), { data }, { headers: { 'Idempotency-Key': `m${i}` } }));
            accepted++;
            return json.seq;
        });
        // More than the feed holds; a machine so slow that the supervisor kills it first has its lap too.
        await until('the feed has lapped it', () => accepted >= 100 || server.role('0') !== pid, 60);
        try {
            if (server.role('0') === pid) process.kill(pid, 'SIGCONT');
        } catch (error) {
            if (error.code !== 'ESRCH') throw error; // the supervisor was quicker
        }
        const seqs = await Promise.all(sent);
        const order = wanted.map((data, i) => ({ data, seq: seqs[i] })).sort((a, b) => a.seq - b.seq);
        await verify(list, order.map(({ data }) => data));
    }, 90);
});
