// The description of the API against the running server, in both directions: no answer has a status
// or member that is not described, and everything that is described has been seen in an answer.

import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { it } from 'node:test';
import { fileURLToPath } from 'node:url';
import { WebSocket } from 'ws';
import { NOBODY } from './lib/expect.js';
import { withServer } from './lib/harness.js';
import { Description } from './lib/openapi.js';
import { mint, now } from './lib/token.js';
import { until } from './lib/wait.js';

const ROOT = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '../..');
const description = new Description(JSON.parse(fs.readFileSync(path.join(ROOT, 'etc/openapi.json'), 'utf8')));

it('the file is what its script writes', () => {
    const { status, stderr } = spawnSync(process.execPath, [path.join(ROOT, 'scripts/openapi.mjs'), '--check'], { encoding: 'utf8' });
    assert.equal(status, 0, stderr);
});

const BODY_MAX = 64 * 1024;
const UPGRADE = { Connection: 'Upgrade', Upgrade: 'websocket', 'Sec-WebSocket-Version': '13', 'Sec-WebSocket-Key': 'AAAAAAAAAAAAAAAAAAAAAA==' };
const sections = {
    limits: { request: '64K', message: '16K', publish_rate: 1 },
    session: { mailbox_messages: 20, max_per_subject: 5, max_ttl: '1h', max_topics: 2 },
    topics: { max: 4 },
};
const titled = [
    ['namespace', 'chat:*', { history: 10, publish: 'client', presence: true }],
    ['namespace', 'closed:*', { join: 'claim' }],
    ['api_key', 'nobody', { sha256: '0'.repeat(64), scopes: ['send:*'] }],
];

