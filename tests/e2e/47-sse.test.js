// Messages as an event stream: our own strict reader, the npm package `eventsource`, and curl.

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { EventSource } from 'eventsource';
import { Chain } from './lib/chain.js';
import { EventStream, Parser } from './lib/events.js';
import { NOBODY, payloads, problem, status } from './lib/expect.js';
import { H2 } from './lib/h2.js';
import { withServer } from './lib/harness.js';
import { anonymous } from './lib/proc.js';
import { until } from './lib/wait.js';

const MiB = 1 << 20;
const streams = (server) => server.metric('restante_streams');
const numbers = (n, from = 0) => Array.from({ length: n }, (_, i) => from + i);

/** Everything once, in order, by the chain too. */
function whole(stream, cursor, n) {
    const chain = new Chain(cursor);
    assert.deepEqual(stream.messages.map((message) => message.data), numbers(n));
    chain.take({ messages: stream.messages, cursor: stream.messages.at(-1).cursor });
}

withServer('an event stream', { grade: 'memory', sections: { server: { keepalive: '1s', retry: '1s' } } }, (check) => {
    check('says what is stored, then what comes', async (server) => {
        const { client } = server;
        const { session, cursor, token } = await client.session();
        await client.send(session, { data: 0, event: 'first one' });
        const stream = await new EventStream(server, session, { credential: token, query: { cursor } }).open();
        assert.equal(stream.status, 200);
        assert.equal(stream.head['content-type'], 'text/event-stream');
        assert.equal(stream.head['cache-control'], 'no-store');
        assert.equal(stream.head['x-accel-buffering'], 'no');
        await stream.got(1);
        for (let i = 1; i < 50; i++) status(await client.send(session, { data: i }), 201);
        await stream.got(50);
        whole(stream, cursor, 50);
        assert.equal(stream.messages[0].event, 'first one');
        assert.ok(stream.retries[0] >= 1000 && stream.retries[0] < 2000);
        // The same objects as by GET.
        const page = (await client.pick(session, { cursor })).json;
        assert.deepEqual(stream.messages, page.messages);
        await stream.close();
    });

    check('ephemerals have no id and leave the last one alone', async (server) => {
        const { client } = server;
        const { session } = await client.session();
        const stream = await new EventStream(server, session).open();
        status(await client.send(session, { data: 0 }), 201);
        status(await client.send(session, { data: 1, ephemeral: true, event: 'typing' }), 202);
        await stream.got(2);
        assert.equal(stream.messages[1].ephemeral, true);
        assert.equal(stream.messages[1].seq, undefined);
        assert.equal(stream.ids[1], stream.ids[0]);
        await stream.close();
    });

    check('shows life when there is nothing to say', async (server) => {
        const { session } = await server.client.session();
        const stream = await new EventStream(server, session).open();
        await until('two comments', () => stream.comments >= 2);
        assert.equal(stream.messages.length, 0);
        await stream.close();
    });

    check('is a connection of its session while it lasts, and is counted', async (server) => {
        const { client } = server;
        const { session } = await client.session();
        const open = await Promise.all([1, 2].map(() => new EventStream(server, session).open()));
        const look = async () => (await client.get(`/v1/sessions/${session}`)).json.connections;
        await until('both are seen', async () => (await look()).length === 2);
        assert.deepEqual((await look()).map((one) => one.transport), ['sse', 'sse']);
        await until('both are counted', async () => await streams(server) === 2);
        await Promise.all(open.map((stream) => stream.close()));
        await until('none is left', async () => (await look()).length === 0 && await streams(server) === 0);
    });

    check('what reached the kernel is delivered', async (server) => {
        const { client } = server;
        const { session, cursor } = await client.session();
        const stream = await new EventStream(server, session, { query: { cursor } }).open();
        const { seq } = (await client.send(session, { data: 0 })).json;
        await stream.got(1);
        const receipt = await until('the receipt says so', async () => {
            const { json } = await client.get(`/v1/sessions/${session}/messages/${seq}`);
            return json.state === 'delivered' && json;
        });
        assert.ok(receipt.delivered_at);
        await stream.close();
    });

    check('Last-Event-ID beats the cursor, ack acks up to it', async (server) => {
        const { client } = server;
        const { session, cursor } = await client.session();
        for (let i = 0; i < 5; i++) status(await client.send(session, { data: i }), 201);
        const { messages } = (await client.pick(session, { cursor })).json;
        const stream = await new EventStream(server, session, {
            query: { cursor, ack: 1 }, headers: { 'Last-Event-ID': messages[2].cursor },
        }).open();
        await stream.got(2);
        assert.deepEqual(stream.messages.map((message) => message.data), [3, 4]);
        assert.equal((await client.get(`/v1/sessions/${session}`)).json.acked, messages[2].cursor);
        await stream.close();
    });

    check('a foreign cursor is told, then everything comes from the oldest', async (server) => {
        const { client } = server;
        const { session, epoch } = await client.session();
        for (let i = 0; i < 3; i++) status(await client.send(session, { data: i }), 201);
        for (const [id, reason] of [['0123456789abcdef.7', 'epoch'], [`${epoch}.99999999`, 'ahead']]) {
            const stream = await new EventStream(server, session, { headers: { 'Last-Event-ID': id } }).open();
            assert.equal(stream.status, 200);
            await stream.got(3);
            assert.deepEqual(payloads({ json: stream }), [0, 1, 2]);
            const { data } = stream.controls[0];
            assert.equal(stream.controls[0].event, 'restante.reset');
            assert.deepEqual(Object.keys(data), ['reason', 'oldest', 'newest']);
            assert.equal(data.reason, reason);
            problem(await client.pick(session, { cursor: id }), 410, 'cursor_reset');
            await stream.close();
        }
    });

    check('a session that ends says so, and is not asked for again', async (server) => {
        const { client } = server;
        const { session } = await client.session();
        const stream = new EventStream(server, session).follow();
        await until('it is open', () => stream.retries.length > 0);
        status(await client.request('DELETE', `/v1/sessions/${session}`), 204);
        const closing = await stream.control('restante.closing');
        assert.equal(closing.data.reason, 'session_unknown');
        assert.equal(closing.data.retry_after_ms, stream.retries.at(-1));
        await stream.following;
        assert.equal(stream.status, 204);
        const nobody = await new EventStream(server, NOBODY).open();
        assert.equal(nobody.status, 204);
        await nobody.close();
    });

    check('refusals are problem documents', async (server) => {
        const { client } = server;
        const { session, token } = await client.session();
        const other = await client.session('bob');
        const headers = { Accept: 'text/event-stream' };
        const path = `/v1/sessions/${session}/messages`;
        problem(await client.get(path, { headers, credential: null }), 401, 'token_missing');
        problem(await client.get(path, { headers, credential: 'nonsense' }), 401, 'token_unknown_key');
        problem(await client.get(`/v1/sessions/${other.session}/messages`, { headers, credential: token }), 403, 'forbidden');
        problem(await client.get(path, { headers: { ...headers, 'Last-Event-ID': 'x' } }), 400, 'bad_request');
        for (const bad of ['wait=99', 'limit=0', 'max_bytes=x', 'ack=2', 'cursor=x']) {
            problem(await client.get(`${path}?${bad}`, { headers }), 400, 'bad_request');
        }
    });

    check('HEAD says what GET would', async (server) => {
        const { session } = await server.client.session();
        const answer = await server.client.request('HEAD', `/v1/sessions/${session}/messages`, { headers: { Accept: 'text/event-stream' } });
        assert.equal(answer.status, 200);
        assert.equal(answer.headers['content-type'], 'text/event-stream');
        assert.equal(answer.text, '');
        await until('none is counted', async () => await streams(server) === 0);
    });

    check('what events may be called', async (server) => {
        const { client } = server;
        const { session } = await client.session();
        const stream = await new EventStream(server, session).open();
        const good = ['a', ' spaces ', 'ü-✉', 'a:b', 'x'.repeat(255)];
        for (const event of good) status(await client.send(session, { data: event, event }), 201);
        for (const event of ['', 'a\nid: 1', 'a\rb', 'a\0b', '\x7f', 'x'.repeat(256)]) {
            problem(await client.send(session, { data: 0, event }), 400, 'bad_request');
        }
        await stream.got(good.length);
        assert.deepEqual(stream.messages.map((message) => message.event), good);
        await stream.close();
    });

    check('payloads of every kind, line ends and all', async (server) => {
        const { client } = server;
        const { session } = await client.session();
        const stream = await new EventStream(server, session).open();
        const text = 'a\nb\r\nc\rd\u2028e\0\u0085';
        status(await client.post(`/v1/sessions/${session}/messages`, text, { headers: { 'Content-Type': 'text/plain' } }), 201);
        status(await client.post(`/v1/sessions/${session}/messages`, Buffer.from([0, 10, 13, 255]), { headers: { 'Content-Type': 'application/octet-stream' } }), 201);
        status(await client.post(`/v1/sessions/${session}/messages`, '{"data":\n [1,\r\n 2]\n}', { headers: { 'Content-Type': 'application/json' } }), 201);
        await stream.got(3);
        assert.equal(stream.messages[0].data, text);
        assert.equal(stream.messages[1].data_b64, Buffer.from([0, 10, 13, 255]).toString('base64'));
        assert.deepEqual(stream.messages[2].data, [1, 2]);
        await stream.close();
    });

    check('curl -N', async (server) => {
        const { client } = server;
        const { session, cursor, token } = await client.session();
        const curl = spawn('curl', ['-sN', '-H', 'Accept: text/event-stream', '-H', `Last-Event-ID: ${cursor}`,
            `${server.url}/v1/sessions/${session}/messages?access_token=${token}`]);
        let out = '';
        curl.stdout.on('data', (part) => { out += part; });
        try {
            const { json } = await client.send(session, { data: { a: 1 }, event: 'paid' });
            await until('curl printed it', () => out.includes('\n\nid: '));
            const [, id, event, data] = /\n\nid: (.*)\nevent: (.*)\ndata: (.*)\n\n/.exec(out);
            assert.equal(id, json.cursor);
            assert.equal(event, 'paid');
            assert.deepEqual(JSON.parse(data).data, { a: 1 });
        } finally {
            curl.kill('SIGKILL');
        }
    });
});

