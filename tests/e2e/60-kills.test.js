// Any process may die or hang at any time: nothing accepted is lost, and service comes back.

import assert from 'node:assert/strict';
import { Chain } from './lib/chain.js';
import { payloads, problem, status } from './lib/expect.js';
import { bothGrades, parked, withServer } from './lib/harness.js';
import { alive, children, stopped } from './lib/proc.js';
import { Raw } from './lib/raw.js';
import { Reader } from './lib/reader.js';
import { isBroken, persist, until } from './lib/wait.js';

const numbers = (n) => Array.from({ length: n }, (_, i) => i);

/** Publishes 0..n-1 one after another with keys, whatever happens; at(i) is called before each. */
async function publish(client, session, n, at) {
    for (let i = 0; i < n; i++) {
        await at(i);
        const answer = await persist(`message ${i}`, () => client.send(session, { data: i }, `n${i}`));
        assert.ok(answer.status === 201 || answer.status === 200, answer.text);
    }
}

/** Runs a publisher and a reader through something that happens at given messages. */
async function through(server, n, events) {
    const { client } = server;
    const { session, cursor } = await client.session();
    const reader = new Reader(client, session, cursor);
    const reading = reader.until((messages) => messages.length >= n);
    await publish(client, session, n, (i) => events[i]?.());
    await reading;
    assert.deepEqual(reader.messages.map((message) => message.data), numbers(n));
    const { json } = await persist('the whole mailbox', () => client.pick(session, { cursor, limit: 1000 }));
    assert.deepEqual(json.messages.map((message) => message.data), numbers(n));
    new Chain(cursor).take(json);
}

bothGrades('kills', {}, (check) => {
    check('of either worker', (server) => through(server, 60, {
        20: () => server.replace('0'),
        40: () => server.replace('1'),
    }));

    check('of the writer, twice', (server) => through(server, 60, {
        20: () => server.replace('writer'),
        40: () => server.replace('writer'),
    }));

    check('of the writer, without waiting for its successor', (server) => through(server, 200, {
        50: () => server.signal('writer', 'SIGKILL'),
        100: () => server.signal('writer', 'SIGKILL'),
        150: () => server.signal('writer', 'SIGKILL'),
    }));

    check('of the supervisor: all leave, a new start goes on', (server) => through(server, 40, {
        20: async () => { await server.crash(); await server.start(); },
    }));

    check('of every process at once', (server) => through(server, 40, {
        20: async () => {
            const pids = [server.pid, ...children(server.pid)];
            for (const pid of pids) process.kill(pid, 'SIGKILL');
            await server.crash();
            await until('all are gone', () => !pids.some(alive));
            await server.start();
        },
    }));

    check('orderly, and started again', (server) => through(server, 40, { 20: () => server.restart() }));

    check('a killed worker breaks its polls, which come back for the message', async (server) => {
        const { client } = server;
        const { session, cursor } = await client.session();
        const polls = numbers(10).map(() => client.pick(session, { cursor, wait: 30 }).catch((error) => error));
        await parked(client, session, 10);
        const old = server.role('0');
        await server.replace('0');
        await persist('a message', () => client.send(session, { data: 'after' }));
        const outcomes = await Promise.all(polls);
        for (const outcome of outcomes) {
            assert.ok(outcome instanceof Error ? isBroken(outcome) : payloads(outcome)[0] === 'after', String(outcome));
        }
        assert.deepEqual(payloads(await persist('pick up', () => client.pick(session, { cursor }))), ['after']);
        assert.ok(!alive(old));
    });

    check('while the writer is away, picking up goes on and publishing waits', async (server) => {
        const { client } = server;
        const { session, cursor } = await client.session();
        status(await client.send(session, { data: 'before' }), 201);
        const pid = await server.signal('writer', 'SIGSTOP');
        await until('it is stopped', () => stopped(pid) || !alive(pid));
        const sending = client.send(session, { data: 'during' }, 'during').catch((error) => error);
        const seen = payloads(status(await client.pick(session, { cursor }), 200));
        // The successor of a writer that is killed before the test looks may have been quicker.
        assert.deepEqual(seen, seen.length === 1 || alive(pid) ? ['before'] : ['before', 'during']);
        const sent = await sending;
        assert.ok(sent.status === 201 || sent.status === 200 || (sent.status === 503 && sent.json.outcome), String(sent.text ?? sent));
        await until('the stopped writer is killed', () => !alive(pid));
        await persist('the message', () => client.send(session, { data: 'during' }, 'during'));
        assert.deepEqual(payloads(await client.pick(session, { cursor })), ['before', 'during']);
    });

    check('a stopped worker is killed and replaced', async (server) => {
        const before = await server.metric('restante_hung_killed_total');
        const old = await server.replace('1', 'SIGSTOP');
        assert.ok(old);
        await until('it is counted', async () => (await persist('metrics', () => server.client.get('/metrics'))).status === 200 &&
            await server.metric('restante_hung_killed_total') > before);
    });

    check('a role that is stopped and continued at once lives', async (server) => {
        const pid = await server.signal('writer', 'SIGSTOP');
        process.kill(pid, 'SIGCONT');
        const { session } = await server.client.session();
        status(await server.client.send(session, { data: 1 }), 201);
        assert.equal(server.role('writer'), pid);
    });

    check('an orderly stop answers polls, and ends with 0 and nobody left', async (server) => {
        const { client } = server;
        const { session, cursor, token } = await client.session();
        const raws = await Promise.all(numbers(6).map(() => Raw.connect(server)));
        for (const raw of raws) {
            await raw.write(`GET /v1/sessions/${session}/messages?cursor=${cursor}&wait=60 HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ${token}\r\n\r\n`);
        }
        await parked(client, session, 6);
        const idle = await Raw.connect(server);
        const pids = children(server.pid);
        const exit = await server.stop();
        assert.deepEqual(exit, { code: 0, signal: null });
        assert.ok(!pids.some(alive), 'a role is left');
        for (const raw of raws) {
            const { answers } = await raw.end();
            assert.ok([200, 204, 503].includes(answers[0]?.status), `${answers[0]?.status}`);
            if (answers[0].status === 503) assert.equal(answers[0].json.code, 'unavailable');
            assert.equal(answers[0].headers.connection, 'close');
        }
        await idle.end();
        await server.start();
        assert.deepEqual((await client.pick(session, { cursor })).json.messages, []);
    });

    check('an orderly stop finishes what was asked before it', async (server) => {
        const { client } = server;
        const { session, cursor } = await client.session();
        const sends = numbers(100).map((i) => client.send(session, { data: i }, `s${i}`).catch((error) => error));
        await until('some are in', async () => (await client.pick(session, { cursor })).json.messages.length > 0);
        const exit = await server.stop();
        assert.equal(exit.code, 0);
        const accepted = (await Promise.all(sends)).filter((answer) => answer.status === 201).map((answer) => answer.json.seq);
        await server.start();
        const { messages } = (await client.pick(session, { cursor, limit: 1000 })).json;
        const kept = new Set(messages.map((message) => message.seq));
        assert.ok(accepted.every((seq) => kept.has(seq)), 'an accepted message is lost');
    });

    check('a second signal hurries the stop', async (server) => {
        const { session, cursor } = await server.client.session();
        const poll = server.client.pick(session, { cursor, wait: 60 }).catch(() => null);
        await parked(server.client, session);
        const exit = server.stop();
        server.process?.kill('SIGINT');
        assert.notEqual((await exit).signal, 'SIGKILL');
        await poll;
        await server.start();
    });

    check('titles tell who is who', async (server) => {
        assert.ok(server.role('writer') && server.role('0') && server.role('1'));
        const { json } = status(await server.client.get('/v1/status'), 200);
        assert.equal(json.supervisor.pid, server.pid);
        assert.equal(json.writer.pid, server.role('writer'));
        assert.deepEqual(json.workers.map((worker) => worker.pid), [server.role('0'), server.role('1')]);
        assert.ok(json.workers.every((worker) => worker.state === 'running'));
    });
});

