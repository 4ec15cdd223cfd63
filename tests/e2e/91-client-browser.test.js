// worker/web/restante.js in a real browser, imported from another origin, and the example page: what
// every page received is what was published, through kills, restarts, reloads and bad roads.
// Screenshots of the example page go to build/artefacts.

import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { after, before } from 'node:test';
import { BadRoad } from './lib/bad_road.js';
import { launch, site } from './lib/browser.js';
import { status } from './lib/expect.js';
import { withServer } from './lib/harness.js';
import { BUILD } from './lib/server.js';
import { mint } from './lib/token.js';
import { persist, until } from './lib/wait.js';

const ARTEFACTS = path.join(BUILD, 'artefacts');
const CHAT = ['namespace', 'chat:*', { publish: 'client', history: 100000 }];
const range = (n, from = 0) => Array.from({ length: n }, (_, i) => from + i);
const home = await site();
let browser;

before(async () => {
    fs.mkdirSync(ARTEFACTS, { recursive: true });
    browser = await launch();
});
after(async () => {
    await browser?.close();
    await home.close();
});

/** A page in a tab of its own, on another origin; it begins a client with window.begin(). */
class Tab {
    constructor(server, url, topic) {
        Object.assign(this, { server, url, topic, faults: [] });
    }

    async open() {
        this.context = await browser.newContext();
        this.page = await this.context.newPage();
        this.page.on('pageerror', (error) => this.faults.push(error.message));
        await this.page.exposeFunction('bootstrap', () => mint(this.server.tokenKey));
        await this.page.goto(home.origin);
        await this.begin();
        return this;
    }

    /** The page's own memory ends with a reload; what it has seen is kept in sessionStorage. */
    async begin() {
        await this.page.evaluate(async ([url, topic]) => {
            const { Restante } = await import(`${url}/restante.js`);
            const box = window.box = new Restante({ url, topics: [topic], storage: sessionStorage, getToken: () => window.bootstrap() });
            const seen = window.seen = JSON.parse(sessionStorage.getItem('seen') ?? '[]');
            window.said = [];
            for (const event of ['open', 'offline', 'road', 'hole', 'reset', 'truncated', 'error', 'closed']) {
                box.on(event, (what) => window.said.push([event, what?.code ?? what?.road ?? what?.reason ?? null]));
            }
            box.on('message', ({ seq, data }) => {
                seen.push([seq, data]);
                sessionStorage.setItem('seen', JSON.stringify(seen));
            });
        }, [this.url, this.topic]);
    }

    is(what, probe, seconds = 40) {
        return until(what, () => this.page.evaluate(probe), seconds).catch(async (error) => {
            const told = await this.page.evaluate(() => JSON.stringify([window.box.state, window.box.road, window.seen.length, window.said.slice(-20)]));
            throw new Error(`${error.message}: ${told}`);
        });
    }

    by(road) {
        return until(`it goes by ${road}`, () => this.page.evaluate(() => window.box.road).then((now) => now === road), 40);
    }

    async got(n) {
        await until(`${n} messages came`, async () => await this.page.evaluate(() => window.seen.length) >= n, 40);
        return this.page.evaluate(() => window.seen);
    }

    /** What it received is what the topic holds. */
    async check(n) {
        const seen = await this.got(n);
        assert.deepEqual(seen, await history(this.server.client, this.topic));
        assert.equal(seen.length, n);
        const said = await this.page.evaluate(() => window.said);
        assert.deepEqual(said.filter(([event]) => ['hole', 'reset', 'truncated', 'error', 'closed'].includes(event)), []);
        assert.deepEqual(this.faults, []);
    }

    publish(data) {
        return this.page.evaluate(([topic, what]) => window.box.publish(topic, { data: what }), [this.topic, data]);
    }

    close() {
        return this.context.close();
    }
}

async function history(client, topic) {
    const answer = await persist('the history', () => client.get(`/v1/topics/${topic}/messages?limit=1000`));
    return status(answer, 200).json.messages.map(({ seq, data }) => [seq, data]);
}

async function publish(server, topic, from, n) {
    for (const data of range(n, from)) {
        const headers = { 'Idempotency-Key': `${topic}-${data}` };
        const answer = await persist('a message is in', () => server.client.post(`/v1/topics/${topic}/messages`, { data }, { headers }));
        assert.ok(answer.status === 201 || answer.status === 200, answer.text);
    }
}

