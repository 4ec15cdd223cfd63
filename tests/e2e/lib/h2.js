// One HTTP/2 connection by node's own client, which nobody here wrote. Answers are
// {status, headers, text, json}, as from client.js.

import http2 from 'node:http2';
import { within } from './wait.js';

export class H2 {
    /** url: http: is prior knowledge, https: is by ALPN. options: node's. */
    constructor(url, credential, options = {}) {
        this.credential = credential;
        this.goaways = [];
        this.failure = null;
        this.session = http2.connect(url, options);
        this.session.on('error', (error) => { this.failure = error; });
        this.session.on('goaway', (code, last) => this.goaways.push({ code, last }));
        this.ended = new Promise((resolve) => this.session.once('close', resolve));
    }

    ready() {
        return within(20, 'the connection is there', new Promise((resolve, reject) => {
            this.session.once('error', reject);
            this.session.once('remoteSettings', resolve);
        }));
    }

    /** The stream itself, its header section sent. body: as in client.js; undefined: none. */
    open(method, path, { body, headers = {}, credential = this.credential, endStream = body === undefined } = {}) {
        const all = { ':method': method, ':path': path, ...headers };
        if (credential !== null) all.authorization ??= `Bearer ${credential}`;
        let bytes = body;
        if (body !== undefined && typeof body !== 'string' && !Buffer.isBuffer(body)) {
            bytes = JSON.stringify(body);
            all['content-type'] ??= 'application/json';
        }
        const stream = this.session.request(all, { endStream });
        if (bytes !== undefined) stream.end(bytes);
        return stream;
    }

    request(method, path, { seconds = 75, ...options } = {}) {
        return within(seconds, `${method} ${path}`, H2.answer(this.open(method, path, options)));
    }

    get(path, options) {
        return this.request('GET', path, options);
    }

    post(path, body, options = {}) {
        return this.request('POST', path, { ...options, body });
    }

    /** What a stream is answered with; rejects when it is reset or cut. */
    static answer(stream) {
        return new Promise((resolve, reject) => {
            const parts = [];
            let headers = null;
            stream.once('response', (got) => { headers = got; });
            stream.on('data', (part) => parts.push(part));
            stream.once('error', reject);
            stream.once('close', () => {
                if (headers === null || stream.rstCode !== http2.constants.NGHTTP2_NO_ERROR) {
                    reject(new Error(`no answer: ${codeName(stream.rstCode)}`));
                    return;
                }
                const text = Buffer.concat(parts).toString();
                const isJson = text !== '' && /json/.test(headers['content-type'] ?? '');
                resolve({ status: headers[':status'], headers, text, json: isJson ? JSON.parse(text) : undefined });
            });
        });
    }

    close() {
        this.session.destroy();
    }
}

export function codeName(code) {
    const found = Object.entries(http2.constants).find(([name, value]) => /^NGHTTP2_[A-Z_]+$/.test(name) &&
        !/^NGHTTP2_(ERR|FLAG|DEFAULT|SETTINGS|HCAT|NV|STREAM|SESSION)_/.test(name) && value === code);
    return found ? found[0] : String(code);
}
