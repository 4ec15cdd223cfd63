// HTTP/1.1 over raw sockets: what is served, and what is refused so that nothing can be smuggled.

import assert from 'node:assert/strict';
import { status } from './lib/expect.js';
import { parked, withServer } from './lib/harness.js';
import { exchange, Raw } from './lib/raw.js';

const HEAD = 'Host: x\r\n';
const GET = (more = '', path = '/healthz') => `GET ${path} HTTP/1.1\r\n${HEAD}${more}\r\n`;
const POST = (more, body = '') => `POST /v1/publish HTTP/1.1\r\n${HEAD}Authorization: Bearer KEY\r\nContent-Type: application/json\r\n${more}\r\n${body}`;

/** name, statuses that are right, bytes */
const REFUSED = [
    ['Content-Length with Transfer-Encoding', [400], POST('Content-Length: 5\r\nTransfer-Encoding: chunked\r\n', '0\r\n\r\n')],
    ['Transfer-Encoding with Content-Length', [400], POST('Transfer-Encoding: chunked\r\nContent-Length: 5\r\n', '0\r\n\r\n')],
    ['two Content-Lengths that differ', [400], POST('Content-Length: 2\r\nContent-Length: 3\r\n', '{} ')],
    ['two Content-Lengths that agree', [400], POST('Content-Length: 2\r\nContent-Length: 2\r\n', '{}')],
    ['a list of Content-Lengths', [400], POST('Content-Length: 2, 2\r\n', '{}')],
    ['a signed Content-Length', [400], POST('Content-Length: +2\r\n', '{}')],
    ['a negative Content-Length', [400], POST('Content-Length: -2\r\n', '{}')],
    ['a hexadecimal Content-Length', [400], POST('Content-Length: 0x2\r\n', '{}')],
    ['an empty Content-Length', [400], POST('Content-Length: \r\n', '')],
    ['a Content-Length past 64 bits', [400, 413], POST('Content-Length: 99999999999999999999999\r\n', '')],
    ['a coding before chunked', [400, 501], POST('Transfer-Encoding: gzip, chunked\r\n', '0\r\n\r\n')],
    ['a coding after chunked', [400, 501], POST('Transfer-Encoding: chunked, identity\r\n', '0\r\n\r\n')],
    ['a coding like chunked', [400, 501], POST('Transfer-Encoding: xchunked\r\n', '0\r\n\r\n')],
    ['a quoted chunked', [400, 501], POST('Transfer-Encoding: "chunked"\r\n', '0\r\n\r\n')],
    ['chunked twice', [400, 501], POST('Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n', '0\r\n\r\n')],
    ['a chunk size that is no number', [400], POST('Transfer-Encoding: chunked\r\n', 'zz\r\n{}\r\n0\r\n\r\n')],
    ['a chunk size with a sign', [400], POST('Transfer-Encoding: chunked\r\n', '-2\r\n{}\r\n0\r\n\r\n')],
    ['a chunk size past 64 bits', [400, 413], POST('Transfer-Encoding: chunked\r\n', 'fffffffffffffffff\r\n{}')],
    ['a chunk longer than its size', [400], POST('Transfer-Encoding: chunked\r\n', '2\r\n{}x\r\n0\r\n\r\n')],
    ['no Host', [400], 'GET /healthz HTTP/1.1\r\n\r\n'],
    ['two Hosts', [400], GET('Host: y\r\n')],
    ['a folded header', [400], GET('A: b\r\n c\r\n')],
    ['a space before the colon', [400], GET('A : b\r\n')],
    ['a header without a colon', [400], GET('Abc\r\n')],
    ['a header without a name', [400], GET(': b\r\n')],
    ['a NUL in a header value', [400], GET('A: b\0c\r\n')],
    ['a NUL in a header name', [400], GET('A\0: b\r\n')],
    ['a NUL in the target', [400], 'GET /heal\0thz HTTP/1.1\r\nHost: x\r\n\r\n'],
    ['a bare CR in a header value', [400], GET('A: b\rc\r\n')],
    ['a space in the target', [400], 'GET /heal thz HTTP/1.1\r\nHost: x\r\n\r\n'],
    ['a fragment in the target', [400], GET('', '/healthz#x')],
    ['a target without a slash', [400], 'GET healthz HTTP/1.1\r\nHost: x\r\n\r\n'],
    ['a bad percent-encoding in the path', [400, 404], GET('', '/v1/sessions/%zz')],
    ['an encoded NUL in the path', [400, 404], GET('', '/healthz%00')],
    ['an encoded slash in the path', [400, 404], GET('', '/v1%2fsessions')],
    ['dot segments', [400, 404], GET('', '/v1/../healthz')],
    ['encoded dot segments', [400, 404], GET('', '/v1/%2e%2e/healthz')],
    ['HTTP/1.2', [400, 505], 'GET /healthz HTTP/1.2\r\nHost: x\r\n\r\n'],
    ['HTTP/3.0', [400, 505], 'GET /healthz HTTP/3.0\r\nHost: x\r\n\r\n'],
    ['HTTP/0.9', [400, 505], 'GET /healthz\r\n\r\n'],
    ['a version in lower case', [400, 505], 'GET /healthz http/1.1\r\nHost: x\r\n\r\n'],
    ['an unknown method', [400, 405, 501], 'FROB /healthz HTTP/1.1\r\nHost: x\r\n\r\n'],
    ['a method in lower case', [400, 405, 501], 'get /healthz HTTP/1.1\r\nHost: x\r\n\r\n'],
    ['TRACE', [400, 405, 501], 'TRACE /healthz HTTP/1.1\r\nHost: x\r\n\r\n'],
    ['CONNECT', [400, 404, 405, 501], 'CONNECT x:80 HTTP/1.1\r\nHost: x\r\n\r\n'],
    ['garbage', [400], '\x01\x02\x03\x04 garbage\r\n\r\n'],
    ['an answer instead of a request', [400], 'HTTP/1.1 200 OK\r\nHost: x\r\n\r\n'],
    ['an expectation nobody can meet', [400, 417], POST('Content-Length: 2\r\nExpect: miracles\r\n')],
    ['an upgrade with a body', [400, 426], `GET /v1/socket HTTP/1.1\r\n${HEAD}Connection: Upgrade\r\nUpgrade: websocket\r\nContent-Length: 2\r\n\r\n{}`],
    ['a target over its limit', [414, 431], GET('', `/${'a'.repeat(20000)}`)],
    ['headers over their limit', [431], GET(`A: ${'a'.repeat(20000)}\r\n`)],
    ['headers over their limit in small pieces', [431], GET('Abcdefgh: abcdefgh\r\n'.repeat(90) + `B: ${'b'.repeat(16000)}\r\n`)],
    ['more headers than a request may have', [431], GET('A: b\r\n'.repeat(150))],
    ['a body over its limit, by its length', [413], `POST /v1/publish HTTP/1.1\r\n${HEAD}Authorization: Bearer KEY\r\nContent-Type: application/json\r\nContent-Length: 4194305\r\n\r\n`],
];

