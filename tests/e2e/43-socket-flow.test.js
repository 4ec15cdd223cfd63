// Sockets over time: changing roads, deaths of processes, a restart, clients that do not read, that
// say nothing, that say too much; and clients that others wrote, in another language.

import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import path from 'node:path';
import { promisify } from 'node:util';
import { Chain } from './lib/chain.js';
import { EventStream } from './lib/events.js';
import { status } from './lib/expect.js';
import { bothGrades, withServer } from './lib/harness.js';
import { anonymous } from './lib/proc.js';
import { connect, Socket } from './lib/socket.js';
import { history, join, keyed, messages as messagesOf, numbers, say } from './lib/topics.js';
import { persist, until } from './lib/wait.js';

const run = promisify(execFile);
const MiB = 1 << 20;
const titled = [['namespace', 'chat:*', { history: 100000, bytes: '256M', publish: 'client' }]];

/** Publishes i to the mailbox or to the topic, with a key, until it is in. */
async function publish(client, session, topic, i) {
    const answer = await persist(`message ${i}`, () => i % 2
        ? client.post(messagesOf(topic), { data: i }, keyed(`k${i}`))
        : client.send(session, { data: i }, `k${i}`));
    assert.ok(answer.status === 201 || answer.status === 200, answer.text);
}

/** The chain of what came, over however many connections. */
function judge(cursor, messages) {
    const chain = new Chain(cursor);
    for (const message of messages) chain.take({ messages: [message], cursor: message.cursor });
}

bothGrades('sockets through', { titled }, (check) => {
    let topics = 0; // one each: keys are used again

    /** A publisher and a socket that connects again, through something that happens at given messages. */
    async function through(server, n, events, encoding) {
        const { client } = server;
        const topic = `chat:kills-${topics++}`;
        const { session, cursor } = await client.session('alice', { topics: [topic] });
        const socket = new Socket(server, session, { encoding }).follow();
        await until('it is open', () => socket.controls.length > 0);
        for (let i = 0; i < n; i++) {
            await events[i]?.();
            await publish(client, session, topic, i);
        }
        await socket.got(n, 40);
        await socket.close();
        assert.deepEqual(socket.payloads, numbers(n));
        judge(cursor, socket.messages);
        return socket;
    }

    check('deaths of either worker', async (server) => {
        await through(server, 60, { 20: () => server.replace('0'), 40: () => server.replace('1') }, 'json');
    }, 60);

    check('deaths of the writer', async (server) => {
        const socket = await through(server, 90, {
            20: () => server.replace('writer'), 40: () => server.signal('writer', 'SIGKILL'), 60: () => server.replace('writer'),
        }, 'msgpack');
        assert.equal(socket.controls.length, 1, 'nobody who is connected sees anything of it');
    }, 60);

    check('a restart, of which it is told', async (server) => {
        const socket = await through(server, 40, { 20: () => server.restart() }, 'json');
        const { retry_after_ms: advice } = socket.controls.find((one) => one.t === 'closing');
        assert.ok(advice >= 2000 && advice < 4000, String(advice));
        assert.ok(socket.closes.includes(1012));
    }, 60);

    check('a death of the server', async (server) => {
        await through(server, 40, { 20: async () => { await server.crash(); await server.start(); } }, 'msgpack');
    }, 60);

    check('publishes that a death leaves open are in once, if repeated', async (server) => {
        const { client } = server;
        const { session, token } = await client.session('paul');
        const socket = new Socket(server, session, { credential: token }).follow();
        await until('it is open', () => socket.controls.length > 0);
        for (let i = 0; i < 60; i++) {
            if (i === 20) server.signal('writer', 'SIGKILL');
            if (i === 40) await server.signal('0', 'SIGKILL');
            if (i === 45) await server.signal('1', 'SIGKILL');
            await until(`publish ${i}`, async () => {
                if (socket.ws.readyState !== 1) return false;
                const answer = await socket.ask('publish', { topic: 'chat:paul', data: i, key: `p${i}` }).catch(() => null);
                if (answer?.t === 'error') assert.equal(answer.code, 'unavailable', JSON.stringify(answer));
                return answer?.t === 'ok';
            }, 30);
        }
        await socket.close();
        const { json } = await persist('its history', () => history(client, 'chat:paul', { limit: 1000 }));
        assert.deepEqual(json.messages.map((message) => message.data), numbers(60));
    }, 90);
});

