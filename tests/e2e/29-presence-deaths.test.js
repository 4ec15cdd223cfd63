// Presence under deaths, crowds and floods: what a client makes of the list and the diffs equals the
// list, and the list equals the truth.

import assert from 'node:assert/strict';
import { after } from 'node:test';
import { status } from './lib/expect.js';
import { withServer } from './lib/harness.js';
import { bySession, Holder, listed, Roster, track } from './lib/presence.js';
import { connect, Socket } from './lib/socket.js';
import { leave, numbers } from './lib/topics.js';
import { pause, persist, until } from './lib/wait.js';

const titled = [['namespace', 'room:*', { presence: true }]];

// So that a test that fails leaves nothing running.
const followed = [];
after(() => {
    for (const follower of followed) {
        follower.busy = false;
        follower.socket.finished = true;
        follower.socket.ws?.terminate();
    }
});

/** Follows a topic through whatever happens, over its own WebSocket, and takes diffs as they come. */
async function follow(server, topic) {
    const { session } = await server.client.session('watcher', { topics: [topic] });
    const socket = new Socket(server, session).follow();
    await socket.control('hello');
    const roster = await new Roster(server.client, topic).fetch();
    const follower = { socket, roster, busy: true };
    followed.push(follower);
    follower.taking = (async () => {
        while (follower.busy) {
            await roster.take(socket.messages);
            await pause(10);
        }
    })();
    follower.taking.catch(() => {}); // awaited below
    return follower;
}

/** Nothing changes any more: every roster must come to equal the list. */
async function settles(followers) {
    for (const follower of followers) {
        follower.busy = false;
        await follower.taking;
    }
    await until('every roster equals the list', async () => {
        for (const { socket, roster } of followers) {
            if (!await (await roster.take(socket.messages)).equals()) return false;
        }
        return true;
    }, 30);
}

withServer('presence through deaths of the writer', { titled, sections: { session: { presence_grace: '10m' } } }, (check) => {
    check('diffs, applied by version over the list, give the list', async (server) => {
        const { client } = server;
        const topic = 'room:writer';
        const followers = [await follow(server, topic), await follow(server, topic)];
        const sessions = await Promise.all(numbers(12).map((i) => client.session(`s${i % 6}`)));
        let busy = true;
        const truth = new Map();
        const changing = sessions.map(async ({ session }, i) => {
            for (let n = 0; !client.closed && (busy || n < 3); n++) {
                const meta = (n + i) % 4 === 3 ? null : { n };
                status(await persist('a change', () => track(client, session, topic, meta)), 200);
                if (meta) truth.set(session, n);
                else truth.delete(session);
            }
        });
        // Some change as the writer dies, and never again: what was not told of them must be missed.
        const lasts = await Promise.all(numbers(6).map((i) => numbers(4).map((k) => `last-${i}-${k}`)).flat().map((subject) => client.session(subject)));
        for (let kills = 0; kills < 6; kills++) {
            await Promise.all(lasts.splice(0, 4).map(async ({ session }) => {
                status(await persist('a change', () => track(client, session, topic, { n: -1 })), 200);
                truth.set(session, -1);
            }));
            await server.replace('writer');
            const before = followers.map(({ roster }) => roster.applied);
            await until('diffs are applied again', () => followers.every(({ roster }, i) => roster.applied > before[i]));
        }
        busy = false;
        await Promise.all(changing);
        await settles(followers);
        const here = bySession((await listed(client, topic)).members);
        assert.deepEqual(new Map([...here].map(([session, [, { n }]]) => [session, n]).sort()), new Map([...truth].sort()));
        for (const { socket } of followers) await socket.close();
    }, 120);
});

const MEMBERS = 1000;
const AT_ONCE = 20;

async function each(list, body) {
    let next = 0;
    await Promise.all(numbers(AT_ONCE).map(async () => {
        while (next < list.length) await body(list[next], next++);
    }));
}

