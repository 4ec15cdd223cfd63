// Where worker/web/restante.js is, and goes on: reloads, lost sessions and tokens, acks, async
// iteration, holes; and servers that answer whatever they like.

import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { boxOf, Watched, WebSocket } from './lib/box.js';
import { Clock, withClock } from './lib/clock.js';
import { cursorOf, EPOCH, message, withFake } from './lib/fake_server.js';
import { status } from './lib/expect.js';
import { withServer } from './lib/harness.js';
import { mint } from './lib/token.js';
import { until } from './lib/wait.js';

const CHAT = ['namespace', 'chat:*', { publish: 'client', history: 100000 }];
const OPTIONS = { grade: 'memory', titled: [CHAT] };
const range = (n, from = 0) => Array.from({ length: n }, (_, i) => from + i);

class Drawer {
    kept = new Map();
    getItem = (key) => this.kept.get(key) ?? null;
    setItem = (key, value) => void this.kept.set(key, value);
}

/** Opens a box, and closes it whatever happens. */
async function withBox(one, body) {
    try {
        return await body(one);
    } finally {
        await one.box.close();
    }
}

const sendAll = async (server, session, numbers) => {
    for (const data of numbers) status(await server.client.send(session, { data }), 201);
};

withServer('a client that comes back', OPTIONS, (check) => {
    for (const [road, Socket] of [['websocket', WebSocket], ['poll', null]]) {
        check(`goes on from its storage (${road})`, async (server) => {
            const storage = new Drawer();
            const options = { storage, WebSocket: Socket, topics: ['chat:1'] };
            let session;
            let n = 0;
            for (let life = 0; life < 3; life++) {
                await withBox(boxOf(server, options), async (one) => {
                    await one.open(road);
                    session ??= one.box.session;
                    assert.equal(one.box.session, session);
                    await one.box.publish('chat:1', { data: n + 5 });
                    await sendAll(server, session, range(5, n + 6));
                    const missed = life ? range(5, n) : [];
                    await one.got(missed.length + 6);
                    assert.deepEqual(one.data, [...missed, ...range(6, n + 5)]);
                    assert.deepEqual([one.said('hole'), one.said('error'), one.said('reset')], [[], [], []]);
                    n += 11;
                });
                await sendAll(server, session, range(5, n)); // while it is away
            }
        });
    }

    check('after a crash repeats at most what was not stored yet', async (server) => {
        const storage = new Drawer();
        await withBox(boxOf(server, { storage }), async (one) => {
            await one.open();
            await sendAll(server, one.box.session, range(10));
            await one.got(10);
            await until('its place is stored', () => JSON.parse([...storage.kept.values()][0]).cursor === one.messages[9].cursor);
            const asItWas = new Drawer();
            asItWas.kept = new Map(storage.kept);
            await sendAll(server, one.box.session, range(10, 10));
            await one.got(20);
            await withBox(boxOf(server, { storage: asItWas }), async (next) => {
                await next.open();
                assert.equal(next.box.session, one.box.session);
                await sendAll(server, one.box.session, [20]);
                await until('the last came', () => next.data.at(-1) === 20);
                const [first] = next.data;
                assert.ok(first >= 10 && first <= 20);
                assert.deepEqual(next.data, range(21 - first, first));
            });
        });
    });

    const broken = {
        'throws': { getItem() { throw new Error('no storage'); }, setItem() { throw new Error('no storage'); } },
        'holds garbage': { getItem: () => '{"session":7,"topics":', setItem() {} },
        'holds another kind of thing': { getItem: () => '[1,2]', setItem() {} },
        'answers later, and badly': { getItem: async () => null, setItem: async () => { throw new Error('full'); } },
    };
    for (const [how, storage] of Object.entries(broken)) {
        check(`works with a storage that ${how}`, async (server) => {
            await withBox(boxOf(server, { storage, topics: ['chat:2'] }), async (one) => {
                await one.open();
                await sendAll(server, one.box.session, range(5));
                await one.got(5);
                assert.deepEqual(one.data, range(5));
                assert.ok(one.said('error').length <= 2);
            });
        });
    }

    check('whose session is gone gets another, with its topics', async (server) => {
        await withBox(boxOf(server, { topics: ['chat:3'] }), async (one) => {
            await one.open('websocket');
            await one.box.subscribe('chat:4');
            const before = one.box.session;
            status(await server.client.request('DELETE', `/v1/sessions/${before}`), 204);
            await until('it has another', () => one.box.session !== before && one.box.state === 'open');
            const { json } = await server.client.get(`/v1/sessions/${one.box.session}`);
            assert.deepEqual(json.topics.sort(), ['chat:3', 'chat:4']);
            assert.deepEqual(one.said('reset').map(({ reason }) => reason), ['session']);
            await one.box.publish('chat:4', { data: 'here' });
            await one.got(1);
        });
    });

    check('whose token is refused finds its session again, and its place', async (server) => {
        const storage = new Drawer();
        await withBox(boxOf(server, { storage }), async (one) => {
            await one.open();
            await sendAll(server, one.box.session, range(5));
            await one.got(5);
        });
        const [[key, text]] = storage.kept;
        const kept = JSON.parse(text);
        await sendAll(server, kept.session, range(5, 5));
        storage.kept.set(key, JSON.stringify({ ...kept, token: `${kept.token.slice(0, -6)}AAAAAA` }));
        for (const Socket of [WebSocket, null]) {
            await withBox(boxOf(server, { storage, WebSocket: Socket }), async (next) => {
                await next.open();
                assert.equal(next.box.session, kept.session);
                if (Socket) await next.got(5);
                assert.deepEqual(next.data, Socket ? range(5, 5) : []);
                assert.deepEqual(next.said('reset'), []);
            });
        }
    });

    check('with a session of its own ends when that is gone', async (server) => {
        const { session, token } = await server.client.session('bob');
        await sendAll(server, session, [1]);
        const one = new Watched({ url: server.url, session, token });
        await withBox(one, async () => {
            await one.got(1);
            const { box } = one;
            const asked = box.publish('chat:1', { data: 1 });
            await asked;
            status(await server.client.request('DELETE', `/v1/sessions/${session}`), 204);
            await until('it ends', () => box.state === 'closed');
            assert.equal(one.said('closed')[0].code, 'session_unknown');
            await assert.rejects(box.publish('chat:1', { data: 2 }), { code: 'closed' });
        });
    });

    check('is told what is refused, by either road', async (server) => {
        for (const Socket of [WebSocket, null]) {
            await withBox(boxOf(server, { WebSocket: Socket }), async (one) => {
                await one.open();
                await assert.rejects(one.box.subscribe('nowhere'), { code: 'topic_unknown' });
                await assert.rejects(one.box.publish('nowhere', { data: 1 }), { code: 'topic_unknown' });
                await assert.rejects(one.box.ack(`${'0'.repeat(16)}.1`), { code: 'cursor_reset' });
                await assert.rejects(one.box.http('GET', '/v1/nothing'), { code: 'not_found', status: 404 });
                const key = `k-${one.box.session}`;
                const first = await one.box.publish('chat:1', { data: 1 }, { key });
                assert.deepEqual([first.duplicate, (await one.box.publish('chat:1', { data: 1 }, { key })).duplicate], [false, true]);
                await assert.rejects(one.box.publish('chat:1', { data: 2 }, { key }), { code: 'idempotency_conflict' });
                assert.deepEqual(one.said('error'), []);
                assert.deepEqual((await one.box.subscribe('chat:5')).topic, 'chat:5');
                await one.box.unsubscribe('chat:5');
            });
        }
    });

    check('is not kept from opening by what is refused', async (server) => {
        await withBox(boxOf(server), async (one) => {
            const asked = [one.box.subscribe('nowhere'), one.box.subscribe('chat:6'), one.box.subscribe('chat:7'), one.box.unsubscribe('chat:7')];
            await assert.rejects(asked[0], { code: 'topic_unknown' });
            await Promise.all(asked.slice(1));
            await one.box.publish('chat:7', { data: 7 });
            await one.box.publish('chat:6', { data: 6 });
            await one.got(1);
            status(await server.client.request('DELETE', `/v1/sessions/${one.box.session}`), 204);
            await until('it has another', () => one.said('reset').length === 1 && one.box.state === 'open');
            assert.deepEqual((await server.client.get(`/v1/sessions/${one.box.session}`)).json.topics, ['chat:6']);
            assert.deepEqual(one.data, [6]);
        });
    });

    check('acks what is handled, one after another, and nothing else', async (server) => {
        for (const Socket of [WebSocket, null]) {
            await withBox(boxOf(server, { WebSocket: Socket }, { listens: false }), async ({ box }) => {
                const busy = [];
                const begun = [];
                box.on('message', ({ data }) => new Promise((resolve) => {
                    begun.push(data);
                    busy.push(resolve);
                }));
                await until('open', () => box.state === 'open');
                const sent = [];
                for (const data of range(3)) sent.push(status(await server.client.send(box.session, { data }), 201).json.cursor);
                for (const i of range(3)) {
                    await until('the next one is begun', () => begun.length === i + 1);
                    const { json } = await server.client.get(`/v1/sessions/${box.session}`);
                    assert.equal(json.pending >= 3 - i, true, 'what is under way is not acked');
                    busy[i]();
                    if (i < 2) continue;
                    await until('all is acked', async () => (await server.client.get(`/v1/sessions/${box.session}`)).json.acked === sent[2]);
                }
            });
        }
    });

    check('acks by itself only when it may', async (server) => {
        await withBox(boxOf(server, { ack: false }), async (one) => {
            await one.open();
            await sendAll(server, one.box.session, range(4));
            await one.got(4);
            await one.box.ack(one.messages[1]);
            const { json } = await server.client.get(`/v1/sessions/${one.box.session}`);
            assert.deepEqual([json.acked, json.pending], [one.messages[1].cursor, 2]);
        });
    });

    check('is iterated', async (server) => {
        await withBox(boxOf(server, {}, { listens: false }), async ({ box }) => {
            await until('open', () => box.state === 'open');
            await sendAll(server, box.session, range(10));
            const seen = [];
            for await (const { data } of box) { // they waited for somebody
                seen.push(data);
                if (data === 4) break;
            }
            for await (const { data } of box) {
                seen.push(data);
                if (data === 9) await box.close();
            }
            assert.deepEqual(seen, range(10));
            for await (const one of box) assert.fail(`closed, and says ${one}`);
        });
    });

    check('survives handlers that throw', async (server) => {
        await withBox(boxOf(server), async (one) => {
            one.box.on('message', ({ data }) => {
                if (data % 2) throw new Error(`not ${data}`);
                return Promise.reject(new Error(`nor ${data}`));
            });
            one.box.on('open', () => { throw new Error('nor this'); });
            await one.open();
            await sendAll(server, one.box.session, range(4));
            await one.got(4);
            await until('each was said', () => one.said('error').length === 4);
        });
    });
});

