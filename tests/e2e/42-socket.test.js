// A session over the native WebSocket: how it is asked for, hello, messages, every command and every
// refusal of it, in both subprotocols.

import assert from 'node:assert/strict';
import { NOBODY, payloads, problem, status } from './lib/expect.js';
import { H2 } from './lib/h2.js';
import { bothGrades, withServer } from './lib/harness.js';
import { bearer, connect, PROTOCOLS, Socket } from './lib/socket.js';
import { mint } from './lib/token.js';
import { apiKey, history, join, say, seqOf } from './lib/topics.js';
import { until } from './lib/wait.js';

const titled = [
    ['namespace', 'chat:*', { history: 1000, publish: 'client' }],
    ['namespace', 'news:*', {}],
    ['namespace', 'closed:*', { join: 'claim', publish: 'client' }],
    ['namespace', 'live:*', { history: 0, publish: 'client' }],
    apiKey('reader', 'read:*'),
    apiKey('keeper', 'sessions:*'),
];
const UPGRADE = {
    Connection: 'Upgrade', Upgrade: 'websocket', 'Sec-WebSocket-Version': '13', 'Sec-WebSocket-Key': 'dGhlIHNhbXBsZSBub25jZQ==',
};

withServer('a WebSocket is asked for', { grade: 'memory', titled, tls: true, sections: { session: { max_ttl: '1h' } } }, (check) => {
    const refused = async (server, session, options) => (await new Socket(server, session, options).open()).refused;

    check('by what is no upgrade', async (server) => {
        const { client } = server;
        const { session } = await client.session();
        const path = `/v1/socket?session=${session}`;
        const plain = await client.get(path);
        problem(plain, 426, 'upgrade_required');
        assert.equal(plain.headers.upgrade, 'websocket');
        assert.match(plain.headers.connection, /upgrade/i);
        problem(await client.get(path, { credential: null }), 426, 'upgrade_required');
        assert.equal((await client.request('HEAD', path)).status, 426);
        problem(await client.post(path, {}), 405, 'method_not_allowed');
        const h2 = new H2(server.url, server.key);
        const answer = await h2.get(path);
        problem(answer, 426, 'upgrade_required');
        assert.equal(answer.headers.upgrade, undefined);
        await h2.close();
        const old = await client.get(path, { headers: { ...UPGRADE, 'Sec-WebSocket-Version': '8' } });
        problem(old, 426, 'upgrade_required');
        assert.equal(old.headers['sec-websocket-version'], '13');
        problem(await client.get(path, { headers: { ...UPGRADE, 'Sec-WebSocket-Key': 'short' } }), 400, 'bad_request');
        // The connection lives on after a refusal.
        status(await client.get('/healthz'), 200);
    });

    check('with a credential by each way', async (server) => {
        const { session, token } = await server.client.session();
        for (const tls of [false, true]) {
            for (const by of ['header', 'query', 'protocol']) {
                for (const credential of [token, server.key]) {
                    const socket = await connect(server, session, { credential, by, tls });
                    assert.equal(socket.ws.protocol, PROTOCOLS.json);
                    assert.equal(socket.ws.extensions, '');
                    assert.deepEqual((await socket.ask('ping')), { t: 'ok', re: 1 });
                    assert.equal(await socket.close(), 1000);
                }
            }
        }
        const encoded = bearer(token).slice('restante.bearer.'.length);
        assert.ok(!server.log.includes(token) && !server.log.includes(encoded) && !server.log.includes(server.key));
    });

    check('by who may not', async (server) => {
        const { client } = server;
        const { session, token } = await client.session();
        const other = await client.session('bob');
        const ended = await client.session('carl');
        status(await client.request('DELETE', `/v1/sessions/${ended.session}`), 204);
        problem(await refused(server, session, { by: 'none' }), 401, 'token_missing');
        problem(await refused(server, session, { credential: 'nonsense' }), 401, 'token_unknown_key');
        problem(await refused(server, session, { credential: 'nonsense', by: 'query' }), 401, 'token_unknown_key');
        problem(await refused(server, session, { credential: 'nonsense', by: 'protocol' }), 401, 'token_unknown_key');
        problem(await refused(server, session, { credential: `${token}x`, by: 'protocol' }), 401, 'token_malformed');
        problem(await refused(server, session, { credential: mint(server.tokenKey, { sub: 'alice' }) }), 403, 'forbidden');
        problem(await refused(server, session, { credential: 'reader' }), 403, 'forbidden');
        problem(await refused(server, other.session, { credential: token }), 403, 'forbidden');
        problem(await refused(server, session, { credential: ended.token }), 401, 'token_revoked');
        problem(await refused(server, ended.session, { credential: ended.token }), 404, 'session_unknown');
        problem(await refused(server, NOBODY), 404, 'session_unknown');
        problem(await refused(server, 'nonsense'), 404, 'session_unknown');
        problem(await refused(server, null), 400, 'bad_request');
        const cursorless = await refused(server, session, { query: { cursor: 'nonsense' } });
        problem(cursorless, 400, 'bad_request');
    });

    check('with subprotocols', async (server) => {
        const { session } = await server.client.session();
        for (const [protocols, chosen] of [
            [[PROTOCOLS.msgpack, PROTOCOLS.json], PROTOCOLS.msgpack],
            [['other', PROTOCOLS.json, PROTOCOLS.msgpack], PROTOCOLS.json],
            [[bearer('x'), PROTOCOLS.json], PROTOCOLS.json],
            [[], ''],
        ]) {
            const encoding = chosen === PROTOCOLS.msgpack ? 'msgpack' : 'json';
            const socket = await connect(server, session, { protocols, encoding });
            assert.equal(socket.ws.protocol, chosen);
            await socket.close();
        }
        for (const protocols of [['other'], [bearer('x'), 'other'], ['restante.v2.json', 'other']]) {
            problem(await refused(server, session, { protocols }), 400, 'bad_request');
        }
    });
});

