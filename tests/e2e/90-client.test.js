// worker/web/restante.js in node, against real servers and bad roads: what every client received is
// what was published, once and in order.

import assert from 'node:assert/strict';
import fs from 'node:fs';
import { describe, it } from 'node:test';
import { minify } from 'terser';
import { BadRoad } from './lib/bad_road.js';
import { boxOf, Watched } from './lib/box.js';
import { CLIENT, Clock, withClock } from './lib/clock.js';
import { problem, status } from './lib/expect.js';
import { withServer } from './lib/harness.js';
import { persist, until } from './lib/wait.js';

const CHAT = ['namespace', 'chat:*', { publish: 'client', history: 100000 }];
const OPTIONS = { grade: 'memory', titled: [CHAT], sections: { session: { presence_grace: '1s' } } };
const SIZE_MAX = 8 << 10;

/** What a topic holds, in its order. */
async function history(client, topic) {
    const all = [];
    for (let cursor, more = true; more;) {
        const answer = await persist('the history', () => client.get(`/v1/topics/${topic}/messages?limit=1000${cursor ? `&cursor=${cursor}` : ''}`));
        status(answer, 200);
        all.push(...answer.json.messages);
        ({ cursor, more } = answer.json);
    }
    return all;
}

const range = (n, from = 0) => Array.from({ length: n }, (_, i) => from + i);

/** Closes boxes whatever happens. */
async function withBoxes(boxes, body) {
    try {
        await body(...boxes);
    } finally {
        await Promise.all(boxes.map(({ box }) => box.close()));
    }
}

describe('the file', () => {
    it('is small', async () => {
        const { code } = await minify(fs.readFileSync(CLIENT, 'utf8'), { module: true, ecma: 2022, compress: { passes: 3 } });
        assert.ok(Buffer.byteLength(code) < SIZE_MAX, `${Buffer.byteLength(code)} bytes`);
    });
});

withServer('the client is served', OPTIONS, (check) => {
    check('with an ETag, for pages of any origin', async ({ client }) => {
        for (const [path, type] of [['/restante.js', 'text/javascript'], ['/restante.d.ts', 'application/typescript']]) {
            const answer = status(await client.get(path, { credential: null }), 200);
            assert.ok(answer.text === fs.readFileSync(new URL(`../../worker/web${path}`, import.meta.url), 'utf8'), `${path} is the file`);
            assert.equal(answer.headers['content-type'], `${type}; charset=utf-8`);
            assert.equal(answer.headers['cross-origin-resource-policy'], 'cross-origin');
            assert.equal(answer.headers['cache-control'], 'no-cache');
            const again = await client.get(path, { credential: null, headers: { 'If-None-Match': answer.headers.etag } });
            assert.equal(status(again, 304).text, '');
            assert.equal(again.headers.etag, answer.headers.etag);
        }
        problem(await client.get('/example', { credential: null }), 404, 'not_found');
    });
});

withServer('a client of a server that dies', OPTIONS, (check) => {
    check('has everything once, in order, by either road', async (server) => {
        const options = { topics: ['chat:1', 'chat:2'] };
        await withBoxes([boxOf(server, options), boxOf(server, { ...options, WebSocket: null }), boxOf(server, options)], async (...all) => {
            const [socket, poll, third] = all;
            await Promise.all(all.map((one) => one.open()));
            const published = [];
            const say = (n) => range(n).map((i) => {
                const { box } = all[i % 3];
                const data = `${published.length}-${i}`;
                published.push(data);
                return box.publish(`chat:${1 + (i % 2)}`, { event: 'said', data });
            });
            let said = say(60);
            await Promise.all(said);
            for (const role of ['0', '1', 'writer']) {
                said = [...said, ...say(60)];
                await server.replace(role);
                said = [...said, ...say(30)];
            }
            const down = server.restart();
            said = [...said, ...say(60)];
            await down;
            said = [...said, ...say(60)];
            const oks = await Promise.all(said);
            await Promise.all(all.map((one) => one.got(published.length)));

            assert.equal(new Set(oks.map(({ seq }) => seq)).size, published.length, 'none was published twice');
            const kept = [...await history(server.client, 'chat:1'), ...await history(server.client, 'chat:2')].sort((a, b) => a.seq - b.seq);
            assert.deepEqual(kept.map(({ data }) => data).sort(), [...published].sort());
            for (const one of all) {
                assert.deepEqual(one.messages.map(({ seq }) => seq), kept.map(({ seq }) => seq));
                assert.deepEqual(one.data, kept.map(({ data }) => data));
                assert.deepEqual([one.said('hole'), one.said('reset'), one.said('truncated')], [[], [], []]);
            }
            assert.equal(new Set(all.map(({ box }) => box.session)).size, 3);
            await socket.hurry();
            await socket.open('websocket');
            assert.deepEqual(new Set(poll.said('road').map(({ road }) => road)), new Set(['poll', null]));
            await third.open();
        });
    }, 120);

    check('a mailbox is acked, whatever the road', async (server) => {
        const all = [boxOf(server), boxOf(server, { WebSocket: null })];
        await withBoxes(all, async () => {
            for (const { box, messages, ...one } of all) {
                await until('open', () => box.state === 'open');
                for (const data of range(20)) status(await server.client.send(box.session, { data }), 201);
                await until('all came', () => messages.length === 20);
                assert.deepEqual(messages.map(({ data }) => data), range(20));
                await until('all is acked', async () => {
                    const { json } = await server.client.get(`/v1/sessions/${box.session}`);
                    return json.acked === messages[19].cursor && json.pending === 0;
                });
                assert.deepEqual(one.events.filter(([name]) => name === 'error'), []);
            }
        });
    });
});

