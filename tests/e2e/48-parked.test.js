// Hundreds of long-polls stay parked, on connections in clear and over TLS, while h2load reads and
// publishes beside them; then one publish answers them all.

import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { payloads, status } from './lib/expect.js';
import { H2 } from './lib/h2.js';
import { parked, withServer } from './lib/harness.js';
import { run } from './lib/run.js';

const CONNECTIONS = 4; // clear and TLS in turn
const POLLS = 100; // on each
const REQUESTS = 1000; // of one h2load

/** Every request of an h2load must succeed. */
async function h2load(key, url, ...more) {
    const { code, out, err } = await run('h2load', [
        `--requests=${REQUESTS}`, '--clients=4', '--max-concurrent-streams=10', `--header=authorization: Bearer ${key}`, ...more, url,
    ]);
    assert.equal(code, 0, `${out}${err}`);
    assert.match(out, new RegExp(`^requests: .* ${REQUESTS} succeeded, 0 failed, 0 errored, 0 timeout$`, 'm'));
    assert.match(out, new RegExp(`^status codes: ${REQUESTS} 2xx,`, 'm'));
}

withServer('a crowd of parked polls', { tls: true }, (check) => {
    check('h2load passes through it, and one publish answers all', async (server) => {
        const { client, key, tls } = server;
        const { session, cursor } = await client.session('crowd');
        const passing = `/v1/sessions/${(await client.session('passer-by')).session}/messages`;
        const body = path.join(server.dir, 'body.json');
        fs.writeFileSync(body, '{"data":"passing by"}');
        const connections = Array.from({ length: CONNECTIONS }, (_, i) =>
            (i % 2 ? new H2(tls.url, key, { ca: tls.certificate }) : new H2(server.url, key)));
        try {
            let answered = 0;
            const polls = connections.flatMap((connection) => Array.from({ length: POLLS }, async () => {
                const answer = await connection.get(`/v1/sessions/${session}/messages?cursor=${cursor}&wait=60s`);
                answered++;
                return answer;
            }));
            const all = Promise.all(polls);
            all.catch(() => {}); // awaited below
            await parked(client, session, polls.length);

            for (const url of [server.url, tls.url]) {
                await h2load(key, `${url}/healthz`);
                await h2load(key, `${url}${passing}`, `--data=${body}`, '--header=content-type: application/json');
                await h2load(key, `${url}${passing}`);
            }
            assert.equal(answered, 0);
            assert.equal(await server.metric('restante_polls_parked'), polls.length);

            status(await client.send(session, { data: 'for all' }), 201);
            for (const answer of await all) assert.deepEqual(payloads(status(answer, 200)), ['for all']);
            assert.equal(await server.metric('restante_polls_parked'), 0);
        } finally {
            for (const connection of connections) connection.close();
        }
    }, 120);
});
