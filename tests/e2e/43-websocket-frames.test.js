// Frames by hand against the real socket: the handshake's edges, and each way RFC 6455 names to break
// the protocol, in clear text.

import assert from 'node:assert/strict';
import { withServer } from './lib/harness.js';
import { Raw } from './lib/raw.js';
import { until } from './lib/wait.js';

const KEY = 'dGhlIHNhbXBsZSBub25jZQ==';
const ACCEPT = 's3pPLMBiTxaQ9kYGzzhZRbK+xOo=';
const FRAME_LIMIT = 8192;
const TEXT = 1;
const CLOSE = 8;
const PING = 9;
const PONG = 10;

/** A frame of a client: masked, its length in as few bytes as will do. */
function frame(first, payload = Buffer.alloc(0), { mask = [1, 2, 3, 4] } = {}) {
    const n = payload.length;
    const bit = mask ? 0x80 : 0;
    const length = n < 126 ? [bit | n] : n < 65536 ? [bit | 126, n >> 8, n & 255] : [bit | 127, 0, 0, 0, 0, n >>> 24, (n >> 16) & 255, (n >> 8) & 255, n & 255];
    const bytes = mask ? Buffer.from(payload.map((byte, i) => byte ^ mask[i & 3])) : payload;
    return Buffer.concat([Buffer.from([first, ...length, ...(mask ?? [])]), bytes]);
}

class Frames {
    static async open(server, lines = '') {
        const { session, token } = await server.client.session();
        const frames = new Frames(await Raw.connect(server));
        await frames.raw.write(`GET /v1/socket?session=${session} HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n` +
            `Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: ${KEY}\r\nAuthorization: Bearer ${token}\r\n${lines}\r\n`);
        const [answer] = await frames.raw.answers(1);
        frames.answer = answer;
        frames.at = frames.raw.bytes.indexOf('\r\n\r\n') + 4;
        return frames;
    }

    constructor(raw) {
        this.raw = raw;
    }

    /** The next whole frame, or undefined. */
    take() {
        const bytes = this.raw.bytes.subarray(this.at);
        if (bytes.length < 2) return undefined;
        let length = bytes[1];
        let head = 2;
        if (length === 126) { length = bytes.length < 4 ? Infinity : bytes.readUInt16BE(2); head = 4; }
        if (length === 127) { length = bytes.length < 10 ? Infinity : Number(bytes.readBigUInt64BE(2)); head = 10; }
        if (bytes.length < head + length) return undefined;
        this.at += head + length;
        return { first: bytes[0], payload: bytes.subarray(head, head + length) };
    }

    async next(opcode) {
        for (;;) {
            let got;
            await until(`a frame with opcode ${opcode}`, () => { got = this.take(); return got !== undefined; });
            if ((got.first & 15) === opcode) return got;
        }
    }

    async hello() {
        assert.equal(JSON.parse((await this.next(TEXT)).payload).t, 'hello');
    }

    /** The server's close; then ours, and the end. */
    async closed(code) {
        const { payload } = await this.next(CLOSE);
        assert.equal(payload.readUInt16BE(0), code);
        await this.raw.write(frame(0x80 | CLOSE, payload));
        await this.raw.end();
    }
}

const ping = Buffer.from('{"t":"ping","n":1}');
const faults = [
    ['an unmasked message', frame(0x81, ping, { mask: null }), 1002],
    ['an unmasked ping', frame(0x89, Buffer.alloc(0), { mask: null }), 1002],
    ['RSV1, as if compression were agreed on', frame(0xc1, ping), 1002],
    ['RSV2', frame(0xa1, ping), 1002],
    ['RSV3', frame(0x91, ping), 1002],
    ['a reserved opcode', frame(0x83, ping), 1002],
    ['a reserved control opcode', frame(0x8b), 1002],
    ['a ping in fragments', frame(0x09), 1002],
    ['a ping of 126 bytes', frame(0x89, Buffer.alloc(126)), 1002],
    ['a continuation of nothing', frame(0x80, ping), 1002],
    ['a message inside another', Buffer.concat([frame(0x01, ping), frame(0x81, ping)]), 1002],
    ['a close with half a code', frame(0x88, Buffer.from([3])), 1002],
    ['a close with a code that nobody may send', frame(0x88, Buffer.from([3, 238])), 1002],
    ['a close whose reason is no text', frame(0x88, Buffer.from([3, 232, 0xff])), 1007],
    ['text that is no UTF-8', frame(0x81, Buffer.from([0xc3, 0x28])), 1007],
    ['text whose last character is cut off, over fragments',
        Buffer.concat([frame(0x01, Buffer.from([0xe2])), frame(0x80, Buffer.from([0x82]))]), 1007],
    ['binary where text was agreed on', frame(0x82, ping), 1003],
    ['a message over limits.frame', frame(0x81, Buffer.alloc(FRAME_LIMIT + 1, 'x')), 1009],
    ['fragments over limits.frame, together',
        Buffer.concat([frame(0x01, Buffer.alloc(FRAME_LIMIT, 'x')), frame(0x80, Buffer.from('x'))]), 1009],
];

