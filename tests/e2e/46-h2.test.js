// HTTP/2 with clients that nobody here wrote: curl, nghttp, h2load, node, httpx. Many long-polls on
// one connection, windows, what is refused, leaving in order, workers that die.

import assert from 'node:assert/strict';
import fs from 'node:fs';
import http2 from 'node:http2';
import os from 'node:os';
import path from 'node:path';
import { after } from 'node:test';
import { payloads, problem, status } from './lib/expect.js';
import { withServer } from './lib/harness.js';
import { H2, codeName } from './lib/h2.js';
import { anonymous } from './lib/proc.js';
import { Server, freePort } from './lib/server.js';
import { makeCertificate, run } from './lib/tls.js';
import { until } from './lib/wait.js';

const MANY = 300;
const KiB = 1024;

const dir = fs.mkdtempSync(path.join(os.tmpdir(), 'restante-h2-'));
after(() => fs.rmSync(dir, { recursive: true, force: true }));
const own = makeCertificate(dir, 'own', 'DNS:localhost,IP:127.0.0.1');
const tlsPort = await freePort();
const tlsListener = `listen "127.0.0.1:${tlsPort}" { tls { certificate = "${own.certificate}" key = "${own.key}" } }`;
const secure = { ca: fs.readFileSync(own.certificate) };
const tlsUrl = `https://127.0.0.1:${tlsPort}`;

const curl = (...args) => run('curl', ['-sS', '--max-time', '20', '--cacert', own.certificate, ...args]);
const authorized = (server) => ['-H', `Authorization: Bearer ${server.key}`];
const parkedPolls = (server, n) => until(`${n} polls are parked`, async () =>
    await server.metric('restante_polls_parked') === n);

async function withH2(server, options, body) {
    const h2 = new H2(options.url ?? server.url, server.key, options.tls ? secure : options.node);
    try {
        await h2.ready();
        return await body(h2);
    } finally {
        h2.close();
    }
}

/** The header section of an answer, less what differs from request to request and by version. */
function comparable(text) {
    const lines = text.split('\r\n').slice(1).map((line) => {
        const at = line.indexOf(':');
        return [line.slice(0, at).toLowerCase(), line.slice(at + 2)];
    });
    return lines.filter(([name]) => name && !['date', 'x-request-id', 'connection', 'restante-cursor'].includes(name)).sort();
}