withServer('one session by every road', { grade: 'memory', titled, tls: true }, (check) => {
    check('hops, cut where it happens to be: everything once, in order', async (server) => {
        const { client } = server;
        const { session, cursor: start } = await client.session('alice', { topics: ['chat:hops'] });
        const taken = [];
        let cursor = start;
        let done = false;
        const publishing = (async () => {
            for (let i = 0; i < 400; i++) await publish(client, session, 'chat:hops', i);
            done = true;
        })();
        const take = (list) => {
            taken.push(...list);
            cursor = list.at(-1)?.cursor ?? cursor;
        };
        const bySocket = (encoding, tls) => async () => {
            const socket = await connect(server, session, { encoding, cursor, tls });
            await until('something came', () => socket.messages.length > 0 || done);
            await socket.cut();
            take(socket.messages);
        };
        const roads = [
            bySocket('json', false), bySocket('msgpack', true), bySocket('msgpack', false), bySocket('json', true),
            async () => {
                const stream = await new EventStream(server, session, { query: { cursor } }).open();
                await until('something came', () => stream.messages.length > 0 || done);
                await stream.close();
                take(stream.messages);
            },
            async () => {
                const answer = await client.pick(session, { cursor, wait: 1 });
                if (answer.status === 200) take(answer.json.messages);
            },
        ];
        for (let hop = 0; !done; hop++) await roads[hop % roads.length]();
        await publishing;
        take((await client.pick(session, { cursor, limit: 1000 })).json.messages);
        assert.deepEqual(taken.map((message) => message.data), numbers(400));
        judge(start, taken);
    }, 90);

    check('a topic of many sockets, on both workers, in both encodings', async (server) => {
        const { client } = server;
        const sockets = await Promise.all(numbers(40).map(async (i) => {
            const { session } = await client.session(`many-${i}`, { topics: ['chat:many'] });
            return connect(server, session, { encoding: i % 2 ? 'json' : 'msgpack', tls: i % 4 < 2 });
        }));
        const workers = (await client.get('/v1/status')).json.workers.map((one) => one.connections);
        assert.ok(workers.every((n) => n > 4), String(workers));
        for (let i = 0; i < 50; i++) status(await say(client, 'chat:many', { data: i }), 201);
        for (const socket of sockets) {
            await socket.got(50);
            assert.deepEqual(socket.payloads, numbers(50));
        }
        const fed = await server.metric('restante_delivered_total{from="feed"}');
        assert.ok(fed >= 1, String(fed));
        await Promise.all(sockets.map((socket) => socket.close()));
    });
});

withServer('clients that do not read', { grade: 'memory', titled, workers: 1, sections: { session: { mailbox_bytes: '64M' } } }, (check) => {
    check('stop, cost no memory and nobody anything, and catch up when they read again', async (server) => {
        const { client } = server;
        const frozen = await client.session('frozen', { topics: ['chat:slow'] });
        const lively = await client.session('lively', { topics: ['chat:slow'] });
        const [sleeper, reader] = [await connect(server, frozen.session), await connect(server, lively.session)];
        const before = anonymous(server.role('0'));
        sleeper.pause();
        const data = 'x'.repeat(240 * 1024);
        const n = 120; // 28 MiB, of which the kernel keeps a third for it
        let most = 0;
        for (let i = 0; i < n; i++) {
            status(await say(client, 'chat:slow', { data: { i, data } }), 201);
            most = Math.max(most, anonymous(server.role('0')) - before);
        }
        await reader.got(n);
        assert.ok(most < 12 * MiB, `${(most / MiB).toFixed(1)} MiB`);
        sleeper.resume();
        await sleeper.got(n);
        assert.deepEqual(sleeper.payloads.map(({ i }) => i), numbers(n));
        status(await say(client, 'chat:slow', { data: { i: n } }), 201);
        await sleeper.got(n + 1);
        judge(frozen.cursor, sleeper.messages);
        await Promise.all([sleeper.close(), reader.close()]);
    }, 90);
});

