// The roads to a mailbox. A road is {name, pick}:
//
//   pick(session, cursor, limits) -> {status, messages, cursor, truncated, text, cut}
//
// asks once, from that cursor, and says what came and where to go on from. limits: {limit, bytes,
// wait, ack, cut}: the most messages, the most bytes, milliseconds to wait, whether the cursor is an ack
// too, and where the client breaks the answer off: null, or {bytes | ms, connection}: after so many
// bytes of it or so long, alone or with its connection. A broken connection is an error, unless
// whole messages had come before.

import { MSGPACK, unpack } from '../e2e/lib/msgpack.js';
import { isBroken } from '../e2e/lib/wait.js';
import { layersOf, makeCarriers } from './carriers.js';
import { socketRoads } from './sockets.js';
import { Trip, gather } from './trip.js';

const JSON_TYPE = 'application/json';
const EVENTS = 'text/event-stream';

const decoders = {
    [JSON_TYPE]: (bytes) => JSON.parse(bytes.toString('utf8')),
    [MSGPACK]: unpack,
};

/** Events of a stream as a browser parses them: {id, event, data, retry}. A last one cut short is none. */
async function* events(body) {
    let text = '';
    const utf8 = new TextDecoder();
    for await (const part of body) {
        text += utf8.decode(part, { stream: true });
        for (let end = text.indexOf('\n\n'); end >= 0; end = text.indexOf('\n\n')) {
            const fields = {};
            for (const line of text.slice(0, end).split('\n')) {
                const [, name, value] = /^([^:]*):? ?(.*)$/s.exec(line);
                if (name) fields[name] = name === 'data' && 'data' in fields ? `${fields.data}\n${value}` : value;
            }
            text = text.slice(end + 2);
            yield fields;
        }
    }
}

const pathOf = (session, query) => `/v1/sessions/${session}/messages?${new URLSearchParams(query)}`;

/** GET: one answer, at once or when there is something. */
function pickup(carrier, type, waits, credential) {
    return async (session, cursor, limits) => {
        const { limit, bytes, ack } = limits;
        const wait = waits ? limits.wait : 0;
        const query = { cursor, limit, max_bytes: bytes, wait: `${wait}ms`, ...(ack ? { ack: 1 } : {}) };
        const trip = new Trip(carrier, limits, 'GET', pathOf(session, query), { accept: type, authorization: `Bearer ${credential}` });
        const nothing = { status: 204, messages: [], cursor, cut: true };
        try {
            return await trip.through(`an answer by ${carrier.name}`, async ({ status, headers, body }) => {
                const all = await gather(body);
                if (trip.wasCut) return nothing;
                if (status === 204) return { status, messages: [], cursor: headers['restante-cursor'] };
                if (status !== 200) return { status, text: all.toString('utf8'), messages: [], cursor };
                if (headers['content-type'] !== type) throw new Error(`${type} was asked for, ${headers['content-type']} came`);
                return { status, ...decoders[type](all) };
            });
        } catch (error) {
            if (trip.wasCut && isBroken(error)) return nothing;
            throw error;
        }
    };
}

const CONTROL = {
    'restante.truncated': (seen, data) => { seen.truncated.push(...data.streams); },
    'restante.closing': () => {},
    'restante.reset': (seen, data) => { throw new Error(`reset: ${JSON.stringify(data)}`); },
};

/** One event into what was seen. */
function take(seen, { id, event, data }) {
    if (event === undefined) return; // a comment, or the time to wait before coming back
    const value = JSON.parse(data);
    if (CONTROL[event]) {
        CONTROL[event](seen, value);
        return;
    }
    if (id !== value.cursor) throw new Error(`event ${id} carries a message of cursor ${value.cursor}`);
    if (event !== value.event) throw new Error(`event ${event} carries a message of event ${value.event}`);
    seen.messages.push(value);
    seen.cursor = id;
}

/** An event stream, left when there were enough messages or the time to wait is over. */
function eventStream(carrier, lastEventId, credential) {
    return async (session, cursor, limits) => {
        const query = { access_token: credential, ...(lastEventId ? {} : { cursor }), ...(limits.ack ? { ack: 1 } : {}) };
        const headers = { accept: EVENTS, ...(lastEventId ? { 'last-event-id': cursor } : {}) };
        const seen = { status: 200, messages: [], cursor, truncated: [] };
        const trip = new Trip(carrier, limits, 'GET', pathOf(session, query), headers);
        let left = false;
        const leave = () => {
            left = true;
            trip.drop();
        };
        const timer = setTimeout(leave, limits.wait);
        try {
            await trip.through(`events by ${carrier.name}`, async ({ status, headers: { 'content-type': type }, body }) => {
                seen.status = status;
                if (status === 204) throw new Error('an event stream says that the session is gone');
                if (status !== 200) {
                    seen.text = String(await gather(body));
                    return;
                }
                if (type !== EVENTS) throw new Error(`${EVENTS} was asked for, ${type} came`);
                for await (const event of events(body)) {
                    take(seen, event);
                    if (seen.messages.length >= limits.limit) break;
                }
                leave();
            });
        } catch (error) {
            const expected = left || trip.wasCut || seen.messages.length > 0;
            if (!expected || !isBroken(error)) throw error;
        } finally {
            clearTimeout(timer);
        }
        return { ...seen, cut: trip.wasCut };
    };
}

/**
 * Every road to this server ({url, tls}), the carriers below those that are asked by requests, and
 * the layers below those; close them when done.
 */
export function makeRoads(server, credential) {
    const carriers = makeCarriers(server);
    const layers = layersOf(server);
    const requests = carriers.flatMap((carrier) => [
        ...[JSON_TYPE, MSGPACK].flatMap((type) => [
            { name: `GET, ${type}, ${carrier.name}`, pick: pickup(carrier, type, false, credential) },
            { name: `long-poll, ${type}, ${carrier.name}`, pick: pickup(carrier, type, true, credential) },
        ]),
        { name: `events by cursor, ${carrier.name}`, pick: eventStream(carrier, false, credential) },
        { name: `events by Last-Event-ID, ${carrier.name}`, pick: eventStream(carrier, true, credential) },
    ]);
    const roads = [...requests, ...socketRoads(layers, credential)];
    const close = () => carriers.forEach((carrier) => carrier.close());
    return { roads, carriers, layers: layers.map(([, url, options]) => ({ url, options: options ?? {} })), close };
}
