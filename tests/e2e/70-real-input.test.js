// Real texts through the real command, while six readers pick them up and processes die: every
// reader ends with the input byte for byte, over an unbroken chain.

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { bothGrades } from './lib/harness.js';
import { Reader, bytesOf } from './lib/reader.js';
import { restante } from './lib/run.js';
import { persist } from './lib/wait.js';

const DIR = '/usr/share/common-licenses';
const NEWLINE = Buffer.from('\n');

const READERS = [
    { style: 'short', limit: 7 },
    { style: 'short', limit: 1000 },
    { style: 'long', limit: 1 + 32 },
    { style: 'long', limit: 100 },
    { style: 'alternating', limit: 13 },
    { style: 'alternating', limit: 250 },
];

const texts = fs.readdirSync(DIR).sort().map((name) => path.join(DIR, name));
const lines = (file) => {
    const text = fs.readFileSync(file, 'latin1');
    return text.split('\n').length - (text.endsWith('\n') ? 1 : 0);
};

bothGrades('all common licenses', {}, (check) => {
    check('arrive byte for byte at six readers through kills', async (server) => {
        const { client } = server;
        const { session, cursor, token } = await client.session('reader', { ttl: '1h' });
        const total = texts.reduce((sum, file) => sum + lines(file), 0);
        const readers = READERS.map((style) => new Reader(server.newClient(), session, cursor, { ...style, credential: token }));
        const reading = Promise.all(readers.map((reader) => reader.until((messages) => messages.length >= total)));

        // What dies while which text is under way.
        const happens = {
            2: () => server.signal('0', 'SIGKILL'),
            5: () => server.signal('1', 'SIGKILL'),
            7: () => server.signal('writer', 'SIGKILL'),
            10: () => server.signal('writer', 'SIGKILL'),
            13: async () => { await server.crash(); await server.start(); },
        };
        const sending = async () => {
            for (const [i, file] of texts.entries()) {
                const sent = restante(server, ['send', session], { input: fs.createReadStream(file) });
                await happens[i]?.();
                const { code, err } = await sent;
                assert.equal(code, 0, `${file}: ${err}`);
            }
        };
        await Promise.all([sending(), reading]);

        const want = path.join(server.dir, 'want');
        const got = path.join(server.dir, 'got');
        fs.writeFileSync(want, Buffer.concat(texts.map((file) => fs.readFileSync(file))));
        for (const { messages, style, limit } of readers) {
            assert.equal(messages.length, total, `${style} ${limit}`);
            fs.writeFileSync(got, Buffer.concat(messages.flatMap((message) => [bytesOf(message), NEWLINE])));
            execFileSync('cmp', [want, got]);
        }
        const { json } = await persist('look', () => client.get(`/v1/sessions/${session}`));
        assert.equal(json.pending, total);
    }, 120);
});
