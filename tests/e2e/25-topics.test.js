// Topics: one stream that many publish to and many are subscribed to. Each clause of the API, over
// HTTP/1.1, and what matters over HTTP/2 and in MessagePack.

import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { Chain } from './lib/chain.js';
import { EventStream } from './lib/events.js';
import { NOBODY, payloads, problem, status } from './lib/expect.js';
import { H2 } from './lib/h2.js';
import { bothGrades, parked, withServer } from './lib/harness.js';
import { speak } from './lib/msgpack.js';
import { mint } from './lib/token.js';
import { persist, until } from './lib/wait.js';

const numbers = (n, from = 0) => Array.from({ length: n }, (_, i) => from + i);
const at = (topic) => `/v1/topics/${encodeURIComponent(topic)}`;
const messages = (topic, query = {}) => {
    const text = new URLSearchParams(query).toString();
    return `${at(topic)}/messages${text ? `?${text}` : ''}`;
};
const subscription = (session, topic) => `/v1/sessions/${session}/subscriptions/${encodeURIComponent(topic)}`;
const keyed = (key) => ({ headers: { 'Idempotency-Key': key } });
const seqOf = (cursor) => Number(cursor.split('.')[1]);

const apiKey = (name, ...scopes) => ['api_key', name, { sha256: createHash('sha256').update(name).digest('hex'), scopes }];
const as = (name) => ({ credential: name });

const say = (client, topic, envelope, options) => client.post(messages(topic), envelope, options);
const history = (client, topic, query, options) => client.get(messages(topic, query), options);
const join = (client, session, topic, options) => client.request('PUT', subscription(session, topic), options);
const leave = (client, session, topic, options) => client.request('DELETE', subscription(session, topic), options);

/** Publishes these payloads one after another; their seqs. */
async function sayAll(client, topic, data) {
    const seqs = [];
    for (const one of data) seqs.push(status(await say(client, topic, { data: one }), 201).json.seq);
    return seqs;
}

const titled = [
    ['namespace', 'chat:*', { history: 100, publish: 'client' }],
    ['namespace', 'news:*', {}],
    ['namespace', 'closed:*', { join: 'claim', publish: 'client' }],
    ['namespace', 'small:*', { history: 5 }],
    ['namespace', 'large:*', { bytes: '8K' }],
    ['namespace', 'aged:*', { ttl: '1s' }],
    ['namespace', 'state:*', { latest: true }],
    ['namespace', 'live:*', { history: 0 }],
    ['namespace', 'mailbox', {}],
    ['namespace', '*', { history: 10 }],
    apiKey('reader', 'read:chat:*', 'read:news:one'),
    apiKey('writer', 'publish:chat:*'),
    apiKey('keeper', 'sessions:*'),
    apiKey('trusted', 'sessions:*', 'read:closed:*'),
];
// Names that no namespace above may catch are met by a server without `*`.
const named = titled.filter(([, name]) => name !== '*');

