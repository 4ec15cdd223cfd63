// What topics keep and for how long, their history, and lists of them.

import assert from 'node:assert/strict';
import { Chain } from './lib/chain.js';
import { payloads, problem, status } from './lib/expect.js';
import { withServer } from './lib/harness.js';
import { mint } from './lib/token.js';
import { apiKey, as, at, history, leave, messages, numbers, say, sayAll, seqOf } from './lib/topics.js';
import { until } from './lib/wait.js';

const titled = [
    ['namespace', 'chat:*', { history: 100, publish: 'client' }],
    ['namespace', 'news:*', {}],
    ['namespace', 'closed:*', { join: 'claim', publish: 'client' }],
    ['namespace', 'small:*', { history: 5 }],
    ['namespace', 'large:*', { bytes: '8K' }],
    ['namespace', 'aged:*', { ttl: '1s' }],
    ['namespace', 'state:*', { latest: true }],
    apiKey('reader', 'read:chat:*', 'read:news:one'),
    apiKey('writer', 'publish:chat:*'),
    apiKey('keeper', 'sessions:*'),
];

withServer('what topics keep', { grade: 'memory', titled, sections: { topics: { idle: '1s' }, publish: { dedup_window: '1s' } } }, (check) => {
    const cut = async (client, topic, data) => {
        const { session, cursor } = await client.session('keen', { topics: [topic] });
        const seqs = await sayAll(client, topic, data);
        const answer = status(await client.pick(session, { cursor }), 200).json;
        new Chain(cursor).take(answer);
        assert.equal(answer.truncated.length, 1);
        assert.deepEqual([answer.truncated[0].stream, answer.truncated[0].to], [`topic:${topic}`, seqs[seqs.length - answer.messages.length - 1]]);
        const { json } = await history(client, topic, { cursor });
        assert.deepEqual([json.messages, json.truncated], [answer.messages, answer.truncated]);
        assert.equal((await history(client, topic)).json.truncated, undefined, 'from the oldest nothing is missing');
        assert.equal((await history(client, topic, { cursor: answer.messages[0].cursor })).json.truncated, undefined);
        return answer.messages.map((message) => message.data);
    };

    check('so many messages; never full', async ({ client }) => {
        assert.deepEqual(await cut(client, 'small:1', numbers(20)), numbers(5, 15));
    });

    check('so many bytes', async ({ client }) => {
        const kept = await cut(client, 'large:1', numbers(20).map((i) => String(i).padEnd(1000, '.')));
        assert.ok(kept.length >= 7 && kept.length <= 8, `${kept.length} kept`);
        assert.match(kept.at(-1), /^19\./);
    });

    check('for so long', async ({ client }) => {
        const { session, cursor } = await client.session('late', { topics: ['aged:1'] });
        const [seq] = await sayAll(client, 'aged:1', [1]);
        const { truncated } = await until('it is too old', async () => {
            const { json } = await client.pick(session, { cursor });
            return json.messages.length === 0 && json.truncated && json;
        });
        assert.deepEqual(truncated.map(({ stream, to }) => [stream, to]), [['topic:aged:1', seq]]);
        assert.deepEqual(payloads(await history(client, 'aged:1')), []);
    });

    check('latest: a message replaces the one before it', async ({ client }) => {
        const { session, cursor } = await client.session('now', { topics: ['state:1'] });
        const seqs = await sayAll(client, 'state:1', ['a', 'b', 'c']);
        const { json } = await client.pick(session, { cursor });
        new Chain(cursor).take(json);
        assert.deepEqual(json.messages.map(({ data, seq, prev, skipped }) => [data, seq, prev, skipped]), [['c', seqs[2], seqs[1], true]]);
        assert.equal(json.truncated, undefined);
        for (const reverse of [0, 1]) {
            const { messages: [only], more } = (await history(client, 'state:1', { reverse })).json;
            assert.deepEqual([only.data, only.skipped, more], ['c', true, false]);
        }
    });

    check('a message for its ttl: the next says skipped', async ({ client }) => {
        const { session, cursor } = await client.session('brief', { topics: ['chat:ttl'] });
        await sayAll(client, 'chat:ttl', [1]);
        status(await say(client, 'chat:ttl', { data: 2, ttl: '1s' }), 201);
        await sayAll(client, 'chat:ttl', [3]);
        const { json } = await until('it has run out', async () => {
            const answer = await client.pick(session, { cursor });
            return answer.json.messages.length === 2 && answer;
        });
        new Chain(cursor).take(json);
        assert.deepEqual(json.messages.map(({ data, skipped }) => [data, skipped ?? false]), [[1, false], [3, true]]);
        for (const reverse of [0, 1]) {
            const seen = (await history(client, 'chat:ttl', { reverse })).json.messages;
            assert.deepEqual(seen.map(({ data, skipped }) => [data, skipped ?? false]).sort(), [[1, false], [3, true]]);
        }
    });

    check('collapse: within the topic', async ({ client }) => {
        for (const data of [1, 2]) status(await say(client, 'chat:c', { data, collapse: 'k' }), 201);
        status(await say(client, 'chat:d', { data: 3, collapse: 'k' }), 201);
        assert.deepEqual(payloads(await history(client, 'chat:c')), [2]);
    });

    check('nothing, once it is emptied; and the name is free again when nobody wants it', async ({ client }) => {
        const { session, cursor } = await client.session('empties', { topics: ['chat:gone'] });
        const [first, second] = await sayAll(client, 'chat:gone', [1, 2]);
        status(await client.request('DELETE', messages('chat:gone')), 204);
        status(await client.request('DELETE', messages('chat:gone')), 204);
        status(await client.request('DELETE', messages('chat:never')), 204);
        problem(await client.request('DELETE', messages('nowhere')), 404, 'topic_unknown');
        const after = (await history(client, 'chat:gone')).json;
        assert.deepEqual(after.messages, []);
        await sayAll(client, 'chat:gone', [3]);
        const { json } = await client.pick(session, { cursor });
        new Chain(cursor).take(json);
        assert.deepEqual(json.messages.map(({ data, prev, skipped }) => [data, prev, skipped]), [[3, second, true]]);
        assert.ok(first < second);
        status(await client.request('DELETE', messages('chat:gone')), 204);
        const there = async () => (await client.get('/v1/topics?prefix=chat:gone')).json.topics.length;
        assert.equal(await there(), 1, 'it has a subscriber');
        status(await client.request('DELETE', `/v1/sessions/${session}`), 204);
        await until('it is collected', async () => await there() === 0);
        problem(await client.get(at('chat:gone')), 404, 'topic_unknown');
        await until('it is counted', async () => await client.server.metric('restante_topics_removed_total') >= 1);
        // Nothing was ever published: it goes with its last subscriber.
        const other = await client.session('quiet', { topics: ['chat:quiet'] });
        assert.equal((await client.get(at('chat:quiet'))).json.subscribers, 1);
        status(await leave(client, other.session, 'chat:quiet'), 204);
        problem(await client.get(at('chat:quiet')), 404, 'topic_unknown');
    });
});