for (const encoding of ['json', 'msgpack']) {
    bothGrades(`a socket in ${encoding}`, { titled }, (check) => {
        check('says hello, then everything from the cursor on, then what comes', async (server) => {
            const { client } = server;
            const { session, cursor } = await client.session();
            for (let i = 0; i < 5; i++) status(await client.send(session, { data: { i } }), 201);
            const socket = await connect(server, session, { encoding, cursor });
            assert.deepEqual(socket.heard[0], { t: 'hello', session, cursor, heartbeat: 25 });
            await socket.got(5);
            for (let i = 5; i < 10; i++) status(await client.send(session, { data: { i } }), 201);
            await socket.got(10);
            // Object for object what is picked up by GET.
            const { json } = await client.pick(session, { cursor });
            assert.deepEqual(socket.messages, json.messages);
            await socket.close();
        });

        check('without a cursor begins at the ack', async (server) => {
            const { client } = server;
            const { session, cursor } = await client.session();
            const first = await connect(server, session, { encoding });
            assert.equal(first.heard[0].cursor, cursor);
            for (let i = 0; i < 3; i++) status(await client.send(session, { data: i }), 201);
            await first.got(3);
            assert.deepEqual(await first.ask('ack', { cursor: first.messages[1].cursor }), { t: 'ok', re: 1 });
            await first.close();
            const second = await connect(server, session, { encoding });
            assert.equal(second.heard[0].cursor, first.messages[1].cursor);
            await second.got(1);
            assert.deepEqual(second.payloads, [2]);
            assert.deepEqual(payloads(await client.pick(session, {})), [2]);
            await second.close();
        });

        check('a foreign cursor is told, then everything comes from the oldest', async (server) => {
            const { client } = server;
            const { session, epoch } = await client.session();
            for (let i = 0; i < 3; i++) status(await client.send(session, { data: i }), 201);
            for (const [cursor, reason] of [['0123456789abcdef.7', 'epoch'], [`${epoch}.99999999`, 'ahead']]) {
                const socket = await connect(server, session, { encoding, cursor });
                await socket.got(3);
                assert.deepEqual(socket.heard.map((one) => one.t), ['hello', 'reset', 'message', 'message', 'message']);
                const { oldest, newest, ...rest } = socket.heard[1];
                assert.deepEqual(rest, { t: 'reset', reason });
                assert.equal(socket.heard[0].cursor, oldest);
                assert.ok(seqOf(newest) >= socket.messages[2].seq);
                assert.deepEqual(socket.payloads, [0, 1, 2]);
                await socket.close();
            }
        });

        check('subscribes, publishes, and hears it', async (server) => {
            const { client } = server;
            const { session, token } = await client.session();
            const socket = await connect(server, session, { encoding, credential: token });
            const joined = await socket.ask('subscribe', { topic: 'chat:1' });
            assert.deepEqual(joined, { t: 'ok', re: 1, topic: 'chat:1', cursor: joined.cursor });
            assert.deepEqual((await client.get(`/v1/sessions/${session}`)).json.topics, ['chat:1']);
            const said = await socket.ask('publish', { topic: 'chat:1', event: 'said', data: { a: [1, 'zwei'] } });
            assert.deepEqual(said, {
                t: 'ok', re: 2, seq: said.seq, cursor: said.cursor, stream: 'topic:chat:1', durability: server.options.grade, duplicate: false,
            });
            const [heard] = await socket.got(1);
            assert.deepEqual([heard.seq, heard.stream, heard.event, heard.data, heard.publisher], [said.seq, 'topic:chat:1', 'said', { a: [1, 'zwei'] }, 'alice']);
            // Again: the join stays where it was.
            assert.equal((await socket.ask('subscribe', { topic: 'chat:1' })).cursor, joined.cursor);
            assert.deepEqual(await socket.ask('unsubscribe', { topic: 'chat:1' }), { t: 'ok', re: 4, topic: 'chat:1' });
            assert.equal((await socket.ask('publish', { topic: 'chat:1', data: 'unheard' })).t, 'ok');
            await socket.ask('ping');
            assert.equal(socket.messages.length, 1);
            assert.deepEqual(payloads(await history(client, 'chat:1')), [{ a: [1, 'zwei'] }, 'unheard']);
            await socket.close();
        });

        check('publishes with all that an envelope has', async (server) => {
            const { client } = server;
            const [a, b] = [await client.session('alice'), await client.session('bob')];
            for (const { session } of [a, b]) status(await join(client, session, 'chat:2'), 200);
            const [speaker, listener] = [await connect(server, a.session, { encoding }), await connect(server, b.session, { encoding, credential: b.token })];
            const envelope = { topic: 'chat:2', data: 1, key: 'k1', ttl: '1h', collapse: 'c' };
            const first = await speaker.ask('publish', envelope);
            assert.equal(first.duplicate, false);
            assert.deepEqual(await speaker.ask('publish', envelope), { ...first, re: 2, duplicate: true });
            assert.equal((await speaker.ask('publish', { ...envelope, data: 2 })).code, 'idempotency_conflict');
            assert.equal((await speaker.ask('publish', { topic: 'chat:2', data_b64: 'AAEC', content_type: 'image/x', except: [a.session] })).t, 'ok');
            assert.deepEqual(await speaker.ask('publish', { topic: 'chat:2', data: 'now', ephemeral: true }), { t: 'ok', re: 5, seq: null });
            assert.deepEqual(await listener.ask('publish', { topic: 'live:2', data: 'now' }), { t: 'ok', re: 1, seq: null });
            await listener.got(3);
            const [one, two, three] = listener.messages;
            assert.ok(one.expires_at);
            assert.equal(one.publisher, 'backend');
            assert.equal(two.content_type, 'image/x');
            assert.deepEqual(encoding === 'json' ? Buffer.from(two.data_b64, 'base64') : Buffer.from(two.data), Buffer.from([0, 1, 2]));
            assert.deepEqual([three.ephemeral, three.data, three.seq], [true, 'now', undefined]);
            await speaker.got(2);
            assert.deepEqual(speaker.payloads, [1, 'now'], 'but what excepts it');
            await Promise.all([speaker.close(), listener.close()]);
        });

        check('is told why not', async (server) => {
            const { client } = server;
            const { session, token, epoch } = await client.session('dora');
            const socket = await connect(server, session, { encoding, credential: token });
            const no = async (code, t, members) => {
                const answer = await socket.ask(t, members);
                assert.equal(answer.code, code, JSON.stringify(answer));
                assert.equal(answer.t, 'error');
                assert.equal(typeof answer.detail, 'string');
                return answer;
            };
            await no('bad_request', 'hello');
            await no('bad_request', 'ack');
            await no('bad_request', 'ack', { cursor: 'nonsense' });
            const reset = await no('cursor_reset', 'ack', { cursor: `${epoch}.99999999` });
            assert.deepEqual([reset.reason, Object.keys(reset).slice(4)], ['ahead', ['reason', 'oldest', 'newest']]);
            assert.equal((await no('cursor_reset', 'ack', { cursor: '0123456789abcdef.1' })).reason, 'epoch');
            await no('bad_request', 'subscribe');
            await no('bad_request', 'subscribe', { topic: '' });
            await no('bad_request', 'subscribe', { topic: 'x'.repeat(256) });
            await no('topic_unknown', 'subscribe', { topic: 'nothing' });
            await no('forbidden', 'subscribe', { topic: 'closed:1' });
            await no('topic_unknown', 'publish', { topic: 'nothing', data: 1 });
            await no('forbidden', 'publish', { topic: 'closed:1', data: 1 });
            await no('forbidden', 'publish', { topic: 'news:1', data: 1 });
            await no('forbidden', 'publish', { session, data: 1 });
            await no('forbidden', 'publish', { subject: 'dora', data: 1 });
            await no('bad_request', 'publish', { data: 1 });
            await no('bad_request', 'publish', { topic: 'chat:1' });
            await no('bad_request', 'publish', { topic: 'chat:1', data: 1, ttl: 'soon' });
            await no('too_large', 'publish', { topic: 'chat:1', data: 'x'.repeat(300 * 1024) });
            // Who does not count is told as well, but not of success.
            socket.tell({ t: 'subscribe', topic: 'nothing' });
            socket.tell({ t: 'ping' });
            socket.tell({ t: 'ping', n: -1 });
            socket.tell([]);
            await socket.ask('ping');
            assert.deepEqual(socket.errors.map((one) => one.code), ['topic_unknown', 'bad_request', 'bad_request']);
            assert.equal(await socket.close(), 1000);
        });

        check('numbers its commands as it likes', async (server) => {
            const { session } = await server.client.session();
            const socket = await connect(server, session, { encoding });
            for (const n of [0, 7, 2 ** 32, 2 ** 53 - 1]) {
                socket.n = n - 1;
                assert.deepEqual(await socket.ask('ping'), { t: 'ok', re: n });
            }
            await socket.close();
        });

        check('what goes on elsewhere is heard at once', async (server) => {
            const { client } = server;
            const { session } = await client.session();
            const socket = await connect(server, session, { encoding });
            // By REST, on whichever worker: delivery goes on from the join.
            status(await say(client, 'chat:3', { data: 'before' }), 201);
            const joined = status(await join(client, session, 'chat:3'), 200).json;
            status(await say(client, 'chat:3', { data: 'after' }), 201);
            status(await client.send(session, { data: 'mail' }), 201);
            await socket.got(2);
            assert.deepEqual(socket.payloads, ['after', 'mail']);
            assert.ok(socket.messages[0].prev <= seqOf(joined.cursor));
            status(await client.request('DELETE', `/v1/sessions/${session}/subscriptions/${encodeURIComponent('chat:3')}`), 204);
            status(await say(client, 'chat:3', { data: 'unheard' }), 201);
            status(await client.send(session, { data: 'more' }), 201);
            await socket.got(3);
            assert.deepEqual(socket.payloads, ['after', 'mail', 'more']);
            await socket.close();
        });
    });
}