bothGrades('topics', { titled }, (check) => {
    check('a message, published once, reaches each subscriber by the one cursor it has', async ({ client }) => {
        const [a, b] = [await client.session('alice', { topics: ['chat:1'] }), await client.session('bob')];
        assert.deepEqual(a.topics, ['chat:1']);
        const joined = status(await join(client, b.session, 'chat:1'), 200).json;
        assert.deepEqual(joined, { topic: 'chat:1', cursor: joined.cursor });
        const said = status(await say(client, 'chat:1', { event: 'hi', data: { n: 1 } }), 201).json;
        assert.deepEqual(said, { seq: said.seq, cursor: said.cursor, stream: 'topic:chat:1', durability: client.server.options.grade, duplicate: false });
        assert.equal(seqOf(said.cursor), said.seq);
        const mail = status(await client.send(a.session, { data: 2 }), 201).json;
        for (const { session, cursor } of [a, b]) {
            const answer = status(await client.pick(session, { cursor }), 200).json;
            const [first] = new Chain(cursor).take(answer);
            assert.deepEqual([first.stream, first.event, first.data, first.seq, first.publisher], ['topic:chat:1', 'hi', { n: 1 }, said.seq, 'backend']);
            assert.equal(answer.messages.length, session === a.session ? 2 : 1);
        }
        // Behind the topic's message: the mailbox only.
        const rest = (await client.pick(a.session, { cursor: said.cursor })).json.messages;
        assert.deepEqual(rest.map(({ stream, seq }) => [stream, seq]), [['mailbox', mail.seq]]);
    });

    check('a subscription shows what comes after it, once, and stays where it began', async ({ client }) => {
        const { session, cursor } = await client.session();
        await sayAll(client, 'chat:2', ['before']);
        const { json: joined } = status(await join(client, session, 'chat:2', { body: { presence: { mood: 'ignored' } } }), 200);
        await sayAll(client, 'chat:2', ['after']);
        assert.deepEqual(payloads(await client.pick(session, { cursor })), ['after']);
        assert.deepEqual(status(await join(client, session, 'chat:2'), 200).json, joined);
        assert.deepEqual(payloads(await client.pick(session, { cursor })), ['after']);
        assert.deepEqual((await client.get(`/v1/sessions/${session}`)).json.topics, ['chat:2']);
        status(await leave(client, session, 'chat:2'), 204);
        status(await leave(client, session, 'chat:2'), 204);
        status(await leave(client, session, 'chat:never'), 204);
        assert.deepEqual((await client.get(`/v1/sessions/${session}`)).json.topics, []);
        assert.deepEqual(payloads(await client.pick(session, { cursor })), []);
        // Who comes back begins anew.
        status(await join(client, session, 'chat:2'), 200);
        assert.deepEqual(payloads(await client.pick(session, { cursor })), []);
        problem(await join(client, NOBODY, 'chat:2'), 404, 'session_unknown');
        problem(await leave(client, NOBODY, 'chat:2'), 404, 'session_unknown');
    });

    check('parked polls and event streams learn of subscriptions, messages and their end', async (server) => {
        const { client } = server;
        const { session, cursor } = await client.session();
        const stream = await new EventStream(server, session, { query: { cursor } }).open();
        const poll = client.pick(session, { cursor, wait: 30 });
        await parked(client, session);
        status(await join(client, session, 'chat:3'), 200);
        await sayAll(client, 'chat:3', [1]);
        assert.deepEqual(payloads(await poll), [1]);
        await stream.got(1);
        status(await leave(client, session, 'chat:3'), 204);
        await sayAll(client, 'chat:3', [2]);
        status(await client.send(session, { data: 'mail' }), 201);
        await stream.got(2);
        assert.deepEqual(stream.messages.map((message) => [message.stream, message.data]), [['topic:chat:3', 1], ['mailbox', 'mail']]);
        await stream.close();
    });

    check('a restart, and the death of each process, change nothing of it', async (server) => {
        const { client } = server;
        const { session, cursor } = await client.session('carol', { topics: ['chat:kept', 'state:kept'] });
        const sent = (data) => persist(`message ${data}`, () => say(client, 'chat:kept', { data }, keyed(`kept-${data}`)));
        await sent(0);
        await server.replace('writer');
        await sent(1);
        await server.replace('0');
        await sent(2);
        await server.crash();
        await server.start();
        await sent(3);
        await server.restart();
        await sent(4);
        assert.deepEqual((await client.get(`/v1/sessions/${session}`)).json.topics, ['chat:kept', 'state:kept']);
        assert.deepEqual(payloads(await client.pick(session, { cursor })), numbers(5));
        assert.deepEqual(payloads(await history(client, 'chat:kept')), numbers(5));
        assert.deepEqual((await say(client, 'chat:kept', { data: 4 }, keyed('kept-4'))).json.duplicate, true);
    }, 60);
});

