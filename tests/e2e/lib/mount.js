// Small file systems of our own, for full and read-only disks. They need root.

import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';

export const canMount = process.getuid() === 0;
export const whyNot = canMount ? false : 'mounting a file system needs root';

export class Mount {
    constructor(size) {
        this.dir = fs.mkdtempSync(path.join(os.tmpdir(), 'restante-mount-'));
        execFileSync('mount', ['-t', 'tmpfs', '-o', `size=${size},mode=0700`, 'restante-test', this.dir]);
    }

    readOnly() {
        execFileSync('mount', ['-o', 'remount,ro', this.dir]);
    }

    /** Takes all the room that is left; returns a function that gives it back. */
    fill() {
        const file = path.join(this.dir, 'filler');
        const fd = fs.openSync(file, 'w');
        const block = Buffer.alloc(4096, 1);
        try {
            for (;;) fs.writeSync(fd, block);
        } catch (error) {
            if (error.code !== 'ENOSPC') throw error;
        } finally {
            fs.closeSync(fd);
        }
        return () => fs.rmSync(file);
    }

    dispose() {
        execFileSync('umount', ['-l', this.dir]);
        fs.rmdirSync(this.dir);
    }
}
