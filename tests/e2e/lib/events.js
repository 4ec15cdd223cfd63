// A reader of event streams (WHATWG HTML, 9.2.6) over node's http: fields, comments, retry, id. It
// keeps everything it saw; `follow` connects again with Last-Event-ID, as an EventSource would.

import http from 'node:http';
import { isBroken, pause, until } from './wait.js';

/** Feeds text, calls back with {event, data, id} per event, {comment} and {retry}. */
export class Parser {
    constructor(emit) {
        this.emit = emit;
        this.rest = '';
        this.lastId = '';
        this.#clear();
    }

    #clear() {
        this.event = '';
        this.data = [];
    }

    feed(text) {
        const lines = (this.rest + text).split('\n');
        this.rest = lines.pop();
        for (const line of lines) this.#line(line);
    }

    #line(line) {
        if (line === '') {
            if (this.data.length) this.emit({ event: this.event || 'message', data: this.data.join('\n'), id: this.lastId });
            this.#clear();
            return;
        }
        const colon = line.indexOf(':');
        if (colon === 0) return void this.emit({ comment: line.slice(1) });
        const field = colon < 0 ? line : line.slice(0, colon);
        const value = colon < 0 ? '' : line.slice(colon + 1).replace(/^ /, '');
        if (field === 'event') this.event = value;
        else if (field === 'data') this.data.push(value);
        else if (field === 'id') this.lastId = value;
        else if (field === 'retry' && /^\d+$/.test(value)) this.emit({ retry: Number(value) });
        else throw new Error(`a line that no event stream has: ${JSON.stringify(line)}`);
    }
}

const CONTROL = /^restante\./;

export class EventStream {
    constructor(server, session, { credential = server.key, query = {}, headers = {}, method = 'GET' } = {}) {
        Object.assign(this, { server, session, credential, query, headers, method });
        this.messages = []; // message objects, ephemerals too
        this.controls = []; // {event, data}
        this.comments = 0;
        this.retries = [];
        this.ids = [];
        this.bytes = 0;
        this.connections = 0;
        this.status = 0;
        this.closed = false;
        this.parser = null;
        this.lastId = headers['Last-Event-ID'] ?? '';
    }

    #take(item) {
        if (item.comment !== undefined) this.comments++;
        else if (item.retry !== undefined) this.retries.push(item.retry);
        else if (CONTROL.test(item.event)) this.controls.push({ event: item.event, data: JSON.parse(item.data) });
        else {
            const message = JSON.parse(item.data);
            if (message.event !== item.event) throw new Error(`event ${item.event} carries ${message.event}`);
            if (!message.ephemeral && message.cursor !== item.id) throw new Error(`id ${item.id} carries ${message.cursor}`);
            this.messages.push(message);
            this.ids.push(item.id);
        }
        this.lastId = this.parser.lastId || this.lastId;
    }

    /** Resolves with the answer's head; the body goes on arriving. */
    open() {
        const query = new URLSearchParams(this.query).toString();
        const headers = { Accept: 'text/event-stream', ...this.headers };
        if (this.lastId) headers['Last-Event-ID'] = this.lastId;
        if (this.credential) headers.Authorization = `Bearer ${this.credential}`;
        this.parser = new Parser((item) => this.#take(item));
        this.connections++;
        return new Promise((resolve, reject) => {
            this.request = http.request({
                host: '127.0.0.1', port: this.server.port, method: this.method, agent: false, headers,
                path: `/v1/sessions/${this.session}/messages${query ? `?${query}` : ''}`,
            });
            this.request.once('error', reject);
            this.request.once('response', (response) => {
                this.response = response;
                this.status = response.statusCode;
                this.head = response.headers;
                this.text = '';
                response.setEncoding('utf8');
                this.ended = new Promise((end) => {
                    response.once('close', end);
                    response.on('error', () => {}); // 'close' follows
                });
                response.on('data', (text) => {
                    this.bytes += text.length;
                    if (this.status === 200 && this.head['content-type'] === 'text/event-stream') this.parser.feed(text);
                    else this.text += text;
                });
                resolve(this);
            });
            this.request.end();
        });
    }

    /** Connects again and again until close() or a status other than 200 (503 and breaks are bridged). */
    follow() {
        this.following = (async () => {
            while (!this.closed) {
                try {
                    await this.open();
                    if (this.status !== 200 && this.status !== 503) return;
                    await this.ended;
                } catch (error) {
                    if (!this.closed && !isBroken(error)) throw error;
                }
                if (!this.closed) await pause(30);
            }
        })();
        this.following.catch(() => {});
        return this;
    }

    /** Waits until n messages are there. */
    async got(n, seconds = 20) {
        await until(`${n} messages, ${this.messages.length} came`, () => this.messages.length >= n, seconds);
        return this.messages;
    }

    control(event, seconds = 10) {
        return until(`an event ${event}`, () => this.controls.find((one) => one.event === event), seconds);
    }

    pause() {
        this.response.socket.pause();
    }

    resume() {
        this.response.socket.resume();
    }

    async close() {
        this.closed = true;
        this.request?.destroy();
        await this.following;
    }
}
