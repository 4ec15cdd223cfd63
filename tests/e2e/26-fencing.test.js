// Exclusive sessions: whoever comes last has it, by whatever road, and the one before is told so.
// Shared ones: nobody is.

import assert from 'node:assert/strict';
import { EventStream } from './lib/events.js';
import { payloads, problem, status } from './lib/expect.js';
import { H2 } from './lib/h2.js';
import { bothGrades, parked, withServer } from './lib/harness.js';
import { connect } from './lib/socket.js';
import { until } from './lib/wait.js';

const exclusive = { sections: { session: { exclusive: true } }, titled: [['namespace', 'chat:*', {}]] };

/** The roads a client may wait on. Each: {taken(): resolves once it has the session, lost(): once it was fenced off}. */
const ROADS = {
    'a long-poll': (server, session) => {
        const answer = server.client.pick(session, { wait: 60 });
        return {
            taken: () => seen(server, session, 'poll'),
            lost: async () => problem(await answer, 409, 'superseded'),
            got: async () => payloads(await answer),
            close: () => answer.catch(() => {}),
        };
    },
    'a long-poll over HTTP/2': (server, session) => {
        const h2 = new H2(server.url, server.key);
        const answer = h2.get(`/v1/sessions/${session}/messages?wait=60`);
        answer.catch(() => {});
        return {
            taken: () => seen(server, session, 'poll'),
            lost: async () => { problem(await answer, 409, 'superseded'); h2.close(); },
            got: async () => payloads(await answer),
            close: () => h2.close(),
        };
    },
    'an event stream': (server, session) => {
        const stream = new EventStream(server, session);
        const opened = stream.open();
        return {
            taken: async () => { await opened; await seen(server, session, 'sse'); },
            lost: async () => {
                const { data } = await stream.control('restante.closing');
                assert.equal(data.reason, 'superseded');
                assert.ok(data.retry_after_ms > 0);
                await stream.ended;
            },
            got: async () => (await stream.got(1)).map((message) => message.data),
            close: () => stream.close(),
        };
    },
    'a WebSocket': (server, session) => {
        const opened = connect(server, session);
        return {
            taken: async () => { await opened; await seen(server, session, 'websocket'); },
            lost: async () => assert.equal((await (await opened).closed).code, 4409),
            got: async () => (await (await opened).got(1)).map((message) => message.data),
            close: async () => (await opened).close(),
        };
    },
};

/** Exactly one connection shows, of this transport. */
function seen(server, session, transport) {
    return until(`one connection, by ${transport}`, async () => {
        const { connections } = (await server.client.get(`/v1/sessions/${session}`)).json;
        return connections.length === 1 && connections[0].transport === transport;
    });
}

