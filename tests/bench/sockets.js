// WebSockets and topics, each against `bare` in the same run: rounds of both take turns, so that what
// else the machine does hits both, and the middle round of each is told.

import path from 'node:path';
import tls from 'node:tls';
import { anonymous } from '../e2e/lib/proc.js';
import { Raw } from '../e2e/lib/raw.js';
import { freePort } from '../e2e/lib/server.js';
import { makeCertificate } from '../e2e/lib/tls.js';
import { pause, until } from '../e2e/lib/wait.js';
import { cpu, dir, file, measure, ms, open, pidsOf, row, told, withBare, withServer } from './lib.js';

const ROUNDS = 3;
const ROUND_SECONDS = 1.5;
const TOPIC = 'bench:fan';
const SOCKETS = 1000;

const workers = (server) => [server.role('0'), server.role('1')];
const memory = (server) => workers(server).reduce((sum, pid) => sum + anonymous(pid), 0);
const middle = (rounds) => rounds.sort((a, b) => a.cpu_us - b.cpu_us)[rounds.length >> 1];
const times = (a, b) => `${(a.cpu_us / b.cpu_us).toFixed(2)} x`;

/** A server with a listener for TLS, a namespace and room for 10,000 sockets; bare beside it. */
async function withBoth(body) {
    const { certificate, key } = makeCertificate(dir, 'bench', 'DNS:localhost,IP:127.0.0.1');
    const port = await freePort();
    const extra = `listen "127.0.0.1:${port}" { tls { certificate = "${path.resolve(certificate)}"  key = "${path.resolve(key)}" } }\n`;
    await withBare(1, (bare) => withServer('memory', async (server) => {
        server.tlsPort = port;
        await body(server, bare);
    }, { limits: { connections: 30000 }, server: { heartbeat: '10m', drain: '5s' } },
    { extra, titled: [['namespace', 'bench:*', { history: 1000, ttl: '1h' }]] }));
}

const sessionsFile = (name, ids) => file(name, ids.map((id) => `${id}\n`).join(''));
const ofServer = (made) => sessionsFile('sockets', made.map(({ session }) => session));
const ofBare = (n) => sessionsFile('bare', Array.from({ length: n }, (_, i) => String(i).padStart(22, 'A')));

/** From now on: what came before is not wanted again. */
const sockets = async (server, sessions, pids, more) => {
    const cursor = server.client ? (await server.client.session('now')).cursor : '9f86d081884c7d65.0';
    return measure('sockets', ['--port', server.port, '--sessions', sessions, '--key', server.key, '--cursor', cursor,
        '--seconds', ROUND_SECONDS, '--pids', pids, ...more]);
};

/** [of the server, of bare, ...]: the middle rounds of each run(); runs take turns. */
async function turns(...runs) {
    const rounds = runs.map(() => []);
    for (let i = 0; i < ROUNDS; i++) {
        for (const [at, run] of runs.entries()) rounds[at].push(await run());
    }
    return rounds.map(middle);
}


const upgrade = (server, session) => `GET /v1/socket?session=${session} HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n` +
    `Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nAuthorization: Bearer ${server.key}\r\n\r\n`;

const plain = (server) => Raw.connect(server).then(({ socket }) => socket);
const secure = (server) => new Promise((resolve, reject) => {
    const socket = tls.connect({ host: '127.0.0.1', port: server.tlsPort, rejectUnauthorized: false });
    socket.once('error', reject);
    socket.once('secureConnect', () => resolve(socket));
});

/** WebSockets that hear nothing but hello, one for each session; close() ends them. */
async function hold(server, made, connect) {
    const held = [];
    const one = async ({ session }) => {
        const socket = await connect(server);
        socket.on('error', () => {}); // the end of the bench
        held.push(socket);
        socket.write(upgrade(server, session));
    };
    const before = await server.metric('restante_sockets');
    for (let i = 0; i < made.length; i += 250) await Promise.all(made.slice(i, i + 250).map(one));
    await until('all are there', async () => await server.metric('restante_sockets') >= before + made.length, 30);
    return { close: () => held.forEach((socket) => socket.destroy()) };
}

/** Per cent of one core that the workers use while nothing happens. */
async function idle(server, seconds) {
    const before = cpu(workers(server));
    await pause(seconds * 1000);
    return (cpu(workers(server)) - before) / (seconds * 1e4);
}

