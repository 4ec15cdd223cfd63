// Topics: one stream that many publish to and many are subscribed to. Each clause of the API, over
// HTTP/1.1, and what matters over HTTP/2 and in MessagePack.

import assert from 'node:assert/strict';
import { Chain } from './lib/chain.js';
import { EventStream } from './lib/events.js';
import { NOBODY, payloads, problem, status } from './lib/expect.js';
import { H2 } from './lib/h2.js';
import { bothGrades, parked, withServer } from './lib/harness.js';
import { speak } from './lib/msgpack.js';
import { mint } from './lib/token.js';
import {
    apiKey, as, at, history, join, keyed, leave, messages, numbers, say, sayAll, seqOf, subscription,
} from './lib/topics.js';
import { persist, until } from './lib/wait.js';

const titled = [
    ['namespace', 'chat:*', { history: 100, publish: 'client' }],
    ['namespace', 'news:*', {}],
    ['namespace', 'closed:*', { join: 'claim', publish: 'client' }],
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
        const { json: joined } = status(await join(client, session, 'chat:2', { body: { mood: 'ignored' } }), 200);
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
        await until('both refusals are counted', async () => await client.server.metric('restante_topics_refused_total') === 2);
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

withServer('a session that publishes without end', { grade: 'memory', titled: named, sections: { limits: { publish_rate: 1 } }, workers: 1 }, (check) => {
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
        for (let i = 0; i < 10; i++) status(await say(client, 'chat:rate', { data: i }), 201); // by a key
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