withServer('event streams on one HTTP/2 connection', { grade: 'memory', tls: true, workers: 1 }, (check) => {
    for (const road of ['clear', 'TLS']) {
        check(`by ${road}: one that is not read holds no other`, async (server) => {
            const { client } = server;
            const N = 20;
            const connection = new H2(road === 'TLS' ? server.tls.url : server.url, server.key, { ca: server.tls.certificate });
            const sessions = await Promise.all(Array.from({ length: N }, (_, i) => client.session(`${road}${i}`)));
            const seen = sessions.map(() => []);
            const streams = sessions.map(({ session, cursor }, i) => {
                const parser = new Parser((item) => item.data && seen[i].push(JSON.parse(item.data).data));
                const stream = connection.open('GET', `/v1/sessions/${session}/messages?cursor=${cursor}`, { headers: { accept: 'text/event-stream' } });
                stream.setEncoding('utf8');
                if (i > 0) stream.on('data', (text) => parser.feed(text)); // nobody reads the first one
                return { stream, parser };
            });
            const big = 'x'.repeat(20 * 1024);
            for (let round = 0; round < 30; round++) {
                status(await client.post('/v1/publish', { messages: sessions.map(({ session }, i) => ({ session, data: i ? round : big })) }), 200);
            }
            await until('the others have everything', () => seen.slice(1).every((one) => one.length === 30));
            for (const one of seen.slice(1)) assert.deepEqual(one, numbers(30));
            streams[0].stream.on('data', (text) => streams[0].parser.feed(text));
            await until('it catches up', () => seen[0].length === 30);
            const { cursor } = (await client.pick(sessions[1].session)).json;
            await until('delivered says so', async () => (await client.get(`/v1/sessions/${sessions[1].session}`)).json.delivered === cursor);
            connection.close();
            await until('all are gone', async () => await server.metric('restante_streams') === 0);
        });
    }
});