withServer('publishing to topics', { grade: 'memory', titled: named }, (check) => {
    check('a key is remembered, per topic and publisher; other content is a conflict', async ({ client }) => {
        const first = status(await say(client, 'chat:k', { data: 1 }, keyed('k')), 201).json;
        assert.deepEqual(status(await say(client, 'chat:k', { data: 1 }, keyed('k')), 200).json, { ...first, duplicate: true });
        problem(await say(client, 'chat:k', { data: 2 }, keyed('k')), 409, 'idempotency_conflict');
        problem(await say(client, 'chat:k', { data: 1, except: [NOBODY] }, keyed('k')), 409, 'idempotency_conflict');
        status(await say(client, 'chat:other', { data: 2 }, keyed('k')), 201);
        status(await say(client, 'chat:k', { data: 2 }, { ...keyed('k'), ...as('writer') }), 201);
        assert.deepEqual(payloads(await history(client, 'chat:k')), [1, 2]);
        problem(await say(client, 'chat:k', { data: 1 }, keyed('x'.repeat(256))), 400, 'bad_request');
    });

    check('text, bytes and headers, as to mailboxes', async ({ client }) => {
        status(await say(client, 'chat:bytes', 'grüße', { headers: { 'Content-Type': 'text/plain', 'Restante-Event': 'greeting' } }), 201);
        status(await say(client, 'chat:bytes', Buffer.from([0, 255]), { headers: { 'Content-Type': 'image/x', 'Restante-TTL': '1h' } }), 201);
        const [text, bytes] = (await history(client, 'chat:bytes')).json.messages;
        assert.deepEqual([text.event, text.data, bytes.data_b64], ['greeting', 'grüße', 'AP8=']);
        assert.ok(bytes.expires_at);
        problem(await say(client, 'chat:bytes', undefined), 400, 'bad_request');
        problem(await say(client, 'chat:bytes', '{', { headers: { 'Content-Type': 'application/json' } }), 400, 'bad_request');
        problem(await say(client, 'chat:bytes', {}), 400, 'bad_request');
    });

    check('in batches: each item for itself, in order, in one commit', async ({ client }) => {
        const { session } = await client.session('dave', { topics: ['chat:batch'] });
        const { results } = status(await client.post('/v1/publish', { messages: [
            { topic: 'chat:batch', data: 1, key: 'a' }, { topic: 'nowhere', data: 1 }, { topic: 'live:x', data: 1 },
            { topic: 'chat:batch', data: 1, key: 'a' }, { topic: 'chat:batch', data: 2, key: 'a' }, { session, data: 3 },
            { topic: 'chat:batch', data: 4, except: ['x'] }, { session, data: 4, except: [NOBODY] }, { topic: 'chat:\u0001', data: 1 },
            { topic: 'chat:batch', data: 5, except: [session] }] }), 200).json;
        assert.deepEqual(results.map((one) => one.status), [201, 404, 202, 200, 409, 201, 400, 400, 400, 201]);
        assert.deepEqual([results[1].code, results[4].code, results[3].seq], ['topic_unknown', 'idempotency_conflict', results[0].seq]);
        assert.deepEqual(payloads(await client.pick(session)), [1, 3]);
        assert.deepEqual((await client.post('/v1/publish', { messages: [{ topic: 'news:x', data: 1 }, { topic: 'chat:w', data: 1 }] }, as('writer')))
            .json.results.map((one) => one.status), [403, 201]);
    });

    check('except: those sessions do not get it, and are told of the hole', async ({ client }) => {
        const [a, b] = [await client.session('a', { topics: ['chat:e'] }), await client.session('b', { topics: ['chat:e'] })];
        status(await say(client, 'chat:e', { data: 1 }), 201);
        const polls = [a, b].map(({ session }) => client.pick(session, { wait: 30, cursor: undefined }));
        await Promise.all(polls);
        status(await say(client, 'chat:e', { data: 2, except: [a.session] }), 201);
        status(await say(client, 'chat:e', { data: 3, except: Array(14).fill(NOBODY) }), 201);
        const seen = await Promise.all([a, b].map(async ({ session, cursor }) => {
            const { json } = await client.pick(session, { cursor });
            new Chain(cursor).take(json);
            return json.messages.map(({ data, skipped }) => [data, skipped ?? false]);
        }));
        assert.deepEqual(seen, [[[1, false], [3, true]], [[1, false], [2, false], [3, false]]]);
        // Live too: what one is not sent does not wake its poll.
        const { cursor } = (await client.pick(a.session)).json;
        const waiting = client.pick(a.session, { cursor, wait: 30 });
        await parked(client, a.session);
        status(await say(client, 'chat:e', { data: 4, except: [a.session] }), 201);
        status(await say(client, 'chat:e', { data: 5 }), 201);
        const [five] = (await waiting).json.messages;
        assert.deepEqual([five.data, five.skipped], [5, true]);
        assert.deepEqual(payloads(await history(client, 'chat:e')), [1, 2, 3, 4, 5]);
        for (const except of ['x', [1], ['x'], Array(16).fill(NOBODY), {}, [null]]) problem(await say(client, 'chat:e', { data: 1, except }), 400, 'bad_request');
        for (const except of [null, []]) status(await say(client, 'chat:e', { data: 1, except }), 201);
        problem(await client.send(a.session, { data: 1, except: [b.session] }), 400, 'bad_request');
    });

    check('ephemerals reach who waits, in order, and are never stored', async ({ client }) => {
        const { session, cursor } = await client.session('e', { topics: ['chat:live', 'live:all'] });
        status(await say(client, 'chat:live', { data: 'gone', ephemeral: true }), 202);
        for (const [topic, envelope] of [['chat:live', { data: 1, ephemeral: true }], ['live:all', { data: 2 }]]) {
            const poll = client.pick(session, { cursor, wait: 30 });
            await parked(client, session);
            assert.deepEqual(status(await say(client, topic, envelope, keyed('k')), 202).json, { seq: null });
            const [message] = (await poll).json.messages;
            assert.deepEqual([message.stream, message.data, message.ephemeral], [`topic:${topic}`, envelope.data, true]);
            assert.ok(!('seq' in message) && !('prev' in message) && !('cursor' in message));
            assert.deepEqual(payloads(await history(client, topic)), []);
        }
        assert.deepEqual(payloads(await client.pick(session, { cursor })), []);
    });

    check('by a session: where clients publish, and what it may join', async (server) => {
        const { client } = server;
        const { session, token } = await client.session('frank');
        const said = status(await say(client, 'chat:f', { data: 1 }, as(token)), 201).json;
        assert.equal((await history(client, 'chat:f')).json.messages[0].publisher, 'frank');
        assert.equal(said.stream, 'topic:chat:f');
        problem(await say(client, 'news:f', { data: 1 }, as(token)), 403, 'forbidden');
        problem(await say(client, 'closed:f', { data: 1 }, as(token)), 403, 'forbidden');
        problem(await say(client, 'nowhere', { data: 1 }, as(token)), 404, 'topic_unknown');
        problem(await client.post('/v1/publish', { messages: [{ topic: 'chat:f', data: 1 }] }, as(token)), 403, 'forbidden');
        // Its keys are its subject's, whatever session it comes by.
        const again = await client.session('frank');
        status(await say(client, 'chat:f', { data: 2 }, { ...keyed('k'), ...as(token) }), 201);
        status(await say(client, 'chat:f', { data: 2 }, { ...keyed('k'), ...as(again.token) }), 200);
        status(await say(client, 'chat:f', { data: 3 }, { ...keyed('k'), ...as((await client.session('grace')).token) }), 201);
        status(await client.request('DELETE', `/v1/sessions/${session}`), 204);
        problem(await say(client, 'chat:f', { data: 1 }, as(token)), 401, 'token_revoked');
        problem(await say(client, 'chat:f', { data: 1 }, as(mint(server.tokenKey))), 403, 'forbidden');
        problem(await say(client, 'chat:f', { data: 1 }, as(null)), 401, 'token_missing');
    });

    check('a body over its limit', async ({ client }) => {
        problem(await say(client, 'chat:big', { data: 'x'.repeat(300 << 10) }), 413, 'too_large');
        problem(await say(client, 'chat:big', 'x'.repeat(300 << 10), { headers: { 'Content-Type': 'text/plain' } }), 413, 'too_large');
    });
});

