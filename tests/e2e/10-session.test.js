// A session's life: open, look, change, list, end, expire.

import assert from 'node:assert/strict';
import { NOBODY, problem, status } from './lib/expect.js';
import { parked, withServer } from './lib/harness.js';
import { until } from './lib/wait.js';
import { mint } from './lib/token.js';

withServer('session', { sections: { session: { ttl: '10m' } } }, (check) => {
    check('is opened with a bootstrap token', async ({ client, tokenKey }) => {
        const token = mint(tokenKey, { sub: 'alice', attributes: { plan: 'gold' } });
        const made = status(await client.post('/v1/sessions', undefined, { credential: token }), 201).json;
        assert.equal(made.subject, 'alice');
        assert.match(made.epoch, /^[0-9a-f]{16}$/);
        assert.match(made.cursor, new RegExp(`^${made.epoch}\\.\\d+$`));
        assert.match(made.token, /^rs1\./);
        assert.equal(made.ttl, 600);
        assert.deepEqual(made.topics, []);
        assert.deepEqual(made.attributes, { plan: 'gold' });
        assert.equal(made.urls.messages, `/v1/sessions/${made.session}/messages`);
        const left = Date.parse(made.expires_at) - Date.now();
        assert.ok(left > 590e3 && left < 610e3, `expires in ${left} ms`);
    });

    check('is opened with an API key and a subject', async ({ client }) => {
        const made = await client.session('bob', { ttl: '90s', attributes: { a: [1, null] } });
        assert.equal(made.ttl, 90);
        assert.deepEqual(made.attributes, { a: [1, null] });
        problem(await client.post('/v1/sessions', {}), 400, 'bad_request');
        problem(await client.post('/v1/sessions', { subject: '' }), 400, 'bad_request');
        problem(await client.post('/v1/sessions', { subject: 7 }), 400, 'bad_request');
    });

    check('of one name is got or created', async ({ client }) => {
        const first = status(await client.post('/v1/sessions', { subject: 'carol', name: 'phone' }), 201).json;
        const again = status(await client.post('/v1/sessions', { subject: 'carol', name: 'phone' }), 200).json;
        const other = status(await client.post('/v1/sessions', { subject: 'carol', name: 'tablet' }), 201).json;
        const foreign = status(await client.post('/v1/sessions', { subject: 'dave', name: 'phone' }), 201).json;
        assert.equal(again.session, first.session);
        assert.equal(new Set([first.session, other.session, foreign.session]).size, 3);
    });

    check('of one name starts where it was acked', async ({ client }) => {
        const first = await client.session('erin', { name: 'phone' });
        const sent = status(await client.send(first.session, { data: 1 }), 201).json;
        status(await client.send(first.session, { data: 2 }), 201);
        status(await client.ack(first.session, sent.cursor), 204);
        const again = await client.session('erin', { name: 'phone' });
        assert.equal(again.cursor, sent.cursor);
    });

    check('shows itself without its token', async ({ client }) => {
        const made = await client.session('frank');
        status(await client.send(made.session, { data: 'x' }), 201);
        for (const credential of [client.credential, made.token]) {
            const seen = status(await client.get(`/v1/sessions/${made.session}`, { credential }), 200).json;
            assert.equal(seen.session, made.session);
            assert.equal(seen.token, undefined);
            assert.equal(seen.pending, 1);
            assert.ok(seen.pending_bytes >= 3);
            assert.deepEqual(seen.connections, []);
            assert.equal(seen.acked, made.cursor);
            assert.equal(seen.delivered, made.cursor);
        }
    });

    check('is changed by a merge', async ({ client }) => {
        const { session, token } = await client.session('gina', { attributes: { a: 1, b: 2 } });
        const path = `/v1/sessions/${session}`;
        const body = { attributes: { a: null, c: { d: true } }, ttl: '5m' };
        const changed = status(await client.request('PATCH', path, { body, credential: token }), 200).json;
        assert.deepEqual(changed.attributes, { b: 2, c: { d: true } });
        assert.equal(changed.ttl, 300);
        assert.deepEqual((await client.get(path)).json.attributes, { b: 2, c: { d: true } });
        const huge = { attributes: { a: 'x'.repeat(5000) } };
        problem(await client.request('PATCH', path, { body: huge }), 413, 'too_large');
        problem(await client.request('PATCH', path, { body: { ttl: 'soon' } }), 400, 'bad_request');
        problem(await client.request('PATCH', path, { body: { ttl: '400d' } }), 400, 'bad_request');
        problem(await client.request('PATCH', path, { body: { attributes: [] } }), 400, 'bad_request');
        assert.deepEqual((await client.get(path)).json.attributes, { b: 2, c: { d: true } });
    });

    check('of a subject are listed, page by page', async ({ client }) => {
        const made = new Set();
        for (let i = 0; i < 5; i++) made.add((await client.session('harry')).session);
        const seen = [];
        let after = '';
        do {
            const page = status(await client.get(`/v1/sessions?subject=harry&limit=2${after && `&after=${encodeURIComponent(after)}`}`), 200).json;
            assert.ok(page.sessions.length <= 2);
            seen.push(...page.sessions.map((row) => row.session));
            after = page.next;
        } while (after);
        assert.equal(seen.length, 5);
        assert.deepEqual(new Set(seen), made);
    });

    check('ends: mailbox, token and name go', async ({ client }) => {
        const { session, token } = await client.session('ivan', { name: 'n' });
        status(await client.request('DELETE', `/v1/sessions/${session}`), 204);
        problem(await client.pick(session), 404, 'session_unknown');
        problem(await client.pick(session, {}, { credential: token }), 404, 'session_unknown');
        problem(await client.send(session, { data: 1 }), 404, 'session_unknown');
        problem(await client.request('DELETE', `/v1/sessions/${session}`), 404, 'session_unknown');
        assert.notEqual((await client.session('ivan', { name: 'n' })).session, session);
    });

    check('ends under a parked poll, which is answered', async ({ client }) => {
        const { session, cursor } = await client.session('judy');
        const poll = client.pick(session, { cursor, wait: 30 });
        await parked(client, session);
        status(await client.request('DELETE', `/v1/sessions/${session}`), 204);
        problem(await poll, 404, 'session_unknown');
    });

    check('that nobody knows is 404 before any cursor is judged', async ({ client }) => {
        problem(await client.pick(NOBODY, { cursor: '0000000000000000.1' }), 404, 'session_unknown');
        for (const id of ['x', 'A'.repeat(21), 'A'.repeat(500), '%00', '..%2f..']) {
            const answer = await client.get(`/v1/sessions/${id}`);
            assert.ok(answer.status === 404 || answer.status === 400, `${id}: ${answer.status} ${answer.text}`);
        }
    });

    check('expires when idle, and is kept alive by use', async ({ client }) => {
        const idle = await client.session('kate', { ttl: '1s' });
        const busy = await client.session('kate', { ttl: '5s' });
        await until('the idle session expires', async () => {
            status(await client.get(`/v1/sessions/${busy.session}`, { credential: busy.token }), 200);
            // Listing is not a use of the session.
            const { sessions } = (await client.get('/v1/sessions?subject=kate')).json;
            return sessions.every((row) => row.session !== idle.session);
        });
        problem(await client.get(`/v1/sessions/${idle.session}`), 404, 'session_unknown');
        // By now the busy one would be gone but for its use, or soon will be: use it past its ttl.
        const begun = Date.now();
        await until('the busy session is used past its ttl', async () => {
            status(await client.get(`/v1/sessions/${busy.session}`), 200);
            return Date.now() - begun > 6000;
        }, 15);
    });

    check('answers carry a request id, theirs or ours', async ({ client }) => {
        const given = await client.get('/healthz', { headers: { 'X-Request-Id': 'given-1' }, credential: null });
        assert.equal(status(given, 200).headers['x-request-id'], 'given-1');
        const made = await client.get('/healthz', { credential: null });
        assert.ok(made.headers['x-request-id'].length >= 8);
        const refused = await client.get('/v1/none', { headers: { 'X-Request-Id': 'given-2' } });
        problem(refused, 404, 'not_found');
        assert.equal(refused.json.request_id, 'given-2');
    });

    check('paths know their methods', async ({ client }) => {
        const wrong = await client.request('PUT', '/v1/sessions', { body: {} });
        problem(wrong, 405, 'method_not_allowed');
        assert.match(wrong.headers.allow, /POST/);
        const options = await client.request('OPTIONS', '/v1/sessions', { credential: null });
        assert.ok(options.status === 204 || options.status === 200, `${options.status}`);
        assert.match(options.headers.allow, /POST/);
        const head = await client.request('HEAD', '/healthz', { credential: null });
        assert.equal(head.status, 200);
        assert.equal(head.text, '');
        problem(await client.post('/v1/sessions', '<a/>', { headers: { 'Content-Type': 'text/xml' } }), 415, 'unsupported_media_type');
        problem(await client.get('/v1/sessions?subject=a', { headers: { Accept: 'image/png' } }), 406, 'not_acceptable');
    });

    check('metrics count in the Prometheus text format', async ({ client }) => {
        const { text } = status(await client.get('/metrics'), 200);
        for (const line of text.trim().split('\n')) {
            assert.match(line, /^(# (HELP|TYPE) \w+ .+|\w+(\{\w+="[^"]*"(,\w+="[^"]*")*\})? -?[\d.e+]+)$/);
        }
        assert.match(text, /^restante_sessions \d+$/m);
    });
});

withServer('anonymous sessions', { sections: { session: { anonymous: true } } }, (check) => {
    check('are allowed only where configured', async ({ client }) => {
        const made = status(await client.post('/v1/sessions', {}, { credential: null }), 201).json;
        status(await client.pick(made.session, {}, { credential: made.token }), 200);
        status(await client.send(made.session, { data: 1 }), 201);
        const [message] = (await client.pick(made.session, {}, { credential: made.token })).json.messages;
        assert.equal(message.data, 1);
    });
});