withServer('clients that never read', { grade: 'memory', titled, sections: { limits: { write_timeout: '1s' } } }, (check) => {
    check('are closed, counted, and lose nothing', async (server) => {
        const { client } = server;
        const { session, cursor } = await client.session('never', { topics: ['chat:never'] });
        const socket = await connect(server, session);
        socket.pause();
        const data = 'x'.repeat(200 * 1024);
        for (let i = 0; i < 120; i++) status(await say(client, 'chat:never', { data }), 201); // more than the kernel keeps
        await until('it is closed', async () => await server.metric('restante_sockets') === 0, 20);
        socket.resume();
        await socket.closed;
        const again = await connect(server, session, { cursor });
        await again.got(120);
        await again.close();
    }, 60);
});

withServer('a flood of publishes', { grade: 'memory', titled, sections: { limits: { publish_rate: '50', pending: '10' } } }, (check) => {
    check('is refused, and the others go on', async (server) => {
        const { client } = server;
        const loud = await client.session('loud');
        const calm = await client.session('calm', { topics: ['chat:calm'] });
        const flood = await connect(server, loud.session, { credential: loud.token });
        const listener = await connect(server, calm.session, { credential: calm.token });
        const n = 8000; // of 130 bytes
        const answers = numbers(n).map((i) => flood.ask('publish', { topic: 'chat:loud', data: 'y'.repeat(80), key: `f${i}` }));
        for (let i = 0; i < 50; i++) {
            status(await say(client, 'chat:calm', { data: i }), 201);
            await listener.got(i + 1);
        }
        const all = await Promise.all(answers);
        const refused = all.filter((one) => one.t === 'error');
        assert.ok(refused.length > n / 2, String(refused.length));
        for (const one of refused) {
            assert.equal(one.code, 'rate_limited');
            assert.ok(one.retry_after_ms > 0 && one.retry_after_ms <= 1000, String(one.retry_after_ms));
        }
        const { json } = await history(client, 'chat:loud', { limit: 1000 });
        assert.equal(json.messages.length, Math.min(1000, n - refused.length));
        assert.equal(await server.metric('restante_rate_limited_total'), refused.length);
        await Promise.all([flood.close(), listener.close()]);
    }, 60);

    check('answers keep the order of what was asked, however many at once', async (server) => {
        const { session } = await server.client.session('order');
        const socket = await connect(server, session); // a key has no rate
        const order = [];
        await Promise.all(numbers(500).map(async (i) => {
            const answer = await socket.ask('publish', { topic: 'chat:order', data: i });
            assert.equal(answer.t, 'ok');
            order.push(answer.re);
        }));
        assert.deepEqual(order, numbers(500, 1));
        const { json } = await history(server.client, 'chat:order', { limit: 1000 });
        assert.deepEqual(json.messages.map((message) => message.data), numbers(500));
        await socket.close();
    });
});

withServer('heartbeats', { grade: 'memory', titled, sections: { server: { heartbeat: '2s' }, session: { ttl: '5s' } } }, (check) => {
    check('keep whoever answers, and his session', async (server) => {
        const { session } = await server.client.session('lives');
        const socket = await connect(server, session);
        assert.equal(socket.heard[0].heartbeat, 2);
        let pings = 0;
        socket.ws.on('ping', () => pings++);
        await until('four pings, a longer time than its ttl', () => pings >= 4, 20);
        assert.equal((await socket.ask('ping')).t, 'ok');
        await socket.close();
    });

    check('find out who is silent', async (server) => {
        const { session } = await server.client.session('mute');
        const socket = await connect(server, session, { options: { autoPong: false } });
        assert.equal((await socket.closed).code, 1001);
        await until('it is counted', async () => await server.metric('restante_sockets_closed_total{by="silence"}') === 1);
    });

    check('look at the credential again', async (server) => {
        const { client } = server;
        const { session, token } = await client.session('rotated');
        const own = await connect(server, session, { credential: token });
        const key = await connect(server, session);
        for (let i = 0; i < 2; i++) status(await client.post('/v1/rotate'), 204);
        assert.equal((await own.closed).code, 1008);
        assert.equal((await key.ask('ping')).t, 'ok');
        await key.close();
    });
});