withServer('who may join', { grade: 'memory', titled: named, sections: { session: { max_topics: 3 }, topics: { max: 6 } } }, (check) => {
    check('by claim: its token names the topic, or the caller may read it', async ({ client, tokenKey }) => {
        const open = (topics, claim, more = {}) => client.post('/v1/sessions', { topics, ...more }, as(mint(tokenKey, { topics: claim })));
        const { session, token } = status(await open(['closed:a'], ['closed:a', 'closed:b*']), 201).json;
        problem(await open(['closed:c'], ['closed:a']), 403, 'forbidden');
        problem(await open(['chat:1', 'closed:c'], undefined, { name: 'none' }), 403, 'forbidden');
        assert.deepEqual((await client.get('/v1/sessions?subject=alice')).json.sessions.map((one) => one.session), [session], 'all or none');
        status(await join(client, session, 'closed:bee', as(token)), 200);
        problem(await join(client, session, 'closed:c', as(token)), 403, 'forbidden');
        status(await say(client, 'closed:a', { data: 1 }, as(token)), 201);
        problem(await say(client, 'closed:c', { data: 1 }, as(token)), 403, 'forbidden');
        // By its key: the session's claims serve it, its own scope too.
        status(await join(client, session, 'closed:a', as('keeper')), 200);
        problem(await join(client, session, 'closed:c', as('keeper')), 403, 'forbidden');
        problem(await client.post('/v1/sessions', { subject: 'x', topics: ['closed:c'] }, as('keeper')), 403, 'forbidden');
        status(await leave(client, session, 'closed:bee', as('keeper')), 204);
        status(await join(client, session, 'closed:c', as('trusted')), 200);
        status(await client.post('/v1/sessions', { subject: 'x', topics: ['closed:c'] }, as('trusted')), 201);
        assert.deepEqual(payloads(await client.pick(session, {}, as(token))), [1]);
    });

    check('never with anything but its own token or sessions:*', async ({ client, tokenKey }) => {
        const [one, other] = [await client.session('one'), await client.session('other')];
        for (const ask of [join, leave]) {
            problem(await ask(client, one.session, 'chat:1', as(other.token)), 403, 'forbidden');
            problem(await ask(client, one.session, 'chat:1', as('reader')), 403, 'forbidden');
            problem(await ask(client, one.session, 'chat:1', as(mint(tokenKey))), 403, 'forbidden');
            problem(await ask(client, one.session, 'chat:1', as(null)), 401, 'token_missing');
        }
        problem(await join(client, one.session, 'nowhere', as(one.token)), 404, 'topic_unknown');
        problem(await client.post('/v1/sessions', { subject: 'y', topics: ['chat:1', 'nowhere'] }), 404, 'topic_unknown');
        for (const topics of ['chat:1', [1], [''], ['chat:\n'], {}]) problem(await client.post('/v1/sessions', { subject: 'y', topics }), 400, 'bad_request');
        assert.deepEqual((await client.get('/v1/sessions?subject=y')).json.sessions, []);
    });

    check('at most session.max_topics, and topics.max in all', async ({ client }) => {
        const { session } = await client.session('many', { topics: ['chat:1', 'chat:1', 'chat:2'] });
        status(await join(client, session, 'closed:a', as('trusted')), 200); // it is there already
        problem(await join(client, session, 'chat:3'), 403, 'limit_reached');
        status(await join(client, session, 'chat:2'), 200); // nothing new
        problem(await client.post('/v1/sessions', { subject: 'z', topics: ['chat:1', 'chat:2', 'closed:a', 'chat:3'] }), 403, 'limit_reached');
        assert.deepEqual((await client.get(`/v1/sessions/${session}`)).json.topics, ['chat:1', 'chat:2', 'closed:a']);
        const taken = (await client.get('/v1/topics')).json.topics.length;
        for (let i = taken; i < 6; i++) status(await say(client, `news:${i}`, { data: i }), 201);
        problem(await say(client, 'news:over', { data: 1 }), 403, 'limit_reached');
        problem(await client.post('/v1/sessions', { subject: 'z', topics: ['news:over'] }), 403, 'limit_reached');
        assert.deepEqual((await client.get('/v1/sessions?subject=z')).json.sessions, []);
        status(await say(client, 'news:5', { data: 1 }), 201);
        assert.equal(await client.server.metric('restante_topics_refused_total'), 2);
    });
});