withServer('HTTP/2', { grade: 'memory', extra: tlsListener }, (check) => {
    check('curl: a session, a message, a long-poll, by prior knowledge and by ALPN', async (server) => {
        for (const [url, flag] of [[server.url, '--http2-prior-knowledge'], [tlsUrl, '--http2']]) {
            const { stdout: opened } = await curl(flag, `${url}/v1/sessions`, ...authorized(server),
                '-H', 'Content-Type: application/json', '-d', '{"subject":"curl"}', '-w', '\n%{http_version}');
            assert.equal(opened.split('\n')[1], '2');
            const { session } = JSON.parse(opened.split('\n')[0]);
            const polling = curl(flag, `${url}/v1/sessions/${session}/messages?wait=20`, ...authorized(server));
            await until('the poll is parked', async () => await server.metric('restante_polls_parked') >= 1);
            status(await server.client.post(`/v1/sessions/${session}/messages`, { data: { flag } }), 201);
            const { stdout } = await polling;
            assert.deepEqual(JSON.parse(stdout).messages.map((m) => m.data), [{ flag }]);
        }
    });

    check('answers are the same as over HTTP/1.1', async (server) => {
        const { session } = await server.client.session('same');
        const paths = ['/healthz', '/v1/nothing', `/v1/sessions/${session}`, `/v1/sessions/${session}/messages`,
            '/metrics', `/v1/sessions/${session}/messages?cursor=bad`];
        for (const target of paths) {
            const [one, two] = await Promise.all(['--http1.1', '--http2-prior-knowledge'].map((flag) =>
                curl(flag, '-o', path.join(dir, flag), '-D', '-', `${server.url}${target}`, ...authorized(server))));
            const length = ([name]) => target !== '/metrics' || name !== 'content-length';
            assert.deepEqual(comparable(two.stdout).filter(length), comparable(one.stdout).filter(length), target);
            assert.equal(two.stdout.split(' ')[1], one.stdout.split(' ')[1], target);
        }
    });

    check('nghttp: settings, upload with Expect, no RFC 8441, no push', async (server) => {
        const file = path.join(dir, 'upload');
        fs.writeFileSync(file, JSON.stringify({ data: 'x'.repeat(100000) }));
        const { session } = await server.client.session('nghttp');
        const { stdout } = await run('nghttp', ['-v', '-n', '-d', file, '--expect-continue',
            '-H', `authorization: Bearer ${server.key}`, '-H', 'content-type: application/json',
            `${server.url}/v1/sessions/${session}/messages`], { maxBuffer: 1 << 24 });
        assert.match(stdout, /:status: 100/);
        assert.match(stdout, /:status: 201/);
        assert.match(stdout, /SETTINGS_MAX_CONCURRENT_STREAMS\(0x03\):1000/);
        assert.match(stdout, /recv WINDOW_UPDATE/);
        assert.doesNotMatch(stdout, /ENABLE_CONNECT_PROTOCOL|PUSH_PROMISE|0x08\):1/);
    });

    check('h2load: beside parked polls, all are served', async (server) => {
        const { session } = await server.client.session('h2load');
        await withH2(server, {}, async (h2) => {
            const polls = Array.from({ length: 50 }, () => h2.get(`/v1/sessions/${session}/messages?wait=30`));
            await parkedPolls(server, 50);
            const { stdout } = await run('h2load', ['-n', '20000', '-c', '10', '-m', '10', `${server.url}/healthz`]);
            assert.match(stdout, /20000 succeeded, 0 failed, 0 errored, 0 timeout/);
            assert.match(stdout, /20000 2xx/);
            status(await server.client.post(`/v1/sessions/${session}/messages`, { data: 1 }), 201);
            for (const answer of await Promise.all(polls)) assert.deepEqual(payloads(answer), [1]);
        });
    });

    check('h2load: over TLS', async () => {
        const { stdout } = await run('h2load', ['-n', '5000', '-c', '5', '-m', '20', `${tlsUrl}/healthz`]);
        assert.match(stdout, /Application protocol: h2/);
        assert.match(stdout, /5000 succeeded, 0 failed, 0 errored, 0 timeout/);
    });

    check('httpx: HTTP/2 in clear and over TLS', async (server) => {
        const script = `
import httpx, sys
url, key, ca = sys.argv[1:4]
with httpx.Client(http1=False, http2=True, verify=ca, headers={"Authorization": "Bearer " + key}) as c:
    s = c.post(url + "/v1/sessions", json={"subject": "httpx"})
    assert s.http_version == "HTTP/2" and s.status_code in (200, 201), s
    m = url + "/v1/sessions/" + s.json()["session"] + "/messages"
    for i in range(50):
        assert c.post(m, json={"data": {"i": i, "pad": "x" * 5000}}).status_code == 201
    got = [m["data"]["i"] for m in c.get(m).json()["messages"]]
    print(got == list(range(50)), c.get(m, params={"wait": "1", "cursor": c.get(m).json()["cursor"]}).status_code)
`;
        for (const url of [server.url, tlsUrl]) {
            const { stdout } = await run('/usr/bin/python3', ['-c', script, url, server.key, own.certificate]);
            assert.equal(stdout.trim(), 'True 204');
        }
    }, 60);

    check('requests that are refused', async (server) => withH2(server, {}, async (h2) => {
        problem(await h2.get('/v1/nothing'), 404, 'not_found');
        problem(await h2.get('/v1/sessions', { credential: null }), 401, 'token_missing');
        const large = await h2.post('/v1/publish', Buffer.alloc(5 << 20, 0x20), { headers: { 'content-type': 'application/json' } });
        problem(large, 413, 'too_large');
        const many = Object.fromEntries(Array.from({ length: 101 }, (_, i) => [`x-${i}`, 'v']));
        problem(await h2.get('/healthz', { headers: many }), 431, 'headers_too_large');
        problem(await h2.get('/healthz', { headers: { 'x-large': 'v'.repeat(20000) } }), 431, 'headers_too_large');
        problem(await h2.get(`/healthz?${'x'.repeat(9000)}`), 414, 'uri_too_long');
        problem(await h2.request('FROB', '/healthz'), 501, 'not_implemented');
        assert.equal((await h2.get('/healthz')).status, 200); // on the same connection
        assert.deepEqual(h2.goaways, []);
    }));

    check('large bodies both ways, over TLS', async (server) => withH2(server, { url: tlsUrl, tls: true }, async (h2) => {
        const { session } = await server.client.session('large');
        const target = `/v1/sessions/${session}/messages`;
        const texts = Array.from({ length: 12 }, (_, i) => String.fromCharCode(97 + i).repeat(250000));
        const sent = await Promise.all(texts.map((data) => h2.post(target, { data })));
        for (const answer of sent) status(answer, 201);
        const got = await Promise.all(Array.from({ length: 3 }, () => h2.get(`${target}?max_bytes=8000000`)));
        for (const answer of got) assert.deepEqual(payloads(answer).sort(), texts);
    }));

    check('an event stream', async (server) => withH2(server, {}, async (h2) => {
        const { session } = await server.client.session('events');
        const stream = h2.open('GET', `/v1/sessions/${session}/messages`, { headers: { accept: 'text/event-stream' } });
        stream.setEncoding('utf8');
        let text = '';
        stream.on('data', (part) => { text += part; });
        await new Promise((resolve) => stream.once('response', resolve));
        for (let i = 0; i < 3; i++) {
            status(await h2.post(`/v1/sessions/${session}/messages`, { data: { i } }), 201); // on the same connection
            await until('the event is there', () => text.includes(`"data":{"i":${i}}`));
        }
        stream.on('error', () => {});
        stream.close(http2.constants.NGHTTP2_CANCEL);
        await until('the stream is gone', async () => await server.metric('restante_streams') === 0);
    }));

    check('the log names the protocol', async (server) => withH2(server, {}, async (h2) => {
        const answer = await h2.get('/healthz', { headers: { 'x-request-id': 'h2-log' } });
        assert.equal(answer.headers['x-request-id'], 'h2-log');
        const line = await until('it is logged', () => server.log.split('\n').find((row) => row.includes('"h2-log"')));
        assert.equal(JSON.parse(line).proto, 'HTTP/2');
    }));
});

