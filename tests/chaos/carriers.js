// What carries a request: HTTP/1.1 and HTTP/2, clear and over TLS. A carrier asks; the call that it
// returns can be dropped at any instant, alone or with the whole connection.
//
// A call is {answer, drop, where}: answer is a promise of {status, headers, body}, body an async iterable
// of bytes that throws unless the answer came to its proper end; where() says what its connection is like.

import http from 'node:http';
import http2 from 'node:http2';
import https from 'node:https';
import { connectedPorts, tcpState } from '../e2e/lib/proc.js';

// Connections are taken in turn, so that a carrier's requests meet every worker.
const CONNECTIONS = 3;
const WATCH_MS = 500;

const broken = (message) => Object.assign(new Error(message), { code: 'ECONNRESET' });

/** The bytes of a body whose header announced its length: neither more nor fewer. */
async function* measured(body, announced) {
    let bytes = 0;
    for await (const part of body) {
        bytes += part.length;
        yield part;
    }
    if (announced !== undefined && bytes !== Number(announced)) {
        throw new Error(`content-length is ${announced}, the body has ${bytes} bytes`);
    }
}

class Http1 {
    constructor(origin, tls) {
        this.origin = origin;
        this.module = tls ? https : http;
        this.options = tls ?? {};
        this.agents = Array.from({ length: CONNECTIONS }, () =>
            new this.module.Agent({ ...this.options, keepAlive: true, maxSockets: 256 }));
        this.turn = 0;
    }

    ask(method, path, headers, body) {
        const agent = this.agents[this.turn++ % CONNECTIONS];
        const request = this.module.request(new URL(path, this.origin), { ...this.options, agent, method, headers });
        const answer = new Promise((resolve, reject) => {
            request.on('error', reject);
            request.once('response', (body) => resolve({
                status: body.statusCode,
                headers: body.headers,
                body: measured(body, body.headers['content-length']),
            }));
        });
        request.end(body);
        const where = () => `${request.socket?.connecting ? 'connecting ' : ''}${tcpState(request.socket?.localPort)}`;
        return { answer, drop: () => request.destroy(), where }; // its connection goes along
    }

    close() {
        for (const agent of this.agents) agent.destroy();
    }
}

/** A stream's bytes; that it ended is no proof that it was not reset. */
async function* streamed(stream) {
    for await (const part of stream) yield part;
    if (stream.aborted || stream.rstCode) throw broken(`the stream was reset: ${stream.rstCode}`);
}

class Http2 {
    constructor(origin, tls) {
        this.origin = origin;
        this.options = tls ?? {};
        this.sessions = new Array(CONNECTIONS).fill(null);
        this.open = new Set(); // those, and the ones before them that still finish something
        this.turn = 0;
        this.ticket = undefined; // of the connection before: the next one resumes it
        this.watch = setInterval(() => this.#bury(), WATCH_MS);
    }

    /**
     * Node 20 overlooks a reset of a TLS connection when it happens not to read: its next write fails
     * with EPIPE, and nobody is told. A connection that the kernel no longer has is dead.
     */
    #bury() {
        const ports = connectedPorts();
        for (const session of this.open) {
            if (session.port && !ports.has(session.port)) {
                session.destroy(broken('the connection was reset unnoticed'));
            }
        }
    }

    #connect(at) {
        const session = http2.connect(this.origin, { ...this.options, session: this.ticket });
        session.on('error', () => {}); // each of its streams tells
        session.socket.on('session', (ticket) => { this.ticket = ticket; });
        session.once('connect', (_, { localPort }) => { session.port = localPort; });
        session.once('close', () => this.open.delete(session));
        this.open.add(session);
        this.sessions[at] = session;
        return session;
    }

    ask(method, path, headers, body) {
        const at = this.turn++ % CONNECTIONS;
        const known = this.sessions[at];
        const session = known && !known.closed && !known.destroyed ? known : this.#connect(at);
        const stream = session.request({ ':method': method, ':path': path, ...headers }, { endStream: body === undefined });
        if (body !== undefined) stream.end(body);
        const answer = new Promise((resolve, reject) => {
            stream.on('error', reject);
            stream.once('close', () => reject(broken('the stream closed without an answer')));
            stream.once('response', ({ ':status': status, ...rest }) =>
                resolve({ status, headers: rest, body: measured(streamed(stream), rest['content-length']) }));
        });
        const drop = (connection) => (connection ? session.destroy(broken('the connection was dropped')) : stream.close(http2.constants.NGHTTP2_CANCEL));
        const where = () => `stream ${stream.id}, ${session.connecting ? 'connecting ' : ''}${tcpState(session.socket?.localPort)}`;
        return { answer, drop, where };
    }

    close() {
        clearInterval(this.watch);
        for (const session of this.open) session.destroy();
    }
}

/** [name, url, node's options] of each listener and version of TLS; server: {url, tls: {url, certificate}}. */
export function layersOf({ url, tls }) {
    const layers = [['clear', url, undefined]];
    for (const version of ['TLSv1.2', 'TLSv1.3']) {
        if (tls) layers.push([version, tls.url, { ca: tls.certificate, minVersion: version, maxVersion: version }]);
    }
    return layers;
}

/** One carrier for each way that the server can be asked by requests: {name, ask, close}. */
export function makeCarriers(server) {
    const kinds = [['HTTP/1.1', Http1], ['HTTP/2', Http2]];
    return kinds.flatMap(([http, Kind]) => layersOf(server).map(([layer, origin, options]) =>
        Object.assign(new Kind(origin, options), { name: `${http} ${layer}` })));
}