withServer('what topics keep', { grade: 'memory', titled: named, sections: { topics: { idle: '1s' } } }, (check) => {
    const cut = async (client, topic, data) => {
        const { session, cursor } = await client.session('keen', { topics: [topic] });
        const seqs = await sayAll(client, topic, data);
        const answer = status(await client.pick(session, { cursor }), 200).json;
        new Chain(cursor).take(answer);
        assert.equal(answer.truncated.length, 1);
        assert.deepEqual([answer.truncated[0].stream, answer.truncated[0].to], [`topic:${topic}`, seqs[seqs.length - answer.messages.length - 1]]);
        const { json } = await history(client, topic, { cursor });
        assert.deepEqual([json.messages, json.truncated], [answer.messages, answer.truncated]);
        assert.equal((await history(client, topic)).json.truncated, undefined, 'from the oldest nothing is missing');
        assert.equal((await history(client, topic, { cursor: answer.messages[0].cursor })).json.truncated, undefined);
        return answer.messages.map((message) => message.data);
    };

    check('so many messages; never full', async ({ client }) => {
        assert.deepEqual(await cut(client, 'small:1', numbers(20)), numbers(5, 15));
    });

    check('so many bytes', async ({ client }) => {
        const kept = await cut(client, 'large:1', numbers(20).map((i) => String(i).padEnd(1000, '.')));
        assert.ok(kept.length >= 7 && kept.length <= 8, `${kept.length} kept`);
        assert.match(kept.at(-1), /^19\./);
    });

    check('for so long', async ({ client }) => {
        const { session, cursor } = await client.session('late', { topics: ['aged:1'] });
        const [seq] = await sayAll(client, 'aged:1', [1]);
        const { truncated } = await until('it is too old', async () => {
            const { json } = await client.pick(session, { cursor });
            return json.messages.length === 0 && json.truncated && json;
        });
        assert.deepEqual(truncated.map(({ stream, to }) => [stream, to]), [['topic:aged:1', seq]]);
        assert.deepEqual(payloads(await history(client, 'aged:1')), []);
    });

    check('latest: a message replaces the one before it', async ({ client }) => {
        const { session, cursor } = await client.session('now', { topics: ['state:1'] });
        const seqs = await sayAll(client, 'state:1', ['a', 'b', 'c']);
        const { json } = await client.pick(session, { cursor });
        new Chain(cursor).take(json);
        assert.deepEqual(json.messages.map(({ data, seq, prev, skipped }) => [data, seq, prev, skipped]), [['c', seqs[2], seqs[1], true]]);
        assert.equal(json.truncated, undefined);
        for (const reverse of [0, 1]) {
            const { messages: [only], more } = (await history(client, 'state:1', { reverse })).json;
            assert.deepEqual([only.data, only.skipped, more], ['c', true, false]);
        }
    });

    check('a message for its ttl: the next says skipped', async ({ client }) => {
        const { session, cursor } = await client.session('brief', { topics: ['chat:ttl'] });
        await sayAll(client, 'chat:ttl', [1]);
        status(await say(client, 'chat:ttl', { data: 2, ttl: '1s' }), 201);
        await sayAll(client, 'chat:ttl', [3]);
        const { json } = await until('it has run out', async () => {
            const answer = await client.pick(session, { cursor });
            return answer.json.messages.length === 2 && answer;
        });
        new Chain(cursor).take(json);
        assert.deepEqual(json.messages.map(({ data, skipped }) => [data, skipped ?? false]), [[1, false], [3, true]]);
        for (const reverse of [0, 1]) {
            const seen = (await history(client, 'chat:ttl', { reverse })).json.messages;
            assert.deepEqual(seen.map(({ data, skipped }) => [data, skipped ?? false]).sort(), [[1, false], [3, true]]);
        }
    });

    check('collapse: within the topic', async ({ client }) => {
        for (const data of [1, 2]) status(await say(client, 'chat:c', { data, collapse: 'k' }), 201);
        status(await say(client, 'chat:d', { data: 3, collapse: 'k' }), 201);
        assert.deepEqual(payloads(await history(client, 'chat:c')), [2]);
    });

    check('nothing, once it is emptied; and the name is free again when nobody wants it', async ({ client }) => {
        const { session, cursor } = await client.session('empties', { topics: ['chat:gone'] });
        const [first, second] = await sayAll(client, 'chat:gone', [1, 2]);
        status(await client.request('DELETE', messages('chat:gone')), 204);
        status(await client.request('DELETE', messages('chat:gone')), 204);
        status(await client.request('DELETE', messages('chat:never')), 204);
        problem(await client.request('DELETE', messages('nowhere')), 404, 'topic_unknown');
        const after = (await history(client, 'chat:gone')).json;
        assert.deepEqual(after.messages, []);
        await sayAll(client, 'chat:gone', [3]);
        const { json } = await client.pick(session, { cursor });
        new Chain(cursor).take(json);
        assert.deepEqual(json.messages.map(({ data, prev, skipped }) => [data, prev, skipped]), [[3, second, true]]);
        assert.ok(first < second);
        status(await client.request('DELETE', messages('chat:gone')), 204);
        const there = async () => (await client.get('/v1/topics?prefix=chat:gone')).json.topics.length;
        assert.equal(await there(), 1, 'it has a subscriber');
        status(await client.request('DELETE', `/v1/sessions/${session}`), 204);
        await until('it is collected', async () => await there() === 0);
        problem(await client.get(at('chat:gone')), 404, 'topic_unknown');
        assert.ok(await client.server.metric('restante_topics_removed_total') >= 1);
        // Nothing was ever published: it goes with its last subscriber.
        const other = await client.session('quiet', { topics: ['chat:quiet'] });
        assert.equal((await client.get(at('chat:quiet'))).json.subscribers, 1);
        status(await leave(client, other.session, 'chat:quiet'), 204);
        problem(await client.get(at('chat:quiet')), 404, 'topic_unknown');
    });
});

