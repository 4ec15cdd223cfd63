// Does to a server's processes, at random instants, what can be done to processes.

import { children } from '../e2e/lib/proc.js';
import { pause } from '../e2e/lib/wait.js';

const ROLES = ['0', '1', 'writer'];
const MOST_PAUSE_MS = 700;
const MOST_STOP_MS = 2600; // a role stopped for 2 s is killed by the supervisor; both happen

export class Monkey {
    constructor(server, random) {
        Object.assign(this, { server, random });
        this.done = {};
        this.running = true;
    }

    /** Signals a role if it is there; it may be dead already. */
    #signal(pid, signal) {
        try {
            if (pid) process.kill(pid, signal);
        } catch (error) {
            if (error.code !== 'ESRCH') throw error;
        }
    }

    #kill(name) {
        this.#signal(this.server.role(name), 'SIGKILL');
    }

    async #stop(name) {
        const pid = this.server.role(name);
        this.#signal(pid, 'SIGSTOP');
        await pause(this.random.below(MOST_STOP_MS));
        this.#signal(pid, 'SIGCONT');
    }

    async #stopSupervisor() {
        const { pid } = this.server;
        this.#signal(pid, 'SIGSTOP');
        await pause(this.random.below(MOST_STOP_MS));
        this.#signal(pid, 'SIGCONT');
    }

    actions = [
        [6, 'kill worker', () => this.#kill(this.random.pick(['0', '1']))],
        [6, 'kill writer', () => this.#kill('writer')],
        [2, 'kill both workers', () => { this.#kill('0'); this.#kill('1'); }],
        [2, 'kill worker and writer', () => { this.#kill(this.random.pick(['0', '1'])); this.#kill('writer'); }],
        [3, 'stop a role', () => this.#stop(this.random.pick(ROLES))],
        [1, 'stop the supervisor', () => this.#stopSupervisor()],
        [1, 'kill the supervisor', async () => { await this.server.crash(); await this.server.start(); }],
        [1, 'kill everything', async () => {
            const pids = children(this.server.pid);
            this.#signal(this.server.pid, 'SIGKILL');
            for (const pid of pids) this.#signal(pid, 'SIGKILL');
            await this.server.crash();
            await this.server.start();
        }],
        [1, 'restart in order', () => this.server.restart()],
    ];

    async run() {
        while (this.running) {
            await pause(this.random.below(MOST_PAUSE_MS));
            if (!this.running) break;
            const name = this.random.weighted(this.actions.map(([weight, title]) => [weight, title]));
            this.done[name] = (this.done[name] ?? 0) + 1;
            await this.actions.find(([, title]) => title === name)[2]();
        }
    }

    stop() {
        this.running = false;
    }
}
