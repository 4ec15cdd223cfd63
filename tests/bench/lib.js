// What the benches share: a server of their own, `bare`, the load programs, and one way to print.

import { spawn } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { children } from '../e2e/lib/proc.js';
import { Raw } from '../e2e/lib/raw.js';
import { run } from '../e2e/lib/run.js';
import { BUILD, Server, freePort } from '../e2e/lib/server.js';
import { until } from '../e2e/lib/wait.js';

export const SIZE = 128; // bytes of a payload
export const MARK = '@'.repeat(12); // load puts a number of its own here
export const PAYLOAD = 'x'.repeat(SIZE);
export const SECONDS = 3;
export const GRADES = ['memory', 'disk'];
export const program = (name) => path.join(BUILD, 'bench', name);

export const dir = fs.mkdtempSync(path.join(os.tmpdir(), 'restante-bench-'));

export function row(name, conditions, result, wanted = '') {
    console.log(`${name.padEnd(10)} ${conditions.padEnd(46)} ${result}${wanted && `   (wanted: ${wanted})`}`);
}

export const k = (rate) => (rate >= 10000 ? `${Math.round(rate / 1000)} k/s` : `${Math.round(rate)}/s`);
export const ms = (us) => `${(us / 1000).toFixed(2)} ms`;
export const told = (r) => `${k(r.rate)}, p50 ${ms(r.p50_us)}, p99 ${ms(r.p99_us)}, ${r.cpu_us.toFixed(2)} us CPU each`;

export function request(server, method, target, body = '', type = 'application/json') {
    return `${method} ${target} HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer ${server.key}\r\n` +
        `Content-Type: ${type}\r\nContent-Length: ${Buffer.byteLength(body)}\r\n\r\n${body}`;
}

export function file(name, text) {
    const at = path.join(dir, name);
    fs.writeFileSync(at, text);
    return at;
}

export const requestsFile = (requests) => file('requests', requests.map((text) => `${Buffer.byteLength(text)}\n${text}`).join(''));

export async function measure(name, args) {
    const { code, out, err } = await run(program(name), args, { seconds: 60 });
    if (code !== 0) throw new Error(`${name} ${args.join(' ')}: ${err}${out}`);
    return JSON.parse(out);
}

export const pidsOf = (server) => [server.pid, ...children(server.pid)].join(',');

export const load = (server, requests, more = []) => measure('load', ['--port', server.port, '--requests', requestsFile(requests),
    '--pids', pidsOf(server), '--seconds', SECONDS, ...more]);

export async function withBare(processes, body) {
    const port = await freePort();
    const child = spawn('setpriv', ['--pdeathsig', 'KILL', program('bare'), port, processes]);
    const bare = { port, key: 'k'.repeat(28), pid: child.pid };
    try {
        await until('bare listens', () => Raw.connect(bare).then((raw) => { raw.destroy(); return true; }, () => false));
        return await body(bare);
    } finally {
        child.kill('SIGKILL');
    }
}

export async function withServer(grade, body, sections = {}, more = {}) {
    const server = new Server({
        ...more,
        grade,
        sections: {
            log: { level: 'warn' },
            session: { ttl: '1h', mailbox_messages: 1000000, mailbox_bytes: '1G' },
            store: grade === 'memory' ? { map_size: '4G' } : { map_size: '16G' },
            ...sections,
        },
    });
    try {
        await server.start();
        return await body(server);
    } finally {
        await server.dispose();
    }
}

/** Opens n sessions, many at once; more: as Client.session. */
export async function open(server, n, more = {}) {
    const made = [];
    let next = 0;
    const one = async () => {
        while (next < n) {
            const i = next++;
            made[i] = await server.client.session(`s${i}`, more);
        }
    };
    await Promise.all(Array.from({ length: 64 }, one));
    return made;
}

/** Processor time of processes so far, in microseconds. */
export const cpu = (pids) => pids.reduce((sum, pid) => sum + Number(fs.readFileSync(`/proc/${pid}/schedstat`, 'latin1').split(' ')[0]) / 1000, 0);
