// The directory and the disk under a server: shared, read-only, full.

import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { describe, it } from 'node:test';
import { problem, status } from './lib/expect.js';
import { withServer } from './lib/harness.js';
import { Mount, whyNot } from './lib/mount.js';
import { restanted } from './lib/run.js';
import { Server } from './lib/server.js';
import { until } from './lib/wait.js';

/** A server in a directory of its own inside a mount; both end, whatever happens. */
async function inMount(size, options, body) {
    const mount = new Mount(size);
    const server = new Server({ ...options, dir: fs.mkdtempSync(path.join(mount.dir, 's')) });
    try {
        await body(server, mount);
    } catch (error) {
        console.error(server.tail());
        throw error;
    } finally {
        await server.dispose();
        mount.dispose();
    }
}

/** Publishes until the store refuses; the payloads that were accepted. */
async function fill(client, session, size) {
    const accepted = [];
    for (let i = 0; ; i++) {
        assert.ok(i < 10000, 'the store is never full');
        const data = `${i}:${'x'.repeat(size)}`;
        const answer = await client.send(session, { data }, `fill-${i}`);
        if (answer.status === 507) return { accepted, answer };
        status(answer, 201);
        accepted.push(data);
    }
}

async function everything(client, session, cursor) {
    const seen = [];
    for (let at = cursor, more = true; more;) {
        const { json } = await client.pick(session, { cursor: at, limit: 100 });
        seen.push(...json.messages.map((message) => message.data));
        at = json.cursor;
        more = json.more;
    }
    return seen;
}

withServer('the directory', {}, (check) => {
    check('takes no second server', async (server) => {
        const second = path.join(server.dir, 'second.conf');
        fs.writeFileSync(second, server.text.replace(`:${server.port}"`, `:${server.port + 1}"`));
        const { code, out, err } = await restanted(['--config', second], { seconds: 10 });
        assert.ok(code !== 0 && code !== null, `ended with ${code}`);
        assert.match(out + err, /lock|another|already|in use/i);
        status(await server.client.get('/readyz'), 200);
    });

    check('is closed to others, and its keys twice', async (server) => {
        const state = path.join(server.dir, 'state');
        assert.equal(fs.statSync(state).mode & 0o777, 0o700);
        assert.equal(fs.statSync(path.join(state, 'session.keys')).mode & 0o777, 0o600);
    });
});

withServer('a full store', { grade: 'memory', sections: { store: { map_size: '16M' }, session: { mailbox_bytes: '1G' } } }, (check) => {
    check('refuses, keeps everything, and is free again after an ack', async ({ client }) => {
        const { session, cursor } = await client.session();
        const { accepted, answer } = await fill(client, session, 50000);
        problem(answer, 507, 'store_full');
        assert.ok(accepted.length > 100, `only ${accepted.length} messages of 50 KB fit 16 MiB`);
        // Repeats are known, deletes have room, and sessions can still be looked at.
        status(await client.send(session, { data: accepted[0] }, 'fill-0'), 200);
        assert.deepEqual(await everything(client, session, cursor), accepted);
        const { json } = await client.pick(session, { cursor, limit: 50 });
        status(await client.ack(session, json.cursor), 204);
        await until('it takes messages again', async () => (await client.send(session, { data: 'again' })).status === 201);
        status(await client.request('DELETE', `/v1/sessions/${session}`), 204);
    }, 60);

    check('refuses sessions too, rather than fail', async ({ client }) => {
        const { session } = await client.session();
        await until('the store is full', async () => (await fill(client, session, 100000)).answer.json.code === 'store_full');
        const answer = await client.post('/v1/sessions', { subject: 'late' });
        assert.ok(answer.status === 507 || answer.status === 201, answer.text);
    }, 60);
});

describe('the disk', { skip: whyNot }, () => {
    it('that is full refuses publishes, loses nothing, and goes on when there is room', async () => {
        await inMount('48m', { sections: { store: { map_size: '1G' }, session: { mailbox_bytes: '1G' } } }, async (server, mount) => {
            await server.start();
            const { client } = server;
            const { session, cursor } = await client.session();
            status(await client.send(session, { data: 'before' }), 201);
            const free = mount.fill();
            const { accepted, answer } = await fill(client, session, 100000);
            problem(answer, 507, 'store_full');
            status(await client.get('/healthz'), 200);
            assert.deepEqual(await everything(client, session, cursor), ['before', ...accepted]);
            free();
            await until('it takes messages again', async () => (await client.send(session, { data: 'after' }, 'after')).status < 300);
            await server.restart();
            assert.deepEqual(await everything(server.client, session, cursor), ['before', ...accepted, 'after']);
        });
    });

    it('that is full at the start is told', async () => {
        await inMount('8m', {}, async (server, mount) => {
            await server.configure();
            mount.fill();
            const { code, out, err } = await restanted(['--config', server.conf], { seconds: 15 });
            assert.ok(code !== 0 && code !== null, `ended with ${code}: ${out}${err}`);
            assert.match(out + err, /space/i);
        });
    });

    it('that is read-only is told', async () => {
        await inMount('8m', {}, async (server, mount) => {
            await server.configure();
            mount.readOnly();
            const { code, out, err } = await restanted(['--config', server.conf], { seconds: 15 });
            assert.ok(code !== 0 && code !== null, `ended with ${code}: ${out}${err}`);
            assert.match(out + err, /read-only/i);
        });
    });
});
