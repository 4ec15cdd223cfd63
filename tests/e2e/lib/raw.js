// Bytes on a socket, for requests that no well-behaved client would send.

import net from 'node:net';
import { within } from './wait.js';

/** Splits a byte stream into HTTP/1.1 answers. heads: how many of the first are answers to HEAD. */
export function parseAnswers(bytes, heads = 0) {
    const answers = [];
    let at = 0;
    for (;;) {
        const end = bytes.indexOf('\r\n\r\n', at);
        if (end < 0) break;
        const [line, ...rows] = bytes.toString('latin1', at, end).split('\r\n');
        const status = /^HTTP\/1\.1 (\d{3}) /.exec(line);
        if (!status) throw new Error(`not a status line: ${JSON.stringify(line)}`);
        const headers = Object.fromEntries(rows.map((row) => {
            const colon = row.indexOf(':');
            return [row.slice(0, colon).toLowerCase(), row.slice(colon + 1).trim()];
        }));
        const code = Number(status[1]);
        const bare = code < 200 || code === 204 || code === 304 || heads-- > 0;
        const length = bare ? 0 : Number(headers['content-length'] ?? 0);
        if (bytes.length < end + 4 + length) break;
        const text = bytes.toString('utf8', end + 4, end + 4 + length);
        answers.push({ status: code, headers, text, json: /[/+]json/.test(headers['content-type'] ?? '') && text ? JSON.parse(text) : undefined });
        at = end + 4 + length;
    }
    return { answers, rest: bytes.subarray(at) };
}

export class Raw {
    static connect(server) {
        return new Promise((resolve, reject) => {
            const socket = net.connect(server.port, '127.0.0.1');
            socket.once('error', reject);
            socket.once('connect', () => {
                socket.removeListener('error', reject);
                resolve(new Raw(socket));
            });
        });
    }

    constructor(socket) {
        this.socket = socket;
        this.bytes = Buffer.alloc(0);
        this.closed = new Promise((resolve) => socket.once('close', resolve));
        this.wake = () => {};
        socket.on('error', () => {}); // a reset is an end like any other; 'close' follows
        socket.on('data', (part) => {
            this.bytes = Buffer.concat([this.bytes, part]);
            this.wake();
        });
    }

    write(bytes) {
        return new Promise((resolve) => this.socket.write(bytes, () => resolve()));
    }

    /** The first n whole answers (1xx count), or an error when the connection closes before. */
    async answers(n, { heads = 0, seconds = 10 } = {}) {
        let ended = false;
        const end = this.closed.then(() => { ended = true; this.wake(); });
        return within(seconds, `${n} answers`, (async () => {
            for (;;) {
                const { answers } = parseAnswers(this.bytes, heads);
                if (answers.length >= n) return answers;
                if (ended) throw new Error(`closed after ${answers.length} of ${n} answers: ${this.bytes.toString('latin1').slice(0, 400)}`);
                await new Promise((resolve) => { this.wake = resolve; });
                void end;
            }
        })());
    }

    /** Everything until the peer closes. */
    async end(seconds = 15) {
        await within(seconds, 'the server closes', this.closed);
        return parseAnswers(this.bytes);
    }

    destroy() {
        this.socket.destroy();
    }
}

/** Sends bytes, returns the first answer and closes. */
export async function exchange(server, bytes, options) {
    const raw = await Raw.connect(server);
    try {
        await raw.write(bytes);
        return (await raw.answers(1, options))[0];
    } finally {
        raw.destroy();
    }
}
