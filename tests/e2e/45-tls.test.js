// TLS on every kind of listener, with clients nobody here wrote: versions, names, tickets, and peers
// that begin a handshake and go no further.

import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import fs from 'node:fs';
import https from 'node:https';
import net from 'node:net';
import os from 'node:os';
import path from 'node:path';
import { after } from 'node:test';
import tls from 'node:tls';
import { payloads, problem, status } from './lib/expect.js';
import { parked, withServer } from './lib/harness.js';
import { anonymous, ticks } from './lib/proc.js';
import { Raw, exchange } from './lib/raw.js';
import { RESTANTE, RESTANTED, freePort } from './lib/server.js';
import { agedCertificate, makeCertificate, run, visit } from './lib/tls.js';
import { pause, until } from './lib/wait.js';

const MiB = 1 << 20;
const HALF = 400;

const dir = fs.mkdtempSync(path.join(os.tmpdir(), 'restante-tls-'));
after(() => fs.rmSync(dir, { recursive: true, force: true }));

const own = makeCertificate(dir, 'own', 'DNS:localhost,IP:127.0.0.1,IP:::1');
const shop = makeCertificate(dir, 'shop', 'DNS:shop.test,DNS:*.shop.test');
const exact = makeCertificate(dir, 'exact', 'DNS:exact.shop.test');

const [port, port6, single] = [await freePort(), await freePort(), await freePort()];
const socketPath = path.join(dir, 'tls.socket');
const clearPath = path.join(dir, 'clear.socket');

const section = (...pairs) =>
    `tls { certificate = { ${pairs.map((pair) => `"${pair.certificate}"`).join(', ')} } ` +
    `key = { ${pairs.map((pair) => `"${pair.key}"`).join(', ')} } }`;

const listeners = `
listen "127.0.0.1:${port}" { ${section(own, shop, exact)} }
listen "[::1]:${port6}" { tls { certificate = "${own.certificate}" key = "${own.key}" } }
listen "unix:${socketPath}" { ${section(own)} }
listen "unix:${clearPath}" { }
listen "127.0.0.1:${single}" { ${section(own)} }
`;

/** The worker that answered a request, by the log. */
async function workerOf(server, id) {
    const line = await until('the request is logged', () =>
        server.log.split('\n').find((row) => row.includes('"event":"request"') && row.includes(id)));
    return JSON.parse(line);
}

const curl = (...args) => run('curl', ['-sS', '--max-time', '10', '--cacert', own.certificate, ...args]);