withServer('history and lists', { grade: 'memory', titled: named }, (check) => {
    check('forward, by pages, from a cursor or the oldest', async ({ client }) => {
        const seqs = await sayAll(client, 'chat:h', numbers(25));
        for (const limit of [1, 7, 25, 100]) {
            const seen = [];
            let page, query = { limit };
            do {
                const answer = status(await history(client, 'chat:h', query), 200);
                page = answer.json;
                assert.equal(answer.headers['restante-cursor'], page.cursor);
                seen.push(...page.messages.map((message) => message.data));
                query = { limit, cursor: page.cursor };
            } while (page.more);
            assert.deepEqual(seen, numbers(25));
        }
        const whole = (await history(client, 'chat:h')).json;
        assert.deepEqual(Object.keys(whole), ['messages', 'cursor', 'more']);
        assert.deepEqual(whole.messages.map((message) => message.seq), seqs);
        assert.deepEqual(payloads(await history(client, 'chat:h', { cursor: whole.messages[20].cursor })), [21, 22, 23, 24]);
        assert.deepEqual(payloads(await history(client, 'chat:h', { cursor: whole.cursor })), []);
        assert.deepEqual(payloads(await history(client, 'chat:h', { max_bytes: 1 })), [0]);
        assert.equal((await history(client, 'chat:h', { max_bytes: 1 })).json.more, true);
    });

    check('backward, by pages', async ({ client }) => {
        await sayAll(client, 'chat:r', numbers(25));
        for (const limit of [1, 7, 25, 100]) {
            const seen = [];
            let page, query = { limit, reverse: 1 };
            do {
                const answer = status(await history(client, 'chat:r', query), 200);
                page = answer.json;
                assert.equal(answer.headers['restante-cursor'], page.cursor);
                seen.push(...page.messages.map((message) => message.data));
                query = { limit, reverse: 1, cursor: page.cursor };
            } while (page.more);
            assert.deepEqual(seen, numbers(25).reverse());
            assert.deepEqual((await history(client, 'chat:r', query)).json, { messages: [], cursor: page.cursor, more: false });
        }
        const { messages: [newest] } = (await history(client, 'chat:r', { reverse: 1, max_bytes: 1 })).json;
        assert.equal(newest.data, 24);
        assert.deepEqual(payloads(await history(client, 'chat:r', { reverse: 1, cursor: newest.cursor, limit: 2 })), [23, 22]);
    });

    check('its cursors are judged like all others', async ({ client }) => {
        const [seq] = await sayAll(client, 'chat:j', [1]);
        const { cursor } = (await history(client, 'chat:j')).json;
        const [epoch] = cursor.split('.');
        for (const topic of ['chat:j', 'chat:none']) {
            for (const [wrong, reason] of [[`0123456789abcdef.${seq}`, 'epoch'], [`${epoch}.${seq + 1000000}`, 'ahead']]) {
                for (const reverse of [0, 1]) {
                    const answer = await history(client, topic, { cursor: wrong, reverse });
                    problem(answer, 410, 'cursor_reset');
                    assert.equal(answer.json.reason, reason);
                    assert.ok(seqOf(answer.json.oldest) <= seqOf(answer.json.newest) && seqOf(answer.json.newest) >= seq);
                    status(await history(client, topic, { cursor: answer.json.oldest, reverse }), 200);
                }
            }
        }
        for (const query of [{ cursor: 'x' }, { limit: 0 }, { limit: 1001 }, { limit: 'x' }, { max_bytes: 0 }, { reverse: 2 }, { reverse: 'yes' }, { cursor: '' }]) {
            problem(await history(client, 'chat:j', query), 400, 'bad_request');
        }
        assert.deepEqual(payloads(await history(client, 'chat:j', { wait: 5, unknown: 1 })), [1]);
    });

    check('of what nobody published to: empty where it could be', async ({ client }) => {
        const { cursor } = await client.session();
        const { json } = status(await history(client, 'news:none'), 200);
        assert.deepEqual([json.messages, json.more], [[], false]);
        assert.ok(seqOf(json.cursor) >= seqOf(cursor));
        problem(await history(client, 'nowhere'), 404, 'topic_unknown');
        problem(await client.get(at('news:none')), 404, 'topic_unknown');
        problem(await client.get(at('nowhere')), 404, 'topic_unknown');
        problem(await say(client, 'nowhere', { data: 1 }), 404, 'topic_unknown');
        assert.deepEqual((await client.get('/v1/topics?prefix=no')).json, { topics: [], next: null });
    });

    check('a topic says what it is', async ({ client }) => {
        await client.session('s', { topics: ['state:x'] });
        const [, seq] = await sayAll(client, 'state:x', ['one', 'three']);
        const { json } = status(await client.get(at('state:x')), 200);
        assert.ok(Math.abs(Date.parse(json.created_at) - Date.now()) < 60000);
        assert.equal(seqOf(json.last), seq);
        assert.deepEqual(json, {
            topic: 'state:x', messages: 1, bytes: 7, subscribers: 1, last: json.last, created_at: json.created_at,
            namespace: 'state:*', history: 1000, ttl: 3600, latest: true, publish: 'server', join: 'open',
        });
        assert.deepEqual((await client.get('/v1/topics?prefix=state:x')).json, { topics: [json], next: null });
        await client.session('t', { topics: ['closed:x'] });
        const quiet = (await client.get(at('closed:x'))).json;
        assert.deepEqual([quiet.last, quiet.messages, quiet.publish, quiet.join], [null, 0, 'client', 'claim']);
    });

    check('lists: by prefix, by pages, and only what the key may read', async ({ client }) => {
        const names = ['news:a', 'news:b', 'news:b2', 'news:one', 'news:one:more', 'news:ü'];
        for (const name of names) await sayAll(client, name, [1]);
        const list = async (query, options) => {
            const { topics, next } = status(await client.get(`/v1/topics?${new URLSearchParams(query)}`, options), 200).json;
            return [topics.map((one) => one.topic), next];
        };
        assert.deepEqual(await list({ prefix: 'news:' }), [names, null]);
        assert.deepEqual(await list({ prefix: 'news:b' }), [['news:b', 'news:b2'], null]);
        for (const limit of [1, 2, 5]) {
            const seen = [];
            for (let after = ''; after !== null;) {
                const [page, next] = await list({ prefix: 'news:', limit, after });
                assert.ok(page.length <= limit);
                seen.push(...page);
                after = next;
            }
            assert.deepEqual(seen, names);
        }
        assert.deepEqual(await list({ prefix: 'news:', after: 'news:b1' }), [['news:b2', 'news:one', 'news:one:more', 'news:ü'], null]);
        const all = (await list({}, as('reader')))[0];
        assert.deepEqual(all.filter((name) => !name.startsWith('chat:')), ['news:one']);
        assert.ok(all.some((name) => name.startsWith('chat:')));
        assert.deepEqual(await list({ prefix: 'news:a' }, as('reader')), [[], null]);
        assert.deepEqual(await list({ prefix: 'news:o' }, as('reader')), [['news:one'], null]);
        assert.deepEqual(await list({ after: 'news:one' }, as('reader')), [[], null]);
        for (const query of ['limit=0', 'limit=1001', 'prefix=%00', `after=${'x'.repeat(300)}`]) problem(await client.get(`/v1/topics?${query}`), 400, 'bad_request');
    });

    check('read with read:, empty with publish:', async ({ client, tokenKey }) => {
        await sayAll(client, 'chat:s', [1]);
        const { token } = await client.session('nosy', { topics: ['chat:s'] });
        const asks = [['GET', '/v1/topics'], ['GET', at('chat:s')], ['GET', messages('chat:s')], ['DELETE', messages('chat:s')]];
        for (const [method, path] of asks) {
            for (const credential of [token, 'keeper', mint(tokenKey)]) problem(await client.request(method, path, { credential }), 403, 'forbidden');
            problem(await client.request(method, path, as(null)), 401, 'token_missing');
        }
        for (const path of [at('news:x'), messages('news:x'), messages('nowhere')]) problem(await client.get(path, as('reader')), 403, 'forbidden');
        problem(await client.request('DELETE', messages('chat:s'), as('reader')), 403, 'forbidden');
        problem(await say(client, 'news:x', { data: 1 }, as('writer')), 403, 'forbidden');
        problem(await say(client, 'nowhere', { data: 1 }, as('writer')), 403, 'forbidden');
        assert.deepEqual(payloads(await history(client, 'chat:s', {}, as('reader'))), [1]);
        status(await client.request('DELETE', messages('chat:s'), as('writer')), 204);
    });
});

