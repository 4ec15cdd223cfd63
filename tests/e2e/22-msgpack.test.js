// MessagePack on every request and answer, and what becomes of a payload between the encodings.

import assert from 'node:assert/strict';
import { ExtData } from '@msgpack/msgpack';
import { NOBODY, problem, status } from './lib/expect.js';
import { parked, withServer } from './lib/harness.js';
import { MSGPACK, pack, speak, unpack } from './lib/msgpack.js';
import { until } from './lib/wait.js';

const bytes = (...parts) => Buffer.concat(parts.map((part) => (typeof part === 'string' ? Buffer.from(part, 'latin1') : Buffer.from(part))));
const zeros = (n) => Buffer.alloc(n);

/** {"data": <these bytes>} */
const envelope = (data) => bytes([0x81, 0xa4], 'data', data);

/** As published, and what a JSON reader gets. */
const PAYLOADS = [
    [null, 'null'], [true, 'true'], [0, '0'], [-1, '-1'], [127, '127'], [65536, '65536'],
    [9007199254740993n, '9007199254740993'], [18446744073709551615n, '18446744073709551615'],
    [-9223372036854775808n, '-9223372036854775808'], [0.1, '0.1'], [1.5, '1.5'], [1e300, '1e+300'], ['', '""'], ['grüße 😀\n"', '"grüße 😀\\n\\""'],
    [[], '[]'], [{}, '{}'], [[1, [2, { a: [null] }]], '[1,[2,{"a":[null]}]]'],
    [{ z: 1, a: 2, m: { '': [] } }, '{"z":1,"a":2,"m":{"":[]}}'],
    [{ picture: Buffer.from([0, 255, 16, 128]), n: 1 }, '{"picture":"AP8QgA==","n":1}'],
    [[Buffer.from('x')], '["eA=="]'],
];

/** Bodies that are refused whole, each with what the answer says of it. */
const REFUSED = {
    'an extension type': [envelope([0xd4, 0x01, 0x00]), /extension/],
    'a timestamp': [pack({ data: new Date() }), /extension/],
    'an extension deep inside': [pack({ data: [{ a: new ExtData(5, new Uint8Array(3)) }] }), /extension/],
    'a bomb of an extension': [envelope([0xc9, 0xff, 0xff, 0xff, 0xff, 0x01]), /extension/],
    'an integer as a key': [envelope([0x81, 0x01, 0x02]), /key/],
    'nil as a key': [envelope([0x81, 0xc0, 0x02]), /key/],
    'bytes as a key': [envelope([0x81, 0xc4, 0x01, 0x6b, 0x02]), /key/],
    'an array as a key': [envelope([0x81, 0x90, 0x02]), /key/],
    'an integer as a key of the envelope': [bytes([0x82, 0x01, 0x02, 0xa4], 'data', [0x01]), /key/],
    'not a number': [envelope(bytes([0xcb, 0x7f, 0xf8], zeros(6))), /finite/],
    'infinity': [envelope(bytes([0xcb, 0xff, 0xf0], zeros(6))), /finite/],
    'infinity in four bytes': [envelope([0xca, 0x7f, 0x80, 0, 0]), /finite/],
    'a string that is not UTF-8': [envelope([0xa2, 0xc3, 0x28]), /UTF-8/],
    'a surrogate in a string': [envelope([0xa3, 0xed, 0xa0, 0x80]), /UTF-8/],
    'a map without its members': [bytes([0x81]), /not MessagePack/],
    'a map without its last value': [bytes([0x82, 0xa4], 'data', [0x01, 0xa5], 'event'), /not MessagePack/],
    'a string cut short': [envelope([0xd9, 0x0a, 0x61]), /not MessagePack/],
    'a number cut short': [envelope([0xcf, 0, 0]), /not MessagePack/],
    'the byte that never is': [envelope([0xc1]), /not MessagePack/],
    'something behind it': [bytes(envelope([0x01]), [0x00]), /not MessagePack/],
    'an array of 2^32 - 1': [envelope([0xdd, 0xff, 0xff, 0xff, 0xff]), /not MessagePack/],
    'ten bytes, 2^32 - 1 pairs': [bytes([0xdf, 0xff, 0xff, 0xff, 0xff, 0xa4], 'data'), /not MessagePack/],
    'ten bytes, 2^32 - 1 items': [bytes([0xdd, 0xff, 0xff, 0xff, 0xff], zeros(5)), /not MessagePack/],
    'bombs in bombs': [bytes([0x81, 0xa4], 'data', Buffer.alloc(500, Buffer.from([0xdd, 0x7f, 0xff, 0xff, 0xff]))), /not MessagePack/],
    'a string of 4 GiB': [envelope([0xdb, 0xff, 0xff, 0xff, 0xff]), /not MessagePack/],
    'a bin of 4 GiB': [envelope([0xc6, 0xff, 0xff, 0xff, 0xff]), /not MessagePack/],
    'nesting of arrays': [envelope(bytes(Buffer.alloc(64, 0x91), [0x01])), /too deep/],
    'nesting of maps': [envelope(bytes(...Array(64).fill([0x81, 0xa1, 0x61]), [0x01])), /too deep/],
    'nesting without an end': [Buffer.alloc(100000, 0x91), /too deep/],
    'no map': [pack([1, 2]), /map/],
    'a lonely value': [pack(7), /map/],
    'no data': [pack({ event: 'x' }), /data/],
    'data twice': [bytes([0x82, 0xa4], 'data', [0x01, 0xa4], 'data', [0x02]), /twice/],
    'an event that is no string': [pack({ data: 1, event: 7 }), /event/],
    'an event of bytes': [pack({ data: 1, event: Buffer.from('x') }), /event/],
    'a ttl that is no duration': [pack({ data: 1, ttl: 1.5 }), /ttl/],
    'a ttl below zero': [pack({ data: 1, ttl: -1 }), /ttl/],
    'an ephemeral that is no boolean': [pack({ data: 1, ephemeral: 1 }), /ephemeral/],
};