withServer('the description', { grade: 'memory', sections, titled }, (check, server) => {
    const { operations } = description;

    /** A request, judged; what it is of is found by its method and path. */
    async function say(method, target, options = {}) {
        const operation = description.operation(method, target);
        assert.ok(operation, `${method} ${target} is not described`);
        const answer = await server.client.request(method, target, { ...options, headers: { ...carries(operation), ...options.headers } });
        description.judge(operation, answer);
        return answer;
    }
    const good = async (method, target, options) => {
        const answer = await say(method, target, options);
        assert.ok(answer.status < 300, `${method} ${target}: ${answer.status} ${answer.text}`);
        return answer;
    };
    const refused = async (code, method, target, options) => {
        const answer = await say(method, target, options);
        assert.equal(answer.json?.code, code, `${method} ${target}: ${answer.status} ${answer.text}`);
    };

    let subjects = 0; // one each: a subject has few sessions here
    const open = () => server.client.session(`alice-${subjects++}`);
    const fill = (operation, { session = NOBODY, subject = 'nobody', seq = '1', topic = 'chat:1' } = {}) =>
        operation.path.replace('{session}', session).replace('{subject}', subject).replace('{seq}', seq).replace('{topic}', topic) +
        ({ listSessions: `?subject=${subject}`, openSocket: `?session=${session}` }[operation.operationId] ?? '');
    /** What a request of the operation must carry to be judged at all. */
    const carries = (operation) => (operation.operationId === 'openSocket' ? UPGRADE : {});
    /** A body that the operation would take. */
    const bodyOf = (operation) => ({ Ack: { cursor: '0123456789abcdef.1' }, PatchSession: {}, Batch: { messages: [] }, Envelope: { data: 1 }, TopicEnvelope: { data: 1 }, Subscribe: {}, OpenSession: { subject: 'x' } })[
        operation.requestBody?.content['application/json'].schema.$ref.split('/').at(-1)];
    const secured = operations.filter((one) => one.security.length);

    check('is served as it is', async () => {
        const { json } = await good('GET', '/openapi.json');
        assert.deepEqual(json, description.document);
        await good('GET', '/healthz');
        await good('GET', '/readyz');
        await good('GET', '/metrics');
        await good('GET', '/v1/status');
        await good('POST', '/v1/rotate');
    });

    check('every operation tells what its path allows', async () => {
        for (const operation of operations) {
            const answer = await server.client.request('OPTIONS', fill(operation).split('?')[0]);
            const allowed = answer.headers.allow.split(', ').filter((method) => !['HEAD', 'OPTIONS'].includes(method));
            const described = operations.filter((one) => one.path === operation.path).map((one) => one.method.toUpperCase());
            assert.deepEqual(allowed.sort(), described.sort(), operation.path);
        }
    });

    check('sessions', async () => {
        const made = (await good('POST', '/v1/sessions', { body: { subject: 'carl', name: 'desk', attributes: { a: 1 }, ttl: '10m', topics: [] } })).json;
        assert.equal((await good('POST', '/v1/sessions', { body: { subject: 'carl', name: 'desk' } })).status, 200);
        const own = `/v1/sessions/${made.session}`;
        await server.client.session('carl');
        const first = (await good('GET', '/v1/sessions?subject=carl&limit=1')).json;
        await good('GET', `/v1/sessions?subject=carl&limit=1&after=${first.next}`);
        await good('PATCH', own, { body: { attributes: { b: null }, ttl: 1200 } });
        await good('POST', `${own}/token`);
        const poll = server.client.pick(made.session, { wait: 10 });
        await until('the poll is seen', async () => (await good('GET', own)).json.connections.length === 1);
        await server.client.send(made.session, { data: 1 });
        await poll;
        await good('DELETE', own);
        await refused('topic_unknown', 'POST', '/v1/sessions', { body: { subject: 'x', topics: ['other'] } });
        for (let i = 0; i < 5; i++) await good('POST', '/v1/sessions', { body: { subject: 'many' } });
        await refused('limit_reached', 'POST', '/v1/sessions', { body: { subject: 'many' } });
    });

    check('publishing, picking up, receipts', async () => {
        const { session, cursor } = await open();
        const own = `/v1/sessions/${session}`;
        const key = { 'Idempotency-Key': 'k1' };
        const trace = { traceparent: '00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01' };
        await good('POST', `${own}/messages`, { body: { data: 1, event: 'e', ttl: '1h' }, headers: { ...key, ...trace } });
        assert.equal((await good('POST', `${own}/messages`, { body: { data: 1, event: 'e', ttl: '1h' }, headers: { ...key, ...trace } })).status, 200);
        await refused('idempotency_conflict', 'POST', `${own}/messages`, { body: { data: 2 }, headers: key });
        await good('POST', `${own}/messages`, { body: 'bytes', headers: { 'Content-Type': 'image/x', 'Restante-Event': 'picture', 'Restante-Collapse': 'c' } });
        await good('POST', `${own}/messages`, { body: 'others', headers: { 'Content-Type': 'image/x', 'Restante-TTL': '1h', 'Restante-Collapse': 'c' } });
        await good('POST', `${own}/messages`, { body: { data_b64: 'AAA=', content_type: 'image/x', collapse: 'd' } });
        const waiting = say('GET', `${own}/messages?cursor=${(await server.client.pick(session)).json.cursor}&wait=10`);
        await until('it is parked', async () => await server.metric('restante_polls_parked') === 1);
        assert.equal((await good('POST', `${own}/messages`, { body: { data: 1, ephemeral: true } })).status, 202);
        assert.equal((await waiting).json.messages[0].ephemeral, true);
        const page = (await good('GET', `${own}/messages?cursor=${cursor}&limit=100&max_bytes=100000`)).json;
        const text = await good('GET', `${own}/messages?cursor=${cursor}`, { headers: { Accept: 'application/msgpack' } });
        assert.equal(text.headers['content-type'], 'application/msgpack');
        assert.equal((await good('GET', `${own}/messages?cursor=${page.cursor}&ack=0&wait=100ms`)).status, 204);
        await good('GET', `${own}/messages/${page.messages[0].seq}`);
        await good('POST', `${own}/ack`, { body: { cursor: page.cursor } });
        await good('GET', `${own}/messages/${page.messages[0].seq}`);
        await refused('not_found', 'GET', `${own}/messages/99999999`);
        for (const [method, target, options] of [['POST', `${own}/ack`, { body: { cursor: '0123456789abcdef.1' } }],
            ['GET', `${own}/messages?cursor=0123456789abcdef.1`, {}]]) {
            await refused('cursor_reset', method, target, options);
        }
        for (let i = 0; i < 25; i++) await server.client.send(session, { data: i });
        await refused('mailbox_full', 'POST', `${own}/messages`, { body: { data: 0 } });
    });

    check('subjects and batches', async () => {
        const { session } = await server.client.session('sue');
        const to = '/v1/subjects/sue/messages';
        const key = { 'Idempotency-Key': 's1' };
        assert.equal((await good('POST', to, { body: { data: 1 }, headers: key })).status, 201);
        assert.equal((await good('POST', to, { body: { data: 1 }, headers: key })).status, 200);
        assert.equal((await say('POST', to, { body: { data: 2 }, headers: key })).status, 409);
        assert.equal((await good('POST', to, { body: { data: 1, ephemeral: true } })).status, 202);
        const { results } = (await good('POST', '/v1/publish', {
            body: {
                messages: [{ session, data: 1, key: 'b1' }, { session, data: 1, key: 'b1' }, { session, data: 2, key: 'b1' }, { subject: 'sue', data: 1 },
                    { session: NOBODY, data: 1 }, { session, data: 1, ephemeral: true }, { session, data: 1, event: '' }, { topic: 'chat:1', data: 1 }],
            },
        })).json;
        assert.deepEqual(results.map((one) => one.status), [201, 200, 409, 201, 404, 202, 400, 201]);
        for (let i = 0; i < 25; i++) await server.client.send(session, { data: i });
        assert.equal((await say('POST', to, { body: { data: 0 } })).status, 507);
        await refused('subject_unknown', 'POST', '/v1/subjects/nobody/messages', { body: { data: 0 } });
    });

    check('topics', async () => {
        const { session, token } = await server.client.session('tom', { topics: ['chat:1'] });
        const to = '/v1/topics/chat%3A1/messages';
        const key = { 'Idempotency-Key': 't1' };
        await good('PUT', `/v1/sessions/${session}/subscriptions/chat%3A2`);
        await good('GET', `/v1/sessions/${session}`);
        await refused('limit_reached', 'PUT', `/v1/sessions/${session}/subscriptions/chat%3A3`);
        await refused('topic_unknown', 'PUT', `/v1/sessions/${session}/subscriptions/other`);
        await good('DELETE', `/v1/sessions/${session}/subscriptions/chat%3A2`);
        assert.equal((await good('POST', to, { body: { data: 1, except: [NOBODY] }, headers: key })).status, 201);
        assert.equal((await good('POST', to, { body: { data: 1, except: [NOBODY] }, headers: key })).status, 200);
        await refused('idempotency_conflict', 'POST', to, { body: { data: 1 }, headers: key });
        assert.equal((await good('POST', to, { body: { data: 1, ephemeral: true } })).status, 202);
        await refused('forbidden', 'POST', '/v1/topics/closed%3A1/messages', { body: { data: 1 }, credential: token });
        await until('the session published too often', async () => {
            const burst = await Promise.all(Array.from({ length: 10 }, () => say('POST', to, { body: { data: 1 }, credential: token })));
            assert.ok(burst.every((answer) => [201, 429].includes(answer.status)));
            return burst.some((answer) => answer.status === 429);
        });
        const subscription = `/v1/sessions/${session}/subscriptions/chat%3A1`;
        await until('the session says too often who it is', async () => {
            const burst = await Promise.all(Array.from({ length: 10 }, (_, n) => say('PUT', subscription, { body: { presence: { n } }, credential: token })));
            assert.ok(burst.every((answer) => [200, 429].includes(answer.status)));
            return burst.some((answer) => answer.status === 429);
        });
        await good('PUT', subscription, { body: { presence: { mood: 'fine' } } });
        await good('GET', `/v1/sessions/${session}`);
        const other = await server.client.session('una', { topics: ['chat:1'] });
        await server.client.request('PUT', `/v1/sessions/${other.session}/subscriptions/chat%3A1`, { body: { presence: {} } });
        const here = (await good('GET', '/v1/topics/chat%3A1/presence?limit=1', { credential: token })).json;
        assert.equal((await good('GET', `/v1/topics/chat%3A1/presence?limit=1&after=${here.next}`)).json.members.length, 1);
        await refused('topic_unknown', 'GET', '/v1/topics/other/presence');
        await good('PUT', subscription, { body: { presence: null } });
        for (const target of [to, `${to}?limit=1&reverse=1&max_bytes=100000`]) assert.ok((await good('GET', target)).json.messages.length);
        await refused('cursor_reset', 'GET', `${to}?cursor=0123456789abcdef.1`);
        await good('GET', '/v1/topics/chat%3A1');
        const { next } = (await good('GET', '/v1/topics?prefix=chat&limit=1')).json;
        assert.equal(next, null);
        for (let i = 2; i <= 4; i++) await good('POST', `/v1/topics/chat%3A${i}/messages`, { body: { data: 1 } });
        const page = (await good('GET', '/v1/topics?limit=1')).json;
        await good('GET', `/v1/topics?limit=1&after=${encodeURIComponent(page.next)}`);
        await refused('limit_reached', 'POST', '/v1/topics/chat%3A5/messages', { body: { data: 1 } });
        for (const [method, target] of [['GET', '/v1/topics/other'], ['GET', '/v1/topics/other/messages'], ['DELETE', '/v1/topics/other/messages']]) {
            await refused('topic_unknown', method, target);
        }
        await refused('topic_unknown', 'POST', '/v1/topics/other/messages', { body: { data: 1 } });
        await good('DELETE', to);
        await good('POST', to, { body: { data: 1 } });
    });

    check('a WebSocket', async () => {
        const { session } = await open();
        const socket = new WebSocket(`ws://127.0.0.1:${server.port}/v1/socket?session=${session}`, { headers: { Authorization: `Bearer ${server.key}` } });
        await new Promise((resolve, reject) => {
            socket.once('open', resolve);
            socket.once('error', reject);
        });
        description.seen.add('openSocket 101');
        socket.terminate();
        await refused('upgrade_required', 'GET', `/v1/socket?session=${session}`, { headers: { 'Sec-WebSocket-Version': '8' } });
        await refused('bad_request', 'GET', '/v1/socket');
    });

    check('files', async () => {
        await good('GET', '/restante.js');
        await good('GET', '/restante.d.ts');
        await refused('not_found', 'GET', '/example');
        await refused('not_found', 'GET', '/example.js');
    });

    check('every bad credential, everywhere', async () => {
        const sign = (claims, header) => mint(server.tokenKey, claims, header);
        const bad = {
            token_malformed: 'a.b.c',
            token_bad_signature: mint({ ...server.tokenKey, secret: 'another secret of more than 32 bytes' }),
            token_expired: sign({ exp: now() - 60 }),
            token_not_yet_valid: sign({ nbf: now() + 60 }),
            token_unknown_key: 'nonsense',
        };
        const gone = await open();
        await server.client.request('DELETE', `/v1/sessions/${gone.session}`);
        const other = await open();
        for (const operation of secured) {
            const target = fill(operation, other);
            const body = bodyOf(operation);
            const method = operation.method.toUpperCase();
            // Where nobody at all may call, a missing credential is refused only with a subject.
            await refused('token_missing', method, target, { body, credential: null });
            for (const [code, credential] of Object.entries(bad)) await refused(code, method, target, { body, credential });
            await refused('token_revoked', method, target, { body, credential: gone.token });
            const unfit = operation.operationId === 'openSession' ? other.token : mint(server.tokenKey);
            await refused('forbidden', method, target, { body, credential: unfit });
            const joined = target.includes('?') ? '&' : '?';
            await refused('token_unknown_key', method, `${target}${joined}access_token=nonsense`, { body, credential: null });
        }
    });

    check('what every operation refuses alike', async () => {
        const { session } = await open();
        for (const operation of operations) {
            const method = operation.method.toUpperCase();
            const target = fill(operation, { session, subject: 'alice' });
            const body = bodyOf(operation);
            const described = (code) => description.allAnswers().some((one) => one.startsWith(`${operation.operationId} `) && one.endsWith(` ${code}`));
            if (described('not_acceptable')) await refused('not_acceptable', method, target, { body, headers: { Accept: 'image/png' } });
            if (described('session_unknown')) await refused('session_unknown', method, fill(operation), { body });
            if (described('unsupported_media_type')) await refused('unsupported_media_type', method, target, { body: 'x', headers: { 'Content-Type': 'text/x' } });
            if (described('too_large')) await refused('too_large', method, target, { body: JSON.stringify({ data: 'x'.repeat(BODY_MAX) }), headers: { 'Content-Type': 'application/json' } });
            if (described('bad_request') && operation.pathParameters.length) {
                await refused('bad_request', method, operation.path.replace(/\{\w+\}/g, '%zz'), { body });
            }
        }
    });

    // A parameter or member that the server does not know would be ignored: so nonsense in each of
    // those described must be refused.
    check('every parameter is looked at', async () => {
        const tooLong = 'x'.repeat(300);
        for (const operation of operations) {
            const { session } = await open(); // the operation may end it
            const method = operation.method.toUpperCase();
            const target = fill(operation, { session, subject: 'alice' });
            const body = bodyOf(operation);
            for (const parameter of description.parameters(operation)) {
                if (parameter.in === 'query' && parameter.name !== 'access_token') {
                    const bare = target.split('?')[0];
                    const others = { listSessions: 'subject=alice', openSocket: `session=${session}` }[operation.operationId];
                    const needed = others && !others.startsWith(`${parameter.name}=`) ? `${others}&` : '';
                    await refused('bad_request', method, `${bare}?${needed}${parameter.name}=%00`, { body });
                    // What is no session's id is nobody's.
                    await refused(parameter.name === 'session' ? 'session_unknown' : 'bad_request', method, `${bare}?${needed}${parameter.name}=${tooLong}`, { body });
                } else if (parameter.name === 'Last-Event-ID') {
                    await refused('bad_request', method, target, { headers: { Accept: 'text/event-stream', 'Last-Event-ID': 'x' } });
                } else if (parameter.name === 'Idempotency-Key') {
                    await refused('bad_request', method, target, { body, headers: { 'Idempotency-Key': tooLong } });
                } else if (/^Restante-/.test(parameter.name)) {
                    await refused('bad_request', method, target, { body: 'x', headers: { 'Content-Type': 'text/plain', [parameter.name]: tooLong } });
                } else if (parameter.name === 'X-Request-Id') {
                    const answer = await server.client.request(method, target, { body, headers: { 'X-Request-Id': 'mine-1' } });
                    assert.equal(answer.headers['x-request-id'], 'mine-1');
                } else if (parameter.name === 'traceparent') {
                    const answer = await server.client.request('GET', '/healthz', { headers: { traceparent: `00-${'a'.repeat(32)}-${'b'.repeat(16)}-01` } });
                    assert.equal(answer.headers['x-request-id'], 'a'.repeat(32));
                }
            }
        }
    });

    check('every member of a request is looked at', async () => {
        const { session } = await open();
        const free = new Set(['data']); // any value will do
        const nonsense = (member) => (member === 'ephemeral' ? 7 : true);
        for (const operation of operations.filter((one) => one.requestBody)) {
            const method = operation.method.toUpperCase();
            const target = fill(operation, { session, subject: 'alice' });
            for (const member of description.requestMembers(operation).filter((name) => !free.has(name))) {
                await refused('bad_request', method, target, { body: { ...bodyOf(operation), [member]: nonsense(member) } });
            }
        }
        const batch = description.named('publishBatch');
        for (const member of description.requestMembers(batch, 'messages').filter((name) => !free.has(name))) {
            const message = { ...(member === 'except' ? { topic: 'chat:1' } : { session }), data: 1, [member]: nonsense(member) };
            const { results } = (await good('POST', '/v1/publish', { body: { messages: [message] } })).json;
            assert.equal(results[0].status, 400, `${member}: ${JSON.stringify(results)}`);
        }
    });

    check('an event stream is what it says', async () => {
        const { session } = await open();
        const target = `/v1/sessions/${session}/messages`;
        const answer = await server.client.request('HEAD', target, { headers: { Accept: 'text/event-stream' } });
        description.judge(description.named('pickUp'), answer);
        const nobody = await say('GET', `/v1/sessions/${NOBODY}/messages`, { headers: { Accept: 'text/event-stream' } });
        assert.equal(nobody.status, 204);
    });
});

