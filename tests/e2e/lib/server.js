// One server of its own: temporary directory, free port, generated configuration. Every process it
// starts is ended by dispose(), and by the kernel should this process die first.

import { spawn } from 'node:child_process';
import { createHash, randomBytes, randomInt } from 'node:crypto';
import fs from 'node:fs';
import net from 'node:net';
import os from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { Client } from './client.js';
import { render } from './conf.js';
import { alive, children, roles } from './proc.js';
import { makeCertificate } from './tls.js';
import { until } from './wait.js';

const ROOT = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '../../..');
export const BUILD = path.resolve(ROOT, process.env.RESTANTE_BUILD ?? 'build');
export const RESTANTED = path.join(BUILD, 'restanted');
export const RESTANTE = path.join(BUILD, 'restante');

const LOG_KEPT = 1 << 20;
const BUG_LINES = 20; // of a sanitizer's report
const MEMORY_MAP = 256 << 20;

/** A port below the ephemeral range, so that no outgoing connection can take it over a restart. */
export async function freePort() {
    for (;;) {
        const port = randomInt(10240, 32000);
        const free = await new Promise((resolve) => {
            const probe = net.createServer();
            probe.once('error', () => resolve(false));
            probe.listen(port, '127.0.0.1', () => probe.close(() => resolve(true)));
        });
        if (free) return port;
    }
}

/** A map that fits the tmpfs, whatever the machine gives it. */
function memoryMap() {
    const fsInfo = fs.statfsSync('/dev/shm');
    return Math.min(MEMORY_MAP, Math.floor((fsInfo.bavail * fsInfo.bsize) / 4));
}

export class Server {
    /**
     * grade: "disk" | "memory"; workers; sections: {session: {...}}, merged over the defaults;
     * titled: more [kind, title, settings]; extra: configuration text; dir: use this directory;
     * build: where restanted is; tls: true for a second listener, {url, port, certificate
     * (PEM)} once configured.
     */
    constructor({
        grade = 'disk', workers = 2, sections = {}, titled = [], extra = '', dir = null, env = {}, build = BUILD, tls = false,
    } = {}) {
        this.build = build;
        this.options = { grade, workers, sections, titled, extra, env, tls };
        this.dir = dir ?? fs.mkdtempSync(path.join(os.tmpdir(), 'restante-'));
        this.ownsDir = dir === null;
        this.conf = path.join(this.dir, 'restante.conf');
        this.key = `key-${randomBytes(12).toString('hex')}`;
        this.tokenKey = { kid: 'main', secret: randomBytes(32).toString('hex') };
        this.log = '';
        this.process = null;
        this.exit = null; // promise of {code, signal}
        this.shm = null;
        this.clients = [];
    }

    async configure() {
        const { grade, workers, sections, titled, extra } = this.options;
        this.port = await freePort();
        this.url = `http://127.0.0.1:${this.port}`;
        const encrypted = this.options.tls ? await this.#configureTls() : '';
        const store = { durability: grade, map_size: '1G' };
        if (grade === 'memory') {
            this.shm = fs.mkdtempSync('/dev/shm/restante-');
            Object.assign(store, { path: this.shm, map_size: String(memoryMap()) });
        }
        const top = { state_dir: 'state', run_dir: 'run', workers, store, server: { drain: '5s' } };
        for (const [name, section] of Object.entries(sections)) {
            top[name] = typeof section === 'object' ? { ...top[name], ...section } : section;
        }
        this.text = render(top, [
            ['token_key', this.tokenKey.kid, { secret: this.tokenKey.secret }],
            ['api_key', 'backend', {
                sha256: createHash('sha256').update(this.key).digest('hex'),
                scopes: ['sessions:*', 'send:*', 'publish:*', 'read:*', 'admin'],
            }],
            ...titled,
        ], `listen "127.0.0.1:${this.port}" { }\n${encrypted}${extra}`);
        fs.writeFileSync(this.conf, this.text, { mode: 0o600 });
    }

