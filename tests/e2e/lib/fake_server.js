// A server with one session, whose every answer a test can spoil. It keeps what it is asked.

import http from 'node:http';
import { WebSocketServer } from 'ws';

export const EPOCH = '00000000000000aa';
export const cursorOf = (seq) => `${EPOCH}.${seq}`;
export const message = (seq, prev, more = {}) => ({
    seq, prev, cursor: cursorOf(seq), stream: 'mailbox', id: String(seq), event: 'message', time: '2026-01-01T00:00:00.000Z',
    content_type: 'application/json', data: seq, ...more,
});

export class FakeServer {
    messages = []; // what a pick-up finds
    truncated = []; // of its next answer
    asked = []; // {method, path, query, headers, body}
    frames = []; // of clients
    sockets = new Set();
    #parked = new Set();

    /** http(request, response): true when it has answered itself. frame(socket, frame): likewise. */
    constructor({ http: spoil = () => false, frame = () => false, hello = true } = {}) {
        Object.assign(this, { spoil, frame, hello });
        this.server = http.createServer((request, response) => this.#take(request, response));
        this.ws = new WebSocketServer({ noServer: true, handleProtocols: () => 'restante.v1.json' });
        this.server.on('upgrade', (request, stream, head) => {
            this.ws.handleUpgrade(request, stream, head, (socket) => this.#open(socket, request));
        });
    }

    async listen() {
        await new Promise((resolve) => this.server.listen(0, '127.0.0.1', resolve));
        this.url = `http://127.0.0.1:${this.server.address().port}`;
        return this;
    }

    async #take(request, response) {
        const parts = [];
        for await (const part of request) parts.push(part);
        const url = new URL(request.url, this.url);
        const one = {
            method: request.method, path: url.pathname, query: Object.fromEntries(url.searchParams), headers: request.headers,
            body: parts.length ? JSON.parse(Buffer.concat(parts)) : undefined,
        };
        this.asked.push(one);
        if (this.spoil(one, response, this)) return;
        if (one.method === 'GET') this.#pick(one, response);
        else if (one.path === '/v1/sessions') this.answer(response, 201, { session: 's', token: 't', cursor: cursorOf(10) });
        else if (one.method === 'POST' && /messages$/.test(one.path)) this.answer(response, 201, { seq: 1 });
        else this.answer(response, one.method === 'PUT' ? 200 : 204, one.method === 'PUT' ? { cursor: cursorOf(10) } : undefined);
    }

    /** Polls that wait here. */
    get parked() {
        return this.#parked.size;
    }

    answer(response, status, json, headers = {}) {
        response.writeHead(status, { 'Content-Type': 'application/json', ...headers });
        response.end(json && JSON.stringify(json));
    }

    #pick(one, response) {
        const after = Number((one.query.cursor ?? '.0').split('.')[1]);
        const messages = this.messages.filter(({ seq, ephemeral }) => ephemeral || seq > after);
        this.messages = this.messages.filter(({ ephemeral }) => !ephemeral);
        const stored = messages.filter(({ ephemeral }) => !ephemeral);
        const give = () => this.answer(response, 200, {
            messages, cursor: stored.at(-1)?.cursor ?? one.query.cursor, more: false,
            ...(this.truncated.length && { truncated: this.truncated.splice(0) }),
        });
        if (messages.length || one.query.wait === '0') return void give();
        const again = () => {
            this.#parked.delete(again);
            if (!response.destroyed) this.#pick(one, response);
        };
        this.#parked.add(again);
        response.once('close', () => this.#parked.delete(again));
    }

    #open(socket, request) {
        this.sockets.add(socket);
        socket.on('close', () => this.sockets.delete(socket));
        socket.on('error', () => {});
        socket.on('message', (data) => {
            const frame = JSON.parse(data);
            this.frames.push(frame);
            if (!this.frame(socket, frame, this) && frame.n !== undefined) this.say({ t: 'ok', re: frame.n }, socket);
        });
        this.protocols = request.headers['sec-websocket-protocol'];
        if (this.hello) this.say({ t: 'hello', session: 's', cursor: cursorOf(10), heartbeat: 25 }, socket);
    }

    say(frame, ...sockets) {
        for (const socket of sockets.length ? sockets : this.sockets) socket.send(typeof frame === 'string' ? frame : JSON.stringify(frame));
    }

    /** Adds messages, and wakes parked polls. */
    keep(...messages) {
        this.messages.push(...messages);
        for (const again of [...this.#parked]) again();
    }

    async close() {
        for (const socket of this.ws.clients) socket.terminate();
        this.server.closeAllConnections();
        await new Promise((resolve) => this.server.close(resolve));
    }
}

export async function withFake(options, body) {
    const fake = await new FakeServer(options).listen();
    try {
        await body(fake);
    } finally {
        await fake.close();
    }
}