withServer('what retention took, and who was superseded', {
    grade: 'memory', sections: { session: { mailbox_messages: 2, mailbox_overflow: 'drop_oldest', exclusive: true }, server: { example: true } },
}, (check, server) => {
    check('files, and that they are the same still', async () => {
        for (const path of ['/restante.js', '/restante.d.ts', '/example', '/example.js']) {
            const first = await server.client.get(path, { credential: null });
            assert.equal(first.status, 200);
            const again = await server.client.get(path, { credential: null, headers: { 'If-None-Match': first.headers.etag } });
            assert.equal(again.status, 304);
            for (const answer of [first, again]) description.judge(description.operation('GET', path), answer);
        }
    });

    check('a newer poll of an exclusive session', async () => {
        const { session } = await server.client.session();
        const target = `/v1/sessions/${session}/messages?wait=60`;
        const polls = [server.client.get(target), server.client.get(target)];
        const answer = await Promise.race(polls);
        description.judge(description.operation('GET', target), answer);
        assert.equal(answer.json.code, 'superseded');
        await server.client.send(session, { data: 1 });
        await Promise.all(polls);
    });

    check('has its members too', async () => {
        const { session, cursor } = await server.client.session();
        for (let i = 0; i < 20; i++) await server.client.send(session, { data: i });
        const target = `/v1/sessions/${session}/messages?cursor=${cursor}`;
        const answer = await server.client.get(target);
        assert.ok(answer.json.truncated);
        description.judge(description.operation('GET', target), answer);
        // A hole made by a ttl.
        const other = await server.client.session();
        for (const ttl of ['1h', '1s', '1h']) await server.client.send(other.session, { data: 0, ttl });
        const from = `/v1/sessions/${other.session}/messages?cursor=${other.cursor}`;
        const page = await until('one has run out', async () => {
            const { json } = await server.client.get(from);
            return json.messages.length === 1 && server.client.get(from);
        });
        description.judge(description.operation('GET', from), page);
    });

    check('everything that is described has been seen', () => {
        const answers = description.allAnswers().filter((one) => !description.seen.has(one));
        assert.deepEqual(answers, []);
        const members = [...description.allMembers()].filter((one) => !description.members.has(one));
        // `outcome` is said by a server that cannot serve.
        assert.deepEqual(members, ['Problem.outcome']);
    });
});
