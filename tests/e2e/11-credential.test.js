// Credentials of every wrong kind, each with its own code, and what each right kind may do.

import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { NOBODY, problem, status } from './lib/expect.js';
import { withServer } from './lib/harness.js';
import { mint, now, sign } from './lib/token.js';

const OTHER = { kid: 'other', secret: 'another secret of more than 32 bytes' };
const sha256 = (text) => createHash('sha256').update(text).digest('hex');
const keyRow = (name, scopes) => ['api_key', name, { sha256: sha256(name), scopes }];

const good = { alg: 'HS256', typ: 'JWT', kid: 'main' };
const claims = () => ({ sub: 'alice', iat: now(), exp: now() + 60 });

/** name, status, code, token made from the key */
const WRONG = [
    ['empty', 'token_malformed', () => ''],
    ['three empty parts', 'token_malformed', () => '..'],
    ['header that is no JSON', 'token_malformed', (k) => sign('{', claims(), k.secret)],
    ['header that is a list', 'token_malformed', (k) => sign([1], claims(), k.secret)],
    ['claims that are no JSON', 'token_malformed', (k) => sign(good, 'sub=alice', k.secret)],
    ['claims that are a list', 'token_malformed', (k) => sign(good, '[]', k.secret)],
    ['not base64url', 'token_malformed', (k) => mint(k).replace('.', '!.')],
    ['padded base64', 'token_malformed', (k) => mint(k).replace('.', '=.')],
    ['alg none, unsigned', 'token_malformed', (k) => `${mint(k, {}, { alg: 'none' }).split('.').slice(0, 2).join('.')}.`],
    ['alg none, signed', 'token_malformed', (k) => mint(k, {}, { alg: 'none' })],
    ['alg of another key type', 'token_malformed', (k) => mint(k, {}, { alg: 'RS256' })],
    ['HS512 against an HS256 key', 'token_malformed', (k) => sign({ ...good, alg: 'HS512' }, claims(), k.secret, 'sha512')],
    ['alg in lower case', 'token_malformed', (k) => mint(k, {}, { alg: 'hs256' })],
    ['no alg', 'token_malformed', (k) => mint(k, {}, { alg: undefined })],
    ['a critical extension', 'token_malformed', (k) => mint(k, {}, { crit: ['b64'], b64: false })],
    ['no sub', 'token_malformed', (k) => mint(k, { sub: undefined })],
    ['sub that is empty', 'token_malformed', (k) => mint(k, { sub: '' })],
    ['sub that is a number', 'token_malformed', (k) => mint(k, { sub: 7 })],
    ['sub with a control character', 'token_malformed', (k) => mint(k, { sub: 'a\u0000b' })],
    ['sub of 256 bytes', 'token_malformed', (k) => mint(k, { sub: 'a'.repeat(256) })],
    ['no exp', 'token_malformed', (k) => mint(k, { exp: undefined })],
    ['exp that is text', 'token_malformed', (k) => mint(k, { exp: 'tomorrow' })],
    ['topics that are no list', 'token_malformed', (k) => mint(k, { topics: 'chat:*' })],
    ['attributes that are no object', 'token_malformed', (k) => mint(k, { attributes: [1] })],
    ['too long', 'token_malformed', (k) => mint(k, { pad: 'x'.repeat(9000) })],
    ['signature too short', 'token_bad_signature', (k) => `${mint(k).split('.').slice(0, 2).join('.')}.${Buffer.alloc(16).toString('base64url')}`],
    ['signature empty', 'token_malformed', (k) => `${mint(k).split('.').slice(0, 2).join('.')}.`],
    ['signature of other claims', 'token_bad_signature', (k) => `${mint(k).split('.').slice(0, 2).join('.')}.${mint(k, { sub: 'x' }).split('.')[2]}`],
    ['secret of another key', 'token_bad_signature', (k) => mint({ ...k, secret: OTHER.secret })],
    ['bad signature and expired', 'token_bad_signature', (k) => mint({ ...k, secret: 'x'.repeat(32) }, { exp: 1 })],
    ['kid that nobody knows', 'token_unknown_key', (k) => mint({ ...k, kid: 'nobody' })],
    ['no kid among several keys', 'token_unknown_key', (k) => mint(k, {}, { kid: undefined })],
    ['expired', 'token_expired', (k) => mint(k, { exp: now() - 10 })],
    ['older than token_max_age', 'token_expired', (k) => mint(k, { iat: now() - 120, exp: now() + 60 })],
    ['nbf ahead', 'token_not_yet_valid', (k) => mint(k, { nbf: now() + 30 })],
    ['iat ahead', 'token_not_yet_valid', (k) => mint(k, { iat: now() + 30 })],
    ['an opaque credential', 'token_unknown_key', () => 'no-such-key'],
    ['a session token cut short', 'token_malformed', () => 'rs1.AAAA'],
];

/** name, token made from the key: within leeway and what else must pass */
const RIGHT = [
    ['expired by less than the leeway', (k) => mint(k, { exp: now() - 2 })],
    ['nbf ahead by less than the leeway', (k) => mint(k, { nbf: now() + 3 })],
    ['without iat', (k) => mint(k, { iat: undefined })],
    ['with claims of nobody\'s business', (k) => mint(k, { foo: { bar: [] }, jti: 'j1' })],
    ['of the other key', () => mint(OTHER)],
    ['with 255 bytes of sub', (k) => mint(k, { sub: 'ä'.repeat(127) + 'a' })],
];

const options = {
    sections: { session: { token_max_age: '1m' } },
    titled: [
        ['token_key', OTHER.kid, { secret: OTHER.secret }],
        keyRow('only-send', ['send:*']),
        keyRow('only-sessions', ['sessions:*']),
        keyRow('nothing', ['read:chat:*']),
    ],
};