withServer('a socket', { grade: 'memory', titled, sections: { limits: { frame: '64K', message: '16K' }, session: { max_topics: 3 } } }, (check) => {
    check('is a connection of its session while it lasts, and is counted', async (server) => {
        const { client } = server;
        const { session } = await client.session();
        const open = await Promise.all([1, 2].map(() => connect(server, session)));
        const look = async () => (await client.get(`/v1/sessions/${session}`)).json.connections;
        await until('both are seen', async () => (await look()).length === 2);
        assert.deepEqual((await look()).map((one) => one.transport), ['websocket', 'websocket']);
        assert.equal(await server.metric('restante_sockets'), 2);
        await Promise.all(open.map((socket) => socket.close()));
        await until('none is left', async () => (await look()).length === 0 && await server.metric('restante_sockets') === 0);
    });

    check('what reached the kernel is delivered, and acked is acked', async (server) => {
        const { client } = server;
        const { session } = await client.session();
        const socket = await connect(server, session);
        const { seq, cursor } = status(await client.send(session, { data: 0 }), 201).json;
        await socket.got(1);
        const state = async () => (await client.get(`/v1/sessions/${session}/messages/${seq}`)).json.state;
        await until('it is delivered', async () => await state() === 'delivered');
        assert.equal((await socket.ask('ack', { cursor })).t, 'ok');
        assert.equal(await state(), 'acked');
        await socket.close();
    });

    check('too many topics', async (server) => {
        const { session } = await server.client.session();
        const socket = await connect(server, session);
        for (let i = 0; i < 3; i++) assert.equal((await socket.ask('subscribe', { topic: `chat:${i}` })).t, 'ok');
        assert.equal((await socket.ask('subscribe', { topic: 'chat:4' })).code, 'limit_reached');
        await socket.close();
    });

    check('frames of the wrong type, too large, no protocol', async (server) => {
        const { session } = await server.client.session();
        for (const [encoding, code, act] of [
            ['json', 1003, (ws) => ws.send(Buffer.from('{"t":"ping"}'))],
            ['msgpack', 1003, (ws) => ws.send('{"t":"ping"}')],
            ['json', 1009, (ws) => ws.send('x'.repeat(65 * 1024))],
            ['json', 1007, (ws) => ws.send(Buffer.from([0xff, 0xfe]), { binary: false })],
            ['json', 1002, (ws) => ws._socket.write(Buffer.from([0x81, 0x00]))], // without a mask
        ]) {
            const socket = await connect(server, session, { encoding });
            act(socket.ws);
            assert.equal((await socket.closed).code, code);
        }
    });

    check('claims of the bootstrap token open what they name', async (server) => {
        const token = mint(server.tokenKey, { sub: 'eve', topics: ['closed:1'] });
        const made = status(await server.client.post('/v1/sessions', {}, { credential: token }), 201).json;
        const socket = await connect(server, made.session, { credential: made.token });
        assert.equal((await socket.ask('subscribe', { topic: 'closed:1' })).t, 'ok');
        assert.equal((await socket.ask('publish', { topic: 'closed:1', data: 1 })).t, 'ok');
        assert.equal((await socket.ask('subscribe', { topic: 'closed:2' })).code, 'forbidden');
        await socket.got(1);
        await socket.close();
        // Who acts for the session may what the session may.
        const keeper = await connect(server, made.session, { credential: 'keeper' });
        assert.equal((await keeper.ask('publish', { topic: 'closed:1', data: 2 })).t, 'ok');
        assert.equal((await keeper.ask('publish', { topic: 'news:1', data: 2 })).code, 'forbidden');
        await keeper.close();
    });

    check('ends with its session', async (server) => {
        const { client } = server;
        const { session } = await client.session();
        const socket = await connect(server, session);
        status(await client.request('DELETE', `/v1/sessions/${session}`), 204);
        assert.equal((await socket.closed).code, 1001);
        await until('it is counted', async () => await server.metric('restante_sockets_closed_total{by="session_end"}') === 1);
    });
});