withServer('frames by hand', { grade: 'memory', sections: { limits: { frame: FRAME_LIMIT } } }, (check) => {
    check('the answer, whatever else the client says of itself', async (server) => {
        const list = Array.from({ length: 60 }, (_, i) => `protocol-that-is-not-known-here-${i}`).join(', ');
        const frames = await Frames.open(server, `Cookie: c=${'x'.repeat(5000)}\r\nSec-WebSocket-Protocol: ${list}, restante.v1.json\r\n` +
            'Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\r\nX-Request-Id: mine\r\n');
        const { status, headers } = frames.answer;
        assert.equal(status, 101);
        assert.equal(headers.upgrade.toLowerCase(), 'websocket');
        assert.equal(headers.connection.toLowerCase(), 'upgrade');
        assert.equal(headers['sec-websocket-accept'], ACCEPT);
        assert.equal(headers['sec-websocket-protocol'], 'restante.v1.json');
        assert.equal(headers['sec-websocket-extensions'], undefined);
        assert.equal(headers['x-request-id'], 'mine');
        await frames.hello();
        await frames.raw.write(frame(0x88, Buffer.from([3, 232])));
        await frames.closed(1000);
    });

    check('bytes behind the request are not taken for frames', async (server) => {
        const { session, token } = await server.client.session();
        const raw = await Raw.connect(server);
        await raw.write(Buffer.concat([Buffer.from(`GET /v1/socket?session=${session} HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n` +
            `Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: ${KEY}\r\nAuthorization: Bearer ${token}\r\n\r\n`), frame(0x81, ping)]));
        const [answer] = await raw.answers(1);
        assert.equal(answer.status, 426);
        assert.equal(answer.json.code, 'upgrade_required');
        raw.destroy();
    });

    check('requests before it are answered first', async (server) => {
        const { session, token } = await server.client.session();
        const raw = await Raw.connect(server);
        await raw.write('GET /healthz HTTP/1.1\r\nHost: x\r\n\r\nGET /healthz HTTP/1.1\r\nHost: x\r\n\r\n' +
            `GET /v1/socket?session=${session} HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n` +
            `Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: ${KEY}\r\nAuthorization: Bearer ${token}\r\n\r\n`);
        const answers = await raw.answers(3);
        assert.deepEqual(answers.map(({ status }) => status), [200, 200, 101]);
        raw.destroy();
    });

    check('a command byte by byte, in fragments, with pings between', async (server) => {
        const frames = await Frames.open(server);
        await frames.hello();
        const bytes = Buffer.concat([frame(0x01, ping.subarray(0, 5)), frame(0x89, Buffer.from('a')), frame(0x00), frame(0x8a, Buffer.from('b')),
            frame(0x80, ping.subarray(5))]);
        for (const byte of bytes) await frames.raw.write(Buffer.from([byte]));
        assert.equal((await frames.next(PONG)).payload.toString(), 'a');
        assert.deepEqual(JSON.parse((await frames.next(TEXT)).payload), { t: 'ok', re: 1 });
        frames.raw.destroy();
    });

    check('ten pings in one packet have ten pongs', async (server) => {
        const frames = await Frames.open(server);
        await frames.raw.write(Buffer.concat(Array.from({ length: 10 }, (_, i) => frame(0x80 | PING, Buffer.from(`${i}`)))));
        for (let i = 0; i < 10; i++) assert.equal((await frames.next(PONG)).payload.toString(), `${i}`);
        frames.raw.destroy();
    });

    for (const [what, bytes, code] of faults) {
        check(`${what}: ${code}`, async (server) => {
            const frames = await Frames.open(server);
            await frames.hello();
            await frames.raw.write(bytes);
            await frames.closed(code);
        });
    }
});
