// Publish, pick up, wait, ack, receipts: the main road over both durability grades.

import assert from 'node:assert/strict';
import { Chain } from './lib/chain.js';
import { payloads, problem, status } from './lib/expect.js';
import { bothGrades, parked } from './lib/harness.js';
import { until } from './lib/wait.js';

bothGrades('mailbox', {}, (check, { options: { grade } }) => {
    check('publishes and picks up', async ({ client }) => {
        const { session, cursor, epoch } = await client.session();
        const sent = status(await client.send(session, { event: 'order', data: { any: 'json' } }, 'order-77'), 201).json;
        assert.equal(sent.stream, 'mailbox');
        assert.equal(sent.durability, grade);
        assert.equal(sent.duplicate, false);
        assert.equal(sent.cursor, `${epoch}.${sent.seq}`);
        const answer = status(await client.pick(session, { cursor }), 200);
        assert.equal(answer.headers['restante-cursor'], answer.json.cursor);
        assert.equal(answer.json.more, false);
        const [message] = answer.json.messages;
        assert.equal(message.seq, sent.seq);
        assert.equal(message.prev, 0);
        assert.equal(message.cursor, sent.cursor);
        assert.equal(message.stream, 'mailbox');
        assert.equal(message.id, 'order-77');
        assert.equal(message.event, 'order');
        assert.equal(message.content_type, 'application/json');
        assert.equal(message.publisher, 'backend');
        assert.deepEqual(message.data, { any: 'json' });
        assert.ok(Math.abs(Date.parse(message.time) - Date.now()) < 60e3, message.time);
    });

    check('an unkeyed message has its seq as id', async ({ client }) => {
        const { session } = await client.session();
        const { seq } = (await client.send(session, { data: 1 })).json;
        const [message] = (await client.pick(session)).json.messages;
        assert.equal(message.id, String(seq));
        assert.equal(message.event, 'message');
    });

    check('an empty mailbox answers 200 at once, 204 after a wait', async ({ client }) => {
        const { session, cursor } = await client.session();
        const now = status(await client.pick(session, { cursor }), 200).json;
        assert.deepEqual(now.messages, []);
        const waited = status(await client.pick(session, { cursor, wait: '100ms' }), 204);
        assert.equal(waited.text, '');
        const chain = new Chain(cursor);
        chain.take({ messages: [], cursor: waited.headers['restante-cursor'] });
    });

    check('pages with limit, in order, until there is no more', async ({ client }) => {
        const { session, cursor } = await client.session();
        for (let i = 0; i < 25; i++) status(await client.send(session, { data: i }), 201);
        const chain = new Chain(cursor);
        const seen = [];
        for (let more = true; more;) {
            const answer = status(await client.pick(session, { cursor: chain.cursor, limit: 10 }), 200).json;
            assert.ok(answer.messages.length <= 10);
            seen.push(...chain.take(answer).map((message) => message.data));
            more = answer.more;
        }
        assert.deepEqual(seen, Array.from({ length: 25 }, (_, i) => i));
    });

    check('pages with max_bytes, always at least one', async ({ client }) => {
        const { session, cursor } = await client.session();
        for (let i = 0; i < 4; i++) status(await client.send(session, { data: String(i).repeat(3000) }), 201);
        const one = (await client.pick(session, { cursor, max_bytes: 1 })).json;
        assert.equal(one.messages.length, 1);
        assert.equal(one.more, true);
        const two = (await client.pick(session, { cursor, max_bytes: 8000 })).json;
        assert.ok(two.messages.length >= 1 && two.messages.length <= 3, `${two.messages.length} messages`);
        assert.equal(two.more, true);
    });

    check('the same cursor gives the same messages until acked', async ({ client }) => {
        const { session, cursor } = await client.session();
        const first = (await client.send(session, { data: 1 })).json;
        status(await client.send(session, { data: 2 }), 201);
        for (let i = 0; i < 3; i++) assert.deepEqual(payloads(await client.pick(session, { cursor })), [1, 2]);
        // A later cursor does not ack.
        assert.deepEqual(payloads(await client.pick(session, { cursor: first.cursor })), [2]);
        assert.deepEqual(payloads(await client.pick(session, { cursor })), [1, 2]);
        status(await client.ack(session, first.cursor), 204);
        assert.deepEqual(payloads(await client.pick(session, { cursor })), [2]);
        // Without a cursor: from the last ack. An older ack is a no-op.
        status(await client.ack(session, cursor), 204);
        assert.deepEqual(payloads(await client.pick(session)), [2]);
        const seen = (await client.get(`/v1/sessions/${session}`)).json;
        assert.equal(seen.acked, first.cursor);
        assert.equal(seen.pending, 1);
    });

    check('ack=1 in the query acks what the cursor covers', async ({ client }) => {
        const { session, cursor } = await client.session();
        const first = (await client.send(session, { data: 1 })).json;
        status(await client.send(session, { data: 2 }), 201);
        assert.deepEqual(payloads(await client.pick(session, { cursor: first.cursor, ack: 1 })), [2]);
        await until('the ack is applied', async () => {
            return payloads(await client.pick(session, { cursor })).length === 1;
        });
    });

    check('a parked poll gets what is published, at once', async ({ client }) => {
        const { session, cursor } = await client.session();
        const poll = client.pick(session, { cursor, wait: 30 });
        await parked(client, session);
        const before = Date.now();
        status(await client.send(session, { data: 'wake' }), 201);
        const answer = status(await poll, 200);
        assert.deepEqual(payloads(answer), ['wake']);
        assert.ok(Date.now() - before < 5000, 'the poll was woken, it did not time out');
        new Chain(cursor).take(answer.json);
    });

    check('several parked polls all get it', async ({ client }) => {
        const { session, cursor } = await client.session();
        const polls = Array.from({ length: 8 }, () => client.pick(session, { cursor, wait: 30 }));
        await parked(client, session, 8);
        status(await client.send(session, { data: 7 }), 201);
        for (const poll of polls) assert.deepEqual(payloads(await poll), [7]);
    });

    check('a poll whose cursor is behind does not wait', async ({ client }) => {
        const { session, cursor } = await client.session();
        status(await client.send(session, { data: 1 }), 201);
        const before = Date.now();
        assert.deepEqual(payloads(await client.pick(session, { cursor, wait: 30 })), [1]);
        assert.ok(Date.now() - before < 10e3);
    });

    check('is followed by hundreds of polls without a gap', async ({ client }) => {
        const { session, cursor } = await client.session();
        const N = 300;
        const chain = new Chain(cursor);
        const seen = [];
        const read = (async () => {
            while (seen.length < N) {
                const answer = await client.pick(session, { cursor: chain.cursor, wait: 30, limit: 7 });
                if (answer.status === 200) seen.push(...chain.take(answer.json).map((message) => message.data));
            }
        })();
        for (let i = 0; i < N; i++) status(await client.send(session, { data: i }), 201);
        await read;
        assert.deepEqual(seen, Array.from({ length: N }, (_, i) => i));
    });

    check('query values out of range are refused, never clamped', async ({ client }) => {
        const { session, cursor } = await client.session();
        const bad = ['limit=0', 'limit=1001', 'limit=-1', 'limit=x', 'limit=', 'limit=1.5', 'limit=99999999999999999999',
            'wait=61', 'wait=-1', 'wait=soon', 'wait=61s', 'wait=2m', 'max_bytes=0', 'max_bytes=x', 'limit=1&limit=2',
            'cursor=', 'cursor=x', 'cursor=1', 'cursor=.', `cursor=${cursor}x`, `cursor=${cursor}.1`, `cursor=x${cursor}`,
            `cursor=${cursor.slice(1)}`, `cursor=${cursor.split('.')[0]}.-1`, `cursor=${cursor.split('.')[0]}.99999999999999999999`,
            'cursor=%00', 'cursor=%zz', 'limit=%', 'limit=%3', 'ack=maybe'];
        for (const query of bad) {
            const answer = await client.get(`/v1/sessions/${session}/messages?${query}`);
            assert.equal(`${query} ${answer.status} ${answer.json?.code}`, `${query} 400 bad_request`);
        }
        for (const query of ['limit=1', 'limit=1000', 'wait=0', 'wait=0s', 'unknown=1', 'max_bytes=1', 'limit=%31']) {
            status(await client.get(`/v1/sessions/${session}/messages?${query}`), 200);
        }
    });

    check('cursors of another history or ahead of it are reset', async ({ client }) => {
        const { session, epoch, cursor } = await client.session();
        status(await client.send(session, { data: 1 }), 201);
        const foreign = epoch === '0000000000000001' ? '0000000000000002.5' : '0000000000000001.5';
        const ahead = `${epoch}.999999999`;
        for (const ask of [(c) => client.pick(session, { cursor: c }), (c) => client.pick(session, { cursor: c, wait: 30 }), (c) => client.ack(session, c)]) {
            const reset = await ask(foreign);
            problem(reset, 410, 'cursor_reset');
            assert.equal(reset.json.reason, 'epoch');
            problem(await ask(ahead), 410, 'cursor_reset');
            assert.equal((await ask(ahead)).json.reason, 'ahead');
            for (const name of ['oldest', 'newest']) assert.match(reset.json[name], new RegExp(`^${epoch}\\.\\d+$`));
        }
        // Going on from oldest gives everything.
        const { oldest } = (await client.pick(session, { cursor: foreign })).json;
        assert.deepEqual(payloads(await client.pick(session, { cursor: oldest })), [1]);
        assert.deepEqual(payloads(await client.pick(session, { cursor })), [1]);
    });

    check('a receipt says stored, delivered, acked', async ({ client }) => {
        const { session, cursor } = await client.session();
        const sent = (await client.send(session, { data: 1 })).json;
        const receipt = async () => status(await client.get(`/v1/sessions/${session}/messages/${sent.seq}`), 200).json;
        const stored = await receipt();
        assert.equal(stored.state, 'stored');
        assert.equal(stored.seq, sent.seq);
        assert.ok(stored.time);
        const { json } = await client.pick(session, { cursor });
        // What was delivered is told to the writer at most once a second, or by the next use.
        await until('delivered', async () => (await receipt()).state === 'delivered');
        status(await client.ack(session, json.cursor), 204);
        assert.equal((await receipt()).state, 'acked');
        problem(await client.get(`/v1/sessions/${session}/messages/0`), 404, 'not_found');
        problem(await client.get(`/v1/sessions/${session}/messages/x`), 404, 'not_found');
    });
});
