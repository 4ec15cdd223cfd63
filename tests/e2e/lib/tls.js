// Certificates and TLS connections for tests: openssl makes the ones, node's own client the others.

import { execFile, execFileSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import tls from 'node:tls';
import { promisify } from 'node:util';
import { parseAnswers } from './raw.js';
import { within } from './wait.js';

export const run = promisify(execFile);

/** A self-signed certificate for names ("DNS:a.test,IP:127.0.0.1"): {certificate, key}, file names. */
export function makeCertificate(dir, name, names) {
    const certificate = path.join(dir, `${name}.crt`);
    const key = path.join(dir, `${name}.key`);
    execFileSync('openssl', ['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes',
        '-days', '2', '-subj', `/CN=${name}`, '-addext', `subjectAltName=${names}`,
        '-keyout', key, '-out', certificate], { stdio: 'ignore' });
    return { certificate, key };
}

/** One that has expired: what `openssl req` cannot make, a small authority can. */
export async function agedCertificate(dir, name) {
    const made = makeCertificate(dir, name, `DNS:${name}`);
    const files = path.join(dir, name);
    fs.writeFileSync(`${files}.cnf`, `[ca]\ndefault_ca = d\n[d]\ndatabase = ${files}.index\nserial = ${files}.serial\n` +
        `new_certs_dir = ${dir}\ndefault_md = sha256\npolicy = p\n[p]\ncommonName = supplied\n`);
    fs.writeFileSync(`${files}.index`, '');
    fs.writeFileSync(`${files}.serial`, '01\n');
    await run('openssl', ['req', '-new', '-key', made.key, '-subj', `/CN=${name}`, '-out', `${files}.csr`]);
    await run('openssl', ['ca', '-batch', '-selfsign', '-notext', '-config', `${files}.cnf`, '-keyfile', made.key, '-in', `${files}.csr`,
        '-out', made.certificate, '-startdate', '20200101000000Z', '-enddate', '20200201000000Z']);
    return made;
}

/** One request on a TLS connection of its own: {answer, protocol, alpn, reused, session, names}. */
export function visit(port, { path: target = '/healthz', headers = '', host = '127.0.0.1', ...options } = {}) {
    return within(10, `a visit to ${target}`, new Promise((resolve, reject) => {
        const socket = tls.connect({ port, host, rejectUnauthorized: false, ...options });
        const seen = { session: null };
        let bytes = Buffer.alloc(0);
        socket.on('session', (session) => { seen.session = session; }); // with TLS 1.3 after the handshake
        socket.once('error', reject);
        socket.once('secureConnect', () => {
            Object.assign(seen, {
                protocol: socket.getProtocol(), alpn: socket.alpnProtocol, reused: socket.isSessionReused(),
                names: socket.getPeerCertificate().subjectaltname,
            });
            socket.write(`GET ${target} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n${headers}\r\n`);
        });
        socket.on('data', (part) => { bytes = Buffer.concat([bytes, part]); });
        socket.once('end', () => resolve({ ...seen, answer: parseAnswers(bytes).answers[0] }));
        socket.once('close', () => reject(new Error('closed without an end')));
    }));
}
