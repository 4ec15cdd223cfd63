// A build with kill points (make KILL=1): a role dies by SIGKILL at a named step, in the real server.
// Afterwards every accepted message is there once, in order, and the walker finds nothing wrong.

import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { before, describe, it } from 'node:test';
import { promisify } from 'node:util';
import { Chain } from './lib/chain.js';
import { RESTANTE, Server } from './lib/server.js';
import { persist, until, within } from './lib/wait.js';

const run = promisify(execFile);
const ROOT = path.resolve(import.meta.dirname ?? path.dirname(new URL(import.meta.url).pathname), '../..');
const KILL_BUILD = path.join(ROOT, 'build/kill');
const MESSAGES = 8;

/** Every KILLPOINT("name") of the sources, so that a new one cannot be forgotten here. */
function points(folder) {
    const found = new Set();
    for (const file of fs.readdirSync(path.join(ROOT, folder))) {
        if (!file.endsWith('.c')) continue;
        const text = fs.readFileSync(path.join(ROOT, folder, file), 'utf8');
        for (const [, name] of text.matchAll(/KILLPOINT\("(\w+)"\)/g)) found.add(name);
    }
    return [...found];
}

async function dieAt(role, name, pass) {
    const server = new Server({ build: KILL_BUILD, sections: { session: { mailbox_age: '1h' } } });
    try {
        await server.start();
        await server.stop();
        // Armed only now, so that the first start is an ordinary one.
        const mark = path.join(server.dir, 'killed');
        server.options.env = { RESTANTE_KILL: `${role}:${name}:${pass}`, RESTANTE_KILL_ONCE: mark };
        await server.start();
        const { client } = server;
        const { session, cursor } = await persist('a session', () => client.session().catch(() => ({ status: 503 })));
        for (let i = 0; i < MESSAGES; i++) {
            const answer = await persist(`message ${i}`,
                () => client.send(session, { data: i, ttl: i === 0 ? '1s' : '1h' }, `n${i}`));
            assert.ok(answer.status === 201 || answer.status === 200, answer.text);
        }
        await until(`death at ${name}`, () => fs.existsSync(mark), 20);
        const { json } = await persist('the mailbox', () => client.pick(session, { cursor, limit: 100 }));
        const data = json.messages.map((message) => message.data);
        const all = Array.from({ length: MESSAGES }, (_, i) => i);
        assert.deepEqual(data, data[0] === 0 ? all : all.slice(1)); // the first may have expired
        new Chain(cursor).take(json);
        await server.stop();
        await run(RESTANTE, ['--config', server.conf, 'verify']);
    } catch (error) {
        console.error(server.tail());
        throw error;
    } finally {
        await server.dispose();
    }
}

describe('death at a step', { concurrency: 2 }, () => {
    before(() => run('make', ['-j2', 'KILL=1', 'OPT=-O1', 'all'], { cwd: ROOT, maxBuffer: 1 << 26 }));
    const writer = points('shm/writer');
    const worker = points('worker');
    it('the sources have their points', () => {
        assert.ok(writer.length >= 14 && worker.length >= 4, `${writer} ${worker}`);
    });
    for (const name of writer) {
        // A recovery is passed once a life; the steps of a batch in the third batch.
        const pass = name.startsWith('recover') || name === 'swept' ? 1 : 3;
        it(`writer: ${name}`, () => within(60, name, dieAt('writer', name, pass)));
    }
    for (const name of worker) it(`worker: ${name}`, () => within(60, name, dieAt('worker', name, 2)));
});
