// A real browser: EventSource through kills, and calls from pages of other origins.

import assert from 'node:assert/strict';
import { after, before } from 'node:test';
import { launch, site } from './lib/browser.js';
import { status } from './lib/expect.js';
import { withServer } from './lib/harness.js';
import { until } from './lib/wait.js';

const home = await site(); // the origin that is allowed
const away = await site(); // one that is not
let browser;

before(async () => {
    browser = await launch();
});
after(async () => {
    await browser?.close();
    await Promise.all([home.close(), away.close()]);
});

async function pageOf(origin) {
    const page = await browser.newPage({ ignoreHTTPSErrors: true });
    await page.goto(origin);
    return page;
}

/** fetch() inside the page: {status, cursor, requestId, json} or {error}. */
const call = (page, url, init) => page.evaluate(async ([where, how]) => {
    try {
        const answer = await fetch(where, how);
        const text = await answer.text();
        return {
            status: answer.status,
            cursor: answer.headers.get('Restante-Cursor'),
            requestId: answer.headers.get('X-Request-Id'),
            hidden: answer.headers.get('Server'),
            json: text ? JSON.parse(text) : null,
        };
    } catch (error) {
        return { error: error.message };
    }
}, [url, init]);

function withOrigins(name, origins, body) {
    withServer(name, { grade: 'memory', sections: { cors: { origins } } }, (check) => check('holds', body, 60));
}

withOrigins('a page of an allowed origin', [home.origin], async (server) => {
    const { client } = server;
    const page = await pageOf(home.origin);
    const { session, token, cursor } = await client.session();
    const auth = { Authorization: `Bearer ${token}` };
    const path = `${server.url}/v1/sessions/${session}`;

    // Each of these headers needs a preflight.
    const empty = await call(page, `${path}/messages?cursor=${cursor}&wait=0`, { headers: { ...auth, 'X-Request-Id': 'from-a-page' } });
    assert.equal(empty.status, 200);
    assert.equal(empty.requestId, 'from-a-page');
    assert.equal(empty.cursor, empty.json.cursor);
    assert.equal(empty.hidden, null);
    status(await client.send(session, { data: 1 }), 201);
    const one = await call(page, `${path}/messages?cursor=${cursor}`, { headers: auth });
    assert.deepEqual(one.json.messages.map((message) => message.data), [1]);
    const ack = await call(page, `${path}/ack`, {
        method: 'POST', headers: { ...auth, 'Content-Type': 'application/json' }, body: JSON.stringify({ cursor: one.json.cursor }),
    });
    assert.equal(ack.status, 204);
    const patched = await call(page, path, {
        method: 'PATCH', headers: { ...auth, 'Content-Type': 'application/json' }, body: '{"attributes":{"a":1}}',
    });
    assert.deepEqual(patched.json.attributes, { a: 1 });
    // A refusal can be read too.
    const refused = await call(page, `${path}/messages?wait=999`, { headers: auth });
    assert.equal(refused.json.code, 'bad_request');
    const unknown = await call(page, `${server.url}/v1/nothing`, {});
    assert.equal(unknown.json.code, 'not_found');
    assert.equal((await call(page, path, { method: 'DELETE', headers: auth })).status, 204);
    await page.close();
});

withOrigins('a page of another origin', [home.origin], async (server) => {
    const page = await pageOf(away.origin);
    const { session, token } = await server.client.session();
    const path = `${server.url}/v1/sessions/${session}`;
    assert.ok((await call(page, path, { headers: { Authorization: `Bearer ${token}` } })).error);
    assert.ok((await call(page, `${path}?access_token=${token}`, {})).error);
    assert.ok((await call(page, `${server.url}/healthz`, {})).error);
    const opened = await page.evaluate((url) => new Promise((resolve) => {
        const source = new EventSource(url);
        source.onopen = () => resolve(true);
        source.onerror = () => resolve(source.readyState);
    }), `${path}/messages?access_token=${token}`);
    assert.equal(opened, 2, 'closed for good');
    await page.close();
});

