// What /proc says about processes. A role is known by its title: "restanted: worker 0".

import fs from 'node:fs';

function read(path) {
    try {
        return fs.readFileSync(path, 'latin1');
    } catch {
        return null; // the process is gone
    }
}

/** {ppid, state} of a live process, or null. A zombie counts as gone. */
function stat(pid) {
    const text = read(`/proc/${pid}/stat`);
    if (text === null) return null;
    const [state, ppid] = text.slice(text.lastIndexOf(')') + 2).split(' ');
    return state === 'Z' || state === 'X' ? null : { state, ppid: Number(ppid) };
}

export const alive = (pid) => stat(pid) !== null;
export const stopped = (pid) => stat(pid)?.state === 'T';

export function children(pid) {
    return fs.readdirSync('/proc')
        .filter((name) => /^\d+$/.test(name))
        .map(Number)
        .filter((child) => stat(child)?.ppid === pid);
}

export const title = (pid) => (read(`/proc/${pid}/cmdline`) ?? '').split('\0')[0];

/** {writer: pid, workers: {slot: pid}} among the children of a supervisor. */
export function roles(supervisor) {
    const found = { writer: null, workers: {} };
    for (const pid of children(supervisor)) {
        const name = title(pid);
        const worker = /^restanted: worker (\d+)/.exec(name);
        if (worker) found.workers[worker[1]] = pid;
        else if (/^restanted: writer/.test(name)) found.writer = pid;
    }
    return found;
}

/** Resident anonymous memory in bytes. */
export function anonymous(pid) {
    const line = /^RssAnon:\s+(\d+) kB/m.exec(read(`/proc/${pid}/status`) ?? '');
    return line ? Number(line[1]) * 1024 : 0;
}

/** Processor time used so far, in clock ticks. */
export function ticks(pid) {
    const text = read(`/proc/${pid}/stat`);
    if (text === null) return 0;
    const fields = text.slice(text.lastIndexOf(')') + 2).split(' ');
    return Number(fields[11]) + Number(fields[12]);
}

/** Columns of every TCP connection over IPv4 that the kernel knows. */
function connections() {
    return (read('/proc/net/tcp') ?? '').trim().split('\n').slice(1).map((row) => row.trim().split(/\s+/));
}

const portOf = (address) => parseInt(address.split(':')[1], 16);

/** Local ports of those connections. */
export function connectedPorts() {
    return new Set(connections().map(([, local]) => portOf(local)));
}

/** What the kernel has of a port's connection, both ends: "local>remote state txqueue:rxqueue". */
export function tcpState(port) {
    if (!port) return 'no port';
    const ends = connections().filter(([, local, remote]) => portOf(local) === port || portOf(remote) === port);
    return ends.map(([, local, remote, state, queues]) => `${portOf(local)}>${portOf(remote)} ${state} ${queues}`).join(', ') || `port ${port} unknown to the kernel`;
}