    /** Text of a second listener, with a certificate of its own. */
    async #configureTls() {
        const port = await freePort();
        const { certificate, key } = makeCertificate(this.dir, 'server', 'DNS:localhost,IP:127.0.0.1');
        this.tls = { port, url: `https://127.0.0.1:${port}`, certificate: fs.readFileSync(certificate) };
        return `listen "127.0.0.1:${port}" { tls { certificate = "${certificate}" key = "${key}" } }\n`;
    }

    /** Starts (again) and waits for readiness. */
    async start() {
        if (!this.port) await this.configure();
        this.spawn();
        this.client = this.clients[0] ?? this.newClient();
        await this.ready();
    }

    spawn() {
        const child = spawn('setpriv', ['--pdeathsig', 'KILL', path.join(this.build, 'restanted'), '--config', this.conf], {
            stdio: ['ignore', 'pipe', 'pipe'],
            env: { ...process.env, ...this.options.env },
        });
        for (const stream of [child.stdout, child.stderr]) {
            stream.on('data', (bytes) => {
                this.log = (this.log + bytes).slice(-LOG_KEPT);
            });
        }
        this.exit = new Promise((resolve) => {
            child.once('exit', (code, signal) => resolve({ code, signal }));
        });
        child.once('exit', () => {
            if (this.process === child) this.process = null;
        });
        this.process = child;
    }

    /** Ready says that one worker serves; tests look at all of them. */
    ready(seconds = 15) {
        const get = (path, credential) => this.client.get(path, { credential }).catch(() => null);
        return until('the server is ready and every worker runs', async () => {
            if (!this.process) throw new Error(`the server ended while starting:\n${this.tail()}`);
            if ((await get('/readyz', null))?.status !== 200) return false;
            return (await get('/v1/status', this.key))?.json?.workers?.every(({ state }) => state === 'running');
        }, seconds);
    }

    newClient(credential = this.key) {
        const client = new Client(this, credential);
        this.clients.push(client);
        return client;
    }

    get pid() {
        return this.process?.pid ?? null;
    }

    /** Pid of "supervisor", "writer" or a worker's slot; null while there is none. */
    role(name) {
        if (!this.pid) return null;
        if (name === 'supervisor') return this.pid;
        const found = roles(this.pid);
        return (name === 'writer' ? found.writer : found.workers[name]) ?? null;
    }

    async signal(name, signal) {
        const pid = await until(`${name} runs`, () => this.role(name));
        process.kill(pid, signal);
        return pid;
    }

    /** Kills a role and waits until its successor is there. */
    async replace(name, signal = 'SIGKILL') {
        const old = await this.signal(name, signal);
        return until(`a successor of ${name}`, () => {
            const pid = this.role(name);
            return pid !== null && pid !== old && pid;
        });
    }

    /** SIGKILL to the supervisor; waits until every role has left too. */
    async crash() {
        const exit = this.exit;
        const pids = this.pid ? [this.pid, ...children(this.pid)] : [];
        this.process?.kill('SIGKILL');
        await exit;
        await until('the roles of a dead supervisor leave', () => !pids.some(alive));
    }

    /** SIGTERM; the exit {code, signal}. */
    async stop(signal = 'SIGTERM') {
        const exit = this.exit;
        this.process?.kill(signal);
        return exit;
    }

    async restart() {
        await this.stop();
        await this.start();
    }

    /** Value of a metric, labels included in the name as /metrics prints them. */
    async metric(name) {
        const { text } = await this.client.get('/metrics');
        const line = text.split('\n').find((row) => row.startsWith(`${name} `));
        return line === undefined ? 0 : Number(line.slice(name.length + 1));
    }

    tail(lines = 30) {
        return this.log.split('\n').slice(-lines).join('\n');
    }

    /** Ends everything. Throws when a role outlived its supervisor, or one of our bugs was logged. */
    async dispose() {
        for (const client of this.clients) client.close();
        const pids = this.pid ? [this.pid, ...children(this.pid)] : [];
        for (const pid of pids) {
            if (alive(pid)) process.kill(pid, 'SIGCONT');
        }
        try {
            await this.crash();
        } finally {
            for (const pid of pids.filter(alive)) process.kill(pid, 'SIGKILL');
            if (this.ownsDir) fs.rmSync(this.dir, { recursive: true, force: true });
            if (this.shm) fs.rmSync(this.shm, { recursive: true, force: true });
        }
        const lines = this.log.split('\n');
        const bug = lines.findIndex((line) => /"event":"panic"|ERROR: \w+Sanitizer|runtime error:/.test(line));
        if (bug >= 0) throw new Error(`a bug was logged: ${lines.slice(bug, bug + BUG_LINES).join('\n')}`);
    }
}