withServer('history and lists', { grade: 'memory', titled }, (check) => {
    check('forward, by pages, from a cursor or the oldest', async ({ client }) => {
        const seqs = await sayAll(client, 'chat:h', numbers(25));
        for (const limit of [1, 7, 25, 100]) {
            const seen = [];
            let page, query = { limit };
            do {
                const answer = status(await history(client, 'chat:h', query), 200);
                page = answer.json;
                assert.equal(answer.headers['restante-cursor'], page.cursor);
                seen.push(...page.messages.map((message) => message.data));
                query = { limit, cursor: page.cursor };
            } while (page.more);
            assert.deepEqual(seen, numbers(25));
        }
        const whole = (await history(client, 'chat:h')).json;
        assert.deepEqual(Object.keys(whole), ['messages', 'cursor', 'more']);
        assert.deepEqual(whole.messages.map((message) => message.seq), seqs);
        assert.deepEqual(payloads(await history(client, 'chat:h', { cursor: whole.messages[20].cursor })), [21, 22, 23, 24]);
        assert.deepEqual(payloads(await history(client, 'chat:h', { cursor: whole.cursor })), []);
        assert.deepEqual(payloads(await history(client, 'chat:h', { max_bytes: 1 })), [0]);
        assert.equal((await history(client, 'chat:h', { max_bytes: 1 })).json.more, true);
    });

    check('backward, by pages', async ({ client }) => {
        await sayAll(client, 'chat:r', numbers(25));
        for (const limit of [1, 7, 25, 100]) {
            const seen = [];
            let page, query = { limit, reverse: 1 };
            do {
                const answer = status(await history(client, 'chat:r', query), 200);
                page = answer.json;
                assert.equal(answer.headers['restante-cursor'], page.cursor);
                seen.push(...page.messages.map((message) => message.data));
                query = { limit, reverse: 1, cursor: page.cursor };
            } while (page.more);
            assert.deepEqual(seen, numbers(25).reverse());
            assert.deepEqual((await history(client, 'chat:r', query)).json, { messages: [], cursor: page.cursor, more: false });
        }
        const { messages: [newest] } = (await history(client, 'chat:r', { reverse: 1, max_bytes: 1 })).json;
        assert.equal(newest.data, 24);
        assert.deepEqual(payloads(await history(client, 'chat:r', { reverse: 1, cursor: newest.cursor, limit: 2 })), [23, 22]);
    });

    check('its cursors are judged like all others', async ({ client }) => {
        const [seq] = await sayAll(client, 'chat:j', [1]);
        const { cursor } = (await history(client, 'chat:j')).json;
        const [epoch] = cursor.split('.');
        for (const topic of ['chat:j', 'chat:none']) {
            for (const [wrong, reason] of [[`0123456789abcdef.${seq}`, 'epoch'], [`${epoch}.${seq + 1000000}`, 'ahead']]) {
                for (const reverse of [0, 1]) {
                    const answer = await history(client, topic, { cursor: wrong, reverse });
                    problem(answer, 410, 'cursor_reset');
                    assert.equal(answer.json.reason, reason);
                    assert.ok(seqOf(answer.json.oldest) <= seqOf(answer.json.newest) && seqOf(answer.json.newest) >= seq);
                    status(await history(client, topic, { cursor: answer.json.oldest, reverse }), 200);
                }
            }
        }
        for (const query of [{ cursor: 'x' }, { limit: 0 }, { limit: 1001 }, { limit: 'x' }, { max_bytes: 0 }, { reverse: 2 }, { reverse: 'yes' }, { cursor: '' }]) {
            problem(await history(client, 'chat:j', query), 400, 'bad_request');
        }
        assert.deepEqual(payloads(await history(client, 'chat:j', { wait: 5, unknown: 1 })), [1]);
    });

    check('of what nobody published to: empty where it could be', async ({ client }) => {
        const { cursor } = await client.session();
        const { json } = status(await history(client, 'news:none'), 200);
        assert.deepEqual([json.messages, json.more], [[], false]);
        assert.ok(seqOf(json.cursor) >= seqOf(cursor));
        problem(await history(client, 'nowhere'), 404, 'topic_unknown');
        problem(await client.get(at('news:none')), 404, 'topic_unknown');
        problem(await client.get(at('nowhere')), 404, 'topic_unknown');
        problem(await say(client, 'nowhere', { data: 1 }), 404, 'topic_unknown');
        assert.deepEqual((await client.get('/v1/topics?prefix=no')).json, { topics: [], next: null });
    });

    check('a topic says what it is', async ({ client }) => {
        await client.session('s', { topics: ['state:x'] });
        const [, seq] = await sayAll(client, 'state:x', ['one', 'three']);
        const { json } = status(await client.get(at('state:x')), 200);
        assert.ok(Math.abs(Date.parse(json.created_at) - Date.now()) < 60000);
        assert.equal(seqOf(json.last), seq);
        assert.deepEqual(json, {
            topic: 'state:x', messages: 1, bytes: 7, subscribers: 1, last: json.last, created_at: json.created_at,
            namespace: 'state:*', history: 1000, ttl: 3600, latest: true, publish: 'server', join: 'open',
        });
        assert.deepEqual((await client.get('/v1/topics?prefix=state:x')).json, { topics: [json], next: null });
        await client.session('t', { topics: ['closed:x'] });
        const quiet = (await client.get(at('closed:x'))).json;
        assert.deepEqual([quiet.last, quiet.messages, quiet.publish, quiet.join], [null, 0, 'client', 'claim']);
    });

    check('lists: by prefix, by pages, and only what the key may read', async ({ client }) => {
        const names = ['news:a', 'news:b', 'news:b2', 'news:one', 'news:one:more', 'news:ü'];
        for (const name of names) await sayAll(client, name, [1]);
        const list = async (query, options) => {
            const { topics, next } = status(await client.get(`/v1/topics?${new URLSearchParams(query)}`, options), 200).json;
            return [topics.map((one) => one.topic), next];
        };
        assert.deepEqual(await list({ prefix: 'news:' }), [names, null]);
        assert.deepEqual(await list({ prefix: 'news:b' }), [['news:b', 'news:b2'], null]);
        for (const limit of [1, 2, 5]) {
            const seen = [];
            for (let after = ''; after !== null;) {
                const [page, next] = await list({ prefix: 'news:', limit, after });
                assert.ok(page.length <= limit);
                seen.push(...page);
                after = next;
            }
            assert.deepEqual(seen, names);
        }
        assert.deepEqual(await list({ prefix: 'news:', after: 'news:b1' }), [['news:b2', 'news:one', 'news:one:more', 'news:ü'], null]);
        const all = (await list({}, as('reader')))[0];
        assert.deepEqual(all.filter((name) => !name.startsWith('chat:')), ['news:one']);
        assert.ok(all.some((name) => name.startsWith('chat:')));
        assert.deepEqual(await list({ prefix: 'news:a' }, as('reader')), [[], null]);
        assert.deepEqual(await list({ prefix: 'news:o' }, as('reader')), [['news:one'], null]);
        assert.deepEqual(await list({ after: 'news:one' }, as('reader')), [[], null]);
        for (const query of ['limit=0', 'limit=1001', 'prefix=%00', `after=${'x'.repeat(300)}`]) problem(await client.get(`/v1/topics?${query}`), 400, 'bad_request');
    });

    check('read with read:, empty with publish:', async ({ client, tokenKey }) => {
        await sayAll(client, 'chat:s', [1]);
        const { token } = await client.session('nosy', { topics: ['chat:s'] });
        const asks = [['GET', '/v1/topics'], ['GET', at('chat:s')], ['GET', messages('chat:s')], ['DELETE', messages('chat:s')]];
        for (const [method, path] of asks) {
            for (const credential of [token, 'keeper', mint(tokenKey)]) problem(await client.request(method, path, { credential }), 403, 'forbidden');
            problem(await client.request(method, path, as(null)), 401, 'token_missing');
        }
        for (const path of [at('news:x'), messages('news:x'), messages('nowhere')]) problem(await client.get(path, as('reader')), 403, 'forbidden');
        problem(await client.request('DELETE', messages('chat:s'), as('reader')), 403, 'forbidden');
        problem(await say(client, 'news:x', { data: 1 }, as('writer')), 403, 'forbidden');
        problem(await say(client, 'nowhere', { data: 1 }, as('writer')), 403, 'forbidden');
        assert.deepEqual(payloads(await history(client, 'chat:s', {}, as('reader'))), [1]);
        status(await client.request('DELETE', messages('chat:s'), as('writer')), 204);
    });
});
