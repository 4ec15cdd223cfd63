// Repeats, batches, subjects: what a publisher can rely on.

import assert from 'node:assert/strict';
import { Chain } from './lib/chain.js';
import { NOBODY, payloads, problem, status } from './lib/expect.js';
import { bothGrades, parked, withServer } from './lib/harness.js';
import { until } from './lib/wait.js';

bothGrades('publishing', {}, (check) => {
    check('a repeat with the same key gets the first answer', async ({ client }) => {
        const { session, cursor } = await client.session();
        const first = status(await client.send(session, { data: 1 }, 'k1'), 201).json;
        const again = status(await client.send(session, { data: 1 }, 'k1'), 200).json;
        assert.deepEqual({ ...again, duplicate: false }, first);
        assert.equal(again.duplicate, true);
        problem(await client.send(session, { data: 2 }, 'k1'), 409, 'idempotency_conflict');
        status(await client.send(session, { data: 2 }, 'k2'), 201);
        assert.deepEqual(payloads(await client.pick(session, { cursor })), [1, 2]);
    });

    check('a key belongs to its stream and its publisher', async ({ client }) => {
        const a = await client.session();
        const b = await client.session();
        const one = status(await client.send(a.session, { data: 1 }, 'same'), 201).json;
        const two = status(await client.send(b.session, { data: 1 }, 'same'), 201).json;
        assert.notEqual(one.seq, two.seq);
    });

    check('many repeats at once are one message', async ({ client }) => {
        const { session, cursor } = await client.session();
        const answers = await Promise.all(Array.from({ length: 20 }, () => client.send(session, { data: 'x' }, 'race')));
        assert.equal(answers.filter((answer) => answer.status === 201).length, 1);
        assert.equal(answers.filter((answer) => answer.status === 200).length, 19);
        assert.equal(new Set(answers.map((answer) => answer.json.seq)).size, 1);
        assert.deepEqual(payloads(await client.pick(session, { cursor })), ['x']);
    });

    check('a failure is not remembered', async ({ client }) => {
        const { session } = await client.session();
        problem(await client.send(NOBODY, { data: 1 }, 'k'), 404, 'session_unknown');
        problem(await client.send(session, { ttl: 'x', data: 1 }, 'k'), 400, 'bad_request');
        status(await client.send(session, { data: 1 }, 'k'), 201);
    });

    check('keys and messages are remembered across a restart and a crash', async (server) => {
        const { client } = server;
        const { session, cursor } = await client.session();
        const first = status(await client.send(session, { data: 1 }, 'k'), 201).json;
        for (const end of ['stop', 'crash']) {
            await server[end]();
            await server.start();
            const again = status(await client.send(session, { data: 1 }, 'k'), 200).json;
            assert.equal(again.seq, first.seq);
            problem(await client.send(session, { data: 3 }, 'k'), 409, 'idempotency_conflict');
            const answer = await client.pick(session, { cursor });
            assert.deepEqual(payloads(answer), [1]);
        }
        const later = status(await client.send(session, { data: 2 }), 201).json;
        assert.ok(later.seq > first.seq, 'seqs go on');
        new Chain(cursor).take((await client.pick(session, { cursor })).json);
    });

    check('a batch answers item by item, in order', async ({ client }) => {
        const a = await client.session();
        const b = await client.session('batch-b');
        const messages = [
            { session: a.session, data: 1, key: 'b1' },
            { session: NOBODY, data: 2 },
            { subject: 'batch-b', data: 3 },
            { subject: 'nobody', data: 4 },
            { session: a.session, data: 1, key: 'b1' },
            { session: a.session, data: 9, key: 'b1' },
            { session: a.session, data: 5 },
        ];
        const { results } = status(await client.post('/v1/publish', { messages }), 200).json;
        assert.deepEqual(results.map((row) => row.status), [201, 404, 201, 404, 200, 409, 201]);
        assert.equal(results[1].code, 'session_unknown');
        assert.equal(results[3].code, 'subject_unknown');
        assert.equal(results[4].seq, results[0].seq);
        assert.equal(results[4].duplicate, true);
        assert.equal(results[5].code, 'idempotency_conflict');
        assert.equal(results[2].results.length, 1);
        assert.equal(results[2].results[0].session, b.session);
        assert.deepEqual(payloads(await client.pick(a.session, { cursor: a.cursor })), [1, 5]);
        assert.deepEqual(payloads(await client.pick(b.session, { cursor: b.cursor })), [3]);
    });

    check('a batch of a thousand is one commit', async (server) => {
        const { client } = server;
        let session, cursor, messages;
        // Touches and sweeps of what was before may add commits of their own: then a batch is sent again.
        await until('a batch of which few commits are counted', async () => {
            ({ session, cursor } = await client.session());
            messages = Array.from({ length: 1000 }, (_, i) => ({ session, data: i, key: `m${i}` }));
            const before = await server.metric('restante_batches_total');
            const { results } = status(await client.post('/v1/publish', { messages }), 200).json;
            const after = await server.metric('restante_batches_total');
            assert.equal(results.length, 1000);
            assert.ok(results.every((row, i) => row.status === 201 && (i === 0 || row.seq > results[i - 1].seq)));
            return after - before <= 3;
        });
        assert.deepEqual(payloads(await client.pick(session, { cursor, limit: 1000 })), messages.map((row) => row.data));
        messages.push({ session, data: 1000 });
        const refused = await client.post('/v1/publish', { messages });
        assert.ok(refused.status === 400 || refused.status === 413, refused.text);
        assert.equal((await client.pick(session, { cursor, limit: 1000 })).json.messages.length, 1000);
    });

    check('the session of all zero bits is like any that does not exist', async (server) => {
        const { client } = server;
        const zero = 'A'.repeat(22);
        problem(await client.send(zero, { data: 1 }), 404, 'session_unknown');
        problem(await client.pick(zero), 404, 'session_unknown');
        problem(await client.ack(zero, (await client.session()).cursor), 404, 'session_unknown');
        problem(await client.request('DELETE', `/v1/sessions/${zero}`), 404, 'session_unknown');
        const { results } = status(await client.post('/v1/publish', { messages: [{ session: zero, data: 1 }] }), 200).json;
        assert.equal(results[0].code, 'session_unknown');
        assert.equal(await server.metric('restante_commands_bad_total'), 0);
    });

    check('a bad batch is refused whole', async ({ client }) => {
        const { session, cursor } = await client.session();
        const good = { session, data: 1 };
        for (const messages of [{}, 'x', [1], [[]], [good, {}], [good, { session }], [good, { data: 1 }],
            [{ ...good, subject: 'x' }], [{ session: 7, data: 1 }], [good, { session, data: 1, ttl: 'x' }]]) {
            const answer = await client.post('/v1/publish', { messages });
            const items = answer.json?.results;
            assert.ok(answer.status === 400 || items?.some((row) => row.status === 400), `${JSON.stringify(messages)}: ${answer.text}`);
        }
        problem(await client.post('/v1/publish', {}), 400, 'bad_request');
        const { messages } = (await client.pick(session, { cursor })).json;
        assert.ok(messages.every((message) => message.data === 1));
    });

    check('a subject reaches each of its live sessions', async ({ client }) => {
        const phone = await client.session('mallory', { name: 'phone' });
        const tablet = await client.session('mallory', { name: 'tablet' });
        const path = '/v1/subjects/mallory/messages';
        const headers = { 'Idempotency-Key': 'once' };
        const sent = status(await client.post(path, { data: 'hi' }, { headers }), 201).json;
        assert.deepEqual(new Set(sent.results.map((row) => row.session)), new Set([phone.session, tablet.session]));
        assert.ok(sent.results.every((row) => row.status === 201 && row.duplicate === false));
        const again = status(await client.post(path, { data: 'hi' }, { headers }), 200).json;
        assert.ok(again.results.every((row) => row.status === 200 && row.duplicate === true));
        for (const { session, cursor } of [phone, tablet]) {
            assert.deepEqual(payloads(await client.pick(session, { cursor })), ['hi']);
        }
        problem(await client.post('/v1/subjects/nobody/messages', { data: 1 }), 404, 'subject_unknown');
        await client.request('DELETE', `/v1/sessions/${phone.session}`);
        await client.request('DELETE', `/v1/sessions/${tablet.session}`);
        problem(await client.post(path, { data: 1 }), 404, 'subject_unknown');
    });

    check('an ephemeral message reaches parked polls and is not stored', async ({ client }) => {
        const { session, cursor } = await client.session();
        const poll = client.pick(session, { cursor, wait: 30 });
        await parked(client, session);
        const sent = status(await client.send(session, { data: 'now', ephemeral: true }), 202).json;
        assert.equal(sent.seq, null);
        const [message] = status(await poll, 200).json.messages;
        assert.equal(message.data, 'now');
        assert.equal(message.ephemeral, true);
        for (const name of ['seq', 'prev', 'cursor']) assert.equal(message[name], undefined);
        assert.deepEqual((await client.pick(session, { cursor })).json.messages, []);
    });
});

withServer('subject limits', { grade: 'memory', sections: { session: { max_per_subject: 3, mailbox_messages: 2 } } }, (check) => {
    check('a subject has at most so many sessions', async ({ client }) => {
        for (let i = 0; i < 3; i++) await client.session('many');
        problem(await client.post('/v1/sessions', { subject: 'many' }), 403, 'limit_reached');
    });

    check('one full mailbox does not refuse the others', async ({ client }) => {
        const full = await client.session('pair');
        const free = await client.session('pair');
        const path = '/v1/subjects/pair/messages';
        for (let i = 0; i < 2; i++) status(await client.send(full.session, { data: i }), 201);
        const mixed = status(await client.post(path, { data: 'a' }), 201).json.results;
        const of = (session) => mixed.find((row) => row.session === session);
        assert.equal(of(full.session).status, 507);
        assert.equal(of(full.session).code, 'mailbox_full');
        assert.equal(of(free.session).status, 201);
        status(await client.post(path, { data: 'b' }), 201);
        assert.equal((await client.post(path, { data: 'c' })).status, 507);
    });
});
