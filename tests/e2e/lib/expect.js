// What every refusal must look like (RFC 9457), and short cuts for reading answers.

import assert from 'node:assert/strict';

/** The id of a session that does not exist. */
export const NOBODY = 'bm9ib2R5IGxpdmVzIGhlcg';

export function problem(answer, status, code) {
    assert.equal(`${answer.status} ${answer.json?.code}`, `${status} ${code}`, answer.text);
    assert.match(answer.headers['content-type'], /^application\/problem\+json/);
    assert.equal(answer.json.type, 'about:blank');
    assert.equal(answer.json.status, status);
    assert.equal(typeof answer.json.title, 'string');
    assert.ok(answer.json.request_id, 'a problem names its request');
    assert.equal(answer.headers['x-request-id'], answer.json.request_id);
    if (status === 503 || status === 429) assert.match(answer.headers['retry-after'], /^\d+$/);
    if (status === 405) assert.ok(answer.headers.allow, '405 says what is allowed');
}

export function status(answer, wanted) {
    assert.equal(answer.status, wanted, answer.text);
    return answer;
}

export const payloads = (answer) => answer.json.messages.map((message) => message.data);