withServer('a worker that is lapped', { grade: 'memory', titled, sections: { shm: { feed: '64K' } } }, (check) => {
    check('sends its sockets back to the store, and nothing is lost', async (server) => {
        const { client } = server;
        const { session, cursor } = await client.session('lapped', { topics: ['chat:lapped'] });
        const sockets = await Promise.all(['json', 'msgpack'].map((encoding) => connect(server, session, { encoding })));
        for (let round = 0; round < 20; round++) {
            const messages = numbers(100, round * 100).map((i) => ({ topic: 'chat:lapped', data: { i, pad: 'z'.repeat(500) } }));
            status(await client.post('/v1/publish', { messages }), 200);
        }
        for (const socket of sockets) {
            await socket.got(2000);
            assert.deepEqual(socket.payloads.map(({ i }) => i), numbers(2000));
            judge(cursor, socket.messages);
            await socket.close();
        }
    }, 60);
});

const PYTHON = `
import asyncio, base64, json, ssl, sys, websockets
url, token, ca = sys.argv[1:4]

async def opened(url, **more):
    context = ssl.create_default_context(cafile=ca) if url.startswith("wss") else None
    ws = await websockets.connect(url, ssl=context, **more)
    hello = json.loads(await ws.recv())
    assert hello["t"] == "hello", hello
    return ws, hello

async def main():
    ways = [
        (url, dict(extra_headers={"Authorization": "Bearer " + token})),
        (url + "&access_token=" + token, {}),
        (url, dict(subprotocols=["restante.bearer." + base64.urlsafe_b64encode(token.encode()).decode().rstrip("="), "restante.v1.json"])),
    ]
    cursor = None
    said = 0
    for at, more in ways:
        ws, hello = await opened(at + ("&cursor=" + cursor if cursor else ""), **more)
        assert ws.subprotocol == ("restante.v1.json" if "subprotocols" in more else None), ws.subprotocol
        await ws.send(json.dumps({"t": "subscribe", "n": 1, "topic": "chat:python"}))
        assert json.loads(await ws.recv())["topic"] == "chat:python"
        for i in range(20):
            await ws.send(json.dumps({"t": "publish", "topic": "chat:python", "data": {"i": said, "text": "grün"}}))
            said += 1
        for i in range(20):
            message = json.loads(await ws.recv())
            assert message["t"] == "message" and message["data"]["i"] == said - 20 + i, message
            cursor = message["cursor"]
        await ws.send(json.dumps({"t": "ack", "n": 2, "cursor": cursor}))
        assert json.loads(await ws.recv()) == {"t": "ok", "re": 2}
        await (await ws.ping())
        await ws.send(iter([' {"t":"pi', 'ng","n"', ':3}']))
        assert json.loads(await ws.recv()) == {"t": "ok", "re": 3}
        await ws.close()
        assert ws.close_code == 1000, ws.close_code
    try:
        await websockets.connect(url, ssl=ssl.create_default_context(cafile=ca) if url.startswith("wss") else None)
        assert False
    except websockets.exceptions.InvalidStatusCode as error:
        assert error.status_code == 401, error
    print(said)

asyncio.run(main())
`;

withServer('a client in Python', { grade: 'memory', titled, tls: true }, (check) => {
    check('websockets: each way of its credential, fragments, pings, in clear and over TLS', async (server) => {
        const { session, token } = await server.client.session('python');
        const ca = path.join(server.dir, 'server.crt');
        for (const url of [server.url, server.tls.url]) {
            const { stdout } = await run('/usr/bin/python3', ['-c', PYTHON, `${url.replace('http', 'ws')}/v1/socket?session=${session}`, token, ca]);
            assert.equal(stdout.trim(), '60');
        }
    }, 60);
});
