// What a mailbox keeps and what it gives up, and that a reader can always tell.

import assert from 'node:assert/strict';
import { Chain } from './lib/chain.js';
import { payloads, problem, status } from './lib/expect.js';
import { withServer } from './lib/harness.js';
import { until } from './lib/wait.js';

const receipt = async (client, session, seq) => (await client.get(`/v1/sessions/${session}/messages/${seq}`)).json.state;

/** What was delivered is told to the writer at most once a second, so it may show later. */
const delivered = (client, session, seq) =>
    until(`${seq} is delivered`, async () => await receipt(client, session, seq) === 'delivered');

withServer('a mailbox that refuses', { grade: 'memory', sections: { session: { mailbox_messages: 10, mailbox_bytes: '8K' } } }, (check) => {
    check('is full at its count, and free again after an ack', async ({ client }) => {
        const { session, cursor } = await client.session();
        let last;
        for (let i = 0; i < 10; i++) last = status(await client.send(session, { data: i }, `k${i}`), 201).json;
        problem(await client.send(session, { data: 10 }, 'k10'), 507, 'mailbox_full');
        // A repeat of what is stored is no new message.
        status(await client.send(session, { data: 9 }, 'k9'), 200);
        assert.deepEqual(payloads(await client.pick(session, { cursor })), [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
        status(await client.ack(session, last.cursor), 204);
        status(await client.send(session, { data: 10 }, 'k10'), 201);
    });

    check('is full at its bytes', async ({ client }) => {
        const { session } = await client.session();
        status(await client.send(session, { data: 'x'.repeat(5000) }), 201);
        problem(await client.send(session, { data: 'x'.repeat(5000) }), 507, 'mailbox_full');
        status(await client.send(session, { data: 'x' }), 201);
    });

    check('in a batch: each item has its own answer', async ({ client }) => {
        const { session } = await client.session();
        const messages = Array.from({ length: 12 }, (_, i) => ({ session, data: i }));
        const { results } = (await client.post('/v1/publish', { messages })).json;
        assert.deepEqual(results.map((row) => row.status), [...Array(10).fill(201), 507, 507]);
        assert.equal(results[11].code, 'mailbox_full');
    });
});

withServer('a mailbox that drops', { grade: 'memory', sections: { session: { mailbox_messages: 40, mailbox_overflow: 'drop_oldest' } } }, (check) => {
    check('keeps the newest and says what was truncated', async ({ client }) => {
        const { session, cursor } = await client.session();
        const seqs = [];
        for (let i = 0; i < 100; i++) seqs.push(status(await client.send(session, { data: i }), 201).json.seq);
        const answer = status(await client.pick(session, { cursor, limit: 1000 }), 200).json;
        const kept = answer.messages.map((message) => message.data);
        assert.ok(kept.length >= 40 && kept.length <= 45, `${kept.length} kept`);
        assert.deepEqual(kept, Array.from({ length: kept.length }, (_, i) => 100 - kept.length + i));
        assert.equal(answer.truncated?.length, 1);
        assert.equal(answer.truncated[0].stream, 'mailbox');
        assert.ok(answer.truncated[0].to >= seqs[99 - kept.length] && answer.truncated[0].to < answer.messages[0].seq);
        new Chain(cursor).take(answer);
        // Who has seen all of it is told nothing.
        const later = (await client.pick(session, { cursor: answer.messages[0].cursor, limit: 1000 })).json;
        assert.equal(later.truncated, undefined);
        assert.equal(await receipt(client, session, seqs[99 - kept.length]), 'trimmed');
        // Of what was removed, at most as many headers are kept as the mailbox holds messages.
        assert.equal(await receipt(client, session, seqs[0]), 'unknown');
        await delivered(client, session, seqs[99]);
    });

    check('a reader that keeps up sees everything', async ({ client }) => {
        const { session, cursor } = await client.session();
        const chain = new Chain(cursor);
        for (let i = 0; i < 120; i++) {
            status(await client.send(session, { data: i }), 201);
            if (i % 20 === 19) {
                const answer = (await client.pick(session, { cursor: chain.cursor })).json;
                assert.equal(answer.truncated, undefined);
                assert.equal(chain.take(answer).length, 20);
            }
        }
    });
});

withServer('time to live', { grade: 'memory', sections: { session: { receipts: '1h' } } }, (check) => {
    check('a message past its ttl is gone, and the next one says so', async ({ client }) => {
        const { session, cursor } = await client.session();
        status(await client.send(session, { data: 'a' }), 201);
        const short = status(await client.send(session, { data: 'b', ttl: '5s' }), 201).json;
        status(await client.send(session, { data: 'c' }), 201);
        const all = (await client.pick(session, { cursor })).json;
        assert.deepEqual(all.messages.map((message) => message.data), ['a', 'b', 'c']);
        assert.ok(Date.parse(all.messages[1].expires_at) > Date.parse(all.messages[1].time));
        const rest = await until('b expires', async () => {
            const answer = (await client.pick(session, { cursor })).json;
            return answer.messages.length === 2 && answer;
        }, 20);
        assert.deepEqual(rest.messages.map((message) => message.data), ['a', 'c']);
        assert.equal(rest.messages[1].skipped, true);
        new Chain(cursor).take(rest);
        assert.equal(await receipt(client, session, short.seq), 'expired');
    });

    check('a ttl in a header serves for plain payloads', async ({ client }) => {
        const { session, cursor } = await client.session();
        const headers = { 'Content-Type': 'text/plain', 'Restante-TTL': '1s' };
        status(await client.post(`/v1/sessions/${session}/messages`, 'x', { headers }), 201);
        await until('it expires', async () => (await client.pick(session, { cursor })).json.messages.length === 0);
    });

    check('a collapse key keeps only the newest', async ({ client }) => {
        const { session, cursor } = await client.session();
        const seqs = [];
        for (const [data, collapse] of [['a'], ['p1', 'pos'], ['b'], ['p2', 'pos'], ['q1', 'other'], ['p3', 'pos'], ['c']]) {
            seqs.push(status(await client.send(session, { data, collapse }), 201).json.seq);
        }
        const answer = (await client.pick(session, { cursor })).json;
        assert.deepEqual(answer.messages.map((message) => message.data), ['a', 'b', 'q1', 'p3', 'c']);
        new Chain(cursor).take(answer);
        assert.equal(await receipt(client, session, seqs[1]), 'replaced');
        await delivered(client, session, seqs[5]);
        // An acked message cannot be replaced any more; the new one stands alone.
        status(await client.ack(session, answer.cursor), 204);
        status(await client.send(session, { data: 'p4', collapse: 'pos' }), 201);
        assert.deepEqual(payloads(await client.pick(session)), ['p4']);
    });

    check('an emptied mailbox remembers its last message', async ({ client }) => {
        const { session, cursor } = await client.session();
        const a = (await client.send(session, { data: 'a' })).json;
        status(await client.ack(session, a.cursor), 204);
        status(await client.send(session, { data: 'b' }), 201);
        const answer = (await client.pick(session)).json;
        assert.equal(answer.messages[0].prev, a.seq);
        const chain = new Chain(cursor);
        chain.acked(a.cursor);
        chain.take(answer);
    });
});

withServer('age', { grade: 'memory', sections: { session: { mailbox_age: '1s' } } }, (check) => {
    check('takes old messages, and a reader is told', async ({ client }) => {
        const { session, cursor } = await client.session();
        const from = async () => (await client.pick(session, { cursor, limit: 1000 })).json;
        status(await client.send(session, { data: 0 }), 201);
        // One after another grows old under a reader that always begins anew: at every moment what it
        // gets is a chain, however far the cleaning is.
        let next = 1;
        await until('some have gone and some have not', async () => {
            const begun = Date.now();
            status(await client.send(session, { data: next++ }), 201);
            const answer = await from();
            new Chain(cursor).take(answer);
            const [first] = answer.messages;
            if (!first && Date.now() - begun > 900) return false; // so slow a turn that it grew old itself
            assert.ok(first, 'what was just published is there');
            assert.deepEqual(answer.messages.map((message) => message.data),
                Array.from({ length: next - first.data }, (_, i) => first.data + i));
            return first.data > 20;
        }, 20);
        await until('all are gone', async () => (await from()).messages.length === 0);
        await until('it is called truncated', async () => (await from()).truncated?.[0].stream === 'mailbox');
    });
});
