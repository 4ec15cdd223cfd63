// One server for a group of tests; its log is shown when one of them fails.

import { after, before, describe, it } from 'node:test';
import { Server } from './server.js';
import { until, within } from './wait.js';

const TEST_SECONDS = 30;

/**
 * withServer('title', {grade: 'memory'}, (check) => { check('name', async (server) => ...) }).
 * A test that hangs fails after its seconds, and the server is ended all the same.
 */
export function withServer(title, options, define) {
    describe(title, () => {
        const server = new Server(options);
        let failed = false;
        before(async () => {
            try {
                await server.start();
            } catch (error) {
                failed = true;
                throw error;
            }
        });
        after(async () => {
            if (failed) console.error(`--- log of "${title}"\n${server.tail()}\n---`);
            await server.dispose();
        });
        define((name, body, seconds = TEST_SECONDS) => it(name, async () => {
            try {
                await within(seconds, name, body(server));
            } catch (error) {
                failed = true;
                throw error;
            }
        }), server);
    });
}

/** The same tests over both durability grades. */
export function bothGrades(title, options, define) {
    for (const grade of ['disk', 'memory']) withServer(`${title} (${grade})`, { ...options, grade }, define);
}

/**
 * Waits until n polls are parked, one of them of this session at least. (All long-polls of a session
 * show as one connection.)
 */
export function parked(client, session, n = 1) {
    return until(`${n} polls are parked`, async () => {
        const seen = await client.get(`/v1/sessions/${session}`);
        return seen.json.connections.length >= 1 && await client.server.metric('restante_polls_parked') >= n;
    });
}