withOrigins('an EventSource', ['*'], async (server) => {
    const { client } = server;
    const page = await pageOf(away.origin);
    const { session, token, cursor } = await client.session();
    await page.evaluate((url) => {
        window.seen = [];
        window.controls = [];
        window.source = new EventSource(url);
        const note = (event) => window.seen.push([event.lastEventId, JSON.parse(event.data)]);
        window.source.addEventListener('message', note);
        window.source.addEventListener('order', note);
        for (const name of ['reset', 'truncated', 'closing']) {
            window.source.addEventListener(`restante.${name}`, (event) => window.controls.push([name, JSON.parse(event.data)]));
        }
    }, `${server.url}/v1/sessions/${session}/messages?cursor=${cursor}&access_token=${token}`);
    let n = 0;
    const publish = async (count) => {
        for (const end = n + count; n < end; n++) {
            await until(`message ${n} is in`, async () => {
                const answer = await client.send(session, { data: n, event: n % 2 ? 'order' : 'message' }, `key-${n}`).catch(() => null);
                return answer && (answer.status === 201 || answer.status === 200);
            }, 20);
        }
    };
    const arrived = () => until('the page has them', async () => await page.evaluate(() => window.seen.length) >= n, 30);
    await publish(10);
    await arrived();
    for (const worker of ['0', '1']) {
        const successor = server.replace(worker);
        await publish(10);
        await successor;
        await arrived();
    }
    const restart = server.restart();
    await publish(10);
    await restart;
    await publish(10);
    await arrived();
    const seen = await page.evaluate(() => window.seen);
    assert.deepEqual(seen.map(([, message]) => message.data), Array.from({ length: n }, (_, i) => i));
    assert.ok(seen.every(([id, message]) => id === message.cursor));
    const controls = await page.evaluate(() => window.controls);
    assert.deepEqual(controls.map(([name]) => name), ['closing']);
    // Its session ends, and with it the asking.
    status(await client.request('DELETE', `/v1/sessions/${session}`), 204);
    await until('it is closed for good', () => page.evaluate(() => window.source.readyState === EventSource.CLOSED), 20);
    await page.close();
});

const POLLS = 100;

withServer('a page with a hundred long-polls', { grade: 'memory', tls: true, workers: 1, sections: { cors: { origins: ['*'] } } }, (check) => {
    check('has them all in flight on one connection, over HTTP/2', async (server) => {
        const { client } = server;
        const page = await pageOf(home.origin);
        const opened = await Promise.all(Array.from({ length: POLLS }, (_, i) => client.session(`s${i}`)));
        const before = await server.metric('restante_connections');
        await page.evaluate(([url, polls]) => {
            window.answers = Promise.all(polls.map(async ({ session, cursor, token }) => {
                const answer = await fetch(`${url}/v1/sessions/${session}/messages?cursor=${cursor}&wait=30`, { headers: { Authorization: `Bearer ${token}` } });
                return (await answer.json()).messages.map((message) => message.data);
            }));
        }, [server.tls.url, opened]);
        await until('all are parked', async () => await server.metric('restante_polls_parked') === POLLS, 20);
        // HTTP/1.1 would have parked six.
        assert.ok(await server.metric('restante_connections') - before <= 3);
        const messages = opened.map(({ session }, i) => ({ session, data: i }));
        status(await client.post('/v1/publish', { messages }), 200);
        assert.deepEqual(await page.evaluate(() => window.answers), opened.map((_, i) => [i]));
        await page.close();
    }, 60);

    check('and EventSources beside them', async (server) => {
        const { client } = server;
        const page = await pageOf(home.origin);
        const opened = await Promise.all(Array.from({ length: 20 }, (_, i) => client.session(`e${i}`)));
        await page.evaluate(([url, sessions]) => {
            window.seen = sessions.map(() => []);
            sessions.forEach(({ session, cursor, token }, i) => {
                const source = new EventSource(`${url}/v1/sessions/${session}/messages?cursor=${cursor}&access_token=${token}`);
                source.onmessage = (event) => window.seen[i].push(JSON.parse(event.data).data);
            });
        }, [server.tls.url, opened]);
        await until('all are open', async () => await server.metric('restante_streams') === 20, 20);
        for (let round = 0; round < 3; round++) {
            status(await client.post('/v1/publish', { messages: opened.map(({ session }) => ({ session, data: round })) }), 200);
        }
        await until('all have all', () => page.evaluate(() => window.seen.every((one) => one.length === 3)), 20);
        assert.deepEqual(await page.evaluate(() => window.seen), opened.map(() => [0, 1, 2]));
        await page.close();
    }, 60);
});

const CHAT = [['namespace', 'chat:*', { history: 1000, publish: 'client' }]];

