// The configuration: every mistake reported in one run; what cannot work is refused at the start.

import assert from 'node:assert/strict';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { describe, it } from 'node:test';
import { restanted } from './lib/run.js';
import { BUILD, Server } from './lib/server.js';

const GOOD = `listen "127.0.0.1:18080" { }
token_key "main" { secret = "0123456789abcdef0123456789abcdef" }
`;

async function check(text, args = ['--check-config']) {
    const dir = fs.mkdtempSync(path.join(os.tmpdir(), 'restante-conf-'));
    const file = path.join(dir, 'restante.conf');
    fs.writeFileSync(file, text);
    try {
        const { code, out, err } = await restanted(['--config', file, ...args]);
        return { code, out, err, said: (out + err).split('\n').filter(Boolean), left: fs.readdirSync(dir) };
    } finally {
        fs.rmSync(dir, { recursive: true });
    }
}

/** A line of the report that names the place and all of the words. */
function told(report, line, ...words) {
    const found = report.said.find((text) => text.includes(`restante.conf:${line}:`) && words.every((word) => text.includes(word)));
    assert.ok(found, `nothing about line ${line} with ${words}:\n${report.said.join('\n')}`);
}

describe('configuration', () => {
    it('that is good is accepted, and leaves nothing behind', async () => {
        const report = await check(GOOD);
        assert.equal(report.code, 0, report.said.join('\n'));
        assert.deepEqual(report.left, ['restante.conf']);
    });

    it('with ten mistakes gets ten reports in one run', async () => {
        const report = await check(`listen "127.0.0.1:99999" { }
workers = none
# a comment
sesion { ttl = "1m" }
session {
    ttl = "soon"
    mailbox_mesages = 5
    mailbox_overflow = "explode"
    mailbox_messages = 0
}
store { map_size = "1X" }
token_key "short" { secret = "hunter2hunter2" }
api_key "a" { sha256 = "xyz" scopes = { "fly:*" } }
limits { message = "64M" }
`);
        assert.notEqual(report.code, 0);
        told(report, 1, '99999');
        told(report, 2, 'workers', 'none', 'auto');
        told(report, 4, 'sesion', 'session');
        told(report, 6, 'ttl', 'soon');
        told(report, 7, 'mailbox_mesages', 'mailbox_messages');
        told(report, 8, 'mailbox_overflow', 'explode', 'refuse', 'drop_oldest');
        told(report, 9, 'mailbox_messages', '0');
        told(report, 11, 'map_size', '1X');
        told(report, 12, 'secret', '32');
        told(report, 13, 'sha256');
        told(report, 13, 'scopes', 'fly:*');
        told(report, 14, 'message', '64M', '16M');
        assert.ok(!report.said.join('\n').includes('hunter2'), 'a secret is not shown');
    });

    it('with duplicates is told where the first one stands', async () => {
        const report = await check(`${GOOD}workers = 1
workers = 2
session { ttl = "1m" }
session { ttl = "2m" }
token_key "main" { secret = "ffffffffffffffffffffffffffffffff" }
`);
        assert.notEqual(report.code, 0);
        told(report, 4, 'workers', '3');
        told(report, 6, 'session');
        told(report, 7, 'main', '2');
    });

    it('with a syntax error ends after what stands before it', async () => {
        const report = await check(`listen "127.0.0.1:18080" { }
workers = 0
session { ttl = "1m"
store { map_size = = "1X" }
limits { message = "64M" }
`);
        assert.notEqual(report.code, 0);
        told(report, 2, 'workers');
        assert.ok(report.said.some((text) => /restante\.conf:[345]:/.test(text)), report.said.join('\n'));
        assert.ok(!report.said.some((text) => text.includes('64M')), report.said.join('\n'));
    });

    for (const [name, text] of [
        ['an unterminated string', `${GOOD}state_dir = "x`],
        ['an unterminated comment', `${GOOD}/* x`],
        ['a NUL', `${GOOD}workers\0 = 1`],
        ['nonsense', '\x01\x02\x03'],
        ['a variable', `${GOOD}state_dir = "\${HOME}/x"`],
        ['no listener', 'workers = 1\n'],
    ]) {
        it(`with ${name} is refused, with a line`, async () => {
            const report = await check(text);
            assert.notEqual(report.code, 0);
            assert.ok(report.said.some((row) => /restante\.conf(:\d+)?:/.test(row)), report.said.join('\n'));
        });
    }

    it('that is not there is refused by name', async () => {
        const { code, err, out } = await restanted(['--config', '/nowhere/restante.conf', '--check-config']);
        assert.notEqual(code, 0);
        assert.match(out + err, /\/nowhere\/restante\.conf/);
    });

    it('is shown as it is in force, and what is shown is a configuration', async () => {
        const report = await check(`${GOOD}session { ttl = "90s" }\n`, ['--show-config']);
        assert.equal(report.code, 0, report.err);
        assert.match(report.out, /ttl\s*=\s*"?90s/);
        assert.match(report.out, /dedup_window\s*=\s*"?10m/);
        assert.ok(!report.out.includes('0123456789abcdef'), 'a secret is not shown');
    });

    it('sample is accepted and complete', async () => {
        const sample = path.join(BUILD, '..', 'etc/restante.conf.sample');
        const { code, out } = await restanted(['--sample-config']);
        assert.equal(code, 0);
        if (fs.existsSync(sample)) assert.equal(out, fs.readFileSync(sample, 'utf8'), 'etc/restante.conf.sample is generated');
        for (const name of ['durability', 'dedup_window', 'mailbox_overflow', 'head_timeout', 'drain']) assert.match(out, new RegExp(name));
    });

    it('options that nobody knows are refused', async () => {
        assert.notEqual((await restanted(['--frobnicate'])).code, 0);
        assert.notEqual((await restanted(['--config'])).code, 0);
        const help = await restanted(['--help']);
        assert.equal(help.code, 0);
        assert.match(help.out, /--check-config/);
        assert.match((await restanted(['--version'])).out, /\d+\.\d+/);
    });

    it('rings too small for a request are refused at the start', async () => {
        const report = await check(`${GOOD}shm { inbox = "1M" }\nlimits { request = "4M" }\n`);
        assert.notEqual(report.code, 0);
        assert.ok(report.said.some((row) => row.includes('request') || row.includes('inbox')), report.said.join('\n'));
    });

    it('of the memory grade needs a tmpfs with the room', async () => {
        const off = await check(`${GOOD}store { durability = "memory" path = "/var/tmp/restante-none" map_size = "64M" }\n`, []);
        assert.notEqual(off.code, 0);
        assert.match(off.said.join('\n'), /tmpfs/);
        const big = await check(`${GOOD}store { durability = "memory" path = "/dev/shm/restante-none" map_size = "8T" }\n`, []);
        assert.notEqual(big.code, 0);
        assert.match(big.said.join('\n'), /\d{6,}|\d+(\.\d+)?[KMGT]/);
        fs.rmSync('/dev/shm/restante-none', { recursive: true, force: true });
    });

    it('whose port is taken ends the start with the address', async () => {
        const server = new Server({ grade: 'memory', workers: 1 });
        try {
            await server.start();
            const report = await check(`listen "127.0.0.1:${server.port}" { }\ntoken_key "m" { secret = "0123456789abcdef0123456789abcdef" }\n`, []);
            assert.notEqual(report.code, 0);
            assert.match(report.said.join('\n'), new RegExp(String(server.port)));
        } finally {
            await server.dispose();
        }
    });
});