withServer('presence of a crowd', {
    grade: 'memory', titled, sections: { session: { presence_grace: '2s', max_per_subject: 1000 }, limits: { connections: 4000 } },
}, (check) => {
    let members = [];
    after(() => {
        for (const { holder } of members) {
            if (holder) holder.stays = false;
            holder?.cut();
        }
    });

    check('1,000 members join, flap and leave, on workers that die: the list is the truth', async (server) => {
        const { client } = server;
        const topic = 'room:crowd';
        const follower = await follow(server, topic);
        members = numbers(MEMBERS).map((i) => ({ i, kind: ['stays', 'leaves', 'flaps', 'ends'][i % 4] }));
        await each(members, async (one) => {
            Object.assign(one, await client.session(`s${one.i % 400}`));
            one.holder = await new Holder(server, one.session).follow();
            status(await track(client, one.session, topic, { i: one.i }), 200);
        });
        await until('all are here', async () => (await listed(client, topic)).count === MEMBERS, 30);
        let flapping = true;
        const of = (kind) => members.filter((one) => one.kind === kind);
        const flaps = (async () => {
            while (flapping) {
                for (const { holder } of of('flaps')) {
                    holder.cut();
                    if (holder.session.charCodeAt(0) % 8 === 0) await pause(1);
                }
                await pause(50);
            }
        })();
        await server.replace('0');
        await each(of('leaves'), ({ holder }) => holder.leave());
        await server.replace('1');
        await each(of('ends'), async ({ session, holder, i }) => {
            holder.stays = false;
            if (i % 8 === 3) status(await persist('an end', () => client.request('DELETE', `/v1/sessions/${session}`)), 204);
            else status(await persist('a leave', () => leave(client, session, topic)), 204);
            await holder.leave();
        });
        await server.replace('0');
        flapping = false;
        await flaps;
        const truth = [...of('stays'), ...of('flaps')].map(({ session }) => session).sort();
        await until('the list is the truth', async () => {
            const here = [...bySession((await listed(client, topic)).members).keys()].sort();
            return here.length === truth.length && here.every((session, i) => session === truth[i]);
        }, 60);
        assert.equal((await listed(client, topic)).count, truth.length);
        await settles([follower]);
        await each([...of('stays'), ...of('flaps')], ({ holder }) => holder.leave());
        await until('nobody is here', async () => (await listed(client, topic)).count === 0, 60);
        await settles([follower]);
        assert.equal(follower.roster.sessions.size, 0);
        await follower.socket.close();
    }, 240);
});

const RATE = 50;
const FLOOD = 20000;

withServer('a flood of presence', { titled, workers: 1, sections: { session: { presence_grace: '10m' }, limits: { publish_rate: RATE } } }, (check) => {
    check('is held to limits.publish_rate, and the others are served', async (server) => {
        const { client } = server;
        const topic = 'room:flood';
        const follower = await follow(server, topic);
        const loud = await client.session('loud');
        const socket = await connect(server, loud.session, { credential: loud.token });
        const began = performance.now();
        const answers = Promise.all(numbers(FLOOD).map((n) => socket.ask('subscribe', { topic, presence: { n } })));
        let served = 0;
        let flooding = true;
        answers.finally(() => { flooding = false; }).catch(() => {});
        do {
            const { session, token } = await client.session(`quiet-${served++}`);
            status(await track(client, session, topic, { quiet: true }, { credential: token }), 200);
            const { members } = await listed(client, topic);
            assert.equal(members.get(`quiet-${served - 1}`).length, 1);
        } while (flooding);
        const heard = await answers;
        const seconds = (performance.now() - began) / 1000;
        const taken = heard.filter(({ t }) => t === 'ok').length;
        assert.ok(heard.every(({ t, code }) => t === 'ok' || code === 'rate_limited'));
        assert.ok(taken >= RATE && taken <= RATE * (1 + seconds), `${taken} taken in ${seconds} s`);
        assert.ok(heard.filter(({ t }) => t === 'error').every((one) => one.retry_after_ms > 0));
        await settles([follower]);
        assert.equal(follower.roster.sessions.size, served + 1);
        await Promise.all([socket.close(), follower.socket.close()]);
    }, 120);
});