withServer('an event stream through kills', { sections: { server: { drain: '3s', retry: '100ms' } } }, (check) => {
    check('everything once, in order, whoever dies', async (server) => {
        const { client } = server;
        const { session, cursor, token } = await client.session();
        const stream = new EventStream(server, session, { credential: token, query: { cursor } }).follow();
        const source = new EventSource(`${server.url}/v1/sessions/${session}/messages?cursor=${cursor}&access_token=${token}`);
        const seen = [];
        source.addEventListener('message', (event) => seen.push(JSON.parse(event.data).data));
        let n = 0;
        const publish = async (count) => {
            for (const end = n + count; n < end; n++) {
                await until(`message ${n} is in`, async () => {
                    const answer = await client.send(session, { data: n }, `key-${n}`).catch(() => null);
                    return answer && (answer.status === 201 || answer.status === 200);
                }, 20);
            }
        };
        await publish(20);
        await stream.got(20);
        for (const hit of [() => server.replace('0'), () => server.replace('1'), () => server.replace('writer'), () => server.restart(),
            async () => { await server.crash(); await server.start(); }]) {
            const blow = hit();
            await publish(15);
            await blow;
            await publish(5);
            await stream.got(n, 30);
            await until('the EventSource has them too', () => seen.length >= n, 30);
        }
        whole(stream, cursor, n);
        assert.deepEqual(seen, numbers(n));
        assert.equal(stream.controls.filter((one) => one.event === 'restante.reset').length, 0);
        assert.ok(stream.controls.some((one) => one.event === 'restante.closing'), 'the orderly stop was announced');
        source.close();
        await stream.close();
    }, 120);
});

