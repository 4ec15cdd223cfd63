// Runs a program to its end: {code, signal, out, err}. Input may be text, bytes or a stream.

import { spawn } from 'node:child_process';
import { RESTANTE, RESTANTED } from './server.js';

export function run(program, args, { input, env = {}, seconds = 60 } = {}) {
    return new Promise((resolve, reject) => {
        const child = spawn(program, args, { env: { ...process.env, ...env } });
        const out = [];
        const err = [];
        const timer = setTimeout(() => child.kill('SIGKILL'), seconds * 1000);
        child.stdout.on('data', (part) => out.push(part));
        child.stderr.on('data', (part) => err.push(part));
        child.stdin.on('error', () => {}); // it may leave without reading
        child.once('error', reject);
        child.once('close', (code, signal) => {
            clearTimeout(timer);
            resolve({ code, signal, bytes: Buffer.concat(out), out: Buffer.concat(out).toString(), err: Buffer.concat(err).toString() });
        });
        if (input?.pipe) input.pipe(child.stdin);
        else child.stdin.end(input ?? '');
    });
}

export const restanted = (args, options) => run(RESTANTED, args, options);

/** The command, pointed at a server. */
export const restante = (server, args, options = {}) =>
    run(RESTANTE, args, { ...options, env: { RESTANTE_URL: server.url, RESTANTE_KEY: server.key, ...options.env } });