const OPTIONS = { grade: 'memory', titled: [CHAT], sections: { cors: { origins: [home.origin] } } };

withServer('pages of another origin', OPTIONS, (check) => {
    check('two of them, through kills and a restart', async (server) => {
        const tabs = [await new Tab(server, server.url, 'chat:kills').open(), await new Tab(server, server.url, 'chat:kills').open()];
        await Promise.all(tabs.map((tab) => tab.by('websocket')));
        let n = 0;
        const more = async (count) => {
            await publish(server, 'chat:kills', n, count);
            n += count;
        };
        await more(10);
        for (const role of ['0', '1', 'writer']) {
            const successor = server.replace(role);
            const said = tabs.map((tab) => tab.publish(`while ${role} dies`));
            await more(10);
            await successor;
            await Promise.all(said);
            n += 2;
        }
        const down = server.restart();
        const said = tabs.map((tab) => tab.publish('while it restarts'));
        await down;
        await Promise.all(said);
        n += 2;
        await more(10);
        for (const tab of tabs) await tab.check(n);
        await Promise.all(tabs.map((tab) => tab.close()));
    }, 120);

    check('reloaded again and again', async (server) => {
        const tab = await new Tab(server, server.url, 'chat:reload').open();
        await tab.by('websocket');
        const session = await tab.page.evaluate(() => window.box.session);
        let n = 0;
        for (let round = 0; round < 4; round++) {
            await publish(server, 'chat:reload', n, 20);
            if (round % 2) await tab.got(n + 20);
            await tab.page.reload(); // in the middle of it, or after
            await publish(server, 'chat:reload', n + 20, 5);
            await tab.begin();
            n += 25;
        }
        await tab.check(n);
        assert.equal(await tab.page.evaluate(() => window.box.session), session);
        await tab.close();
    }, 90);

    check('whose WebSocket is swallowed, cut, refused', async (server) => {
        const road = await new BadRoad(server.port).listen();
        const tab = await new Tab(server, road.url, 'chat:road').open();
        try {
            await tab.by('websocket');
            await publish(server, 'chat:road', 0, 10);
            await tab.got(10);
            road.swallow();
            road.how = 'mute';
            const asked = tab.publish('into the void');
            await publish(server, 'chat:road', 10, 10);
            await tab.page.evaluate(() => window.dispatchEvent(new Event('online')));
            await tab.by('poll');
            await asked;
            await tab.check(21);
            road.how = 200;
            await tab.page.evaluate(() => window.box.retry());
            const cut = road.seen;
            await until('some were cut', async () => {
                if (await tab.page.evaluate(() => window.box.road === 'poll')) await tab.page.evaluate(() => window.box.retry());
                return road.seen >= cut + 3;
            }, 60);
            await publish(server, 'chat:road', 20, 20);
            await tab.check(41);
            road.how = 'refuse';
            road.cut();
            await publish(server, 'chat:road', 40, 10);
            await tab.check(51);
            road.how = 'pass';
            await until('it goes by WebSocket again', async () => {
                if (await tab.page.evaluate(() => window.box.road === 'poll')) await tab.page.evaluate(() => window.box.retry());
                return road.sockets.some(({ how }) => how === 'pass');
            }, 40);
            await tab.by('websocket');
            await publish(server, 'chat:road', 50, 10);
            await tab.check(61);
        } finally {
            await tab.close();
            await road.close();
        }
    }, 180);

    check('offline and online again, and frozen in the background', async (server) => {
        const road = await new BadRoad(server.port).listen();
        const tab = await new Tab(server, road.url, 'chat:away').open();
        try {
            await tab.by('websocket');
            await publish(server, 'chat:away', 0, 10);
            await tab.got(10);
            await tab.context.setOffline(true);
            road.cut();
            await tab.is('it is offline', () => window.box.state === 'offline');
            const asked = tab.publish('from a tunnel');
            await publish(server, 'chat:away', 10, 10);
            await tab.context.setOffline(false);
            await asked;
            await tab.check(21);
            await tab.is('it is open', () => window.box.state === 'open');

            const devtools = await tab.context.newCDPSession(tab.page);
            await devtools.send('Page.setWebLifecycleState', { state: 'frozen' });
            await publish(server, 'chat:away', 20, 10);
            road.cut();
            await publish(server, 'chat:away', 30, 10);
            await devtools.send('Page.setWebLifecycleState', { state: 'active' });
            await tab.check(41);
        } finally {
            await tab.close();
            await road.close();
        }
    }, 90);
});