withServer('HTTP/2 long-polls', { grade: 'memory', workers: 1, sections: { session: { max_per_subject: 1000 } } }, (check) => {
    check(`${MANY} on one connection, all answered by one publish to their subject`, async (server) => withH2(server, {}, async (h2) => {
        const sessions = await Promise.all(Array.from({ length: MANY }, (_, i) =>
            server.client.session('crowd', { name: `n${i}` })));
        const polls = sessions.map(({ session }) => h2.get(`/v1/sessions/${session}/messages?wait=30`));
        await parkedPolls(server, MANY);
        const sent = status(await server.client.post('/v1/subjects/crowd/messages', { data: { all: true } }), 201);
        assert.equal(sent.json.results.length, MANY);
        for (const answer of await Promise.all(polls)) assert.deepEqual(payloads(answer), [{ all: true }]);
        await parkedPolls(server, 0);
    }));

    check('one that is cancelled leaves the others, and loses nothing', async (server) => withH2(server, {}, async (h2) => {
        const { session } = await server.client.session('cancelled');
        const target = `/v1/sessions/${session}/messages?wait=30`;
        const [gone, kept] = [h2.open('GET', target), h2.get(target)];
        gone.on('error', () => {});
        await parkedPolls(server, 2);
        gone.close(http2.constants.NGHTTP2_CANCEL);
        await parkedPolls(server, 1);
        status(await server.client.post(`/v1/sessions/${session}/messages`, { data: 7 }), 201);
        assert.deepEqual(payloads(await kept), [7]);
        assert.deepEqual(payloads(await h2.get(target)), [7]);
    }));

    check('a client that goes away takes its polls with it', async (server) => {
        const { session } = await server.client.session('leaver');
        const h2 = new H2(server.url, server.key);
        const polls = Array.from({ length: 20 }, () => h2.get(`/v1/sessions/${session}/messages?wait=30`).catch(() => null));
        await parkedPolls(server, 20);
        h2.close();
        await Promise.all(polls);
        await parkedPolls(server, 0);
    });

    check('a parked poll weighs little', async (server) => {
        const { session } = await server.client.session('weight');
        const target = `/v1/sessions/${session}/messages?wait=60`;
        const worker = server.role(0);
        const connections = [];
        const parkOn = async (h2, n) => {
            const before = await server.metric('restante_polls_parked');
            for (let i = 0; i < n; i++) h2.get(target).catch(() => null);
            await parkedPolls(server, before + n);
        };
        try {
            for (let i = 0; i < 4; i++) connections.push(new H2(server.url, server.key));
            for (const h2 of connections) await parkOn(h2, 500); // what is made once, and the heap's first growth
            const before = anonymous(worker);
            for (const h2 of connections) await parkOn(h2, 500);
            const each = (anonymous(worker) - before) / 2000;
            console.log(`# a parked HTTP/2 long-poll: ${Math.round(each)} bytes of the worker`);
            assert.ok(each <= 2 * KiB, `${each} bytes`);
        } finally {
            for (const h2 of connections) h2.close();
        }
        await parkedPolls(server, 0);
    }, 60);
});

