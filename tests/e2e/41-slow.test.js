// Clients that are slow, mute, or many: each is bounded by a deadline, and none costs the others.

import assert from 'node:assert/strict';
import { payloads, status } from './lib/expect.js';
import { parked, withServer } from './lib/harness.js';
import { anonymous } from './lib/proc.js';
import { Raw } from './lib/raw.js';
import { until } from './lib/wait.js';

const HALF_OPEN = 3000;
const MiB = 1 << 20;

const limits = { head_timeout: '1s', body_timeout: '1s', write_timeout: '1s', idle_timeout: '2s' };

withServer('deadlines', { grade: 'memory', sections: { limits, session: { mailbox_bytes: '64M' } } }, (check) => {
    check('a head that does not come is refused', async (server) => {
        const raw = await Raw.connect(server);
        await raw.write('GET /healthz HTTP/1.1\r\nHost: x\r\n');
        const { answers } = await raw.end();
        assert.equal(answers[0]?.status, 408);
        assert.equal(answers[0].json.code, 'timeout');
    });

    check('a head that trickles gains nothing by it', async (server) => {
        const raw = await Raw.connect(server);
        const trickle = setInterval(() => raw.socket.write('A: b\r\n'), 100);
        await raw.write('GET /healthz HTTP/1.1\r\nHost: x\r\n');
        const begun = Date.now();
        await raw.end();
        clearInterval(trickle);
        assert.ok(Date.now() - begun < 8000, 'the deadline is absolute');
    });

    check('a body that trickles is refused', async (server) => {
        const raw = await Raw.connect(server);
        await raw.write(`POST /v1/publish HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ${server.key}\r\n` +
            'Content-Type: application/json\r\nContent-Length: 100000\r\n\r\n');
        const trickle = setInterval(() => raw.socket.write(' '), 100);
        const { answers } = await raw.end();
        clearInterval(trickle);
        assert.equal(answers[0]?.status, 408);
    });

    check('a mute connection is closed', async (server) => {
        const mute = await Raw.connect(server);
        const idle = await Raw.connect(server);
        await idle.write('GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n');
        assert.equal((await idle.end()).answers[0].status, 200);
        await mute.end();
    });

    check('a parked poll is not idle', async ({ client }) => {
        const { session, cursor } = await client.session();
        status(await client.pick(session, { cursor, wait: 3 }), 204);
    });

    check('a client that leaves while parked is forgotten', async (server) => {
        const { client } = server;
        const { session, cursor, token } = await client.session();
        const raw = await Raw.connect(server);
        await raw.write(`GET /v1/sessions/${session}/messages?cursor=${cursor}&wait=60 HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ${token}\r\n\r\n`);
        await until('it is parked', async () => await server.metric('restante_polls_parked') === 1);
        raw.destroy();
        await until('it is gone', async () => await server.metric('restante_polls_parked') === 0);
        status(await client.send(session, { data: 1 }), 201);
        assert.deepEqual(payloads(await client.pick(session, { cursor })), [1]);
    });

    check('a client that never reads is closed, counted, and loses nothing', async (server) => {
        const { client } = server;
        const { session, cursor, token } = await client.session();
        const big = 'x'.repeat(200 * 1024);
        for (let i = 0; i < 60; i++) status(await client.send(session, { data: big }), 201);
        const closed = await server.metric('restante_closed_total{reason="slow"}');
        const raw = await Raw.connect(server);
        raw.socket.pause();
        const ask = `GET /v1/sessions/${session}/messages?cursor=${cursor}&max_bytes=${12 * MiB}&limit=1000 HTTP/1.1\r\n` +
            `Host: x\r\nAuthorization: Bearer ${token}\r\n\r\n`;
        await raw.write(ask);
        await until('it is closed as slow', async () => await server.metric('restante_closed_total{reason="slow"}') === closed + 1);
        raw.destroy();
        const { messages } = (await client.pick(session, { cursor, max_bytes: 16 * MiB, limit: 1000 })).json;
        assert.equal(messages.length, 60);
    });

    check('a client that pipelines and never reads costs no memory', async (server) => {
        const { client } = server;
        const { session, cursor, token } = await client.session();
        for (let i = 0; i < 10; i++) status(await client.send(session, { data: 'y'.repeat(100 * 1024) }), 201);
        const one = `GET /v1/sessions/${session}/messages?cursor=${cursor}&limit=1000 HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ${token}\r\n\r\n`;
        const pids = [server.role('0'), server.role('1')];
        const memory = () => pids.reduce((sum, pid) => sum + anonymous(pid), 0);
        const before = memory();
        const raw = await Raw.connect(server);
        raw.socket.pause();
        raw.socket.write(one.repeat(500)); // half a gigabyte of answers
        let most = 0;
        await until('it is closed', async () => {
            most = Math.max(most, memory() - before);
            return raw.socket.destroyed || await server.metric('restante_closed_total{reason="slow"}') >= 2;
        });
        raw.destroy();
        assert.ok(most < 64 * MiB, `${Math.round(most / MiB)} MiB`);
    });

    check('every worker that was there at the start is still there', async (server) => {
        assert.equal(await server.metric('restante_respawns_total{role="worker"}'), 0);
    });
});

withServer('thousands of half-open connections', { grade: 'memory', sections: { limits: { head_timeout: '15s' } } }, (check) => {
    check('cost the others nothing, and go at their deadline', async (server) => {
        const { client } = server;
        const { session, cursor } = await client.session();
        const raws = await Promise.all(Array.from({ length: HALF_OPEN }, () => Raw.connect(server)));
        try {
            await Promise.all(raws.map((raw, i) => raw.write('GET /healthz HTTP/1.1\r\nHost: x\r\n'.slice(0, i % 35))));
            await until('all are open', async () => await server.metric('restante_connections') >= HALF_OPEN, 15);
            const poll = client.pick(session, { cursor, wait: 30 });
            await parked(client, session);
            status(await client.send(session, { data: 'through' }), 201);
            assert.deepEqual(payloads(await poll), ['through']);
            await until('they are gone', async () => await server.metric('restante_connections') < 20, 40);
        } finally {
            for (const raw of raws) raw.destroy();
        }
    }, 120);
});

withServer('a ceiling of connections', { grade: 'memory', workers: 1, sections: { limits: { connections: 20 } } }, (check) => {
    check('is kept, counted, and open again afterwards', async (server) => {
        const raws = await Promise.all(Array.from({ length: 40 }, () => Raw.connect(server)));
        for (const raw of raws) raw.socket.write('GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n');
        const outcomes = await Promise.all(raws.map((raw) => raw.answers(1).then(([answer]) => answer.status, () => 'closed')));
        const served = outcomes.filter((outcome) => outcome === 200).length;
        assert.ok(served >= 15 && served <= 20, `${served} served`);
        for (const raw of raws) raw.destroy();
        await until('it serves again', async () => (await server.client.get('/healthz').catch(() => null))?.status === 200);
        const refused = await Promise.all(['limit', 'undecided'].map((reason) => server.metric(`restante_refused_total{reason="${reason}"}`)));
        assert.ok(refused[0] + refused[1] >= 20, 'those that were silent while others came are refused too');
    });
});