const EXAMPLE = { grade: 'memory', titled: [['namespace', 'chat:*', { publish: 'client', presence: true }]], sections: { server: { drain: '5s', example: true }, session: { anonymous: true } } };

withServer('the example page', EXAMPLE, (check) => {
    const shot = (page, name) => page.screenshot({ path: path.join(ARTEFACTS, `example-${name}.png`) });
    const texts = (page) => page.locator('#messages li:not(.note)').evaluateAll((items) => items.map((item) => item.lastChild.textContent));
    const shows = (page, id, text) => until(`#${id} shows ${text}`, async () => (await page.locator(`#${id}`).textContent()).includes(text), 40);

    async function visit(server, name, options = {}) {
        const context = await browser.newContext({ viewport: { width: 1100, height: 720 }, ...options });
        const page = await context.newPage();
        const faults = [];
        page.on('pageerror', (error) => faults.push(error.message));
        page.on('console', (line) => {
            if (/Content Security Policy|MIME|SyntaxError/.test(line.text())) faults.push(line.text());
        });
        await page.addInitScript((who) => { sessionStorage.name ??= who; }, name);
        await page.goto(`${server.url}/example`);
        await shows(page, 'state', 'by WebSocket');
        return { page, faults, context };
    }

    async function say(page, text) {
        await page.locator('#text').fill(text);
        await page.locator('#say button').click();
    }

    check('two tabs talk while the network breaks', async (server) => {
        const ada = await visit(server, 'Ada');
        const ben = await visit(server, 'Ben', { colorScheme: 'dark' });
        const all = [];
        const talk = async ({ page }, text) => {
            all.push(text);
            await say(page, text);
            for (const one of [ada, ben]) await until(`"${text}" is there`, async () => (await texts(one.page)).includes(text), 40);
        };
        await talk(ada, 'Good morning, is this thing on?');
        await talk(ben, 'It is. Nice and quick, by the way.');
        await talk(ada, 'Let us see what it does without WebSockets.');
        await shot(ada.page, 'socket');
        await shot(ben.page, 'dark');

        await ada.page.locator('#block').click();
        await shows(ada.page, 'state', 'by long-poll');
        await talk(ben, 'Still there?');
        await talk(ada, 'Still here, by long-poll.');
        await shot(ada.page, 'poll');
        await ada.page.locator('#block').click();
        await shows(ada.page, 'state', 'by WebSocket');
        await ada.page.locator('#cut').click();
        await talk(ben, 'And now?');
        await shows(ada.page, 'state', 'by WebSocket');

        await ada.page.locator('#tunnel').click();
        await shows(ada.page, 'state', 'offline');
        await say(ada.page, 'Said in a tunnel.');
        await talkAlone(ben, 'She is in a tunnel.');
        await shows(ada.page, 'waiting', '1');
        await shot(ada.page, 'tunnel');
        await ada.page.locator('#tunnel').click();
        await shows(ada.page, 'waiting', '0');
        await talk(ada, 'Out again: nothing was lost.');

        await server.replace('0');
        await server.replace('1');
        await talk(ben, 'Two workers died just now.');
        await server.restart();
        await talk(ada, 'And the whole server was restarted.');
        await ben.page.reload();
        await shows(ben.page, 'state', 'by WebSocket');
        await talk(ada, 'After your reload.');
        await shot(ada.page, 'end');

        const kept = (await history(server.client, 'chat:lobby')).map(([, data]) => data.text);
        assert.deepEqual([...kept].sort(), [...all, 'Said in a tunnel.'].sort());
        assert.deepEqual(await texts(ada.page), kept);
        assert.deepEqual(await texts(ben.page), kept.slice(-1), 'a reload goes on');
        assert.deepEqual([ada.faults, ben.faults], [[], []]);
        await ada.page.setViewportSize({ width: 420, height: 900 });
        await shot(ada.page, 'narrow');
        for (const { context } of [ada, ben]) await context.close();

        async function talkAlone({ page }, text) {
            all.push(text);
            await say(page, text);
            await until('it is there', async () => (await texts(page)).includes(text), 40);
        }
    }, 150);
});