withServer('HTTP/2 windows', {
    grade: 'memory', sections: { limits: { write_timeout: '3s', ping: '2s', message: '2M', request: '8M' } },
}, (check) => {
    const big = 'x'.repeat(1 << 20);

    check('a window of zero holds its own connection only', async (server) => {
        const { session } = await server.client.session('zero');
        const target = `/v1/sessions/${session}/messages`;
        status(await server.client.post(target, { data: big }), 201);
        await withH2(server, { node: { settings: { initialWindowSize: 0 } } }, async (h2) => {
            const held = h2.open('GET', target, {});
            const heads = await new Promise((resolve) => held.once('response', resolve));
            assert.equal(heads[':status'], 200);
            assert.equal((await server.client.get(target)).json.messages.length, 1);
            await withH2(server, {}, async (other) => assert.equal((await other.get(target)).json.messages.length, 1));
            const answer = H2.answer(held);
            held.emit('response', heads); // it was there before we listened
            h2.session.settings({ initialWindowSize: 65535 });
            assert.deepEqual(payloads(await answer), [big]);
        });
    });

    check('who never takes it is reset, counted, and finds it again', async (server) => {
        const { session } = await server.client.session('never');
        const target = `/v1/sessions/${session}/messages`;
        status(await server.client.post(target, { data: 'kept' }), 201);
        await withH2(server, { node: { settings: { initialWindowSize: 0 } } }, async (h2) => {
            await assert.rejects(h2.get(target), /NGHTTP2_CANCEL/);
            assert.equal((await h2.request('HEAD', '/healthz')).status, 200); // needs no window
        });
        assert.ok(await server.metric('restante_http2_resets_total{by="server"}') >= 1);
        assert.deepEqual(payloads(await server.client.get(target)), ['kept']);
    });

    check('who takes it slowly is served', async (server) => withH2(server, {}, async (h2) => {
        const { session } = await server.client.session('slowly');
        const target = `/v1/sessions/${session}/messages`;
        for (let i = 0; i < 4; i++) status(await server.client.post(target, { data: big }), 201);
        const stream = h2.open('GET', `${target}?max_bytes=8000000`);
        let bytes = 0;
        stream.on('data', (part) => { // half a second of rest for each 256 KiB
            if (Math.floor((bytes + part.length) / 262144) > Math.floor(bytes / 262144)) {
                stream.pause();
                setTimeout(() => stream.resume(), 300);
            }
            bytes += part.length;
        });
        const code = await new Promise((resolve) => stream.once('close', () => resolve(stream.rstCode)));
        assert.equal(codeName(code), 'NGHTTP2_NO_ERROR');
        assert.ok(bytes > 4 << 20);
    }), 60);

    check('a parked client that answers pings stays', async (server) => withH2(server, {}, async (h2) => {
        const { session } = await server.client.session('pinged');
        const target = `/v1/sessions/${session}/messages`;
        let pings = 0;
        h2.session.on('ping', () => { pings++; });
        const poll = h2.get(`${target}?wait=30`);
        await until('the server has asked three times', () => pings >= 3, 20);
        status(await server.client.post(target, { data: 'there' }), 201);
        assert.deepEqual(payloads(await poll), ['there']);
    }));
});