withServer('HTTP/1.1', { grade: 'memory' }, (check) => {
    for (const [name, right, bytes] of REFUSED) {
        check(`refuses ${name}`, async (server) => {
            const raw = await Raw.connect(server);
            await raw.write(Buffer.from(bytes.replace('KEY', server.key), 'latin1'));
            const [answer] = await raw.answers(1);
            assert.ok(right.includes(answer.status), `${answer.status} ${answer.text}`);
            assert.equal(answer.json?.status, answer.status, 'a problem document');
            raw.destroy();
        });
    }

    check('never serves what hides behind a bad request', async (server) => {
        const hidden = GET();
        for (const bytes of [
            POST('Content-Length: 5\r\nTransfer-Encoding: chunked\r\n', `0\r\n\r\n${hidden}`),
            POST(`Content-Length: 2\r\nContent-Length: ${2 + hidden.length}\r\n`, `{}${hidden}`),
            POST('Transfer-Encoding: xchunked\r\n', hidden),
            GET('A: b\r\n c\r\n') + hidden,
        ]) {
            const raw = await Raw.connect(server);
            await raw.write(bytes);
            const { answers, rest } = await raw.end();
            assert.equal(answers.length, 1, raw.bytes.toString('latin1'));
            assert.equal(answers[0].headers.connection, 'close');
            assert.equal(rest.length, 0);
        }
    });

    check('keeps connections alive, and closes when asked', async (server) => {
        const raw = await Raw.connect(server);
        for (let i = 1; i <= 3; i++) {
            await raw.write(GET());
            assert.equal((await raw.answers(i)).length, i);
        }
        await raw.write(GET('Connection: close\r\n'));
        const { answers } = await raw.end();
        assert.equal(answers.length, 4);
        assert.equal(answers[3].headers.connection, 'close');
    });

    check('serves HTTP/1.0, which needs no Host and closes', async (server) => {
        const raw = await Raw.connect(server);
        await raw.write('GET /healthz HTTP/1.0\r\n\r\n');
        const { answers } = await raw.end();
        assert.equal(answers[0].status, 200);
    });

    check('serves an absolute target, and an empty line before a request', async (server) => {
        const host = `127.0.0.1:${server.port}`;
        const answer = await exchange(server, `\r\nGET http://${host}/healthz HTTP/1.1\r\nHost: ${host}\r\n\r\n`);
        assert.equal(answer.status, 200);
    });

    check('takes a request one byte at a time', async (server) => {
        const raw = await Raw.connect(server);
        raw.socket.setNoDelay(true);
        for (const byte of GET()) await raw.write(byte);
        assert.equal((await raw.answers(1))[0].status, 200);
        raw.destroy();
    });

    check('answers pipelined requests in order, a slow one among them', async (server) => {
        const { client } = server;
        const { session, cursor, token } = await client.session();
        const raw = await Raw.connect(server);
        const auth = `Authorization: Bearer ${token}\r\n`;
        await raw.write(GET() + GET(auth, `/v1/sessions/${session}/messages?cursor=${cursor}&wait=30`) +
            GET('', '/v1/none') + GET());
        await parked(client, session);
        assert.equal((await raw.answers(1)).length, 1);
        status(await client.send(session, { data: 'go' }), 201);
        const answers = await raw.answers(4);
        assert.deepEqual(answers.map((answer) => answer.status), [200, 200, 404, 200]);
        assert.equal(answers[1].json.messages[0].data, 'go');
        raw.destroy();
    });

    check('answers a long pipeline of posts, each once', async (server) => {
        const { client, key } = server;
        const { session, cursor } = await client.session();
        const raw = await Raw.connect(server);
        const N = 200;
        const one = (i) => `POST /v1/sessions/${session}/messages HTTP/1.1\r\n${HEAD}Authorization: Bearer ${key}\r\n` +
            `Content-Type: application/json\r\nContent-Length: ${JSON.stringify({ data: i }).length}\r\n\r\n${JSON.stringify({ data: i })}`;
        await raw.write(Array.from({ length: N }, (_, i) => one(i)).join(''));
        const answers = await raw.answers(N);
        assert.ok(answers.every((answer) => answer.status === 201));
        const { messages } = (await client.pick(session, { cursor, limit: 1000 })).json;
        assert.deepEqual(messages.map((message) => message.data), Array.from({ length: N }, (_, i) => i));
        raw.destroy();
    });

    check('takes chunked bodies, extensions and trailers too', async (server) => {
        const { client, key } = server;
        const { session, cursor } = await client.session();
        const raw = await Raw.connect(server);
        await raw.write(`POST /v1/sessions/${session}/messages HTTP/1.1\r\n${HEAD}Authorization: Bearer ${key}\r\n` +
            'Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n' +
            '5;ext="x"\r\n{"dat\r\n00006\r\na":42}\r\n0\r\nX-Trailer: y\r\n\r\n' + GET());
        const answers = await raw.answers(2);
        assert.deepEqual(answers.map((answer) => answer.status), [201, 200]);
        assert.equal((await client.pick(session, { cursor })).json.messages[0].data, 42);
        raw.destroy();
    });

    check('refuses a chunked body over its limit before it is whole', async (server) => {
        const raw = await Raw.connect(server);
        await raw.write(`POST /v1/publish HTTP/1.1\r\n${HEAD}Authorization: Bearer ${server.key}\r\n` +
            'Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n');
        const chunk = Buffer.concat([Buffer.from('10000\r\n'), Buffer.alloc(0x10000, 32), Buffer.from('\r\n')]);
        for (let i = 0; i < 80; i++) raw.socket.write(chunk);
        const [answer] = await raw.answers(1);
        assert.equal(answer.status, 413);
        assert.equal(answer.json.code, 'too_large');
        raw.destroy();
    });

    check('says 100 to who expects it, and refuses before the body', async (server) => {
        const { client, key } = server;
        const { session } = await client.session();
        const head = (auth, length) => `POST /v1/sessions/${session}/messages HTTP/1.1\r\n${HEAD}${auth}` +
            `Content-Type: application/json\r\nContent-Length: ${length}\r\nExpect: 100-continue\r\n\r\n`;
        const raw = await Raw.connect(server);
        await raw.write(head(`Authorization: Bearer ${key}\r\n`, 10));
        assert.equal((await raw.answers(1))[0].status, 100);
        await raw.write('{"data":1}');
        assert.equal((await raw.answers(2))[1].status, 201);
        raw.destroy();
        assert.equal((await exchange(server, head('', 10))).status, 401);
        assert.equal((await exchange(server, head(`Authorization: Bearer ${key}\r\n`, 10 << 20))).status, 413);
    });

    check('HEAD answers as GET would, without the body', async (server) => {
        const raw = await Raw.connect(server);
        await raw.write(`HEAD /healthz HTTP/1.1\r\n${HEAD}\r\n`);
        const [head] = await raw.answers(1, { heads: 1 });
        assert.equal(head.status, 200);
        await raw.write(GET());
        const both = await raw.answers(2, { heads: 1 });
        assert.equal(both[1].headers['content-length'], head.headers['content-length']);
        raw.destroy();
    });

    check('every worker that was there at the start is still there', async (server) => {
        assert.equal(await server.metric('restante_respawns_total{role="worker"}'), 0);
        assert.equal(await server.metric('restante_respawns_total{role="writer"}'), 0);
    });
});
