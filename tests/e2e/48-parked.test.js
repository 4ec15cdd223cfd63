// Hundreds of long-polls stay parked, on a few HTTP/2 connections, while h2load loads the same
// workers; then one publish answers them all.

import assert from 'node:assert/strict';
import fs from 'node:fs';
import http2 from 'node:http2';
import path from 'node:path';
import { payloads, status } from './lib/expect.js';
import { parked, withServer } from './lib/harness.js';
import { run } from './lib/run.js';

const CONNECTIONS = 4; // clear and TLS in turn
const POLLS = 100; // on each
const REQUESTS = 2000;

/** One GET as a stream: {settled, answer}. */
function get(connection, target, key) {
    const poll = { settled: false };
    poll.answer = new Promise((resolve, reject) => {
        const stream = connection.request({ ':path': target, authorization: `Bearer ${key}` });
        const parts = [];
        stream.once('error', reject);
        stream.once('response', (headers) => { poll.status = headers[':status']; });
        stream.on('data', (part) => parts.push(part));
        stream.once('end', () => {
            poll.settled = true;
            resolve({ status: poll.status, json: JSON.parse(Buffer.concat(parts)) });
        });
    });
    return poll;
}

/** What h2load says of its requests: how many {done: [succeeded, failed, errored, timeout], ok}. */
async function h2load(url, target, { key, data = [] }) {
    const { code, out, err } = await run('h2load', [
        `--requests=${REQUESTS}`, '--clients=4', '--max-concurrent-streams=10', `--header=authorization: Bearer ${key}`, ...data, `${url}${target}`,
    ]);
    assert.equal(code, 0, `${out}${err}`);
    const row = /^requests: .* (\d+) succeeded, (\d+) failed, (\d+) errored, (\d+) timeout$/m.exec(out);
    const codes = /^status codes: (\d+) 2xx,/m.exec(out);
    return { done: row?.slice(1).map(Number), ok: Number(codes?.[1]), out };
}

withServer('a crowd of parked polls', { tls: true }, (check, server) => {
    check('h2load passes through it, and one publish answers all', async () => {
        const { client, key } = server;
        const { session, cursor } = await client.session('crowd');
        const other = await client.session('passer-by');
        const connections = Array.from({ length: CONNECTIONS }, (_, i) =>
            i % 2 ? http2.connect(server.tls.url, { ca: server.tls.certificate }) : http2.connect(server.url));
        try {
            const target = `/v1/sessions/${session}/messages?cursor=${cursor}&wait=60s`;
            const polls = connections.flatMap((connection) =>
                Array.from({ length: POLLS }, () => get(connection, target, key)));
            const answers = Promise.all(polls.map(({ answer }) => answer));
            answers.catch(() => {}); // awaited below
            await parked(client, session, polls.length);

            const body = path.join(server.dir, 'body.json');
            fs.writeFileSync(body, '{"data":"passing by"}');
            const mailbox = `/v1/sessions/${other.session}/messages`;
            for (const url of [server.url, server.tls.url]) {
                for (const [where, data] of [['/healthz', []], [mailbox, []], [mailbox, [`--data=${body}`, '--header=content-type: application/json']]]) {
                    const { done, ok, out } = await h2load(url, where, { key, data });
                    assert.deepEqual(done, [REQUESTS, 0, 0, 0], out);
                    assert.equal(ok, REQUESTS, out);
                }
            }
            assert.equal(await server.metric('restante_polls_parked'), polls.length, 'they are still parked');
            assert.ok(polls.every(({ settled }) => !settled), 'none was answered');

            status(await client.send(session, { data: 'for all' }), 201);
            for (const answer of await answers) {
                status(answer, 200);
                assert.deepEqual(payloads(answer), ['for all']);
            }
            assert.equal(await server.metric('restante_polls_parked'), 0);
        } finally {
            for (const connection of connections) connection.destroy();
        }
    }, 120);
});
