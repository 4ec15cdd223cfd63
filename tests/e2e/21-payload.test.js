// Payloads are kept as published: byte for byte, in every form they may come in.

import assert from 'node:assert/strict';
import { problem, status } from './lib/expect.js';
import { withServer } from './lib/harness.js';

/** JSON texts that a parser would change. The second is what is kept, if not the same. */
const KEPT = [
    ['9007199254740993'], ['-0'], ['1e400'], ['1E+2'], ['0.10'], ['-1.50e-07'], ['123456789012345678901234567890'],
    ['{"b":1,"a":2,"10":3,"2":4}'], ['"\\u00e4\\/\\u0041"'], ['"äöü€😀"'], ['"\\ud83d\\ude00"'], ['""'], ['[]'], ['{}'],
    ['null'], ['true'], ['false'], ['"a b\\t c"'], ['[[[[1]]]]'], ['"\\u0000"'], ['{"":{"":[]}}'],
    ['{"a":1,"a":2}'], // inside a payload duplicates are nobody's business but the publisher's
    [' { "a" : [ 1 , 2 ,\n\t3 ] ,\r\n"b c" : " x  y " } ', '{"a":[1,2,3],"b c":" x  y "}'],
];

const NOT_JSON = [
    '', ' ', '{', '}', '{"data":}', '{"data":1', '{"data":1}}', '{"data":1}{"data":2}', '{"data":1,}', '{data:1}', "{'data':1}",
    '{"data":01}', '{"data":+1}', '{"data":.5}', '{"data":1.}', '{"data":1e}', '{"data":0x10}', '{"data":NaN}', '{"data":Infinity}',
    '{"data":tru}', '{"data":"a}', '{"data":"\\x"}', '{"data":"\\u12"}', '{"data":"\\ud800"}', '{"data":"\\udc00x"}',
    '{"data":"\\ud800\\u0041"}', '{"data":"\t"}', '{"data":"\u0000"}', '\ufeff{"data":1}', '{"data":[1,]}', '{"data":[1 2]}',
    '{"data":1 /* c */}', '[]', '"data"', '1', 'null', '{"data":1,"data":2}', '{"event":"a","data":1,"event":"b"}',
    '{"data":1,"d\\u0061ta":2}', '{}', '{"event":"a"}', '{"event":7,"data":1}', '{"data":1,"ttl":"soon"}', '{"data":1,"ttl":-1}',
    '{"data":1,"ttl":1.5}', '{"data_b64":"***"}', '{"data_b64":"QQ"x}', '{"data_b64":7}', '{"data":1,"data_b64":"QQ=="}',
    '{"data":1,"collapse":7}', '{"event":"","data":1}',
];

const BAD_UTF8 = [[0x80], [0xc0, 0xaf], [0xc3], [0xe0, 0x80, 0x80], [0xed, 0xa0, 0x80], [0xf4, 0x90, 0x80, 0x80], [0xf8, 0x88, 0x80, 0x80, 0x80], [0xff], [0xfe]];