/** A WebSocket inside the page that connects again from its cursor: window.seen, .controls, .answers, .ws. */
const openSocket = (page, url, protocols, more = '') => page.evaluate(([where, offered, query]) => {
    Object.assign(window, { seen: [], controls: [], answers: [], codes: [], cursor: '' });
    window.connect = () => {
        const ws = new WebSocket(`${where}${query}${window.cursor && `&cursor=${window.cursor}`}`, offered);
        window.ws = ws;
        ws.onmessage = (event) => {
            const object = JSON.parse(event.data);
            if (object.cursor && object.t !== 'ok') window.cursor = object.cursor;
            if (object.t === 'message') window.seen.push(object);
            else if (object.t === 'ok' || object.t === 'error') window.answers.push(object);
            else window.controls.push(object);
        };
        ws.onclose = (event) => {
            window.codes.push(event.code);
            if (![1000, 1001, 1008, 4409].includes(event.code)) setTimeout(window.connect, 50);
        };
    };
    window.connect();
}, [url, protocols, more]);

const bearer = (token) => `restante.bearer.${Buffer.from(token).toString('base64url')}`;
const seenData = (page) => page.evaluate(() => window.seen.map((message) => message.data));

withServer('a WebSocket of a page', { grade: 'memory', tls: true, titled: CHAT }, (check) => {
    for (const encrypted of [false, true]) {
        check(`subscribes, publishes and comes back after deaths${encrypted ? ', over TLS' : ''}`, async (server) => {
            const { client } = server;
            const page = await pageOf(away.origin);
            const { session, token, cursor } = await client.session('page');
            const topic = `chat:page-${encrypted}`;
            const url = `${(encrypted ? server.tls.url : server.url).replace('http', 'ws')}/v1/socket?session=${session}`;
            if (encrypted) await openSocket(page, url, ['restante.v1.json', bearer(token)]);
            else await openSocket(page, `${url}&access_token=${token}`, []);
            await until('hello', () => page.evaluate(() => window.controls.length === 1), 20);
            assert.deepEqual(await page.evaluate(() => window.controls[0]), { t: 'hello', session, cursor, heartbeat: 25 });
            assert.equal(await page.evaluate(() => window.ws.protocol), encrypted ? 'restante.v1.json' : '');
            assert.equal(await page.evaluate(() => window.ws.extensions), '');
            await page.evaluate((name) => window.ws.send(JSON.stringify({ t: 'subscribe', n: 1, topic: name })), topic);
            await until('it is subscribed', () => page.evaluate(() => window.answers.length === 1));
            let n = 0;
            const publish = async (count) => {
                for (const end = n + count; n < end; n++) {
                    await until(`message ${n} is in`, async () => {
                        const answer = await client.post(`/v1/topics/${encodeURIComponent(topic)}/messages`, { data: n }, { headers: { 'Idempotency-Key': `k${n}` } })
                            .catch(() => null);
                        return answer && (answer.status === 201 || answer.status === 200);
                    }, 20);
                }
            };
            const arrived = () => until('the page has them', async () => (await seenData(page)).length >= n, 30);
            await publish(10);
            await arrived();
            for (const worker of ['0', '1']) {
                const successor = server.replace(worker);
                await publish(10);
                await successor;
                await arrived();
            }
            assert.deepEqual(await seenData(page), Array.from({ length: n }, (_, i) => i));
            // What it says itself comes to it like all the rest.
            await until('it is open', () => page.evaluate(() => window.ws.readyState === WebSocket.OPEN));
            await page.evaluate((name) => window.ws.send(JSON.stringify({ t: 'publish', n: 2, topic: name, data: { said: 'grüß' } })), topic);
            await until('it hears itself', async () => (await seenData(page)).length === n + 1);
            assert.deepEqual((await seenData(page)).at(-1), { said: 'grüß' });
            await until('it is answered', () => page.evaluate(() => window.answers.at(-1).re === 2));
            // Its session ends.
            status(await client.request('DELETE', `/v1/sessions/${session}`), 204);
            await until('it is closed for good', () => page.evaluate(() => window.codes.at(-1) === 1001), 20);
            await page.close();
        }, 90);
    }
});

withServer('a WebSocket where origins are listed', { grade: 'memory', sections: { cors: { origins: [home.origin] } } }, (check) => {
    check('opens for their pages, and for no others', async (server) => {
        const { session, token } = await server.client.session('page');
        const url = `${server.url.replace('http', 'ws')}/v1/socket?session=${session}&access_token=${token}`;
        for (const [origin, opens] of [[home.origin, true], [away.origin, false]]) {
            const page = await pageOf(origin);
            const opened = await page.evaluate((where) => new Promise((resolve) => {
                const ws = new WebSocket(where);
                ws.onmessage = () => resolve(true);
                ws.onerror = () => resolve(false);
            }), url);
            assert.equal(opened, opens, origin);
            await page.close();
        }
    });
});