withServer('a client on a bad road', OPTIONS, (check) => {
    /** n messages by REST, from another party. */
    async function publish(server, topic, from, n) {
        for (const data of range(n, from)) {
            status(await server.client.post(`/v1/topics/${topic}/messages`, { data }, { headers: { 'Idempotency-Key': `${topic}-${data}` } }), 201);
        }
    }

    async function onRoad(server, options, body, how) {
        const road = await new BadRoad(server.port).listen();
        try {
            await withBoxes([boxOf(server, { url: road.url, ...options }, how)], (one) => body(one, road));
        } finally {
            await road.close();
        }
    }

    check('where WebSockets are cut after 200 ms', async (server) => {
        await onRoad(server, { topics: ['chat:cut'] }, async (one, road) => {
            road.how = 200;
            await one.open();
            const oks = [];
            for (const i of range(10)) {
                oks.push(one.box.publish('chat:cut', { data: i * 20 }));
                await oks.at(-1);
                await publish(server, 'chat:cut', i * 20 + 1, 19);
            }
            await until('some were cut', () => road.seen >= 2, 20);
            await one.got(200);
            assert.deepEqual(one.data, range(200));
            assert.deepEqual([one.said('hole'), one.said('error'), one.said('reset')], [[], [], []]);
            road.how = 'pass';
            await publish(server, 'chat:cut', 200, 10);
            await one.hurry(() => road.sockets.some(({ how }) => how === 'pass')); // one that stays
            await publish(server, 'chat:cut', 210, 10);
            await one.got(220);
            assert.deepEqual(one.data, range(220));
        });
    }, 60);

    check('where none opens, and then one does', async (server) => {
        const clock = new Clock();
        await onRoad(server, { topics: ['chat:refused'] }, async (one, road) => {
            road.how = 'refuse';
            await until('it goes by long-poll', () => {
                if (!one.underWay && !road.sockets.length) clock.advance(100);
                return one.box.road === 'poll';
            });
            await publish(server, 'chat:refused', 0, 20);
            await one.got(20);
            const refused = road.seen;
            road.how = 'pass';
            await until('it goes by WebSocket', () => {
                if (!road.sockets.length) clock.advance(100);
                return one.box.road === 'websocket';
            });
            assert.ok(road.seen > refused);
            await publish(server, 'chat:refused', 20, 20);
            await one.got(40);
            assert.deepEqual(one.data, range(40));
        }, { Client: withClock(clock) });
    }, 60);

    check('where frames are swallowed mid-session', async (server) => {
        const clock = new Clock();
        const Client = withClock(clock);
        await onRoad(server, { topics: ['chat:mute'] }, async (one, road) => {
            await one.open('websocket');
            await publish(server, 'chat:mute', 0, 10);
            await one.got(10);
            road.swallow();
            road.how = 'mute';
            const asked = one.box.publish('chat:mute', { data: 10 });
            await publish(server, 'chat:mute', 11, 10);
            // Nothing is heard, a question is asked, and not answered.
            clock.advance(30_000);
            await until('it is found mute', () => one.said('offline').some(({ code }) => code === 'mute'));
            await until('it goes by long-poll', () => {
                if (!one.underWay) clock.advance(1000);
                return one.box.road === 'poll';
            });
            await asked; // by another road, and once
            await one.got(21);
            road.how = 'pass';
            await until('it is back on a WebSocket', () => {
                // A mute one that was dialled meanwhile is given up, a good one waited for.
                if (road.sockets.every(({ how, mute }) => mute || how === 'mute')) clock.advance(1000);
                return one.box.road === 'websocket';
            }, 30);
            await publish(server, 'chat:mute', 21, 10);
            await one.got(31);
            const kept = (await history(server.client, 'chat:mute')).map(({ data }) => data);
            assert.deepEqual(one.data, kept);
            assert.deepEqual([...kept].sort((a, b) => a - b), range(31));
            assert.deepEqual(one.said('hole'), []);
        }, { Client });
    }, 60);

    check('an hour of sleep', async (server) => {
        const clock = new Clock();
        const Client = withClock(clock);
        await onRoad(server, { topics: ['chat:sleep'] }, async (one, road) => {
            await one.open('websocket');
            await publish(server, 'chat:sleep', 0, 10);
            await one.got(10);
            road.swallow(); // the other end is long gone when it wakes
            await publish(server, 'chat:sleep', 10, 10);
            clock.jump(3600_000);
            one.box.retry(); // as when a page is shown again
            await until('it goes on', () => {
                if (!one.underWay) clock.advance(500);
                return one.messages.length === 20;
            });
            assert.deepEqual(one.data, range(20));
            assert.equal(one.said('reset').length, 0);
            // Twice as long, and its session is gone meanwhile.
            const before = one.box.session;
            road.swallow();
            road.how = 'refuse';
            status(await server.client.request('DELETE', `/v1/sessions/${before}`), 204);
            road.cut();
            clock.jump(7200_000);
            await until('it has another session', () => {
                if (!one.underWay) clock.advance(500);
                return one.box.state === 'open' && one.box.session !== before;
            });
            assert.deepEqual(one.said('reset').map(({ reason }) => reason), ['session']);
            await publish(server, 'chat:sleep', 20, 10);
            await one.got(30);
            assert.deepEqual(one.data, range(30));
        }, { Client });
    }, 60);
});
