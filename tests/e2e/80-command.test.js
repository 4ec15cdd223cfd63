// The command: each verb against a running server, and its exit codes.

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import fs from 'node:fs';
import path from 'node:path';
import { NOBODY, payloads, status } from './lib/expect.js';
import { withServer } from './lib/harness.js';
import { restante, run } from './lib/run.js';
import { RESTANTE } from './lib/server.js';
import { until } from './lib/wait.js';

const OK = 0;
const REFUSED = 1;
const USAGE = 2;
const UNREACHABLE = 3;
const ENVIRONMENT = 4;

function succeeded(result) {
    assert.equal(result.code, OK, result.err);
    return result;
}

withServer('restante', { titled: [['namespace', 'chat:*', { history: 5000, ttl: '1h' }]] }, (check) => {
    check('token prints a token that opens a session', async (server) => {
        const { out } = succeeded(await restante(server, ['--config', server.conf, 'token', '--subject', 'alice', '--max-age', '1m',
            '--topic', 'chat:*', '--attributes', '{"a":1}']));
        const made = status(await server.client.post('/v1/sessions', {}, { credential: out.trim() }), 201).json;
        assert.equal(made.subject, 'alice');
        assert.deepEqual(made.attributes, { a: 1 });
        assert.equal((await restante(server, ['token', '--subject', 'alice'])).code, USAGE);
        assert.equal((await restante(server, ['--config', '/nowhere', 'token', '--subject', 'a'])).code, ENVIRONMENT);
    });

    check('key prints a key and the stanza with its hash', async (server) => {
        const { out } = succeeded(await restante(server, ['key', 'shop', '--scope', 'send:*', '--scope', 'sessions:*']));
        const [key] = out.split('\n');
        assert.ok(out.includes(createHash('sha256').update(key).digest('hex')), out);
        assert.match(out, /api_key "shop"/);
        assert.match(out, /"send:\*", "sessions:\*"/);
        assert.equal((await restante(server, ['key'])).code, USAGE);
    });

    check('session new, show, list, end', async (server) => {
        const { out } = succeeded(await restante(server, ['session', 'new', '--subject', 'bob', '--name', 'desk', '--ttl', '1h']));
        const [session, token] = out.trim().split('\n');
        assert.match(token, /^rs1\./);
        const shown = JSON.parse(succeeded(await restante(server, ['session', 'show', session])).out);
        assert.equal(shown.subject, 'bob');
        assert.equal(shown.ttl, 3600);
        assert.ok(succeeded(await restante(server, ['session', 'list', 'bob'])).out.includes(session));
        succeeded(await restante(server, ['session', 'end', session]));
        const gone = await restante(server, ['session', 'show', session]);
        assert.equal(gone.code, REFUSED);
        assert.match(gone.err, /session_unknown/);
    });

    check('send takes arguments, a file, standard input; tail prints them', async (server) => {
        const { session } = await server.client.session('carol');
        const file = path.join(server.dir, 'lines');
        const bytes = Buffer.concat([Buffer.from('from a file\n\n'), Buffer.from([0xff, 0xfe, 0x0a])]);
        fs.writeFileSync(file, bytes);
        succeeded(await restante(server, ['send', session, 'one', 'two words']));
        succeeded(await restante(server, ['send', session, '--file', file]));
        succeeded(await restante(server, ['send', session], { input: 'from stdin\nlast without newline' }));
        const tail = succeeded(await restante(server, ['tail', session, '--once']));
        assert.deepEqual(tail.bytes, Buffer.concat([Buffer.from('one\ntwo words\n'), bytes, Buffer.from('from stdin\nlast without newline\n')]));
    });

    check('send publishes each line once however often it is run', async (server) => {
        const { session } = await server.client.session('dave');
        const input = Array.from({ length: 1200 }, (_, i) => `line ${i}`).join('\n');
        for (let i = 0; i < 3; i++) succeeded(await restante(server, ['send', session, '--run', 'nightly'], { input }));
        assert.equal((await server.client.pick(session, { limit: 1000 })).json.messages.length, 1000);
        assert.equal((await server.client.get(`/v1/sessions/${session}`)).json.pending, 1200);
    });

    check('send to a subject, and to nobody', async (server) => {
        const { session } = await server.client.session('erin');
        succeeded(await restante(server, ['send', '--subject', 'erin', 'hello', '--event', 'greeting']));
        assert.deepEqual(payloads(await server.client.pick(session)), ['hello']);
        const nobody = await restante(server, ['send', '--subject', 'nobody', 'hello']);
        assert.equal(nobody.code, REFUSED);
        assert.match(nobody.err, /subject_unknown/);
    });

    for (const road of [[], ['--sse'], ['--websocket']]) {
        check(`tail ${road} acks only what it printed, and resumes by itself over a restart`, async (server) => {
            const { client } = server;
            const { session } = await client.session('frank');
            const child = spawn(RESTANTE, ['--url', server.url, '--key', server.key, 'tail', session, '--ack', '--json', ...road]);
            try {
                let out = '';
                child.stdout.on('data', (part) => { out += part; });
                const seen = () => out.split('\n').filter(Boolean).map((line) => JSON.parse(line).data);
                status(await client.send(session, { data: 1 }), 201);
                await until('the first is printed', () => seen().length === 1);
                await until('it is acked', async () => (await client.get(`/v1/sessions/${session}`)).json.pending === 0);
                await server.restart();
                status(await client.send(session, { data: 2 }), 201);
                await until('the second is printed', () => seen().length === 2, 20);
                assert.deepEqual(seen(), [1, 2]);
                const exit = new Promise((resolve) => child.once('exit', resolve));
                status(await client.request('DELETE', `/v1/sessions/${session}`), 204);
                assert.equal(await exit, REFUSED);
            } finally {
                child.kill('SIGKILL');
            }
        });
    }

    for (const road of ['--sse', '--websocket']) {
        check(`tail ${road} prints as the polls do, and says what it missed`, async (server) => {
            const { client } = server;
            const { session } = await client.session('fred');
            const bytes = Buffer.concat([Buffer.from('a text\n{"a":[1,2]}\n'), Buffer.from([0xff, 0x0a])]);
            status(await client.post(`/v1/sessions/${session}/messages`, 'a text', { headers: { 'Content-Type': 'text/plain' } }), 201);
            status(await client.send(session, { data: { a: [1, 2] } }), 201);
            status(await client.post(`/v1/sessions/${session}/messages`, Buffer.from([0xff]), { headers: { 'Content-Type': 'image/x' } }), 201);
            const child = spawn(RESTANTE, ['--url', server.url, '--key', server.key, 'tail', session, road, '--cursor', '0123456789abcdef.5']);
            try {
                const out = [];
                let err = '';
                child.stdout.on('data', (part) => out.push(part));
                child.stderr.on('data', (part) => { err += part; });
                await until('it is all printed', () => Buffer.concat(out).length >= bytes.length);
                assert.deepEqual(Buffer.concat(out), bytes);
                assert.match(err, /not of this store \(epoch\): going on from/);
                assert.equal((await client.get(`/v1/sessions/${session}`)).json.pending, 3);
            } finally {
                child.kill('SIGKILL');
            }
            assert.equal((await restante(server, ['tail', session, road, '--once'])).code, USAGE);
            const nobody = await restante(server, ['tail', NOBODY, road]);
            assert.equal(nobody.code, REFUSED);
            assert.match(nobody.err, /session_unknown/);
        });
    }

    check('tail --websocket and tail --json say the same of a message', async (server) => {
        const { session } = await server.client.session('gil');
        status(await server.client.send(session, { data: { b: 1, a: [5] }, event: 'e' }), 201);
        const { out } = succeeded(await restante(server, ['tail', session, '--once', '--json']));
        const child = spawn(RESTANTE, ['--url', server.url, '--key', server.key, 'tail', session, '--websocket', '--json']);
        try {
            let text = '';
            child.stdout.on('data', (part) => { text += part; });
            await until('it is printed', () => text.endsWith('\n'));
            assert.equal(text, out);
        } finally {
            child.kill('SIGKILL');
        }
    });

    check('publish sends lines to a topic, each once however often it is run', async (server) => {
        const { client } = server;
        const { session } = await client.session('hugo', { topics: ['chat:lines'] });
        const input = Array.from({ length: 1200 }, (_, i) => `line ${i}`).join('\n');
        for (let i = 0; i < 2; i++) succeeded(await restante(server, ['publish', 'chat:lines', '--run', 'nightly'], { input }));
        succeeded(await restante(server, ['publish', 'chat:lines', 'one more', '--event', 'late', '--ttl', '1h']));
        const { out } = succeeded(await restante(server, ['tail', session, '--once', '--json']));
        const seen = out.trim().split('\n').map((line) => JSON.parse(line));
        assert.deepEqual(seen.map(({ data }) => data), [...input.split('\n'), 'one more']);
        assert.ok(seen.every(({ stream }) => stream === 'topic:chat:lines'));
        assert.equal(seen.at(-1).event, 'late');
        assert.ok(seen.at(-1).expires_at);
        const unknown = await restante(server, ['publish', 'nowhere', 'x']);
        assert.equal(unknown.code, REFUSED);
        assert.match(unknown.err, /topic_unknown/);
        assert.equal((await restante(server, ['publish'])).code, USAGE);
        assert.equal((await restante(server, ['publish', 'chat:lines', '--subject', 'hugo'])).code, USAGE);
    });

    check('publish --json takes values, and names the line that is none', async (server) => {
        const { client } = server;
        const { session } = await client.session('ida', { topics: ['chat:values'] });
        const wrong = await restante(server, ['publish', 'chat:values', '--json'], { input: '{"a": 1}\n9007199254740993\n{oops\n4\n' });
        assert.equal(wrong.code, REFUSED);
        assert.match(wrong.err, /line 3 is not JSON/);
        const { text } = await client.pick(session);
        assert.match(text, /"data":\{"a":1\}.*"data":9007199254740993/);
        assert.equal(JSON.parse(text).messages.length, 2);
    });

    check('publish --collapse keeps the last, --ephemeral keeps none', async (server) => {
        const { client } = server;
        const { session } = await client.session('jana', { topics: ['chat:state'] });
        for (const text of ['1', '2', '3']) succeeded(await restante(server, ['publish', 'chat:state', text, '--collapse', 'k']));
        succeeded(await restante(server, ['publish', 'chat:state', '4', '--ephemeral']));
        const { messages } = (await client.pick(session)).json;
        assert.deepEqual(messages.map(({ data, skipped }) => [data, skipped]), [['3', true]]);
    });

    check('topic list, show, empty', async (server) => {
        const { client } = server;
        const { session } = await client.session('kim', { topics: ['chat:t/1', 'chat:t/2', 'chat:t'] });
        succeeded(await restante(server, ['publish', 'chat:t/1', 'x', 'y']));
        const names = async (args) => succeeded(await restante(server, ['topic', 'list', ...args])).out.trim().split('\n').map((line) => JSON.parse(line).topic);
        assert.deepEqual(await names(['--prefix', 'chat:t']), ['chat:t', 'chat:t/1', 'chat:t/2']);
        assert.ok((await names([])).includes('chat:t/2'));
        assert.equal(JSON.parse(succeeded(await restante(server, ['topic', 'show', 'chat:t/1'])).out).topic, 'chat:t/1');
        const unknown = await restante(server, ['topic', 'show', 'chat:']);
        assert.equal(unknown.code, REFUSED);
        assert.match(unknown.err, /topic_unknown/);
        succeeded(await restante(server, ['topic', 'empty', 'chat:t/1']));
        assert.deepEqual(payloads(status(await client.get(`/v1/topics/${encodeURIComponent('chat:t/1')}/messages`), 200)), []);
        status(await client.send(session, { data: 'still here' }), 201);
        for (const args of [['topic'], ['topic', 'frob', 'x'], ['topic', 'show'], ['topic', 'list', 'x']]) {
            assert.equal((await restante(server, args)).code, USAGE);
        }
    });

    check('status says who lives, by HTTP and by the admin socket', async (server) => {
        const { out } = succeeded(await restante(server, ['status', '--json']));
        const json = JSON.parse(out);
        assert.equal(json.supervisor.pid, server.pid);
        assert.equal(json.writer.pid, server.role('writer'));
        assert.deepEqual(json.workers.map(({ slot, pid, state }) => [slot, pid, state]),
            [0, 1].map((slot) => [slot, server.role(String(slot)), 'running']));
        const local = await run(RESTANTE, ['--config', server.conf, 'status', '--json'], { env: { RESTANTE_URL: '', RESTANTE_KEY: '' } });
        assert.equal(JSON.parse(succeeded(local).out).supervisor.pid, server.pid);
        assert.match(succeeded(await restante(server, ['status'])).out, /writer/);
    });

    check('rotate makes a new key, and session tokens live through one rotation', async (server) => {
        const { client } = server;
        const { session, token } = await client.session('gina');
        const seen = async (credential) => (await client.pick(session, {}, { credential })).status;
        succeeded(await restante(server, ['rotate']));
        assert.equal(await seen(token), 200);
        const fresh = status(await client.post(`/v1/sessions/${session}/token`), 200).json.token;
        succeeded(await restante(server, ['rotate']));
        await until('the first key is gone', async () => await seen(token) === 401);
        assert.equal(await seen(fresh), 200);
        await server.restart();
        assert.equal(await seen(fresh), 200);
    });

    check('verify walks the store of a stopped server', async (server) => {
        const { session } = await server.client.session('harry');
        for (let i = 0; i < 50; i++) status(await server.client.send(session, { data: i, ttl: i % 2 ? '1h' : undefined }, `v${i}`), 201);
        await server.crash();
        succeeded(await restante(server, ['--config', server.conf, 'verify']));
        await server.start();
    });

    check('exit codes tell a wrong command line from a missing server and a refusal', async (server) => {
        assert.equal((await restante(server, [])).code, USAGE);
        assert.equal((await restante(server, ['frobnicate'])).code, USAGE);
        assert.equal((await restante(server, ['send'])).code, USAGE);
        assert.equal((await restante(server, ['--help'])).code, OK);
        const nowhere = { RESTANTE_URL: 'http://127.0.0.1:1' };
        assert.equal((await restante(server, ['status'], { env: nowhere })).code, UNREACHABLE);
        const refused = await restante(server, ['session', 'list', 'x'], { env: { RESTANTE_KEY: 'wrong' } });
        assert.equal(refused.code, REFUSED);
        assert.match(refused.err, /token_unknown_key/);
    });
});

withServer('restante over TLS', { tls: true }, (check) => {
    check('tail --websocket trusts whom it is told to trust', async (server) => {
        const { client, tls: { url, port } } = server;
        const { session } = await client.session('lea');
        const certificate = path.join(server.dir, 'trusted.pem');
        fs.writeFileSync(certificate, server.tls.certificate);
        status(await client.send(session, { data: 'hello' }), 201);
        for (const options of [['--cacert', certificate, '--url', url], ['--cacert', certificate, '--url', `https://localhost:${port}/`], ['--insecure', '--url', url]]) {
            const child = spawn(RESTANTE, [...options, '--key', server.key, 'tail', session, '--websocket']);
            try {
                let out = '';
                child.stdout.on('data', (part) => { out += part; });
                await until('it is printed', () => out === 'hello\n');
            } finally {
                child.kill('SIGKILL');
            }
        }
        const stranger = await restante(server, ['--url', url, 'tail', session, '--websocket']);
        assert.equal(stranger.code, ENVIRONMENT);
        assert.match(stranger.err, /certificate/i);
        assert.equal((await restante(server, ['--cacert', '/nowhere', '--url', url, 'tail', session, '--websocket'])).code, ENVIRONMENT);
    });
});
