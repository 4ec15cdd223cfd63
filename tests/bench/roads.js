// HTTP/2, TLS and event streams, each against HTTP/1.1 in clear text in the same run. h2load is the
// load program where both versions must be driven by the same one.

import http from 'node:http';
import http2 from 'node:http2';
import path from 'node:path';
import { anonymous } from '../e2e/lib/proc.js';
import { Raw } from '../e2e/lib/raw.js';
import { run } from '../e2e/lib/run.js';
import { freePort } from '../e2e/lib/server.js';
import { makeCertificate } from '../e2e/lib/tls.js';
import { until } from '../e2e/lib/wait.js';
import { PAYLOAD, SECONDS, cpu, dir, file, open, pidsOf, request, row, withServer } from './lib.js';

const pids = (server) => pidsOf(server).split(',').map(Number);
const workers = (server) => [server.role('0'), server.role('1')];
const memory = (server) => workers(server).reduce((sum, pid) => sum + anonymous(pid), 0);

/** Publishes by h2load for some seconds: CPU microseconds of the server per request, and the rate. */
async function h2load(server, url, more) {
    const { session } = await server.client.session();
    const body = file('payload', PAYLOAD);
    const all = pids(server);
    const before = cpu(all);
    const { code, out, err } = await run('h2load', ['-D', String(SECONDS), '-d', body, '-H', `Authorization: Bearer ${server.key}`,
        '-H', 'Content-Type: text/plain', ...more, `${url}/v1/sessions/${session}/messages`], { seconds: 60 });
    const used = cpu(all) - before;
    const ok = Number(/(\d+) succeeded/.exec(out)?.[1] ?? 0);
    const all2xx = /status codes: (\d+) 2xx, 0 3xx, 0 4xx, 0 5xx/.test(out);
    if (code !== 0 || ok === 0 || !all2xx) throw new Error(`h2load: ${err}${out}`);
    return { cpu_us: used / ok, rate: ok / SECONDS };
}

const line = (r) => `${Math.round(r.rate)}/s, ${r.cpu_us.toFixed(1)} us CPU each`;

/** n polls parked by park(), one publish at a time to one of them: p50 and CPU of publish to answer. */
async function toParked(server, made, park, rounds) {
    const all = pids(server);
    const times = [];
    let used = 0;
    for (let i = 0; i < rounds; i++) {
        const one = made[i % made.length];
        const answered = one.poll;
        const before = cpu(all);
        const begun = process.hrtime.bigint();
        await server.client.send(one.session, { data: i });
        const answer = await answered;
        times.push(Number(process.hrtime.bigint() - begun) / 1000);
        used += cpu(all) - before;
        one.cursor = answer.cursor;
        one.poll = park(one);
    }
    times.sort((a, b) => a - b);
    return { p50_us: times[times.length >> 1], cpu_us: used / rounds };
}

const POLLS = 100;
const ROUNDS = 1000;
const wait = (one) => `/v1/sessions/${one.session}/messages?cursor=${one.cursor}&wait=60`;

function overH2(connection, key) {
    return (one) => new Promise((resolve, reject) => {
        const stream = connection.request({ ':path': wait(one), authorization: `Bearer ${key}` });
        let text = '';
        stream.setEncoding('utf8');
        stream.on('data', (part) => { text += part; });
        stream.once('error', reject);
        stream.once('end', () => (text ? resolve(JSON.parse(text)) : reject(new Error('no answer'))));
        stream.end();
    });
}

function overH1(agent, server) {
    return (one) => new Promise((resolve, reject) => {
        http.get({ agent, host: '127.0.0.1', port: server.port, path: wait(one), headers: { Authorization: `Bearer ${server.key}` } }, (answer) => {
            let text = '';
            answer.setEncoding('utf8');
            answer.on('data', (part) => { text += part; });
            answer.once('end', () => resolve(JSON.parse(text)));
        }).once('error', reject);
    });
}

const parkedPolls = (server, n) => until(`${n} polls are parked`, async () => await server.metric('restante_polls_parked') >= n, 20);

async function secure(body) {
    const { certificate, key } = makeCertificate(dir, 'bench', 'DNS:localhost,IP:127.0.0.1');
    const port = await freePort();
    return withServer('memory', (server) => body(server, `https://127.0.0.1:${port}`), {},
        { extra: `listen "127.0.0.1:${port}" { tls { certificate = "${path.resolve(certificate)}"  key = "${path.resolve(key)}" } }\n` });
}