withServer('a feed that laps', { grade: 'memory', sections: { shm: { feed: '64K' } } }, (check) => {
    check('sends readers to the store, and they lose nothing', async (server) => {
        const { client } = server;
        const { session, cursor } = await client.session();
        const reader = new Reader(client, session, cursor, { limit: 1000 });
        const N = 600;
        const reading = reader.until((messages) => messages.length >= N);
        await parked(client, session); // a worker where nobody listens passes the feed over: no lap
        for (let i = 0; i < N; i += 60) {
            const messages = numbers(60).map((k) => ({ session, data: `${i + k}:${'x'.repeat(1000)}` }));
            const { results } = status(await client.post('/v1/publish', { messages }), 200).json;
            assert.ok(results.every((row) => row.status === 201));
        }
        await reading;
        assert.deepEqual(reader.messages.map((message) => parseInt(message.data, 10)), numbers(N));
        await until('it was lapped', async () => await server.metric('restante_feed_lapped_total') > 0);
    });
});

withServer('a writer that stays away', { grade: 'memory', sections: { publish: { timeout: '500ms' } } }, (check) => {
    check('costs a publish a 503 that says the outcome is unknown', async (server) => {
        const { client } = server;
        const { session, cursor } = await client.session();
        await server.signal('writer', 'SIGSTOP');
        const answer = await client.send(session, { data: 1 }, 'k');
        problem(answer, 503, 'unavailable');
        assert.equal(answer.json.outcome, 'unknown');
        await persist('the same key', () => client.send(session, { data: 1 }, 'k'));
        assert.deepEqual(payloads(await client.pick(session, { cursor })), [1]);
    });
});
