// The roads by WebSocket, through npm's ws: a connection for every pick, left politely, by force, or
// in the middle of a frame.

import { pack, unpack } from '../e2e/lib/msgpack.js';
import { within } from '../e2e/lib/wait.js';
import { WebSocket } from '../e2e/lib/ws.js';

const PATIENCE = 60; // seconds that a connection may take beyond the wait that was asked for
const COMES_BACK = [1006, 1012, 1013]; // closed by a death, a restart, too much to do
const broken = (message) => Object.assign(new Error(message), { code: 'ECONNRESET' });

export const CODECS = {
    'restante.v1.json': { encode: JSON.stringify, decode: (bytes) => JSON.parse(bytes.toString('utf8')) },
    'restante.v1.msgpack': { encode: pack, decode: unpack },
};

/** Only so many bytes more come out of a socket; the next one finds it destroyed. */
export function limit(socket, bytes, onCut) {
    const push = socket.push.bind(socket);
    let left = bytes;
    socket.push = (chunk, ...more) => {
        if (chunk === null) return push(chunk, ...more);
        if (left <= 0) return true; // lost on the way
        const part = chunk.length > left ? chunk.subarray(0, left) : chunk;
        left -= chunk.length;
        const taken = push(part, ...more);
        if (left <= 0) setImmediate(onCut); // what came before the cut is taken first
        return taken;
    };
}

/**
 * A connection to a layer ({url, options}): calls on(frame) for each, and resolves with the close
 * code and the handshake's refusal {code, status, text}.
 */
export function connect({ url, options }, protocol, credential, query, on, onOpen = () => {}) {
    const { encode, decode } = CODECS[protocol];
    const bearer = `restante.bearer.${Buffer.from(credential).toString('base64url')}`;
    const inHeader = protocol.endsWith('json'); // one way each
    const ws = new WebSocket(`${url.replace(/^http/, 'ws')}/v1/socket?${new URLSearchParams(query)}`,
        inHeader ? [protocol] : [protocol, bearer],
        { ...options, perMessageDeflate: false, ...(inHeader ? { headers: { Authorization: `Bearer ${credential}` } } : {}) });
    const ended = new Promise((resolve, reject) => {
        let refusal = null;
        let failure = null;
        ws.on('unexpected-response', (_, answer) => {
            refusal = { status: answer.statusCode, text: '' };
            answer.setEncoding('utf8');
            answer.on('data', (text) => { refusal.text += text; });
            answer.on('error', () => {});
            answer.on('close', () => resolve(refusal));
        });
        ws.on('upgrade', ({ socket }) => onOpen(socket));
        ws.on('error', (error) => { failure = error; });
        ws.on('close', (code, reason) => {
            if (refusal) resolve(refusal);
            else if (failure) reject(failure);
            else resolve({ code, reason: String(reason) });
        });
        ws.on('message', (bytes, isBinary) => {
            try {
                if (isBinary === inHeader) throw new Error(`a frame of ${protocol} is ${isBinary ? 'binary' : 'text'}`);
                if (ws.protocol !== protocol) throw new Error(`${protocol} was asked for, the server speaks ${ws.protocol}`);
                on(decode(bytes));
            } catch (error) {
                ws.terminate();
                reject(error);
            }
        });
    });
    ended.catch(() => {}); // whoever waits is told
    return { ws, ended, send: (frame) => ws.readyState === WebSocket.OPEN && ws.send(encode(frame)) };
}

/** A road as in roads.js. */
function road(layer, protocol, credential) {
    return async (session, cursor, { limit: most, wait, ack, cut }) => {
        const seen = { status: 200, messages: [], cursor, truncated: [], cut: false };
        let left = false;
        let greeted = false;
        const timers = [];
        const after = (ms, what) => timers.push(setTimeout(what, ms));
        const leave = (how) => {
            left = true;
            how();
        };
        const cutOff = () => {
            seen.cut = true;
            leave(() => connection.ws.terminate());
        };
        const take = (frame) => {
            if (left) return;
            if (!greeted && frame.t !== 'hello') throw new Error(`the first frame is ${frame.t}`);
            if (frame.t === 'hello') {
                if (frame.session !== session) throw new Error(`hello of ${frame.session}`);
                greeted = true;
                if (ack) connection.send({ t: 'ack', cursor });
                after(wait, () => leave(() => connection.ws.close(1000)));
            } else if (frame.t === 'message') {
                const { t, ...message } = frame;
                seen.messages.push(message);
                seen.cursor = message.cursor;
                if (seen.messages.length >= most) leave(() => (most % 2 ? connection.ws.terminate() : connection.ws.close(1000)));
            } else if (frame.t === 'truncated') {
                seen.truncated.push(...frame.streams);
            } else if (frame.t === 'error' && frame.code === 'unavailable') {
                return; // the ack was not taken
            } else if (frame.t !== 'closing') {
                throw new Error(`a frame that nobody expects: ${JSON.stringify(frame)}`);
            }
        };
        const onOpen = (socket) => {
            if (cut?.bytes !== undefined) limit(socket, cut.bytes, cutOff);
        };
        const connection = connect(layer, protocol, credential, { session, cursor }, take, onOpen);
        if (cut?.ms !== undefined) after(cut.ms, cutOff);
        try {
            const { code, reason, status, text } = await within(wait / 1000 + PATIENCE, 'a WebSocket', connection.ended);
            if (status) return { ...seen, status, text };
            if (!left && !COMES_BACK.includes(code)) throw new Error(`closed with ${code} ${reason}`);
            if (!left && seen.messages.length === 0) throw broken(`closed with ${code}`);
        } catch (error) {
            if (!left && !(seen.messages.length > 0 && error.code === 'ECONNRESET')) throw error;
        } finally {
            timers.forEach(clearTimeout);
            connection.ws.terminate();
        }
        return seen;
    };
}

/** layers: [name, url, options of node's tls]. */
export const socketRoads = (layers, credential) => layers.flatMap(([name, url, options]) =>
    Object.keys(CODECS).map((protocol) => ({
        name: `WebSocket, ${protocol}, ${name}`,
        isSocket: true,
        pick: road({ url, options: options ?? {} }, protocol, credential),
    })));

/** One command on a connection of its own: its answer, {t: 'ok' | 'error', ...}; null: there was none. */
export async function command(layer, protocol, credential, query, frame) {
    let answer = null;
    const connection = connect(layer, protocol, credential, query, (got) => {
        if (got.t === 'hello') connection.send({ ...frame, n: 7 });
        if (got.re !== 7) return;
        answer = got;
        connection.ws.close(1000);
    });
    try {
        const { status, text } = await within(PATIENCE, `an answer to ${frame.t}`, connection.ended);
        if (status && status !== 503) throw new Error(`${status} ${text}`);
    } catch (error) {
        if (answer === null) throw error;
    } finally {
        connection.ws.terminate();
    }
    return answer;
}