export const SOCKET_BENCHES = {
    async fanout() {
        await withBoth(async (server, bare) => {
            const made = await open(server, SOCKETS, { topics: [TOPIC] });
            const [ours, theirs] = [ofServer(made), ofBare(SOCKETS)];
            for (const [window, wanted] of [[1, '<= 1.8 x'], [4, '<= 0.9 x']]) {
                const more = ['--topic', TOPIC, '--window', window];
                const [r, b] = await turns(() => sockets(server, ours, pidsOf(server), more), () => sockets(bare, theirs, bare.pid, more));
                row('fanout', `bare, ${SOCKETS} sockets, ${window} in flight`, told(b));
                row('fanout', `${SOCKETS} sockets, ${window} in flight`, `${told(r)}, ${times(r, b)} bare's CPU`, wanted);
            }
            const more = ['--topic', TOPIC, '--window', 1];
            const [c, s, m] = await turns(() => sockets(server, ours, pidsOf(server), more),
                () => sockets(server, ours, pidsOf(server), [...more, '--tls', server.tlsPort]),
                () => sockets(server, ours, pidsOf(server), [...more, '--protocol', 'restante.v1.msgpack']));
            row('fanout', `${SOCKETS} sockets, 1 in flight, TLS 1.3`, `${told(s)}, ${times(s, c)} clear's CPU`, '<= 2.3 x');
            row('fanout', `${SOCKETS} sockets, 1 in flight, MessagePack`, `${told(m)}, ${times(m, c)} JSON's CPU`);
        });
    },

    async unicast() {
        await withBoth(async (server, bare) => {
            const [ours, theirs] = [ofServer(await open(server, SOCKETS)), ofBare(SOCKETS)];
            for (const [publishers, wanted] of [[16, ''], [128, '<= 1.5 x']]) {
                const more = ['--publishers', publishers];
                const [r, b] = await turns(() => sockets(server, ours, pidsOf(server), more), () => sockets(bare, theirs, bare.pid, more));
                row('unicast', `bare, ${SOCKETS} sockets, ${publishers} publishers`, told(b));
                row('unicast', `${SOCKETS} mailboxes, ${publishers} publishers`, `${told(r)}, ${times(r, b)} bare's CPU`, wanted);
            }
            const at = await sockets(server, ours, pidsOf(server), ['--rate', 5000]);
            row('unicast', `${SOCKETS} mailboxes, 5 k/s`, `p50 ${ms(at.p50_us)}, p99 ${ms(at.p99_us)}, ${at.overrun} too late`, 'p50 < 0.3 ms, p99 < 2 ms');
        });
    },

    async idle() {
        // A server each: memory that an earlier row gave back would hide what the next one takes.
        for (const [name, n, connect, wanted] of [['clear', 5000, plain, '<= 5120'], ['TLS', 2000, secure, '<= 26624']]) {
            await withBoth(async (server) => {
                const made = await open(server, n);
                const before = memory(server);
                const held = await hold(server, made, connect);
                row('idle', `${n} WebSockets with their sessions, ${name}`, `${Math.round((memory(server) - before) / n)} bytes each`, wanted);
                held.close();
            });
        }
        const MANY = 10000;
        await withBoth(async (server) => {
            const made = await open(server, 1000);
            const quiet = await idle(server, 5);
            const held = await hold(server, Array.from({ length: MANY }, (_, i) => made[i % made.length]), plain);
            const busy = await idle(server, 10);
            row('idle', `${MANY} WebSockets, no heartbeat due`, `${busy.toFixed(2)} % of a core, ${quiet.toFixed(2)} % without them`, '< 1 % more');
            held.close();
        });
    },

    async connects() {
        await withBoth(async (server, bare) => {
            const run = (one, pids, more) => measure('connects', ['--port', one.port, '--key', one.key, '--topic', 'bench:connects',
                '--seconds', ROUND_SECONDS, '--pids', pids, ...more]);
            const [r, b] = await turns(() => run(server, pidsOf(server), []), () => run(bare, bare.pid, ['--plain']));
            const line = (one) => `${Math.round(one.rate)}/s, ${one.cpu_us.toFixed(1)} us CPU each`;
            row('connects', 'bare: connect, upgrade, hello', line(b));
            row('connects', 'connect, session, upgrade, hello, subscribe', `${line(r)}, ${times(r, b)} bare's CPU`, '<= 3 x');
        });
    },
};
