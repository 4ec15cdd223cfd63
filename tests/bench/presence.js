// Presence against fan-out: what a join costs where many look on, and how joins are batched. And how
// fast restante.js takes messages in node.

import { listed, track } from '../e2e/lib/presence.js';
import { pause, until } from '../e2e/lib/wait.js';
import { WebSocket } from '../e2e/lib/ws.js';
import { Restante } from '../../worker/web/restante.js';
import { PAYLOAD, cpu, k, load, open, pidsOf, request, row, withServer } from './lib.js';

const MEMBERS = 1000;
const ROUNDS = 3;
const EACH = 20; // of a round
const WINDOW_MS = 50; // in which the server gathers joins
const TOPIC = 'bench:room';
const CLIENT_MESSAGES = 100000;

/** A member who looks on; frames are counted. */
const look = (server, { session }, seen) => new Promise((resolve, reject) => {
    const ws = new WebSocket(`ws://127.0.0.1:${server.port}/v1/socket?session=${session}`, ['restante.v1.json'],
        { headers: { Authorization: `Bearer ${server.key}` }, perMessageDeflate: false });
    ws.on('error', reject);
    ws.on('message', (bytes) => {
        const text = bytes.toString('latin1', 0, 12);
        if (text.startsWith('{"t":"hello"')) resolve(ws);
        else seen.frames++;
    });
});

/** CPU microseconds of the server for one act() until all have its frame, one after another. */
async function cost(server, seen, act) {
    const pids = pidsOf(server).split(',').map(Number);
    const before = cpu(pids);
    for (let i = 0; i < EACH; i++) {
        const want = seen.frames + MEMBERS;
        await act();
        await until('all have it', () => seen.frames >= want, 20);
    }
    return (cpu(pids) - before) / EACH;
}

const middle = (list) => list.sort((a, b) => a - b)[list.length >> 1];
const us = (n) => `${Math.round(n)} us CPU`;

export const PRESENCE_BENCHES = {
    async presence() {
        await withServer('memory', async (server) => {
            const { client } = server;
            const seen = { frames: 0 };
            const made = await open(server, MEMBERS, { topics: [TOPIC] });
            const sockets = [];
            for (let i = 0; i < MEMBERS; i += 50) sockets.push(...await Promise.all(made.slice(i, i + 50).map((one) => look(server, one, seen))));
            const diffs = () => server.metric('restante_presence_diffs_total');
            const joins = made.map(({ session }) => request(server, 'PUT', `/v1/sessions/${session}/subscriptions/${TOPIC}`, '{"presence":{"n":1}}'));
            const earlier = await diffs();
            const { seconds } = await load(server, joins, ['--connections', 1, '--count', MEMBERS]);
            await until('all are members', async () => (await listed(client, TOPIC)).count === MEMBERS);
            await pause(WINDOW_MS * 4); // the last of them are told
            const count = await diffs() - earlier;
            row('presence', `${MEMBERS} joins in ${seconds.toFixed(2)} s, as many look on`, `${count} diffs`, `<= ${Math.ceil(Math.max(seconds, 1) * 20)}`);

            // Joins of those who do not look on themselves.
            const guests = await open(server, EACH * ROUNDS);
            const costs = { message: [], join: [] };
            for (let i = 0; i < ROUNDS; i++) {
                costs.message.push(await cost(server, seen, () => client.post(`/v1/topics/${TOPIC}/messages`, { data: PAYLOAD })));
                costs.join.push(await cost(server, seen, () => track(client, guests.pop().session, TOPIC, { n: 1 })));
            }
            const [message, join] = [middle(costs.message), middle(costs.join)];
            row('presence', `a message to ${MEMBERS} sockets, one at a time`, us(message));
            row('presence', `a join where ${MEMBERS} are, one at a time`, `${us(join)}, ${(join / message).toFixed(2)} x a message's`, '<= 3 x');
            for (const ws of sockets) ws.terminate();
        }, { session: { presence_grace: '10m' } }, { titled: [['namespace', 'bench:*', { presence: true, history: 1000 }]] });
    },

    async client() {
        await withServer('memory', async (server) => {
            for (const [name, Socket] of [['WebSocket', WebSocket], ['long-poll', null]]) {
                const { session, token, cursor } = await server.client.session(name);
                const messages = Array.from({ length: 1000 }, () => ({ session, content_type: 'text/plain', data: PAYLOAD }));
                await load(server, [request(server, 'POST', '/v1/publish', JSON.stringify({ messages }))], ['--connections', 1, '--count', CLIENT_MESSAGES / 1000]);
                let got = 0;
                const box = new Restante({ url: server.url, session, token, cursor, WebSocket: Socket });
                await new Promise((resolve, reject) => {
                    let begun = 0;
                    box.on('error', reject);
                    box.on('hole', reject);
                    box.on('message', () => {
                        begun ||= performance.now();
                        if (++got < CLIENT_MESSAGES) return;
                        row('client', `restante.js in node, ${name}, ${CLIENT_MESSAGES} wait`, k(CLIENT_MESSAGES / (performance.now() - begun) * 1000), Socket ? '>= 20 k/s' : '');
                        resolve();
                    });
                });
                await box.close();
            }
        });
    },
};