withServer('payload', { grade: 'memory' }, (check) => {
    const json = { 'Content-Type': 'application/json' };
    const post = (client, session, body, headers = json) =>
        client.post(`/v1/sessions/${session}/messages`, body, { headers });

    check('JSON survives as it was written', async ({ client }) => {
        for (const [text, kept = text] of KEPT) {
            const { session, cursor } = await client.session();
            status(await post(client, session, `{"data":${text}}`), 201);
            const answer = status(await client.pick(session, { cursor }), 200);
            assert.ok(answer.text.includes(`"data":${kept}}`) || answer.text.includes(`"data":${kept},`), `${text} became ${answer.text}`);
        }
    });

    check('JSON through the batch survives too', async ({ client }) => {
        const { session, cursor } = await client.session();
        const rows = KEPT.map(([text]) => `{"session":"${session}","data":${text}}`);
        const answer = status(await client.post('/v1/publish', `{"messages":[${rows.join(',')}]}`, { headers: json }), 200);
        assert.ok(answer.json.results.every((row) => row.status === 201), answer.text);
        const { text } = await client.pick(session, { cursor });
        for (const [written, kept = written] of KEPT) assert.ok(text.includes(`"data":${kept}`), `${written} is not in ${text}`);
    });

    check('what is not JSON is refused and nothing is stored', async ({ client }) => {
        const { session, cursor } = await client.session();
        for (const text of NOT_JSON) {
            const answer = await post(client, session, text);
            assert.equal(`${answer.status} ${answer.json?.code}`, '400 bad_request', `${JSON.stringify(text)} gave ${answer.text}`);
        }
        for (const bytes of BAD_UTF8) {
            const body = Buffer.concat([Buffer.from('{"data":"'), Buffer.from(bytes), Buffer.from('"}')]);
            problem(await post(client, session, body), 400, 'bad_request');
        }
        assert.deepEqual((await client.pick(session, { cursor })).json.messages, []);
    });

    check('nesting has a ceiling', async ({ client }) => {
        const { session } = await client.session();
        const nest = (n) => '['.repeat(n) + ']'.repeat(n);
        status(await post(client, session, `{"data":${nest(50)}}`), 201);
        for (const n of [65, 1000, 100000]) problem(await post(client, session, `{"data":${nest(n)}}`), 400, 'bad_request');
        problem(await post(client, session, `{"data":${'{"a":'.repeat(70)}1${'}'.repeat(70)}}`), 400, 'bad_request');
    });

    check('text is a string, bytes are base64', async ({ client }) => {
        const { session, cursor } = await client.session();
        const text = 'plain "text"\nwith \u0001 and ünïcode \\ 😀';
        const bytes = Buffer.from(Array.from({ length: 256 }, (_, i) => i));
        status(await post(client, session, text, { 'Content-Type': 'text/plain; charset=utf-8', 'Restante-Event': 'note' }), 201);
        status(await post(client, session, bytes, { 'Content-Type': 'application/octet-stream' }), 201);
        status(await post(client, session, JSON.stringify({ data_b64: bytes.toString('base64'), content_type: 'image/png' })), 201);
        status(await post(client, session, Buffer.from([0xff, 0xfe]), { 'Content-Type': 'text/plain' }), 201);
        const [a, b, c, d] = (await client.pick(session, { cursor })).json.messages;
        assert.equal(a.data, text);
        assert.equal(a.event, 'note');
        assert.match(a.content_type, /^text\/plain/);
        assert.deepEqual(Buffer.from(b.data_b64, 'base64'), bytes);
        assert.equal(b.content_type, 'application/octet-stream');
        assert.deepEqual(Buffer.from(c.data_b64, 'base64'), bytes);
        assert.equal(c.content_type, 'image/png');
        assert.deepEqual(Buffer.from(d.data_b64, 'base64'), Buffer.from([0xff, 0xfe]));
    });

    check('an empty text is a message', async ({ client }) => {
        const { session, cursor } = await client.session();
        status(await post(client, session, '', { 'Content-Type': 'text/plain' }), 201);
        assert.equal((await client.pick(session, { cursor })).json.messages[0].data, '');
    });

    check('a message over its limit is refused, one at it passes', async ({ client }) => {
        const { session, cursor } = await client.session();
        const bytes = { 'Content-Type': 'application/octet-stream' };
        status(await post(client, session, Buffer.alloc(256 * 1024, 1), bytes), 201);
        problem(await post(client, session, Buffer.alloc(256 * 1024 + 1, 1), bytes), 413, 'too_large');
        problem(await post(client, session, JSON.stringify({ data: 'x'.repeat(256 * 1024) })), 413, 'too_large');
        const rows = [{ session, data: 'small' }, { session, data: 'x'.repeat(256 * 1024) }];
        const batch = await client.post('/v1/publish', { messages: rows });
        assert.ok(batch.status === 413 || batch.json.results[1].status === 413, batch.text);
        const { messages } = (await client.pick(session, { cursor, max_bytes: 4 << 20 })).json;
        assert.equal(messages.length, batch.status === 413 ? 1 : 2);
    });

    check('names that cannot be are refused', async ({ client }) => {
        const { session, cursor } = await client.session();
        const text = { 'Content-Type': 'text/plain' };
        for (const key of ['x'.repeat(1000), '']) {
            const answer = await post(client, session, '{"data":1}', { ...json, 'Idempotency-Key': key });
            assert.equal(answer.status, 400, `key of ${key.length}: ${answer.text}`);
        }
        problem(await post(client, session, 'x', { ...text, 'Restante-TTL': 'soon' }), 400, 'bad_request');
        problem(await post(client, session, 'x', { ...text, 'Restante-Event': 'e'.repeat(5000) }), 400, 'bad_request');
        problem(await post(client, session, JSON.stringify({ event: 'e'.repeat(5000), data: 1 })), 400, 'bad_request');
        assert.deepEqual((await client.pick(session, { cursor })).json.messages, []);
    });
});