withServer('an exclusive session', { ...OPTIONS, sections: { session: { exclusive: true } } }, (check) => {
    check('belongs to the newest client, which does not fence itself off', async (server) => {
        for (const Socket of [WebSocket, null]) {
            const options = { name: `only-${Socket ? 'socket' : 'poll'}` };
            const older = boxOf(server, options);
            await withBox(older, async () => {
                await older.open('websocket');
                await sendAll(server, older.box.session, [1]);
                await older.got(1);
                await until('it is acked', async () => (await server.client.get(`/v1/sessions/${older.box.session}`)).json.pending === 0);
                await withBox(boxOf(server, { ...options, WebSocket: Socket }), async (newer) => {
                    await newer.open();
                    await until('the older ends', () => older.box.state === 'closed');
                    assert.equal(older.said('closed')[0].code, 'superseded');
                    await sendAll(server, newer.box.session, [2]);
                    await newer.got(1);
                    assert.deepEqual(newer.data, [2]);
                    assert.equal(newer.box.state, 'open');
                });
            });
        }
    });
});

describe('a chain', () => {
    const options = (fake, more) => ({ url: fake.url, session: 's', token: 't', cursor: cursorOf(10), ...more });

    it('with a link missing is asked for again', async () => {
        await withFake({}, async (fake) => withBox(new Watched(options(fake)), async (one) => {
            await one.open('websocket');
            fake.messages.push(message(11, 9), message(12, 11), message(13, 12));
            fake.say({ t: 'message', ...message(11, 9) });
            fake.say({ t: 'message', ...message(13, 12) }); // 12 got lost on the way
            await one.got(3);
            assert.deepEqual(one.data, [11, 12, 13]);
            assert.deepEqual(one.said('hole'), []);
        }));
    });

    it('that stays broken is reported', async () => {
        await withFake({}, async (fake) => withBox(new Watched(options(fake)), async (one) => {
            await one.open('websocket');
            const all = [message(11, 9), message(13, 12), message(14, 13)];
            fake.messages.push(...all);
            for (const m of all) fake.say({ t: 'message', ...m });
            await one.got(3);
            assert.deepEqual(one.data, [11, 13, 14]);
            assert.deepEqual(one.said('hole'), [{ stream: 'mailbox', last: 11, prev: 12, seq: 13 }]);
        }));
    });

    it('is judged from where it began, and has good reasons to have holes', async () => {
        await withFake({}, async (fake) => withBox(new Watched(options(fake, { WebSocket: null })), async (one) => {
            await one.open('poll');
            const chat = { stream: 'topic:chat:1' };
            fake.truncated = [{ stream: 'mailbox', from: 3, to: 15 }];
            fake.keep(message(16, 14), message(18, 17, { skipped: true }), message(19, 10, chat), message(20, 19, chat), message(21, 18),
                { ephemeral: true, event: 'typing', data: 'e', stream: 'topic:chat:1' });
            await one.got(6);
            assert.deepEqual(one.data, [16, 18, 19, 20, 21, 'e']);
            assert.deepEqual([one.said('hole'), one.said('truncated').length], [[], 1]);
            fake.keep(message(23, 22, { stream: 'mailbox' }));
            await one.got(7);
            assert.equal(one.said('hole').length, 1);
        }));
    });

    it('begins anew when the store does', async () => {
        await withFake({
            http: ({ query }, response, fake) => query.cursor?.startsWith(EPOCH) && !fake.answer(response, 410, {
                code: 'cursor_reset', status: 410, reason: 'epoch', oldest: 'bb.2', newest: 'bb.4',
            }),
        }, async (fake) => withBox(new Watched(options(fake, { WebSocket: null })), async (one) => {
            fake.messages.push(message(3, 0, { cursor: 'bb.3' }), message(4, 3, { cursor: 'bb.4' }));
            await one.got(2);
            assert.deepEqual(one.data, [3, 4]);
            assert.deepEqual(one.said('reset').map(({ reason }) => reason), ['epoch']);
            assert.deepEqual(one.said('hole'), []);
        }));
    });

    it('is not doubled by two roads', async () => {
        await withFake({ hello: false }, async (fake) => withBox(new Watched(options(fake)), async (one) => {
            fake.keep(message(11, 10), message(12, 11));
            await one.open('poll', 20);
            await one.got(2);
            fake.keep(message(13, 12));
            await one.got(3);
            // The WebSocket was dialled from where everything began.
            fake.say({ t: 'hello', session: 's', cursor: cursorOf(10), heartbeat: 25 });
            for (const seq of [11, 12, 13, 14]) fake.say({ t: 'message', ...message(seq, seq - 1) });
            await one.got(4);
            assert.equal(one.box.road, 'websocket');
            assert.deepEqual(one.data, [11, 12, 13, 14]);
            assert.deepEqual(one.said('hole'), []);
        }));
    });
});