function refused(answer, wanted, code) {
    assert.equal(`${answer.status} ${answer.value?.code}`, `${wanted} ${code}`, answer.text);
    assert.equal(answer.type, MSGPACK);
    assert.equal(answer.value.type, 'about:blank');
    assert.equal(answer.value.status, wanted);
    assert.equal(typeof answer.value.title, 'string');
    assert.equal(answer.headers['x-request-id'], answer.value.request_id);
}

withServer('msgpack', { grade: 'memory' }, (check) => {
    const messages = (session) => `/v1/sessions/${session}/messages`;

    check('a session from the first call to the last', async ({ client }) => {
        const made = status(await speak(client, 'POST', '/v1/sessions', { value: { subject: 'alice', ttl: '90s', attributes: { n: 9007199254740993n } } }), 201).value;
        assert.equal(made.subject, 'alice');
        assert.equal(made.ttl, 90);
        assert.deepEqual(made.attributes, { n: 9007199254740993n });
        const path = `/v1/sessions/${made.session}`;

        const sent = status(await speak(client, 'POST', messages(made.session), { value: { event: 'paid', data: { order: 77 }, ttl: 60 } }), 201).value;
        assert.equal(sent.duplicate, false);
        const picked = status(await speak(client, 'GET', messages(made.session)), 200).value;
        assert.equal(picked.messages.length, 1);
        assert.equal(picked.messages[0].event, 'paid');
        assert.deepEqual(picked.messages[0].data, { order: 77 });
        assert.ok(picked.messages[0].expires_at);
        assert.equal(picked.cursor, sent.cursor);
        assert.equal(picked.more, false);

        const receipt = async () => status(await speak(client, 'GET', `${path}/messages/${sent.seq}`), 200).value.state;
        await until('its receipt says delivered', async () => await receipt() === 'delivered'); // told behind the answer
        const acked = status(await speak(client, 'POST', `${path}/ack`, { value: { cursor: picked.cursor } }), 204);
        assert.equal(acked.bytes.length, 0);
        const patched = status(await speak(client, 'PATCH', path, { value: { attributes: { n: null, plan: 'gold', b: Buffer.from([1]) }, ttl: 120 } }), 200).value;
        assert.deepEqual(patched.attributes, { plan: 'gold', b: 'AQ==' });
        assert.equal(patched.ttl, 120);
        assert.match(status(await speak(client, 'POST', `${path}/token`), 200).value.token, /^rs1\./);
        const listed = status(await speak(client, 'GET', '/v1/sessions?subject=alice'), 200).value;
        assert.deepEqual(listed.sessions.map((one) => one.session), [made.session]);
        status(await speak(client, 'DELETE', path), 204);
        refused(await speak(client, 'GET', path), 404, 'session_unknown');
    });

    check('says the same as JSON, on every route that shows something', async ({ client }) => {
        const { session } = await client.session('same', { attributes: { deep: [{ a: 1.5, b: 'ü' }] } });
        const { seq } = status(await client.send(session, { data: { a: [1, 'x', null] }, event: 'e' }, 'k'), 201).json;
        status(await client.post(messages(session), 'text', { headers: { 'Content-Type': 'text/plain' } }), 201);
        status(await client.pick(session), 200);
        // Told behind the answer; once the store has its time, every worker says the same.
        await until('the store knows it is delivered', async () => (await client.get(`${messages(session)}/${seq}`)).json.delivered_at);
        const paths = [
            `/v1/sessions/${session}`, '/v1/sessions?subject=same', messages(session), `${messages(session)}?limit=1`,
            `${messages(session)}/${seq}`, '/healthz', '/readyz',
        ];
        const plain = ({ expires_at, ...rest }) => rest; // slides with every use
        for (const path of paths) {
            const json = status(await client.get(path), 200).json;
            const other = status(await speak(client, 'GET', path), 200);
            assert.equal(other.type, MSGPACK);
            const both = [json, other.value].map((value) => (value.sessions ? { ...value, sessions: value.sessions.map(plain) } : plain(value)));
            assert.deepEqual(both[1], both[0], path);
            const head = await client.request('HEAD', path, { headers: { Accept: MSGPACK } });
            assert.equal(head.headers['content-type'], MSGPACK);
        }
        const roles = status(await speak(client, 'GET', '/v1/status'), 200).value;
        assert.deepEqual(Object.keys(roles), Object.keys((await client.get('/v1/status')).json));
        status(await speak(client, 'POST', '/v1/rotate'), 204);
    });

    check('Accept chooses, and JSON wins ties', async ({ client }) => {
        const rows = [
            [undefined, 'json'], ['*/*', 'json'], ['application/*', 'json'], ['application/json', 'json'], [MSGPACK, MSGPACK],
            ['APPLICATION/MSGPACK', MSGPACK], ['application/json, application/msgpack', 'json'], ['application/msgpack, application/json', 'json'],
            ['application/json;q=0.5, application/msgpack', MSGPACK], ['application/json, application/msgpack;q=0.9', 'json'],
            ['application/msgpack;q=0.001, */*;q=0', MSGPACK], ['*/*;q=0.1, application/msgpack;q=0.2', MSGPACK],
            ['application/json;q=0, */*', MSGPACK], ['application/msgpack;q=0, */*;q=0.1', 'json'], ['text/html, application/msgpack;q=0.1', MSGPACK],
            ['application/msgpack; charset=x ; q=1.0', MSGPACK], ['application/*;q=0.5, application/json;q=0.4', MSGPACK],
        ];
        for (const [accept, wanted] of rows) {
            const answer = await client.get('/healthz', { headers: accept ? { Accept: accept } : {} });
            assert.equal(status(answer, 200).headers['content-type'], wanted === 'json' ? 'application/json' : wanted, accept);
        }
        for (const accept of ['text/html', 'application/msgpack;q=0', 'application/x-msgpack']) {
            problem(await client.get('/healthz', { headers: { Accept: accept } }), 406, 'not_acceptable');
        }
        refused(await speak(client, 'GET', '/metrics'), 406, 'not_acceptable');
    });

    check('payloads are native in MessagePack and converted for JSON', async ({ client }) => {
        const { session, cursor } = await client.session();
        for (const [value] of PAYLOADS) status(await speak(client, 'POST', messages(session), { value: { data: value } }), 201);
        const native = status(await speak(client, 'GET', `${messages(session)}?cursor=${cursor}`), 200).value.messages;
        const { text, json } = status(await client.pick(session, { cursor }), 200);
        assert.equal(native.length, PAYLOADS.length);
        PAYLOADS.forEach(([value, wanted], i) => {
            assert.deepEqual(pack(native[i].data), pack(value));
            assert.equal(native[i].content_type, MSGPACK);
            assert.equal(json.messages[i].content_type, MSGPACK);
            assert.equal(json.messages[i].seq, native[i].seq);
            assert.ok(text.includes(`"data":${wanted},"publisher"`), `${wanted} is not in ${text}`);
        });
    });

    check('a payload goes out byte for byte, in whatever widths it came', async ({ client }) => {
        const { session, cursor } = await client.session();
        const odd = bytes([0xdf, 0, 0, 0, 2, 0xd9, 1], 'a', [0xd3, 0, 0, 0, 0, 0, 0, 0, 1, 0xdb, 0, 0, 0, 1], 'a', [0xca, 0x3f, 0, 0, 0]);
        status(await speak(client, 'POST', messages(session), { raw: envelope(odd) }), 201);
        const picked = status(await speak(client, 'GET', `${messages(session)}?cursor=${cursor}`), 200);
        assert.ok(picked.bytes.includes(bytes([0xa4], 'data', odd)), picked.bytes.toString('hex'));
        assert.ok((await client.pick(session, { cursor })).text.includes('"data":{"a":1,"a":0.5}'));
    });

    check('JSON, text and bytes are native for those who read MessagePack', async ({ client }) => {
        const { session, cursor } = await client.session();
        const raw = Buffer.from(Array.from({ length: 256 }, (_, i) => i));
        const json = { 'Content-Type': 'application/json' };
        status(await client.post(messages(session), '{"data":{"b":[9007199254740993,-9223372036854775808,1.5,"\\u00fc\\n"],"a":{}}}', { headers: json }), 201);
        status(await client.post(messages(session), '{"data":18446744073709551615}', { headers: json }), 201);
        status(await client.post(messages(session), '{"data":[123456789012345678901234567890,1e400,-0,1.0]}', { headers: json }), 201);
        status(await client.post(messages(session), 'plain ü', { headers: { 'Content-Type': 'text/plain' } }), 201);
        status(await client.post(messages(session), raw, { headers: { 'Content-Type': 'image/png' } }), 201);
        status(await client.send(session, { data_b64: raw.toString('base64'), content_type: 'image/png' }), 201);
        const got = status(await speak(client, 'GET', `${messages(session)}?cursor=${cursor}`), 200).value.messages;
        assert.deepEqual(got[0].data, { b: [9007199254740993n, -9223372036854775808n, 1.5, 'ü\n'], a: {} });
        assert.equal(got[0].content_type, 'application/json');
        assert.equal(got[1].data, 18446744073709551615n);
        assert.deepEqual(got[2].data, [1.2345678901234568e29, Infinity, -0, 1]);
        assert.equal(got[3].data, 'plain ü');
        assert.equal(got[3].content_type, 'text/plain');
        for (const message of got.slice(4)) {
            assert.deepEqual(Buffer.from(message.data), raw);
            assert.equal(message.content_type, 'image/png');
            assert.equal(message.data_b64, undefined);
        }
    });

    check('a bin is bytes, a string with a text type is text', async ({ client }) => {
        const { session, cursor } = await client.session();
        const raw = Buffer.from([0, 1, 254, 255]);
        status(await speak(client, 'POST', messages(session), { value: { data: raw, content_type: 'image/png' } }), 201);
        status(await speak(client, 'POST', messages(session), { value: { data: raw } }), 201);
        status(await speak(client, 'POST', messages(session), { value: { data: 'note', content_type: 'text/plain' } }), 201);
        const json = status(await client.pick(session, { cursor }), 200).json.messages;
        assert.deepEqual(json.map((m) => [m.content_type, m.data ?? null, m.data_b64 ?? null]), [
            ['image/png', null, raw.toString('base64')], ['application/octet-stream', null, raw.toString('base64')], ['text/plain', 'note', null],
        ]);
        const native = status(await speak(client, 'GET', `${messages(session)}?cursor=${cursor}`), 200).value.messages;
        assert.deepEqual(native.slice(0, 2).map((m) => Buffer.from(m.data)), [raw, raw]);
        assert.equal(native[2].data, 'note');
    });

    check('what cannot be said in JSON, or is not MessagePack, is refused and nothing is stored', async ({ client }) => {
        const { session, cursor } = await client.session('eve');
        const where = [messages(session), '/v1/subjects/eve/messages'];
        for (const [name, [raw, says]] of Object.entries(REFUSED)) {
            for (const path of where) {
                const answer = await speak(client, 'POST', path, { raw });
                assert.equal(`${name}: ${answer.status} ${answer.value?.code}`, `${name}: 400 bad_request`);
                assert.match(answer.value.detail, says, name);
            }
        }
        problem(await client.post(messages(session), Buffer.alloc(0), { headers: { 'Content-Type': MSGPACK } }), 400, 'bad_request');
        assert.deepEqual((await client.pick(session, { cursor })).json.messages, []);
    });

    check('every cut of a good body is refused', async ({ client }) => {
        const { session, cursor } = await client.session();
        const whole = pack({ event: 'e', data: { a: [1, 2n ** 60n, 'text', Buffer.from('bin')] }, ttl: '1h' });
        for (let n = 1; n < whole.length; n++) refused(await speak(client, 'POST', messages(session), { raw: whole.subarray(0, n) }), 400, 'bad_request');
        assert.deepEqual((await client.pick(session, { cursor })).json.messages, []);
        status(await speak(client, 'POST', messages(session), { raw: whole }), 201);
    });

    check('depth and size have the ceilings of JSON', async ({ client }) => {
        const { session } = await client.session();
        status(await speak(client, 'POST', messages(session), { raw: envelope(bytes(Buffer.alloc(63, 0x91), [0x01])) }), 201);
        refused(await speak(client, 'POST', messages(session), { raw: envelope(bytes(Buffer.alloc(64, 0x91), [0x01])) }), 400, 'bad_request');
        status(await speak(client, 'POST', messages(session), { value: { data: Buffer.alloc(256 * 1024) } }), 201);
        refused(await speak(client, 'POST', messages(session), { value: { data: Buffer.alloc(256 * 1024 + 1) } }), 413, 'too_large');
        refused(await speak(client, 'POST', messages(session), { value: { data: 'x'.repeat(256 * 1024) } }), 413, 'too_large');
        refused(await speak(client, 'POST', `/v1/sessions/${session}/ack`, { value: { cursor: '\u0001'.repeat(500000) } }), 413, 'too_large');
        refused(await speak(client, 'PATCH', `/v1/sessions/${session}`, { value: { attributes: { a: 'x'.repeat(900000) } } }), 413, 'too_large');
    });

    check('control bodies are judged the same', async ({ client }) => {
        const { session } = await client.session();
        const bad = [
            pack([]), pack('x'), Buffer.from([0xc1]), Buffer.from([0x81]), bytes([0x81, 0x01, 0x01]), pack({ cursor: new Date() }),
            pack({ cursor: 7 }), pack({ cursor: Buffer.from('x') }), pack({}), Buffer.from([0xdf, 0xff, 0xff, 0xff, 0xff]),
            bytes([0x82, 0xa6], 'cursor', [0xa1], 'x', [0xa6], 'cursor', [0xa1], 'x'), Buffer.alloc(1 << 20, 0x91),
        ];
        for (const raw of bad) refused(await speak(client, 'POST', `/v1/sessions/${session}/ack`, { raw }), 400, 'bad_request');
        refused(await speak(client, 'POST', '/v1/sessions', { value: { subject: Buffer.from('alice') } }), 400, 'bad_request');
        refused(await speak(client, 'POST', '/v1/sessions', { value: { subject: 'a', ttl: 1.5 } }), 400, 'bad_request');
        const other = await client.post(`/v1/sessions/${session}/ack`, 'x', { headers: { 'Content-Type': 'application/cbor', Accept: MSGPACK } });
        assert.equal(other.status, 415);
        assert.match(other.headers.accept, /application\/json, application\/msgpack/);
        assert.equal(unpack(other.bytes).code, 'unsupported_media_type');
    });

    check('a batch of MessagePack, item by item', async ({ client }) => {
        const { session, cursor } = await client.session('batch');
        const value = {
            messages: [
                { session, key: 'k', event: 'one', data: { n: 2n ** 63n } },
                { session, key: 'k', event: 'one', data: { n: 2n ** 63n } },
                { session, key: 'k', event: 'one', data: { n: 1 } },
                { subject: 'batch', data: Buffer.from('bytes') },
                { session: NOBODY, data: 1 },
                { session },
                7,
                { session, data: 'text', content_type: 'text/plain' },
            ],
        };
        const { results } = status(await speak(client, 'POST', '/v1/publish', { value }), 200).value;
        assert.deepEqual(results.map((row) => row.status), [201, 200, 409, 201, 404, 400, 400, 201]);
        assert.equal(results[1].seq, results[0].seq);
        assert.equal(results[2].code, 'idempotency_conflict');
        const got = status(await speak(client, 'GET', `${messages(session)}?cursor=${cursor}`), 200).value.messages;
        assert.deepEqual(got.map((m) => [m.event, m.data instanceof Uint8Array ? Buffer.from(m.data).toString() : m.data]),
            [['one', { n: 9223372036854775808n }], ['message', 'bytes'], ['message', 'text']]);
        for (const raw of [pack({ messages: {} }), pack({}), bytes([0x81, 0xa8], 'messages', [0xdd, 0xff, 0xff, 0xff, 0xff]), pack({ messages: [{ session, data: new Date() }] })]) {
            refused(await speak(client, 'POST', '/v1/publish', { raw }), 400, 'bad_request');
        }
        const many = Array.from({ length: 1001 }, (_, i) => ({ session, data: i }));
        refused(await speak(client, 'POST', '/v1/publish', { value: { messages: many } }), 400, 'bad_request');
        const full = status(await speak(client, 'POST', '/v1/publish', { value: { messages: many.slice(1) } }), 200).value.results;
        assert.ok(full.length === 1000 && full.every((row) => row.status === 201));
        const list = status(await speak(client, 'GET', `${messages(session)}?cursor=${got.at(-1).cursor}&limit=1000`), 200).value;
        assert.deepEqual(list.messages.map((m) => m.data), Array.from({ length: 1000 }, (_, i) => i + 1));
    });

    check('keys: the same bytes are a duplicate, the same thought in JSON is not', async ({ client }) => {
        const { session } = await client.session();
        const send = (value, accept = MSGPACK) => speak(client, 'POST', messages(session), { value, headers: { 'Idempotency-Key': 'k', Accept: accept } });
        const first = status(await send({ data: { a: 1 } }), 201).value;
        const again = status(await send({ data: { a: 1 } }), 200).value;
        assert.deepEqual([again.seq, again.duplicate], [first.seq, true]);
        refused(await send({ data: { a: 2 } }), 409, 'idempotency_conflict');
        problem(await client.send(session, { data: { a: 1 } }, 'k'), 409, 'idempotency_conflict');
    });

    check('one message wakes polls of both encodings, and an ephemeral too', async ({ client }) => {
        const { session, cursor } = await client.session('woken');
        for (const value of [{ data: { n: 2n ** 60n, b: Buffer.from('b') }, event: 'stored' }, { data: [1.5], ephemeral: true, event: 'passing' }]) {
            const before = (await client.get(`/v1/sessions/${session}`)).json;
            const at = before.acked ?? cursor;
            const polls = [
                client.pick(session, { cursor: at, wait: '30s' }), speak(client, 'GET', `${messages(session)}?cursor=${at}&wait=30s`),
                client.pick(session, { cursor: at, wait: '30s' }), speak(client, 'GET', `${messages(session)}?cursor=${at}&wait=30s`),
            ];
            await parked(client, session, 4);
            const sent = status(await speak(client, 'POST', messages(session), { value }), value.ephemeral ? 202 : 201).value;
            const answers = await Promise.all(polls);
            for (const [i, answer] of answers.entries()) {
                const [message] = (answer.value ?? answer.json).messages;
                assert.equal(message.event, value.event);
                assert.equal(message.seq ?? null, sent.seq);
                if (value.ephemeral) assert.deepEqual(message.data, [1.5]);
                else if (i % 2) assert.deepEqual([message.data.n, Buffer.from(message.data.b).toString()], [2n ** 60n, 'b']);
                else assert.ok(answer.text.includes('"data":{"n":1152921504606846976,"b":"Yg=="}'), answer.text);
            }
            if (sent.cursor) status(await speak(client, 'POST', `/v1/sessions/${session}/ack`, { value: { cursor: sent.cursor } }), 204);
        }
        const silent = await speak(client, 'GET', `${messages(session)}?wait=100ms`);
        assert.equal(status(silent, 204).bytes.length, 0);
        assert.ok(silent.headers['restante-cursor']);
    });

    check('limit and max_bytes count what is sent', async ({ client }) => {
        const { session, cursor } = await client.session();
        for (let i = 0; i < 20; i++) status(await speak(client, 'POST', messages(session), { value: { data: Buffer.alloc(1000, i) } }), 201);
        let at = cursor;
        const seen = [];
        for (let more = true; more;) {
            const page = status(await speak(client, 'GET', `${messages(session)}?cursor=${at}&max_bytes=4000`), 200);
            assert.ok(page.value.messages.length >= 1 && page.bytes.length < 4200, `${page.bytes.length} bytes`);
            seen.push(...page.value.messages.map((m) => m.data[0]));
            ({ cursor: at, more } = page.value);
        }
        assert.deepEqual(seen, Array.from({ length: 20 }, (_, i) => i));
        const few = status(await speak(client, 'GET', `${messages(session)}?cursor=${cursor}&limit=16`), 200).value;
        assert.equal(few.messages.length, 16);
        assert.equal(few.more, true);
    });

    check('refusals come in MessagePack too', async ({ client }) => {
        const { session } = await client.session();
        refused(await speak(client, 'GET', '/nowhere'), 404, 'not_found');
        refused(await speak(client, 'GET', `/v1/sessions/${NOBODY}`), 404, 'session_unknown');
        refused(await speak(client, 'GET', '/v1/status', { credential: null }), 401, 'token_missing');
        const wrong = await speak(client, 'PUT', `/v1/sessions/${session}/ack`, { value: {} });
        refused(wrong, 405, 'method_not_allowed');
        assert.ok(wrong.headers.allow);
        refused(await speak(client, 'GET', `${messages(session)}?cursor=nonsense`), 400, 'bad_request');
        const reset = await speak(client, 'GET', `${messages(session)}?cursor=${'0'.repeat(16)}.1`);
        refused(reset, 410, 'cursor_reset');
        assert.equal(reset.value.reason, 'epoch');
        assert.match(reset.value.newest, /^[0-9a-f]{16}\.\d+$/);
    });
});

withServer('msgpack: what retention took', { sections: { session: { mailbox_messages: 10, mailbox_overflow: 'drop_oldest' } } }, (check) => {
    check('is told', async ({ client }) => {
        const { session, cursor } = await client.session();
        const path = `/v1/sessions/${session}/messages?cursor=${cursor}`;
        for (let i = 0; i < 40; i++) status(await client.send(session, { data: i }), 201);
        const json = status(await client.pick(session, { cursor }), 200).json;
        assert.equal(json.truncated.length, 1);
        assert.deepEqual(status(await speak(client, 'GET', path), 200).value, json);
    });
});

withServer('msgpack: a worker under bombs', { workers: 1, grade: 'memory' }, (check, server) => {
    check('keeps its memory and its life', async ({ client }) => {
        const { session } = await client.session();
        const worker = server.role(0);
        const bombs = Object.values(REFUSED).map(([raw]) => raw);
        for (let round = 0; round < 20; round++) {
            await Promise.all(bombs.map((raw) => speak(client, 'POST', `/v1/sessions/${session}/messages`, { raw })));
        }
        await until('the worker is the same', () => server.role(0) === worker);
        status(await speak(client, 'POST', `/v1/sessions/${session}/messages`, { value: { data: 1 } }), 201);
    });
});
