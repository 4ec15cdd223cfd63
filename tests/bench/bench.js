// The figures, with their conditions: our own load programs against a server of its own, and `bare`
// as the ceiling in the same run. A few minutes in all.
//
//   node bench.js [publish batch polls parked sessions store h2publish h2polls h2parked tls streams
//                  fanout unicast idle connects presence client]

import fs from 'node:fs';
import os from 'node:os';
import { anonymous } from '../e2e/lib/proc.js';
import { Raw } from '../e2e/lib/raw.js';
import { until } from '../e2e/lib/wait.js';
import {
    GRADES, MARK, PAYLOAD, SECONDS, SIZE, dir, file, k, load, measure, open, pidsOf, request, row, told, withBare, withServer,
} from './lib.js';
import { PRESENCE_BENCHES } from './presence.js';
import { ROADS } from './roads.js';
import { SOCKET_BENCHES } from './sockets.js';

const BENCHES = {
    async publish() {
        const requests = (server, ids) => ids.map((id) => request(server, 'POST', `/v1/sessions/${id}/messages`, PAYLOAD, 'text/plain'));
        const ids = Array.from({ length: 100 }, (_, i) => String(i).padStart(22, 'A'));
        const bare = await withBare(2, (server) => load(server, requests(server, ids), ['--expect', '201']));
        row('publish', 'bare, 2 processes, 32 connections', told(bare));
        for (const grade of GRADES) {
            const r = await withServer(grade, async (server) => {
                const made = await open(server, 100);
                return load(server, requests(server, made.map((one) => one.session)), ['--expect', '201']);
            });
            const ratio = `${(r.cpu_us / bare.cpu_us).toFixed(2)} x bare's CPU`;
            row('publish', `${grade}, 32 connections, 100 mailboxes`, `${told(r)}, ${ratio}`, grade === 'memory' ? '<= 2.5 x' : '');
        }
    },

    async batch() {
        const bodies = (ids, keyed) => Array.from({ length: 4 }, () => JSON.stringify({
            messages: ids.map((session) => ({ session, ...(keyed ? { key: MARK } : {}), content_type: 'text/plain', data: PAYLOAD })),
        }));
        for (const [grade, keyed, wanted] of [['memory', false, '>= 250 k/s'], ['memory', true, ''], ['disk', false, '>= 40 k/s'], ['disk', true, '']]) {
            const r = await withServer(grade, async (server) => {
                const ids = (await open(server, 1000)).map((one) => one.session);
                return load(server, bodies(ids, keyed).map((body) => request(server, 'POST', '/v1/publish', body)),
                    ['--connections', 4, '--weight', 1000]);
            });
            row('batch', `${grade}, 1,000 mailboxes, ${keyed ? 'keys' : 'no keys'}, 4 connections`, told(r), wanted);
        }
    },

    async polls() {
        const READERS = 200;
        const sessionsFile = (made) => file('sessions', made.map(({ session, cursor }) => `${session} ${cursor}\n`).join(''));
        const polls = (server, made) => measure('polls', ['--port', server.port, '--sessions', sessionsFile(made), '--key', server.key,
            '--rate', 5000, '--size', SIZE, '--seconds', SECONDS, '--pids', pidsOf(server)]);
        const made = Array.from({ length: READERS }, (_, i) => ({ session: String(i).padStart(22, 'A'), cursor: '9f86d081884c7d65.0' }));
        const bare = await withBare(1, (server) => polls(server, made));
        row('polls', `bare, 1 process, ${READERS} parked, 5 k/s`, told(bare));
        for (const grade of GRADES) {
            const r = await withServer(grade, async (server) => polls(server, await open(server, READERS)));
            row('polls', `${grade}, ${READERS} parked, 5 k/s`, told(r), grade === 'memory' ? 'p50 < 0.5 ms, p99 < 3 ms' : '');
        }
    },

    async parked() {
        const N = 5000;
        await withServer('memory', async (server) => {
            const { session, cursor } = await server.client.session();
            const workers = [server.role('0'), server.role('1')];
            const memory = () => workers.reduce((sum, pid) => sum + anonymous(pid), 0);
            const before = memory();
            const raws = [];
            // Each asks as soon as it is there: silent ones are a different test.
            const poll = request(server, 'GET', `/v1/sessions/${session}/messages?cursor=${cursor}&wait=60`).replace(/Content.*\r\n/g, '');
            const park = () => Raw.connect(server).then((raw) => { raw.socket.write(poll); return raw; });
            for (let i = 0; i < N; i += 500) raws.push(...await Promise.all(Array.from({ length: 500 }, park)));
            await until('all are parked', async () => await server.metric('restante_polls_parked') >= N, 20);
            row('parked', `${N} long-polls`, `${Math.round((memory() - before) / N)} bytes each`, '<= 4096');
            for (const raw of raws) raw.destroy();
        }, { limits: { connections: 15000 } });
    },

    async sessions() {
        const N = 100000;
        await withServer('memory', async (server) => {
            const workers = [server.role('0'), server.role('1')];
            const memory = () => workers.reduce((sum, pid) => sum + anonymous(pid), 0);
            const post = (prefix) => [request(server, 'POST', '/v1/sessions', `{"subject":"${prefix}${MARK}"}`)];
            await load(server, post('a'), ['--expect', '201', '--count', N / 10]);
            const before = memory();
            const r = await load(server, post('b'), ['--expect', '201', '--count', N]);
            const grown = memory() - before;
            row('sessions', `${N} idle, after ${N / 10}`, `workers grew by ${Math.round(grown / 1024)} KiB; opened at ${told(r)}`, 'flat');
        });
    },

    async store() {
        const [MAILBOXES, EACH] = [10000, 20];
        await withServer('memory', async (server) => {
            const made = await open(server, MAILBOXES);
            const used = () => server.metric('restante_store_used_bytes');
            const entries = () => server.metric('restante_store_messages');
            const [before, held] = [await used(), await entries()];
            const batches = [];
            for (let i = 0; i < MAILBOXES; i += 1000) {
                const messages = made.slice(i, i + 1000).map(({ session }) => ({ session, content_type: 'text/plain', data: PAYLOAD }));
                batches.push(request(server, 'POST', '/v1/publish', JSON.stringify({ messages })));
            }
            const r = await load(server, batches, ['--connections', 1, '--count', batches.length * EACH, '--weight', 1000]);
            const count = MAILBOXES * EACH;
            await until('the store is measured', async () => await entries() >= held + count);
            const bytes = (await used() - before) / count;
            row('store', `${MAILBOXES} mailboxes x ${EACH}, ${SIZE} bytes`, `${Math.round(bytes)} bytes a message; written at ${k(r.rate)}`, '<= 350');
        });
    },
    ...ROADS,
    ...SOCKET_BENCHES,
    ...PRESENCE_BENCHES,
};

const wanted = process.argv.slice(2);
const unknown = wanted.filter((name) => !BENCHES[name]);
if (unknown.length > 0) {
    console.error(`no such bench: ${unknown.join(', ')}; there are ${Object.keys(BENCHES).join(', ')}`);
    process.exit(2);
}
const cpu = os.cpus();
console.log(`${os.type()} ${os.release()}, ${cpu.length} x ${cpu[0].model}, load programs included; ${SIZE}-byte payloads, log level warn`);
const begun = Date.now();
try {
    for (const [name, bench] of Object.entries(BENCHES)) {
        if (wanted.length === 0 || wanted.includes(name)) await bench();
    }
} finally {
    fs.rmSync(dir, { recursive: true });
}
console.log(`bench: ${Math.round((Date.now() - begun) / 1000)} s`);