describe('what is asked', () => {
    it('is asked again, by any road, with the same key', async () => {
        const swallowed = [];
        await withFake({
            frame: (socket, { t, ...frame }) => {
                if (t !== 'publish') return false;
                swallowed.push(frame);
                socket.terminate();
                return true;
            },
            http: ({ method, path, headers }, response, fake) => {
                if (method !== 'POST' || !/messages$/.test(path)) return false;
                swallowed.push({ key: headers['idempotency-key'] });
                if (swallowed.length === 2) response.destroy();
                else if (swallowed.length === 3) fake.answer(response, 503, { code: 'unavailable' }, { 'Retry-After': '0' });
                else if (swallowed.length === 4) response.end('<html>');
                else fake.answer(response, 200, { seq: 77, duplicate: true });
                return true;
            },
        }, async (fake) => withBox(new Watched({ url: fake.url }), async (one) => {
            await one.open('websocket');
            const ok = await one.box.publish('chat:1', { event: 'said', data: { any: 'thing' } });
            assert.deepEqual(ok, { seq: 77, duplicate: true });
            assert.equal(new Set(swallowed.map(({ key }) => key)).size, 1);
            assert.ok(swallowed.length >= 5);
            assert.deepEqual(swallowed[0].data, { any: 'thing' });
        }));
    });

    it('is what it was when it was asked', async () => {
        const said = [];
        await withFake({
            frame: (socket, frame, fake) => {
                if (frame.t !== 'publish') return false;
                said.push(frame.data);
                if (said.length === 1) socket.terminate();
                else fake.say({ t: 'ok', re: frame.n, seq: 1 }, socket);
                return true;
            },
            http: ({ path, body }, response, fake) => {
                if (!/messages$/.test(path) || !body) return false;
                said.push(body.data);
                fake.answer(response, 201, { seq: 1 });
                return true;
            },
        }, async (fake) => withBox(new Watched({ url: fake.url }), async (one) => {
            await one.open('websocket');
            const loop = {};
            loop.loop = loop;
            await assert.rejects(one.box.publish('chat:1', { data: loop }), TypeError);
            await assert.rejects(one.box.publish('chat:1', { data: 1n }), TypeError);
            const data = { n: 1 };
            const asked = one.box.publish('chat:1', { data, topic: 'another', t: 'ack' });
            data.n = 2;
            await asked;
            assert.deepEqual(said, [{ n: 1 }, { n: 1 }]);
        }));
    });

    it('waits when it comes too fast, and keeps its order', async () => {
        let refused = 0;
        const done = [];
        await withFake({
            frame: (socket, { t, n, data }, fake) => {
                if (t !== 'publish') return false;
                if (data === 3 && refused++ === 0) fake.say({ t: 'error', re: n, code: 'rate_limited', detail: 'too fast', retry_after_ms: 1 }, socket);
                else {
                    done.push(data);
                    fake.say({ t: 'ok', re: n, seq: data }, socket);
                }
                return true;
            },
        }, async (fake) => withBox(new Watched({ url: fake.url }), async (one) => {
            await one.open('websocket');
            const oks = await Promise.all(range(5).map((data) => one.box.publish('chat:1', { data })));
            assert.deepEqual(oks.map(({ seq }) => seq), range(5));
            assert.deepEqual(done.sort(), range(5));
            assert.equal(refused, 2);
        }));
    });

    it('is rejected at the end', async () => {
        await withFake({ frame: () => true }, async (fake) => {
            const one = new Watched({ url: fake.url });
            await one.open('websocket');
            const asked = one.box.publish('chat:1', { data: 1 });
            await one.box.close();
            await assert.rejects(asked, { code: 'closed' });
            await one.box.close();
            assert.deepEqual(one.said('closed').map(({ code }) => code), ['closed']);
        });
    });
});