withServer('names of topics', { grade: 'memory', titled }, (check) => {
    check('any text of 1 to 255 bytes, percent-encoded', async (server) => {
        const { client } = server;
        const names = ['mailbox', 'a/b', '/', '..', '.', 'a b', 'a+b', '%2F', '%', 'ü', '😀', 'a?b#c', '"\\', '*', 'messages', 'topic:x', 'x'.repeat(255), 'ü'.repeat(127)];
        const { session, cursor } = await client.session('names', { topics: names.slice(0, 3) });
        for (const name of names.slice(3)) assert.equal(status(await join(client, session, name), 200).json.topic, name);
        for (const name of names) assert.equal(status(await say(client, name, { data: name }), 201).json.stream, `topic:${name}`);
        const seen = (await client.pick(session, { cursor })).json.messages;
        assert.deepEqual(seen.map(({ stream, data }) => [stream, data]), names.map((name) => [`topic:${name}`, name]));
        for (const name of names) {
            assert.deepEqual(payloads(await history(client, name)), [name]);
            assert.equal((await client.get(at(name))).json.topic, name);
        }
        assert.deepEqual((await client.get('/v1/topics')).json.topics.map((one) => one.topic).sort(), [...names].sort());
        assert.deepEqual((await client.get(`/v1/sessions/${session}`)).json.topics, names.map((name) => Buffer.from(name)).sort(Buffer.compare).map(String));
        for (const name of names) status(await leave(client, session, name), 204);
    });

    check('and no other', async ({ client }) => {
        const { session } = await client.session('odd');
        const long = 'x'.repeat(256);
        for (const name of ['%00', '%01', 'a%0Ab', '%7F', '%FF', '%C3', '%ED%A0%80', '%zz', '%2', long, '%C3%BC'.repeat(128)]) {
            for (const [method, path] of [['PUT', `/v1/sessions/${session}/subscriptions/${name}`], ['DELETE', `/v1/sessions/${session}/subscriptions/${name}`],
                ['GET', `/v1/topics/${name}`], ['GET', `/v1/topics/${name}/messages`], ['DELETE', `/v1/topics/${name}/messages`]]) {
                problem(await client.request(method, path), 400, 'bad_request');
            }
            problem(await client.post(`/v1/topics/${name}/messages`, { data: 1 }), 400, 'bad_request');
        }
        for (const path of ['/v1/topics/', '/v1/topics//messages', '/v1/topics/a/b', '/v1/topics/a/b/messages', `/v1/sessions/${session}/subscriptions/`]) {
            problem(await client.get(path), 404, 'not_found');
        }
        problem(await client.request('PATCH', messages('a')), 405, 'method_not_allowed');
        problem(await client.get(subscription(session, 'a')), 405, 'method_not_allowed');
    });
});