const slow = { limits: { write_timeout: '60s' }, session: { mailbox_bytes: '128M', mailbox_messages: 100000 } };

withServer('a reader that stops reading', { grade: 'memory', sections: slow }, (check) => {
    check('costs a bounded amount of memory, and catches up', async (server) => {
        const { client } = server;
        const { session, cursor } = await client.session();
        const stream = await new EventStream(server, session, { query: { cursor } }).open();
        await until('it is open', () => stream.retries.length > 0);
        stream.pause();
        const pids = [server.role('0'), server.role('1')];
        const memory = () => pids.reduce((sum, pid) => sum + anonymous(pid), 0);
        const before = memory();
        const big = 'x'.repeat(30 * 1024);
        let most = 0;
        for (let i = 0; i < 40; i++) {
            const messages = Array.from({ length: 50 }, () => ({ session, data: big }));
            status(await client.post('/v1/publish', { messages }), 200);
            most = Math.max(most, memory() - before);
        }
        assert.ok(most < 24 * MiB, `${Math.round(most / MiB)} MiB for 60 MiB unread`);
        stream.resume();
        await stream.got(2000, 30);
        const chain = new Chain(cursor);
        chain.take({ messages: stream.messages, cursor: stream.messages.at(-1).cursor });
        assert.equal(stream.connections, 1);
        await stream.close();
    }, 60);
});

withServer('what retention took', { grade: 'memory', sections: { session: { mailbox_messages: 10, mailbox_overflow: 'drop_oldest' } } }, (check) => {
    check('is told before what is left', async (server) => {
        const { client } = server;
        const { session, cursor } = await client.session();
        for (let i = 0; i < 50; i++) status(await client.send(session, { data: i }), 201);
        const stream = await new EventStream(server, session, { query: { cursor } }).open();
        const { data } = await stream.control('restante.truncated');
        assert.equal(data.streams.length, 1);
        const { messages, truncated } = (await client.pick(session, { cursor })).json;
        assert.deepEqual(data.streams, truncated);
        await stream.got(messages.length);
        assert.deepEqual(stream.messages, messages);
        await stream.close();
    });
});

withServer('many streams', { grade: 'memory', workers: 1, sections: { session: { max_per_subject: 10000 }, limits: { connections: 4000 } } }, (check) => {
    check('an idle one costs at most 4 KiB of its worker', async (server) => {
        const { client } = server;
        const N = 2000;
        const pid = server.role('0');
        const sessions = [];
        for (let i = 0; i < N; i++) sessions.push((await client.session(`s${i}`)).session);
        const open = async (from, to) => {
            const made = sessions.slice(from, to).map((session) => new EventStream(server, session));
            for (let i = 0; i < made.length; i += 50) await Promise.all(made.slice(i, i + 50).map((stream) => stream.open()));
            return made;
        };
        const first = await open(0, 200);
        const before = anonymous(pid);
        const rest = await open(200, N);
        await until('all are open', async () => await streams(server) === N);
        const each = (anonymous(pid) - before) / (N - 200);
        console.log(`# an idle event stream: ${Math.round(each)} bytes`);
        assert.ok(each <= 4096, `${Math.round(each)} bytes each`);
        await Promise.all([...first, ...rest].map((stream) => stream.close()));
    }, 90);
});
