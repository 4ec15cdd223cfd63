// A small HTTP client. Answers are {status, headers, text, json}; nothing is retried here.

import http from 'node:http';

// The kernel spreads connections over the workers; taking several in turn makes one client's
// requests meet both of them.
const CONNECTIONS = 4;

export class Client {
    constructor(server, credential) {
        this.server = server;
        this.credential = credential;
        this.agents = Array.from({ length: CONNECTIONS }, () => new http.Agent({ keepAlive: true, maxSockets: 256 }));
        this.turn = 0;
        this.closed = false;
    }

    /** body: an object goes as JSON, text and bytes as they are. credential null: none at all. */
    request(method, path, { body, headers = {}, credential = this.credential, seconds = 75, onSent } = {}) {
        const all = { ...headers };
        if (credential !== null) all.Authorization ??= `Bearer ${credential}`;
        let bytes = body;
        if (body !== undefined && typeof body !== 'string' && !Buffer.isBuffer(body)) {
            bytes = JSON.stringify(body);
            all['Content-Type'] ??= 'application/json';
        }
        if (bytes !== undefined) all['Content-Length'] ??= Buffer.byteLength(bytes);
        return new Promise((resolve, reject) => {
            const request = http.request({
                agent: this.agents[this.turn++ % CONNECTIONS], host: '127.0.0.1', port: this.server.port, method, path, headers: all,
            });
            request.setTimeout(seconds * 1000, () => request.destroy(new Error(`no answer in ${seconds} s: ${method} ${path}`)));
            request.once('error', reject);
            request.once('finish', () => onSent?.());
            request.once('response', (response) => {
                const parts = [];
                response.on('data', (part) => parts.push(part));
                response.once('error', reject);
                response.once('end', () => resolve(answer(response, Buffer.concat(parts))));
            });
            request.end(bytes);
        });
    }

    get(path, options) {
        return this.request('GET', path, options);
    }

    post(path, body, options = {}) {
        return this.request('POST', path, { ...options, body });
    }

    /** Opens a session with the API key; more: name, ttl, attributes... */
    async session(subject = 'alice', more = {}) {
        const made = await this.post('/v1/sessions', { subject, ...more });
        if (made.status !== 201 && made.status !== 200) throw new Error(`session: ${made.status} ${made.text}`);
        return made.json;
    }

    /** Publishes into one mailbox; envelope as in the API. key: the Idempotency-Key. */
    send(session, envelope, key) {
        const headers = key === undefined ? {} : { 'Idempotency-Key': key };
        return this.post(`/v1/sessions/${session}/messages`, envelope, { headers });
    }

    /** GET of a mailbox; query: {cursor, wait, limit, max_bytes, ack}. */
    pick(session, query = {}, options = {}) {
        const text = new URLSearchParams(query).toString();
        return this.get(`/v1/sessions/${session}/messages${text ? `?${text}` : ''}`, options);
    }

    ack(session, cursor, options = {}) {
        return this.post(`/v1/sessions/${session}/ack`, { cursor }, options);
    }

    close() {
        this.closed = true;
        for (const agent of this.agents) agent.destroy();
    }
}

function answer(response, bytes) {
    const text = bytes.toString('utf8');
    const type = response.headers['content-type'] ?? '';
    return {
        status: response.statusCode,
        headers: response.headers,
        bytes,
        text,
        json: /[/+]json/.test(type) && text ? JSON.parse(text) : undefined,
    };
}
