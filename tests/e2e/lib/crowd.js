// Thousands of WebSockets in a process of its own, so that no process runs out of descriptors or of
// time. Its parent (Crowd) opens them and asks how they are; the child (when run) holds them: bytes
// on sockets, so that ten thousand of them are cheap.

import { fork } from 'node:child_process';
import net from 'node:net';
import tls from 'node:tls';
import { fileURLToPath } from 'node:url';
import { until } from './wait.js';

const SELF = fileURLToPath(import.meta.url);
const AT_ONCE = 100; // connections being made

/** The parent's side. */
export class Crowd {
    /** members: [{session, cursor}]; target: {port, ca, key} (ca: over TLS; key: the credential). */
    constructor(target, members) {
        this.size = members.length;
        this.child = fork(SELF, ['member']);
        this.state = { open: 0, got: 0, ended: 0, wrong: [] };
        this.child.on('message', (state) => { this.state = state; });
        this.gone = new Promise((resolve) => this.child.once('exit', resolve));
        this.child.send({ target, members });
    }

    async #reaches(what, value, seconds) {
        await until(`${this.size} ${what}, not ${value()}`, () => {
            if (this.state.wrong.length > 0) throw new Error(`wrong: ${this.state.wrong.join('; ')}`);
            return value() >= this.size;
        }, seconds);
    }

    opened(seconds) {
        return this.#reaches('are open', () => this.state.open, seconds);
    }

    /** Each member has exactly these payloads, in their order; rejects once one has anything else. */
    got(wanted, seconds) {
        this.child.send({ wanted });
        return this.#reaches('have everything', () => this.state.got, seconds);
    }

    async close() {
        this.child.kill('SIGKILL');
        await this.gone;
    }
}

/** One WebSocket; frames of a server that are less than 64 KiB. */
class Member {
    constructor(socket, { session, cursor }, key, onChange) {
        Object.assign(this, { socket, onChange });
        this.messages = [];
        this.bytes = Buffer.alloc(0);
        this.head = false; // the 101 was read
        this.wrong = null;
        socket.on('data', (part) => this.#take(part));
        socket.on('error', (error) => this.#fail(error.message));
        socket.on('close', () => this.#fail('closed'));
        socket.write(`GET /v1/socket?session=${session}&cursor=${cursor} HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n` +
            `Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nAuthorization: Bearer ${key}\r\n\r\n`);
    }

    #fail(why) {
        this.wrong ??= why;
        this.onChange(this);
    }

    #take(part) {
        this.bytes = this.bytes.length > 0 ? Buffer.concat([this.bytes, part]) : part;
        if (!this.head) {
            const end = this.bytes.indexOf('\r\n\r\n');
            if (end < 0) return;
            const line = this.bytes.toString('latin1', 0, this.bytes.indexOf('\r\n'));
            if (!line.startsWith('HTTP/1.1 101 ')) return void this.#fail(line);
            this.head = true;
            this.bytes = this.bytes.subarray(end + 4);
        }
        while (this.#frame());
    }

    #frame() {
        if (this.bytes.length < 2) return false;
        const opcode = this.bytes[0] & 15;
        const long = this.bytes[1] === 126;
        if (long && this.bytes.length < 4) return false;
        const at = long ? 4 : 2;
        const length = long ? this.bytes.readUInt16BE(2) : this.bytes[1];
        if (this.bytes.length < at + length) return false;
        const payload = this.bytes.subarray(at, at + length);
        this.bytes = this.bytes.subarray(at + length);
        if (opcode === 1) this.#object(JSON.parse(payload.toString()));
        else if (opcode === 9) this.socket.write(Buffer.concat([Buffer.from([0x8a, 0x80 | length, 0, 0, 0, 0]), payload]));
        else this.#fail(`a frame of kind ${opcode}`);
        return true;
    }

    #object({ t, ...rest }) {
        if (t === 'hello') this.open = true;
        else if (t === 'message') this.messages.push(rest);
        else this.#fail(`said ${t}`);
        this.onChange(this);
    }
}

/** What is wrong with what a member got, or null; every message after the first links to the one before. */
function judge({ messages }, wanted) {
    for (const [i, { data, prev }] of messages.entries()) {
        if (data !== wanted[i]) return `message ${i} is ${data}`;
        if (i > 0 && prev !== messages[i - 1].seq) return `message ${i} has prev ${prev} after ${messages[i - 1].seq}`;
    }
    return null;
}

function hold() {
    const members = [];
    let wanted = null;
    let told = null;
    const report = () => {
        const state = { open: 0, got: 0, wrong: [] };
        for (const member of members) {
            const wrong = member.wrong ?? (wanted && judge(member, wanted));
            state.open += member.open ? 1 : 0;
            if (wrong) state.wrong.push(wrong);
            else if (wanted && member.messages.length === wanted.length) state.got++;
        }
        state.wrong = state.wrong.slice(0, 5);
        if (JSON.stringify(state) === told) return;
        told = JSON.stringify(state);
        process.send(state);
    };
    setInterval(report, 100);
    const open = async ({ target, members: list }) => {
        let next = 0;
        let ticket; // every connection but the first ones resumes
        const connect = () => new Promise((resolve) => {
            if (!target.ca) {
                const socket = net.connect(target.port, '127.0.0.1', () => resolve(socket));
                return;
            }
            const socket = tls.connect({ port: target.port, host: '127.0.0.1', ca: target.ca, session: ticket }, () => resolve(socket));
            socket.on('session', (session) => { ticket = session; });
        });
        const one = async () => {
            while (next < list.length) {
                const mine = list[next++];
                const socket = await connect();
                await new Promise((done) => {
                    const member = new Member(socket, mine, target.key, (changed) => (changed.open || changed.wrong) && done());
                    members.push(member);
                });
            }
        };
        await Promise.all(Array.from({ length: AT_ONCE }, one));
    };
    process.on('message', (order) => {
        if (order.members) open(order);
        else wanted = order.wanted;
    });
    process.on('disconnect', () => process.exit()); // the parent died
}

if (process.argv[1] === SELF && process.argv[2] === 'member') hold();