withServer('HTTP/2 abuse', { grade: 'memory', workers: 1, sections: { limits: { resets: 100, control_frames: 200 } } }, (check) => {
    check('resets in a burst', async (server) => withH2(server, {}, async (h2) => {
        while (!h2.session.destroyed && !h2.session.closed && h2.goaways.length === 0) {
            for (let i = 0; i < 50; i++) {
                const stream = h2.open('GET', '/healthz');
                stream.on('error', () => {});
                stream.close(http2.constants.NGHTTP2_CANCEL);
            }
            await new Promise(setImmediate);
        }
        await until('GOAWAY', () => h2.goaways.length > 0);
        assert.equal(codeName(h2.goaways[0].code), 'NGHTTP2_ENHANCE_YOUR_CALM');
        assert.equal(await server.metric('restante_http2_abuse_total{kind="resets"}'), 1);
        assert.equal(await server.metric('restante_closed_total{reason="abuse"}'), 1);
    }));

    check('pings in a burst', async (server) => withH2(server, { node: { maxOutstandingPings: 1000 } }, async (h2) => {
        for (let i = 0; i < 400 && !h2.session.destroyed; i++) h2.session.ping(() => {});
        await until('GOAWAY', () => h2.goaways.length > 0);
        assert.equal(codeName(h2.goaways[0].code), 'NGHTTP2_ENHANCE_YOUR_CALM');
        assert.equal(await server.metric('restante_http2_abuse_total{kind="pings"}'), 1);
    }));
});

withServer('HTTP/2 and processes that leave', { grade: 'memory', workers: 1 }, (check) => {
    check('the writer dies: parked polls do not notice', async (server) => withH2(server, {}, async (h2) => {
        const { session } = await server.client.session('writer');
        const polls = Array.from({ length: 20 }, () => h2.get(`/v1/sessions/${session}/messages?wait=30`));
        await parkedPolls(server, 20);
        await server.replace('writer');
        await server.ready();
        status(await server.client.post(`/v1/sessions/${session}/messages`, { data: 'after' }), 201);
        for (const answer of await Promise.all(polls)) assert.deepEqual(payloads(answer), ['after']);
    }));

    check('the worker dies: its connections too, and nothing else', async (server) => {
        const { session } = await server.client.session('worker');
        const target = `/v1/sessions/${session}/messages?wait=30`;
        const h2 = new H2(server.url, server.key);
        const cut = Array.from({ length: 20 }, () => h2.get(target).then(() => 'answered', () => 'cut'));
        await parkedPolls(server, 20);
        await server.replace('0');
        assert.deepEqual([...new Set(await Promise.all(cut))], ['cut']);
        h2.close();
        await server.ready();
        status(await server.client.post(`/v1/sessions/${session}/messages`, { data: 'found' }), 201);
        await withH2(server, {}, async (again) => assert.deepEqual(payloads(await again.get(target)), ['found']));
    });

    check('SIGTERM: GOAWAY in two steps, polls get their answers, then the end', async (server) => {
        const { session } = await server.client.session('drained');
        const h2 = new H2(server.url, server.key);
        await h2.ready();
        const polls = Array.from({ length: 20 }, () => h2.get(`/v1/sessions/${session}/messages?wait=30`));
        await parkedPolls(server, 20);
        const begun = h2.open('POST', `/v1/sessions/${session}/messages`, {
            headers: { 'content-type': 'application/json' }, endStream: false,
        });
        const published = H2.answer(begun);
        const exit = server.stop();
        for (const answer of await Promise.all(polls)) {
            assert.equal(answer.status, 204);
            assert.ok(answer.headers['restante-cursor']);
        }
        await until('the second GOAWAY', () => h2.goaways.length === 2);
        begun.end('{"data":"begun before"}'); // what was begun is finished
        status(await published, 201);
        await h2.ended;
        assert.deepEqual(await exit, { code: 0, signal: null });
        assert.deepEqual(h2.goaways.map(({ code }) => codeName(code)), ['NGHTTP2_NO_ERROR', 'NGHTTP2_NO_ERROR']);
        assert.equal(h2.goaways[0].last, 2 ** 31 - 1);
        assert.equal(h2.goaways[1].last, 41);
        await server.start();
    });
});