describe('a client that is closed', () => {
    it('hands on nothing of an answer that was under way, and complains of nothing', () => withFake({}, async (fake) => {
        fake.keep(message(11, 0), message(12, 11));
        let one;
        const closing = async (...what) => {
            const response = await fetch(...what);
            if (!/messages/.test(what[0])) return response;
            const json = await response.json();
            one.box.close(); // its answer is here, and not yet taken
            return { ok: true, status: 200, headers: response.headers, json: async () => json };
        };
        one = new Watched({ url: fake.url, session: 's', token: 't', cursor: cursorOf(10), WebSocket: null, topics: ['chat:1'], fetch: closing });
        await until('the answer is over', () => one.underWay === 0 && one.box.state === 'closed');
        await until('nothing is left to do', () => new Promise((resolve) => { setImmediate(resolve, true); }));
        assert.deepEqual([one.messages, one.said('error')], [[], []]);
    }));
});

describe('a server that answers anything', () => {
    const html = (_, response) => !response.writeHead(200, { 'Content-Type': 'text/html' }).end('<html>').closed;
    const json = (what, code = 200, headers = {}) => (_, response, fake) => {
        fake.answer(response, code, what, headers);
        return true;
    };
    const onPoll = (spoil) => (one, ...rest) => one.method === 'GET' && spoil(one, ...rest);
    const frames = (...say) => ({ hello: false, onOpen: say });
    const kinds = {
        'HTML for a session': { http: html },
        'half a session': { http: json({ session: 's' }) },
        'null': { http: json(null) },
        'an error of nobody\'s': { http: json({ code: 7, status: 'x' }, 500) },
        'HTML for messages': { http: onPoll(html) },
        'no messages': { http: onPoll(json({})) },
        'messages that are none': { http: onPoll(json({ messages: [null, 7], cursor: 'x' })) },
        'messages without a place': { http: onPoll(json({ messages: [{ seq: 'a', prev: {} }], cursor: 'x' })) },
        'a message that precedes itself': { http: onPoll(json({ messages: [message(12, 12)], cursor: cursorOf(12) })) },
        'a cursor that is none': { http: onPoll(json({ messages: [], cursor: 12 })) },
        'nothing, at once, for ever': { http: onPoll((_, response) => !response.writeHead(204).end().closed) },
        'an empty list, at once, for ever': { http: onPoll((one, response, fake) => json({ messages: [], cursor: one.query.cursor })(one, response, fake)) },
        'a cursor reset without a cursor': { http: onPoll(json({ code: 'cursor_reset' }, 410)) },
        'who are you': { http: onPoll(json({ code: 'token_revoked' }, 401)) },
        'nonsense to wait for': { http: onPoll(json({ code: 'unavailable' }, 503, { 'Retry-After': 'soon' })) },
        'frames that are no JSON': frames('hello'),
        'frames that are no objects': frames('null'),
        'messages before a hello': frames('{"t":"message","seq":1,"prev":0}'),
        'a hello, then garbage': frames('{"t":"hello","cursor":"x.1","heartbeat":-1}', '{"t":"message"}'),
        'truncated nothing': frames('{"t":"hello","cursor":"x.1"}', '{"t":"truncated","streams":7}'),
        'a hello and its end': { hello: true, ends: true },
    };
    const MINUTES = 10;
    const MAX = 120; // requests in that time: pauses grow to half a minute

    for (const [what, { onOpen, ends, ...options }] of Object.entries(kinds)) {
        it(`says ${what}`, async () => {
            const clock = new Clock();
            await withFake(options, async (fake) => {
                fake.ws.on('connection', () => {});
                const emit = fake.ws.handleUpgrade.bind(fake.ws);
                let dialled = 0;
                fake.ws.handleUpgrade = (request, stream, head, done) => emit(request, stream, head, (socket) => {
                    dialled++;
                    done(socket);
                    for (const frame of onOpen ?? []) fake.say(frame, socket);
                    if (ends) socket.close();
                });
                const one = new Watched({ url: fake.url, ...(options.http && { WebSocket: null }) }, { Client: withClock(clock) });
                await withBox(one, async ({ box }) => {
                    box.publish('chat:1', { data: 1 });
                    const end = clock.now() + MINUTES * 60_000;
                    await until('ten minutes are over', () => {
                        if (clock.waiting && one.underWay === fake.parked) clock.step();
                        return clock.now() >= end;
                    }, 60);
                    assert.ok(fake.asked.length + dialled <= MAX, `${fake.asked.length} requests, ${dialled} WebSockets`);
                    assert.ok(fake.asked.length >= 3, 'it tries again');
                    assert.notEqual(box.state, 'closed');
                });
                await until('nothing is left behind', () => clock.waiting === 0);
            });
        });
    }

    it('asks for patience, and gets it', async () => {
        const clock = new Clock();
        const waits = [];
        let at = 0;
        await withFake({
            http: onPoll((one, response, fake) => {
                waits.push(clock.now() - at);
                at = clock.now();
                return json({ code: 'rate_limited' }, 429, { 'Retry-After': '120' })(one, response, fake);
            }),
        }, async (fake) => {
            const one = new Watched({ url: fake.url, WebSocket: null }, { Client: withClock(clock) });
            await withBox(one, async ({ box }) => {
                await until('it came five times', () => {
                    if (!one.underWay) {
                        clock.advance(5000);
                        box.retry(); // impatience does not help
                    }
                    return waits.length >= 5;
                });
                for (const wait of waits.slice(1)) assert.ok(wait >= 120_000 && wait <= 160_000, String(waits));
            });
        });
    });

    it('says when it closes', async () => {
        const clock = new Clock();
        await withFake({}, async (fake) => {
            const one = new Watched({ url: fake.url }, { Client: withClock(clock) });
            await withBox(one, async ({ box }) => {
                await one.open('websocket');
                const asked = fake.asked.length;
                fake.say({ t: 'closing', retry_after_ms: 60_000 });
                for (const socket of fake.sockets) socket.close(1012, 'restarting');
                await until('it is offline', () => box.state === 'offline');
                const since = clock.now();
                await until('it comes back', () => {
                    if (!one.underWay && !fake.sockets.size) clock.advance(1000);
                    return box.state === 'open';
                });
                assert.ok(clock.now() - since >= 60_000);
                assert.equal(fake.asked.length, asked, 'by WebSocket again, which was not to blame');
                assert.deepEqual(one.said('closing'), [{ retry_after_ms: 60_000 }]);
            });
        });
    });

    it('sees the token of a WebSocket where no log shows it', async () => {
        await withFake({}, async (fake) => withBox(new Watched({ url: fake.url, session: 's', token: 'rs1.~~token??' }), async (one) => {
            await one.open('websocket');
            assert.equal(fake.protocols, `restante.v1.json,restante.bearer.${Buffer.from('rs1.~~token??').toString('base64url')}`);
        }));
    });
});