withServer('TLS listeners', { grade: 'memory', extra: listeners }, (check) => {
    for (const [option, version] of [['--tls-max 1.2', 'TLSv1.2'], ['--tlsv1.3', 'TLSv1.3']]) {
        check(`curl ${option}, by every kind of address`, async (server) => {
            const roads = [
                [`https://localhost:${port}/healthz`, '-4'],
                [`https://127.0.0.1:${port}/healthz`],
                [`https://[::1]:${port6}/healthz`],
                ['https://localhost/healthz', '--unix-socket', socketPath],
                [`https://127.0.0.1:${single}/healthz`],
            ];
            for (const [i, road] of roads.entries()) {
                for (const [http, proto] of [['--http1.1', 'HTTP/1.1'], ['--http2', 'HTTP/2']]) {
                    const id = `curl-${version}-${i}-${http}`;
                    const { stdout } = await curl(...option.split(' '), http, '-H', `X-Request-Id: ${id}`, ...road);
                    assert.equal(stdout, '{"status":"ok"}');
                    const line = await workerOf(server, id);
                    assert.equal(line.tls, version);
                    assert.equal(line.proto, proto);
                }
            }
        });
    }

    check('clear text on a unix socket beside them', async (server) => {
        const { stdout } = await run('curl', ['-sS', '--unix-socket', clearPath, '-H', 'X-Request-Id: clear-one', 'http://x/healthz']);
        assert.equal(stdout, '{"status":"ok"}');
        assert.equal((await workerOf(server, 'clear-one')).tls, '');
    });

    check('older versions are refused with an alert', async (server) => {
        const before = await server.metric('restante_tls_failed_total{reason="version"}');
        const old = { minVersion: 'TLSv1', maxVersion: 'TLSv1.1', ciphers: 'DEFAULT@SECLEVEL=0' };
        await assert.rejects(visit(port, old), /protocol version|PROTOCOL_VERSION/i);
        await until('it is counted', async () => await server.metric('restante_tls_failed_total{reason="version"}') === before + 1); // behind the alert
    });

    check('TLS 1.2 without forward secrecy is refused', () =>
        assert.rejects(visit(port, { maxVersion: 'TLSv1.2', ciphers: 'AES128-GCM-SHA256' }), /handshake failure/i));

    check('ALPN', async () => {
        for (const [offer, wanted] of [[['http/1.1'], 'http/1.1'], [['x', 'http/1.1'], 'http/1.1'], [undefined, false]]) {
            const { alpn, answer } = await visit(port, { ALPNProtocols: offer });
            assert.equal(alpn, wanted);
            assert.equal(answer.status, 200);
        }
        await assert.rejects(visit(port, { ALPNProtocols: ['spdy/3'] }), /no application protocol/i);
        const http2 = await new Promise((resolve, reject) => {
            const socket = tls.connect({ port, rejectUnauthorized: false, ALPNProtocols: ['http/1.1', 'h2'] }, () => {
                resolve(socket.alpnProtocol);
                socket.destroy();
            }).once('error', reject);
        });
        assert.equal(http2, 'h2');
    });

    check('a certificate for every name', async () => {
        const rows = [
            ['localhost', 'localhost'], ['shop.test', 'shop.test'], ['a.shop.test', 'shop.test'],
            ['EXACT.shop.test', 'exact.shop.test'], ['a.b.shop.test', 'localhost'], ['other.test', 'localhost'], ['', 'localhost'],
        ];
        for (const [servername, first] of rows) {
            for (const maxVersion of ['TLSv1.2', 'TLSv1.3']) {
                const { names } = await visit(port, { servername, maxVersion });
                assert.equal(names.split(', ')[0], `DNS:${first}`, servername);
            }
        }
    });

    for (const maxVersion of ['TLSv1.2', 'TLSv1.3']) {
        check(`a session resumes at another worker (${maxVersion})`, async (server) => {
            const first = await visit(port, { maxVersion, headers: `X-Request-Id: ${maxVersion}-first\r\n` });
            assert.equal(first.reused, false);
            assert.ok(first.session);
            const { pid } = await workerOf(server, `${maxVersion}-first`);
            const resumed = await server.metric(`restante_tls_handshakes_total{version="${maxVersion.slice(4)}",resumed="yes"}`);
            let visits = 0;
            await until('another worker answers', async () => {
                const id = `${maxVersion}-again-${++visits}`;
                const again = await visit(port, { maxVersion, session: first.session, headers: `X-Request-Id: ${id}\r\n` });
                assert.equal(again.reused, true);
                assert.equal(again.protocol, maxVersion);
                assert.equal(again.answer.status, 200);
                return (await workerOf(server, id)).pid !== pid;
            });
            assert.equal(await server.metric(`restante_tls_handshakes_total{version="${maxVersion.slice(4)}",resumed="yes"}`), resumed + visits);
        });

        check(`openssl s_client resumes (${maxVersion})`, async () => {
            const file = path.join(dir, `session-${maxVersion}`);
            const version = maxVersion === 'TLSv1.2' ? '-tls1_2' : '-tls1_3';
            const ask = `printf 'GET /healthz HTTP/1.1\\r\\nHost: x\\r\\nConnection: close\\r\\n\\r\\n' | ` +
                `openssl s_client -ign_eof -connect 127.0.0.1:${port} ${version} -CAfile ${own.certificate}`;
            const fresh = await run('sh', ['-c', `${ask} -sess_out ${file}`]);
            assert.match(fresh.stdout, /^New, TLSv1/m);
            assert.match(fresh.stdout, /Verify return code: 0/);
            assert.match(fresh.stdout, /"status":"ok"/);
            assert.match((await run('sh', ['-c', `${ask} -sess_in ${file}`])).stdout, /^Reused, TLSv1/m);
        });
    }

    check('a session resumes after every worker was killed', async (server) => {
        const { session } = await visit(port);
        await server.replace('0');
        await server.replace('1');
        await server.ready();
        const again = await until('it is served', () => visit(port, { session }).catch(() => null));
        assert.equal(again.reused, true);
    });

    check('large bodies both ways, and a parked poll', async (server) => {
        const agent = new https.Agent({ keepAlive: true, ca: fs.readFileSync(own.certificate) });
        const ask = (method, target, body) => new Promise((resolve, reject) => {
            https.request({
                agent, host: 'localhost', family: 4, port, method, path: target,
                headers: { Authorization: `Bearer ${server.key}`, 'Content-Type': 'application/json' },
            }, (response) => {
                const parts = [];
                response.on('data', (part) => parts.push(part));
                response.once('end', () => resolve({ status: response.statusCode, json: JSON.parse(Buffer.concat(parts).toString() || '{}') }));
            }).once('error', reject).end(body === undefined ? undefined : JSON.stringify(body));
        });
        const { session, cursor } = (await ask('POST', '/v1/sessions', { subject: 'tls' })).json;
        const text = randomBytes(90 * 1024).toString('hex');
        const messages = Array.from({ length: 20 }, (_, i) => ({ session, data: `${i} ${text}` }));
        assert.equal((await ask('POST', '/v1/publish', { messages })).status, 200);
        const picked = await ask('GET', `/v1/sessions/${session}/messages?cursor=${cursor}&limit=1000&max_bytes=${16 * MiB}`);
        assert.deepEqual(payloads(picked), messages.map(({ data }) => data));
        const poll = ask('GET', `/v1/sessions/${session}/messages?cursor=${picked.json.cursor}&wait=30`);
        await parked(server.client, session);
        status(await server.client.send(session, { data: 'through' }), 201);
        assert.deepEqual(payloads(await poll), ['through']);
        agent.destroy();
    });

    check('clear text gets a plain 400', async (server) => {
        const before = await server.metric('restante_tls_failed_total{reason="clear"}');
        const answer = await exchange({ port }, 'GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n');
        problem(answer, 400, 'bad_request');
        assert.match(answer.json.detail, /TLS/);
        assert.equal(await server.metric('restante_tls_failed_total{reason="clear"}'), before + 1);
    });

    check('TLS on a listener in clear text is closed', async (server) => {
        const before = await server.metric('restante_closed_total{reason="protocol"}');
        await assert.rejects(visit(server.port));
        assert.equal(await server.metric('restante_closed_total{reason="protocol"}'), before + 1);
    });

    check('garbage is refused, counted, and harms nobody', async (server) => {
        const before = await server.metric('restante_tls_failed_total{reason="garbage"}');
        const hello = Buffer.from('160301', 'hex');
        for (let i = 0; i < 60; i++) {
            const raw = await Raw.connect({ port });
            await raw.write(Buffer.concat([hello.subarray(0, 1 + (i % 3)), randomBytes(1 + i * 20)]));
            raw.socket.end();
            await raw.end();
        }
        assert.ok(await server.metric('restante_tls_failed_total{reason="garbage"}') > before);
        assert.equal((await visit(port)).answer.status, 200);
    });

    check('the command', async (server) => {
        const env = { ...process.env, RESTANTE_URL: `https://localhost:${port}`, RESTANTE_KEY: server.key };
        const restante = (...args) => run(RESTANTE, args, { env });
        const { stdout } = await restante('--cacert', own.certificate, 'session', 'new', '--subject', 'shell');
        const [session] = stdout.split('\n');
        await restante('--insecure', 'send', session, 'one', 'two');
        const { stdout: printed } = await run(RESTANTE, ['tail', session, '--once'], { env: { ...env, RESTANTE_CACERT: own.certificate } });
        assert.equal(printed, 'one\ntwo\n');
        await assert.rejects(restante('tail', session, '--once'), (error) => error.code === 4 && /certificate/i.test(error.stderr));
        await assert.rejects(restante('--cacert', '/nowhere', 'tail', session, '--once'), (error) => error.code === 4);
    });

    check('no worker died of it', async (server) => {
        assert.equal(await server.metric('restante_respawns_total{role="worker"}'), 2); // those that were killed above
    });

    check('an orderly stop says so to every connection', async (server) => {
        const socket = tls.connect({ port, rejectUnauthorized: false });
        await new Promise((resolve) => socket.once('secureConnect', resolve));
        socket.write('GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n');
        await new Promise((resolve) => socket.once('data', resolve));
        const end = new Promise((resolve, reject) => socket.once('end', resolve).once('error', reject));
        assert.deepEqual(await server.stop(), { code: 0, signal: null });
        await end;
    });
});

