// What no client can do: a worker that goes mad in shared memory, and a store that is gone.

import assert from 'node:assert/strict';
import fs from 'node:fs';
import { Chain } from './lib/chain.js';
import { payloads, problem, status } from './lib/expect.js';
import { withServer } from './lib/harness.js';
import { Reader } from './lib/reader.js';
import { persist, until } from './lib/wait.js';

const CONTROL = 192; // before a ring's data: head at 0, tail at 64, size at 128
const HEADER = 8; // before a record: its length, its kind
const RECORD = 0x52454331;

/** The supervisor's view of all rings. The first inbox ring, of worker 0, begins at its start. */
function openRings(supervisor) {
    const fds = `/proc/${supervisor}/fd`;
    const name = fs.readdirSync(fds).find((fd) => fs.readlinkSync(`${fds}/${fd}`).startsWith('/memfd:restante-rings'));
    return fs.openSync(`${fds}/${name}`, 'r+');
}

function word(fd, at) {
    const bytes = Buffer.alloc(8);
    fs.readSync(fd, bytes, 0, 8, at);
    return bytes.readBigUInt64LE();
}

function setWord(fd, at, value) {
    const bytes = Buffer.alloc(8);
    bytes.writeBigUInt64LE(value);
    fs.writeSync(fd, bytes, 0, 8, at);
}

/** Puts bytes at the head of the first inbox and moves the head past them, as a worker would. */
function inject(supervisor, bytes, ahead = BigInt(bytes.length)) {
    const fd = openRings(supervisor);
    try {
        const head = word(fd, 0);
        const size = word(fd, 128);
        const at = Number(head % size);
        assert.ok(at + bytes.length <= Number(size), 'the ring is too full for this test');
        fs.writeSync(fd, bytes, 0, bytes.length, CONTROL + at);
        setWord(fd, 0, head + ahead);
    } finally {
        fs.closeSync(fd);
    }
}

function record(body, length = body.length) {
    const header = Buffer.alloc(HEADER);
    header.writeUInt32LE(length, 0);
    header.writeUInt32LE(RECORD, 4);
    const pad = Buffer.alloc((8 - (body.length % 8)) % 8);
    return Buffer.concat([header, body, pad]);
}

const noise = (n) => Buffer.from(Array.from({ length: n }, (_, i) => (i * 151 + 77) & 0xff));

/** type, generation, id: as every command begins. */
function command(type, rest) {
    const head = Buffer.alloc(16);
    head.writeUInt32LE(type, 0);
    head.writeUInt32LE(1, 4);
    head.writeBigUInt64LE(1n << 40n, 8);
    return Buffer.concat([head, rest]);
}

const garbage = [
    ['no record at all', noise(64)],
    ['a length past the head', record(noise(16), 1 << 20)],
    ['a record too short for a command', record(noise(4))],
    ['a command of no type', record(command(0x7fff, noise(32)))],
    ['each type of command with noise in it', Buffer.concat(Array.from({ length: 9 }, (_, t) => record(command(t, noise(40)))))],
    ['a head that cannot be', noise(8), 1n << 50n],
];

withServer('garbage in an inbox ring', { grade: 'memory' }, (check) => {
    for (const [name, bytes, ahead] of garbage) {
        check(`(${name}) costs its worker, nobody and nothing else`, async (server) => {
            const { client } = server;
            const { session, cursor } = await client.session();
            const reader = new Reader(client, session, cursor);
            const reading = reader.until((messages) => messages.length >= 20);
            const mad = server.role('0');
            const [other, writer] = [server.role('1'), server.role('writer')];
            const bad = await server.metric('restante_commands_bad_total');
            const noticed = () => server.log.split('"bad_ring_record"').length;
            const before = noticed();
            for (let i = 0; i < 20; i++) {
                if (i === 10) inject(server.pid, bytes, ahead);
                const answer = await persist(`message ${i}`, () => client.send(session, { data: i }, `n${i}`));
                assert.ok(answer.status === 201 || answer.status === 200, answer.text);
            }
            /* What the worker itself puts next overwrites it, if the writer has not looked by then: a
             * mad one does it again. */
            let next = Date.now() + 500;
            await until('its worker is replaced', () => {
                if (noticed() === before && server.role('0') === mad && Date.now() > next) {
                    inject(server.pid, bytes, ahead);
                    next = Date.now() + 500;
                }
                return ![null, mad].includes(server.role('0'));
            });
            await reading;
            assert.deepEqual(reader.messages.map((message) => message.data), Array.from({ length: 20 }, (_, i) => i));
            assert.equal(server.role('1'), other);
            assert.equal(server.role('writer'), writer);
            assert.ok(await server.metric('restante_commands_bad_total') > bad);
            const { json } = await persist('the mailbox', () => client.pick(session, { cursor }));
            new Chain(cursor).take(json);
            await server.ready();
        });
    }
});

withServer('a store', { grade: 'memory' }, (check) => {
    check('keeps its epoch over stop and crash, and has a new one when it was lost', async (server) => {
        const { client } = server;
        const first = await client.session('alice');
        const sent = status(await client.send(first.session, { data: 1 }), 201).json;
        for (const end of ['stop', 'crash']) {
            await server[end]();
            await server.start();
            assert.equal((await client.session('bob')).epoch, first.epoch);
            assert.deepEqual(payloads(await client.pick(first.session, { cursor: first.cursor })), [1]);
        }

        // What a reboot does to a tmpfs.
        await server.stop();
        fs.rmSync(server.shm, { recursive: true });
        await server.start();
        const fresh = await client.session('alice');
        assert.notEqual(fresh.epoch, first.epoch);
        // An unknown session is unknown, whatever the cursor; a known one judges it.
        problem(await client.pick(first.session, { cursor: sent.cursor }), 404, 'session_unknown');
        const reset = await client.pick(fresh.session, { cursor: sent.cursor });
        problem(reset, 410, 'cursor_reset');
        assert.equal(reset.json.reason, 'epoch');
        assert.ok(reset.json.oldest.startsWith(`${fresh.epoch}.`) && reset.json.newest.startsWith(`${fresh.epoch}.`));
        problem(await client.ack(fresh.session, sent.cursor), 410, 'cursor_reset');
        status(await client.send(fresh.session, { data: 2 }), 201);
        assert.deepEqual(payloads(await client.pick(fresh.session, { cursor: reset.json.oldest })), [2]);
    });
});