withServer('a session that publishes without end', { grade: 'memory', titled: named, sections: { limits: { publish_rate: 5 } }, workers: 1 }, (check) => {
    check('is told to wait, and when; others are not', async (server) => {
        const { client } = server;
        const { token } = await client.session('eager');
        const said = await Promise.all(numbers(40).map((data) => say(client, 'chat:rate', { data }, as(token))));
        const refused = said.filter((answer) => answer.status !== 201);
        assert.ok(refused.length >= 1 && refused.length < 40, `${refused.length} of 40`);
        for (const answer of refused) {
            problem(answer, 429, 'rate_limited');
            assert.equal(answer.headers['retry-after'], '1');
        }
        assert.equal(await server.metric('restante_rate_limited_total'), refused.length);
        assert.equal((await history(client, 'chat:rate')).json.messages.length, 40 - refused.length);
        status(await say(client, 'chat:rate', { data: 0 }, as((await client.session('calm')).token)), 201);
        for (let i = 0; i < 10; i++) status(await say(client, 'chat:rate', { data: i }), 201);
        await until('it may again', async () => (await say(client, 'chat:rate', { data: 0 }, as(token))).status === 201);
    });
});

withServer('topics, by other roads', { grade: 'memory', titled }, (check) => {
    check('HTTP/2', async (server) => {
        const h2 = new H2(server.url, server.key);
        try {
            await h2.ready();
            const { session, cursor } = status(await h2.post('/v1/sessions', { subject: 'h2', topics: ['chat:h2'] }), 201).json;
            status(await h2.request('PUT', subscription(session, 'a/b')), 200);
            const poll = h2.get(`/v1/sessions/${session}/messages?cursor=${cursor}&wait=30`);
            await parked(server.client, session);
            const first = status(await h2.post(messages('chat:h2'), { data: 1 }), 201).json;
            assert.deepEqual(payloads(await poll), [1]);
            status(await h2.post(messages('a/b'), { data: 2 }, { headers: { 'idempotency-key': 'k' } }), 201);
            status(await h2.post(messages('a/b'), { data: 2 }, { headers: { 'idempotency-key': 'k' } }), 200);
            assert.deepEqual(payloads(await h2.get(`/v1/sessions/${session}/messages?cursor=${first.cursor}`)), [2]);
            assert.deepEqual(payloads(await h2.get(messages('a/b', { reverse: 1 }))), [2]);
            assert.equal((await h2.get(at('a/b'))).json.subscribers, 1);
            status(await h2.request('DELETE', subscription(session, 'a/b')), 204);
            status(await h2.request('DELETE', messages('a/b')), 204);
            problem(await h2.post(messages('%01'.repeat(3)), { data: 1 }, { credential: 'writer' }), 403, 'forbidden');
        } finally {
            h2.close();
        }
    });

    check('MessagePack', async ({ client }) => {
        const opened = status(await speak(client, 'POST', '/v1/sessions', { value: { subject: 'mp', topics: ['chat:mp'] } }), 201).value;
        assert.deepEqual(opened.topics, ['chat:mp']);
        const joined = status(await speak(client, 'PUT', subscription(opened.session, 'chat:mp2'), { value: {} }), 200).value;
        assert.equal(joined.topic, 'chat:mp2');
        const said = status(await speak(client, 'POST', messages('chat:mp'), { value: { data: { n: 9007199254740993n }, except: [NOBODY] } }), 201).value;
        assert.equal(said.stream, 'topic:chat:mp');
        for (const path of [messages('chat:mp'), messages('chat:mp', { reverse: 1 }), `/v1/sessions/${opened.session}/messages`]) {
            const { messages: [message] } = status(await speak(client, 'GET', path), 200).value;
            assert.deepEqual([message.stream, message.data, Number(message.seq)], ['topic:chat:mp', { n: 9007199254740993n }, Number(said.seq)]);
        }
        const { topics } = status(await speak(client, 'GET', '/v1/topics?prefix=chat:mp'), 200).value;
        assert.deepEqual(topics.map((one) => one.topic), ['chat:mp', 'chat:mp2']);
        const { results } = status(await speak(client, 'POST', '/v1/publish', { value: { messages: [{ topic: 'chat:mp2', data: Buffer.from([1]) }] } }), 200).value;
        assert.equal(Number(results[0].status), 201);
        assert.equal(status(await speak(client, 'POST', messages('chat:mp'), { value: { data: 1, ephemeral: true } }), 202).value.seq, null);
    });
});
