// A session over the native WebSocket, by npm's ws, which nobody here wrote. It keeps everything it
// heard; `follow` connects again from the cursor it has, as a client would.

import { Decoder, Encoder } from '@msgpack/msgpack';
import { WebSocket } from 'ws';
import { isBroken, pause, until } from './wait.js';

const encoder = new Encoder();
const decoder = new Decoder(); // seqs of a test fit into numbers
export const PROTOCOLS = { json: 'restante.v1.json', msgpack: 'restante.v1.msgpack' };
export const bearer = (token) => `restante.bearer.${Buffer.from(token).toString('base64url')}`;

export class Socket {
    /**
     * encoding: "json", "msgpack", or null: no subprotocol is asked for. by: how the credential
     * travels: "header", "query", "protocol". tls: over server.tls. options: of ws.
     */
    constructor(server, session, {
        credential = server.key, cursor = null, encoding = 'json', by = 'header', query = {}, protocols = null, tls = false, options = {},
    } = {}) {
        Object.assign(this, { server, session, credential, cursor, encoding, by, query, tls, options });
        this.protocols = protocols ?? (encoding ? [PROTOCOLS[encoding]] : []);
        this.heard = []; // every object, in order
        this.messages = []; // ephemerals too
        this.controls = []; // hello, reset, truncated, closing
        this.errors = []; // that name no command
        this.closes = []; // codes
        this.asked = new Map(); // n -> resolve
        this.n = 0;
        this.connections = 0;
        this.finished = false;
    }

    #take(bytes, binary) {
        if (binary !== (this.encoding === 'msgpack')) throw new Error(`a ${binary ? 'binary' : 'text'} frame`);
        const object = binary ? decoder.decode(bytes) : JSON.parse(bytes.toString());
        this.heard.push(object);
        const { t, ...rest } = object;
        if (t === 'message') {
            this.messages.push(rest);
            this.cursor = rest.cursor ?? this.cursor;
        } else if (t === 'ok' || (t === 'error' && rest.re !== undefined)) {
            const resolve = this.asked.get(rest.re);
            if (!resolve) throw new Error(`an answer to what was not asked: ${JSON.stringify(object)}`);
            this.asked.delete(rest.re);
            resolve(object);
        } else if (t === 'error') {
            this.errors.push(rest);
        } else {
            this.controls.push(object);
            if (t === 'hello') this.cursor = rest.cursor;
        }
    }

    get url() {
        const query = new URLSearchParams({ ...this.query });
        if (this.session !== null) query.set('session', this.session);
        if (this.cursor) query.set('cursor', this.cursor);
        if (this.by === 'query') query.set('access_token', this.credential);
        return `${(this.tls ? this.server.tls.url : this.server.url).replace('http', 'ws')}/v1/socket?${query}`;
    }

    /** Resolves once hello is heard. A refusal is kept in .refused, as answers of client.js are. */
    open() {
        const headers = { ...this.options.headers };
        if (this.by === 'header' && this.credential) headers.Authorization = `Bearer ${this.credential}`;
        const protocols = [...this.protocols, ...(this.by === 'protocol' ? [bearer(this.credential)] : [])];
        const ws = new WebSocket(this.url, protocols, { ca: this.server.tls?.certificate, perMessageDeflate: true, ...this.options, headers });
        this.ws = ws;
        this.refused = null;
        this.connections++;
        this.asked.clear();
        this.closed = new Promise((resolve) => {
            ws.once('close', (code, reason) => {
                this.closes.push(code);
                resolve({ code, reason: reason.toString() });
            });
        });
        return new Promise((resolve, reject) => {
            ws.once('error', reject);
            ws.once('close', (code) => reject(Object.assign(new Error(`closed with ${code} before hello`), { code: 'ECONNRESET' })));
            ws.once('unexpected-response', (_, response) => {
                const parts = [];
                response.on('data', (part) => parts.push(part));
                response.once('end', () => {
                    const text = Buffer.concat(parts).toString();
                    this.refused = { status: response.statusCode, headers: response.headers, text, json: JSON.parse(text) };
                    ws.on('error', () => {});
                    ws.terminate();
                    resolve(this);
                });
            });
            ws.on('message', (bytes, binary) => {
                try {
                    this.#take(bytes, binary);
                } catch (error) {
                    this.failure ??= error;
                    ws.terminate();
                }
                resolve(this);
            });
            ws.once('open', () => ws.on('error', () => {})); // 'close' follows
        });
    }

    /** Connects again and again until finish(), a refusal but 503, or a code that says not to. */
    follow() {
        this.following = (async () => {
            while (!this.finished && !this.failure) {
                try {
                    await this.open();
                    if (this.refused && this.refused.status !== 503) return;
                    if (!this.refused && [1001, 1008, 4409].includes((await this.closed).code)) return;
                } catch (error) {
                    if (!this.finished && !isBroken(error)) throw error;
                }
                if (!this.finished) await pause(30);
            }
        })();
        this.following.catch(() => {});
        return this;
    }

    /** An object as it is; nothing is waited for. */
    tell(object) {
        this.ws.send(this.encoding === 'msgpack' ? encoder.encode(object) : JSON.stringify(object));
    }

    /** Asks, and resolves with the answer; rejects when the connection goes before. */
    ask(t, members = {}) {
        const n = ++this.n;
        const answer = new Promise((resolve) => { this.asked.set(n, resolve); });
        this.tell({ t, n, ...members });
        const gone = this.closed.then(({ code }) => {
            throw Object.assign(new Error(`closed with ${code} before an answer`), { code: 'ECONNRESET' });
        });
        return Promise.race([answer, gone]);
    }

    /** Waits until n messages are there. */
    async got(n, seconds = 20) {
        await until(`${n} messages, ${this.messages.length} came`, () => this.failure || this.messages.length >= n, seconds);
        if (this.failure) throw this.failure;
        return this.messages;
    }

    control(t, seconds = 10) {
        return until(`a ${t}`, () => this.controls.find((one) => one.t === t), seconds);
    }

    get payloads() {
        return this.messages.map((message) => message.data);
    }

    /** It stops reading: its kernel fills, and then ours. */
    pause() {
        this.ws._socket.pause();
    }

    resume() {
        this.ws._socket.resume();
    }

    /** A closing handshake; the code that came back. */
    async close() {
        this.finished = true;
        this.ws?.close(1000);
        const { code } = this.refused ? { code: 0 } : await this.closed;
        await this.following;
        if (this.failure) throw this.failure;
        return code;
    }

    /** Gone without a word. */
    async cut() {
        this.ws.terminate();
        await this.closed;
    }
}

/** Opened, or thrown at: a refusal is an error here. */
export async function connect(server, session, options) {
    const socket = await new Socket(server, session, options).open();
    if (socket.refused) throw new Error(`refused: ${socket.refused.status} ${socket.refused.text}`);
    return socket;
}