export const ROADS = {
    async h2publish() {
        await withServer('memory', async (server) => {
            const h1 = await h2load(server, server.url, ['--h1', '-c', '40']);
            const h2 = await h2load(server, server.url, ['-c', '4', '-m', '10']);
            row('h2publish', 'HTTP/1.1, 40 connections, h2load', line(h1));
            row('h2publish', 'HTTP/2, 4 connections x 10 streams, h2load', `${line(h2)}, ${(h2.cpu_us / h1.cpu_us).toFixed(2)} x HTTP/1.1's`, '<= 1 x');
        });
    },

    async h2polls() {
        await withServer('memory', async (server) => {
            const figures = {};
            for (const version of ['HTTP/1.1', 'HTTP/2']) {
                const made = await open(server, POLLS);
                const connection = version === 'HTTP/2' ? http2.connect(server.url) : null;
                const agent = new http.Agent({ keepAlive: true });
                const park = connection ? overH2(connection, server.key) : overH1(agent, server);
                for (const one of made) one.poll = park(one);
                await parkedPolls(server, POLLS);
                figures[version] = await toParked(server, made, park, ROUNDS);
                connection?.destroy();
                for (const one of made) one.poll.catch(() => {});
                agent.destroy();
                const ratio = connection ? `, ${(figures[version].cpu_us / figures['HTTP/1.1'].cpu_us).toFixed(2)} x CPU, ${(figures[version].p50_us / figures['HTTP/1.1'].p50_us).toFixed(2)} x p50` : '';
                row('h2polls', `${version}, ${POLLS} parked${connection ? ' on a connection' : ''}, one at a time`,
                    `p50 ${(figures[version].p50_us / 1000).toFixed(2)} ms, ${figures[version].cpu_us.toFixed(1)} us CPU each${ratio}`, connection ? '<= 1.1 x' : '');
                await until('the polls are gone', async () => await server.metric('restante_polls_parked') === 0, 20);
            }
        });
    },

    async h2parked() {
        const [CONNECTIONS, EACH] = [50, 100];
        await withServer('memory', async (server) => {
            const one = await server.client.session();
            const connections = Array.from({ length: CONNECTIONS }, () => http2.connect(server.url));
            const before = memory(server);
            for (const connection of connections) {
                const park = overH2(connection, server.key);
                for (let i = 0; i < EACH; i++) park(one).catch(() => {});
            }
            await parkedPolls(server, CONNECTIONS * EACH);
            row('h2parked', `${CONNECTIONS} connections x ${EACH} long-polls`, `${Math.round((memory(server) - before) / CONNECTIONS / EACH)} bytes each`, '<= 2048');
            for (const connection of connections) connection.destroy();
        }, { limits: { connections: 15000 } });
    },

    async tls() {
        await secure(async (server, url) => {
            const clear = await h2load(server, server.url, ['--h1', '-c', '32']);
            const tls = await h2load(server, url, ['--h1', '-c', '32']);
            row('tls', 'HTTP/1.1, clear, 32 connections, h2load', line(clear));
            row('tls', 'HTTP/1.1, TLS 1.3', `${line(tls)}, ${(tls.cpu_us / clear.cpu_us).toFixed(2)} x clear`, '<= 1.6 x');
        });
    },

    async streams() {
        const N = 10000;
        await withServer('memory', async (server) => {
            const made = await open(server, N);
            const before = memory(server);
            const raws = [];
            const stream = ({ session }) => Raw.connect(server).then((raw) => {
                raw.socket.write(request(server, 'GET', `/v1/sessions/${session}/messages`)
                    .replace(/Content.*\r\n/g, '').replace('\r\n\r\n', '\r\nAccept: text/event-stream\r\n\r\n'));
                return raw;
            });
            for (let i = 0; i < N; i += 500) raws.push(...await Promise.all(made.slice(i, i + 500).map(stream)));
            await until('all stream', async () => await server.metric('restante_streams') >= N, 30);
            row('streams', `${N} event streams, a mailbox each, idle`, `${Math.round((memory(server) - before) / N)} bytes each`, '<= 4096');
            for (const raw of raws) raw.destroy();
        }, { limits: { connections: 15000 } });
    },
};