const rotating = await freePort();
withServer('ticket keys that rotate', {
    grade: 'memory', sections: { server: { ticket_rotation: '1s' } }, extra: `listen "127.0.0.1:${rotating}" { ${section(own)} }`,
}, (check) => {
    check('a ticket resumes for a while, then no more', async () => {
        for (const maxVersion of ['TLSv1.2', 'TLSv1.3']) {
            const resumes = async () => {
                const { session } = await visit(rotating, { maxVersion });
                return (await visit(rotating, { maxVersion, session })).reused && session;
            };
            const session = await until('a fresh ticket resumes', resumes);
            await until('it is too old', async () => !(await visit(rotating, { maxVersion, session })).reused);
            await until('a fresh one resumes again', resumes);
        }
    });
});

const crowded = await freePort();
const crowdedSocket = path.join(dir, 'crowded.socket');
withServer('peers that say little', {
    grade: 'memory',
    sections: { limits: { connections: 400, undecided: 25, head_timeout: '8s', handshake_timeout: '8s' } },
    extra: `listen "127.0.0.1:${crowded}" { ${section(own)} }\nlisten "unix:${crowdedSocket}" { }`,
}, (check) => {
    const workers = (server) => [server.role('0'), server.role('1')];
    const busy = (server) => workers(server).reduce((sum, pid) => sum + ticks(pid), 0);
    const connect = (where) => new Promise((resolve, reject) => {
        const socket = net.connect(where).once('error', reject).once('connect', () => resolve(socket.on('error', () => {})));
    });

    check('half handshakes by the hundred are bounded, and others are served', async (server) => {
        const hello = Buffer.from('16030102000100', 'hex');
        const before = workers(server).map(anonymous);
        const sockets = [];
        for (let i = 0; i < HALF; i++) {
            sockets.push(await connect({ port: crowded, host: '127.0.0.1' }));
            sockets[i].write(hello.subarray(0, 1 + (i % hello.length)));
            if (i % 100 === 99) assert.equal((await visit(crowded)).answer.status, 200);
        }
        await until('those too many are refused', async () => await server.metric('restante_refused_total{reason="undecided"}') >= HALF - 100);
        assert.ok(await server.metric('restante_connections') <= 101 + 10, 'a quarter of 400');
        const { session, cursor } = await server.client.session();
        status(await server.client.send(session, { data: 1 }), 201);
        assert.deepEqual(payloads(await server.client.pick(session, { cursor })), [1]);
        for (const [i, pid] of workers(server).entries()) assert.ok(anonymous(pid) - before[i] < 16 * MiB);
        for (const socket of sockets) socket.destroy();
        await until('they are gone', async () => await server.metric('restante_connections') < 20);
    });

    check('slow first bytes cost no processor time', async (server) => {
        const sockets = [];
        for (let i = 0; i < 20; i++) {
            for (const [where, bytes] of [[{ port: server.port, host: '127.0.0.1' }, 'PRI * HT'],
                [{ path: crowdedSocket }, 'PRI *'], [{ port: crowded, host: '127.0.0.1' }, '\x16\x03']]) {
                const socket = await connect(where);
                socket.write(Buffer.from(bytes, 'latin1'));
                sockets.push(socket);
            }
        }
        await until('all are open', async () => await server.metric('restante_connections') >= sockets.length);
        const before = busy(server);
        await pause(1500);
        const spent = busy(server) - before;
        assert.ok(spent <= 8, `${spent} ticks of 300 by two workers`); // a loop that spins takes 150 and more
        assert.ok(await server.metric('restante_connections') >= sockets.length, 'they were there all the time');
        for (const socket of sockets) socket.destroy();
    });

    check('a handshake that does not go on is ended and counted', async (server) => {
        const before = await server.metric('restante_tls_failed_total{reason="timeout"}');
        const raw = await Raw.connect({ port: crowded });
        const trickle = setInterval(() => raw.socket.write('\x16'), 1000);
        await raw.write('\x16');
        await raw.end(20);
        clearInterval(trickle);
        assert.ok(await server.metric('restante_tls_failed_total{reason="timeout"}') + await server.metric('restante_tls_failed_total{reason="garbage"}') > before);
    });

    check('no worker died of it', async (server) => {
        assert.equal(await server.metric('restante_respawns_total{role="worker"}'), 0);
    });
});

withServer('configuration of TLS', { grade: 'memory' }, (check) => {
    const checked = async (text) => {
        const file = path.join(dir, 'check.conf');
        fs.writeFileSync(file, text);
        return run(RESTANTED, ['--config', file, '--check-config']).then(
            ({ stderr }) => ({ code: 0, stderr }), (error) => ({ code: error.code, stderr: error.stderr }));
    };

    check('a key of another certificate is a mistake', async () => {
        const { code, stderr } = await checked(`listen "*:1" { tls { certificate = "own.crt"\nkey = "shop.key" } }`);
        assert.equal(code, 78);
        assert.match(stderr, /check\.conf:2: listen "\*:1"\.tls\.key = ".*shop\.key": is not the key of the certificate/);
    });

    check('an old certificate is only a warning', async () => {
        const old = await agedCertificate(dir, 'old');
        const { code, stderr } = await checked(`listen "*:1" { ${section(old)} }`);
        assert.equal(code, 0);
        assert.match(stderr, /old\.crt": warning: has expired/);
    });
});