withServer('credentials', options, (check) => {
    check('none at all', async ({ client }) => {
        problem(await client.post('/v1/sessions', {}, { credential: null }), 401, 'token_missing');
        problem(await client.get(`/v1/sessions/${NOBODY}`, { credential: null }), 401, 'token_missing');
        problem(await client.post('/v1/publish', { messages: [] }, { credential: null }), 401, 'token_missing');
    });

    check('of a scheme that is not Bearer', async ({ client }) => {
        for (const Authorization of ['Basic YTpi', 'Bearer', 'bearer', 'Token x']) {
            problem(await client.post('/v1/sessions', {}, { headers: { Authorization } }), 401, 'token_malformed');
        }
    });

    for (const [name, code, make] of WRONG) {
        check(`bootstrap token: ${name}`, async ({ client, tokenKey }) => {
            problem(await client.post('/v1/sessions', {}, { credential: make(tokenKey) }), 401, code);
        });
    }

    for (const [name, make] of RIGHT) {
        check(`bootstrap token: ${name}, passes`, async ({ client, tokenKey }) => {
            status(await client.post('/v1/sessions', {}, { credential: make(tokenKey) }), 201);
        });
    }

    check('a bootstrap token opens sessions and nothing else', async ({ client, tokenKey }) => {
        const credential = mint(tokenKey);
        const { session } = (await client.post('/v1/sessions', {}, { credential })).json;
        problem(await client.pick(session, {}, { credential }), 403, 'forbidden');
        problem(await client.post('/v1/publish', { messages: [{ session, data: 1 }] }, { credential }), 403, 'forbidden');
        const foreign = await client.post('/v1/sessions', { subject: 'root' }, { credential });
        assert.ok(foreign.status === 403 || foreign.json.subject === 'alice', 'a token cannot name another subject');
    });

    check('a session token is good for its own session only', async ({ client }) => {
        const mine = await client.session('alice');
        const other = await client.session('bob');
        const as = { credential: mine.token };
        status(await client.pick(mine.session, {}, as), 200);
        problem(await client.pick(other.session, {}, as), 403, 'forbidden');
        problem(await client.ack(other.session, other.cursor, as), 403, 'forbidden');
        problem(await client.post(`/v1/sessions/${mine.session}/messages`, { data: 1 }, as), 403, 'forbidden');
        problem(await client.post('/v1/subjects/alice/messages', { data: 1 }, as), 403, 'forbidden');
        problem(await client.get('/v1/sessions?subject=alice', as), 403, 'forbidden');
        problem(await client.post('/v1/sessions', {}, as), 403, 'forbidden');
    });

    check('a session token that was tampered with', async ({ client }) => {
        const { session, token } = await client.session('alice');
        const flip = (at) => token.slice(0, at) + (token[at] === 'A' ? 'B' : 'A') + token.slice(at + 1);
        for (const at of [12, 30, token.length - 3]) {
            const answer = await client.pick(session, {}, { credential: flip(at) });
            assert.equal(answer.status, 401);
            assert.ok(['token_bad_signature', 'token_unknown_key'].includes(answer.json.code), answer.text);
        }
    });

    check('a session token outlives nothing', async ({ client }) => {
        const gone = await client.session('alice');
        const other = await client.session('alice');
        status(await client.request('DELETE', `/v1/sessions/${gone.session}`), 204);
        problem(await client.pick(gone.session, {}, { credential: gone.token }), 404, 'session_unknown');
        problem(await client.pick(other.session, {}, { credential: gone.token }), 401, 'token_revoked');
    });

    check('a session token is renewed without a gap', async ({ client }) => {
        const { session, token } = await client.session('alice');
        const fresh = status(await client.post(`/v1/sessions/${session}/token`, undefined, { credential: token }), 200).json.token;
        for (const credential of [token, fresh]) status(await client.pick(session, {}, { credential }), 200);
    });

    check('a credential in the query serves, and the header wins', async ({ client }) => {
        const { session, token } = await client.session('alice');
        const path = `/v1/sessions/${session}/messages?access_token=`;
        status(await client.get(path + token, { credential: null }), 200);
        problem(await client.get(path + token, { credential: 'no-such-key' }), 401, 'token_unknown_key');
    });

    check('API keys do what their scopes say', async ({ client }) => {
        const { session } = await client.session('alice');
        const as = (credential) => ({ credential });
        const send = (credential) => client.post(`/v1/sessions/${session}/messages`, { data: 1 }, as(credential));
        status(await send('only-send'), 201);
        problem(await send('only-sessions'), 403, 'forbidden');
        problem(await send('nothing'), 403, 'forbidden');
        status(await client.pick(session, {}, as('only-sessions')), 200);
        problem(await client.pick(session, {}, as('only-send')), 403, 'forbidden');
        problem(await client.post('/v1/sessions', { subject: 'x' }, as('only-send')), 403, 'forbidden');
        const batch = { messages: [{ session, data: 2 }] };
        const refused = await client.post('/v1/publish', batch, as('only-sessions'));
        assert.ok(refused.status === 403 || refused.json.results[0].status === 403, refused.text);
        status(await client.post('/v1/publish', batch, as('only-send')), 200);
    });

    check('no credential reaches the log', async (server) => {
        const { session, token } = await server.client.session('alice');
        await server.client.get(`/v1/sessions/${session}?access_token=${token}`, { credential: null });
        await server.stop();
        for (const secret of [token, server.key, server.tokenKey.secret]) {
            assert.ok(!server.log.includes(secret), 'a credential is in the log');
        }
        assert.ok(server.log.includes('request'), 'requests are logged');
        await server.start();
    });
});