bothGrades('an exclusive session', exclusive, (check) => {
    for (const [first, before] of Object.entries(ROADS)) {
        for (const [second, after] of Object.entries(ROADS)) {
            check(`${first} gives way to ${second}`, async (server) => {
                const { session } = await server.client.session('solo', { topics: ['chat:1'] });
                const old = before(server, session);
                await old.taken();
                const mine = after(server, session);
                await old.lost();
                await mine.taken();
                status(await server.client.send(session, { data: 'for the new one' }), 201);
                assert.deepEqual(await mine.got(), ['for the new one']);
                await old.close();
                await mine.close();
            });
        }
    }

    check('what an older socket asks is refused, and it is closed', async (server) => {
        const { client } = server;
        const { session, cursor } = await client.session('stale');
        const old = await connect(server, session, { cursor });
        await seen(server, session, 'websocket');
        const { cursor: at } = status(await client.send(session, { data: 1 }), 201).json;
        await old.got(1);
        const mine = await connect(server, session, { cursor });
        await mine.got(1);
        // Its word may arrive before it knows: then it is told, else it is gone.
        const answer = await old.ask('ack', { cursor: at }).catch(() => ({ code: 'superseded' }));
        if (answer.t !== 'ok') assert.equal(answer.code, 'superseded');
        assert.equal((await old.closed).code, 4409);
        assert.equal((await mine.ask('ack', { cursor: at })).t, 'ok');
        await mine.close();
    });

    check('many that come at once: one of them has it, the others are told', async (server) => {
        const { session } = await server.client.session('crowd');
        const polls = Array.from({ length: 20 }, () => server.client.pick(session, { wait: 60 }));
        const done = new Set();
        polls.forEach((poll, i) => poll.then((answer) => { done.add(i); problem(answer, 409, 'superseded'); }).catch(() => {}));
        await until('all but one are answered', () => done.size === 19);
        await parked(server.client, session);
        status(await server.client.send(session, { data: 1 }), 201);
        const answers = await Promise.all(polls);
        assert.equal(answers.filter((answer) => answer.status === 409).length, 19);
        assert.deepEqual(answers.filter((answer) => answer.status === 200).map(payloads), [[1]]);
        assert.equal(await server.metric('restante_superseded_total') >= 19, true);
    });

    check('a plain GET, an ack and a look take nothing', async (server) => {
        const { client } = server;
        const { session, cursor } = await client.session('look');
        const stream = await new EventStream(server, session).open();
        await seen(server, session, 'sse');
        const { seq, cursor: at } = status(await client.send(session, { data: 1 }), 201).json;
        await stream.got(1);
        assert.deepEqual((await client.pick(session, { cursor })).json.messages.map((message) => message.seq), [seq]);
        status(await client.ack(session, at), 204);
        status(await client.get(`/v1/sessions/${session}`), 200);
        status(await client.request('PUT', `/v1/sessions/${session}/subscriptions/chat:x`), 200);
        status(await client.send(session, { data: 2 }), 201);
        await stream.got(2);
        assert.deepEqual(stream.controls, []);
        await stream.close();
    });

    check('who was fenced off comes back, and goes on where it was', async (server) => {
        const { client } = server;
        const { session, cursor } = await client.session('back');
        const old = await new EventStream(server, session, { query: { cursor } }).open();
        await seen(server, session, 'sse');
        status(await client.send(session, { data: 1 }), 201);
        await old.got(1);
        const poll = client.pick(session, { cursor: old.lastId, wait: 60 });
        await old.control('restante.closing');
        await seen(server, session, 'poll');
        await old.open(); // Last-Event-ID
        problem(await poll, 409, 'superseded');
        status(await client.send(session, { data: 2 }), 201);
        await old.got(2);
        assert.deepEqual(old.messages.map((message) => message.data), [1, 2]);
        await old.close();
    });

    check('another worker, or a new writer, knows who had it', async (server) => {
        const { client } = server;
        const { session } = await client.session('kills');
        const stream = await new EventStream(server, session).open();
        await seen(server, session, 'sse');
        await server.replace('writer');
        const poll = client.pick(session, { wait: 60 });
        assert.equal((await stream.control('restante.closing')).data.reason, 'superseded');
        await seen(server, session, 'poll');
        status(await client.send(session, { data: 1 }), 201);
        assert.deepEqual(payloads(await poll), [1]);
        await stream.close();
    });
});

withServer('a shared session', { grade: 'memory' }, (check) => {
    check('is picked up by all who come', async (server) => {
        const { client } = server;
        const { session } = await client.session('shared');
        const streams = [await new EventStream(server, session).open(), await new EventStream(server, session).open()];
        const polls = [client.pick(session, { wait: 60 }), client.pick(session, { wait: 60 })];
        await parked(client, session, 2);
        status(await client.send(session, { data: 1 }), 201);
        for (const poll of polls) assert.deepEqual(payloads(await poll), [1]);
        for (const stream of streams) {
            await stream.got(1);
            assert.deepEqual(stream.controls, []);
            await stream.close();
        }
        assert.equal(await server.metric('restante_superseded_total'), 0);
    });
});
