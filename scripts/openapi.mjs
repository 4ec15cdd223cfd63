#!/usr/bin/env node
// Writes etc/openapi.json: the description of the HTTP API (OpenAPI 3.1), made from this one source
// and the table of refusals. tests/e2e/48-openapi.test.js holds it against the running server.
//   scripts/openapi.mjs           write it        scripts/openapi.mjs --check   only say whether it is right

import fs from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

const ROOT = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '..');
const FILE = path.join(ROOT, 'etc/openapi.json');

const read = (name) => fs.readFileSync(path.join(ROOT, name), 'utf8');
const version = /RESTANTE_VERSION "(.*)"/.exec(read('common/version.h'))[1];

/** code -> [status, title] */
const codes = Object.fromEntries([...read('common/code_table.h').matchAll(/^CODE\(\w+,\s*(\d+), "(\w+)",\s*"(.*)"\)/gm)]
    .map(([, status, code, title]) => [code, [Number(status), title]]));

// --- schemas ---

const object = (properties, required = Object.keys(properties), more = {}) =>
    ({ type: 'object', properties, ...(required.length ? { required } : {}), additionalProperties: false, ...more });
const ref = (name) => ({ $ref: `#/components/schemas/${name}` });
const list = (items) => ({ type: 'array', items });
const text = (description, more = {}) => ({ type: 'string', description, ...more });
const count = (description) => ({ type: 'integer', minimum: 0, description });
const orNull = (schema) => ({ ...schema, type: [schema.type, 'null'] });
const name255 = (description) => text(description, { minLength: 1, maxLength: 255 });
const time = (description) => text(description, { format: 'date-time' });

const seq = { type: 'integer', minimum: 1, description: 'Strictly increasing over the whole store, so not dense within a stream.' };
const attributes = { type: 'object', description: 'Anything; at most session.attributes bytes.' };
const ttl = (description) => ({ ...ref('Duration'), description });

const session = {
    session: text('The session\'s id.'),
    subject: orNull(text('Whose session it is; null: anonymous.')),
    name: orNull(text('Its name among the subject\'s sessions; null: none.')),
    epoch: text('The store\'s epoch.', { pattern: '^[0-9a-f]{16}$' }),
    cursor: { ...ref('Cursor'), description: 'Where a new client starts; for a session that existed, its ack.' },
    ttl: ttl('Its idle life; any use and any open connection slides it.'),
    expires_at: time('When it ends, if nothing uses it.'),
    topics: list(text('A topic it is subscribed to.')),
    attributes,
    urls: object({ messages: text('Where to pick up.'), socket: text('Where to connect a WebSocket.') }),
};

const content = {
    event: name255('Of UTF-8, without control characters; `message` if absent.'),
    content_type: name255('Of the payload.'),
    ttl: ttl('How long it is worth delivering.'),
    collapse: name255('A message with the same key that is still there, unacked, is replaced.'),
    ephemeral: { type: 'boolean', description: 'Delivered to whoever waits now, never stored.' },
    data: { description: 'The payload: any JSON, kept byte for byte; with a content_type of text/*, a string is the text itself.' },
    data_b64: text('The payload as base64, in data\'s place.', { contentEncoding: 'base64' }),
};
const except = { ...list(text('A session\'s id.')), maxItems: 15, description: 'Of what goes to a topic: sessions that do not get it.' };
const onePayload = { oneOf: [{ required: ['data'] }, { required: ['data_b64'] }] };

const seat = {
    pid: count('Process id.'), state: text('What it does.', { enum: ['empty', 'starting', 'running', 'draining', 'dead'] }),
    generation: count('How many took this place.'), respawns: count('How many of them after a death.'), uptime: count('Seconds.'),
};

const schemas = {
    Duration: { description: 'Whole seconds, or a text such as "500ms", "30s", "10m", "2h", "7d".',
        oneOf: [{ type: 'integer', minimum: 0 }, { type: 'string', pattern: '^\\d+(ms|s|m|h|d)?$' }] },
    Cursor: text('"I have everything of mine up to here." Opaque: send back what you got.', { pattern: '^[0-9a-f]{16}\\.\\d+$' }),
    Problem: object({
        type: text('Always about:blank: the code tells.', { const: 'about:blank' }),
        title: text('What the code means.'),
        status: { type: 'integer' },
        code: text('Stable.', { enum: Object.keys(codes) }),
        detail: text('What is wrong here, for people.'),
        request_id: text('As in X-Request-Id.'),
        reason: text('Of cursor_reset: `epoch` or `ahead`; of a request that cannot be read: which rule it breaks.'),
        oldest: { ...ref('Cursor'), description: 'Of cursor_reset: where to go on from.' },
        newest: { ...ref('Cursor'), description: 'Of cursor_reset: the store\'s last.' },
        outcome: text('Of unavailable. `unknown`: it may have been done; repeat it with the same Idempotency-Key.', { enum: ['none', 'unknown'] }),
    }, ['type', 'title', 'status', 'code', 'request_id']),
    OpenSession: object({
        subject: name255('Whose; an API key must say so, a bootstrap token has its own.'),
        name: name255('Makes it get-or-create by (subject, name).'),
        attributes, ttl: ttl('Its idle life; session.ttl if absent.'),
        topics: list(name255('A topic to subscribe to at once.')),
    }, []),
    OpenedSession: object({ ...session, token: text('The session token: for everything the session may do.') }),
    Session: object({
        ...session,
        connections: list(object({
            transport: text('How it is connected.', { enum: ['poll', 'sse', 'websocket'] }),
            since: time('Since when.'), remote: text('From where.'),
        })),
        acked: { ...ref('Cursor'), description: 'What the client said that it has processed.' },
        delivered: { ...ref('Cursor'), description: 'What was handed to the network.' },
        pending: count('Messages in its mailbox.'), pending_bytes: count('Their payload\'s bytes.'),
        presence: {
            ...list(object({
                topic: text('Where it is tracked.'), here: { type: 'boolean', description: 'false: it is away until it connects.' },
                ref: text('Of this stay.'), since: time('Since when.'), meta: { type: 'object', description: 'What it shows there.' },
            })),
            description: 'Not in lists of sessions.',
        },
    }, [...Object.keys(session), 'connections', 'acked', 'delivered', 'pending', 'pending_bytes']),
    Sessions: object({ sessions: list(ref('Session')), next: orNull(text('The `after` of the next page; null: there is none.')) }),
    PatchSession: object({ attributes: { ...attributes, description: 'Merged by member; null takes one away.' }, ttl: ttl('Its idle life from now on.') }, []),
    Token: object({ token: text('A fresh session token.') }),
    Ack: object({ cursor: ref('Cursor') }),
    Message: object({
        seq, prev: { type: 'integer', minimum: 0, description: 'The seq before it in its stream; 0: it is the first ever.' },
        cursor: ref('Cursor'),
        skipped: { const: true, description: 'What stood before it is gone: it ran out of its ttl, was replaced, or was not for this session.' },
        ephemeral: { const: true, description: 'Never stored: no seq, prev, cursor.' },
        stream: text('`mailbox` or `topic:<name>`.'),
        id: text('The publisher\'s Idempotency-Key, or the seq as text.'),
        event: text('What the publisher called it.'), time: time('When it was accepted.'),
        content_type: text('Of the payload.'),
        data: { description: 'The payload, if it is JSON, MessagePack or text.' },
        data_b64: text('Any other payload.', { contentEncoding: 'base64' }),
        publisher: text('Name of the API key, or the subject of the session.'), trace: text('W3C traceparent of the publish.'), expires_at: time('When its ttl ends.'),
    }, ['stream', 'event', 'time', 'content_type'], {
        allOf: [onePayload, { oneOf: [{ required: ['seq', 'prev', 'cursor', 'id'] }, { required: ['ephemeral'] }] }],
    }),
    Lost: object({ stream: text('Which stream.'), from: { ...seq, description: 'The first seq that may be missing.' }, to: { ...seq, description: 'The last one.' } }),
    Messages: object({
        messages: list(ref('Message')), cursor: { ...ref('Cursor'), description: 'After the last of them.' },
        more: { type: 'boolean', description: 'Something is known to lie behind.' },
        truncated: { ...list(ref('Lost')), description: 'What retention took unseen.' },
    }, ['messages', 'cursor', 'more']),
    Envelope: object(content, [], onePayload),
    TopicEnvelope: object({ ...content, except }, [], onePayload),
    Subscribe: object({
        presence: { description: 'What others see of it: an object of at most limits.presence_meta bytes, 32 levels deep; once more is an update. null: it is tracked ' +
            'no more. Absent: as before.', type: ['object', 'null'] },
    }, []),
    Subscribed: object({ topic: text('Its name.'), cursor: { ...ref('Cursor'), description: 'What comes after it is delivered.' } }),
    Topic: object({
        topic: text('Its name.'), messages: count('In it.'), bytes: count('Their payload\'s bytes.'), subscribers: count('Sessions.'),
        last: { description: 'Its newest message ever; null: there was none.', oneOf: [ref('Cursor'), { type: 'null' }] },
        created_at: time('When it was first published or subscribed to.'),
        namespace: orNull(text('The pattern whose settings follow; null: none matches any more.')),
        history: count('Messages that it keeps.'), ttl: ttl('Age at which a message goes.'),
        latest: { type: 'boolean', description: 'A message replaces the one before it.' },
        publish: text('Who may publish: API keys alone, or sessions too.', { enum: ['server', 'client'] }),
        join: text('Who may join: every session, or those whose token names it.', { enum: ['open', 'claim'] }),
    }, ['topic', 'messages', 'bytes', 'subscribers', 'last', 'created_at', 'namespace']),
    Presence: object({
        topic: text('Its name.'), version: count('Rises with each diff.'), count: count('Sessions that are here, on all pages.'),
        members: list(object({
            key: text('A subject; or, of an anonymous session, its id.'),
            metas: list(object({
                session: text('Its id.'), since: time('Since when it is here.'), ref: text('Names this stay under this meta.', { pattern: '^[0-9a-f]{16}$' }),
            }, ['session', 'since', 'ref'], { additionalProperties: true, description: 'And what the session shows of itself.' })),
        })),
        next: orNull(text('The `after` of the next page; null: there is none.')),
    }),
    Topics: object({ topics: list(ref('Topic')), next: orNull(text('The `after` of the next page; null: there is none.')) }),
    Published: object({
        seq, cursor: ref('Cursor'), stream: text('Where it went.'),
        durability: text('What an accepted message survives.', { enum: ['disk', 'memory'] }),
        duplicate: { type: 'boolean', description: 'The same Idempotency-Key was there before: nothing new was published.' },
    }),
    PublishedEphemeral: object({ seq: { type: 'null' } }),
    Result: object({
        session: text('Of a subject\'s result: which of its sessions.'),
        status: { type: 'integer' }, code: text('Why it was refused.', { enum: Object.keys(codes) }), detail: text('What is wrong, for people.'),
        seq: orNull(seq), duplicate: { type: 'boolean' },
        results: { ...list(ref('Result')), description: 'Of a message to a subject: one for each of its sessions.' },
    }, ['status']),
    Results: object({ results: list(ref('Result')) }),
    Batch: object({
        messages: {
            ...list(object({
                session: text('To this mailbox,'), subject: name255('or to each live session of this subject,'), topic: name255('or to this topic.'),
                key: name255('Its Idempotency-Key.'), ...content, except,
            }, [], onePayload)),
            maxItems: 1000,
        },
    }),
    Receipt: object({
        seq, state: text('What became of it.', { enum: ['stored', 'delivered', 'acked', 'expired', 'trimmed', 'replaced', 'unknown'] }),
        time: orNull(time('When it came into that state.')), delivered_at: orNull(time('When.')), acked_at: orNull(time('When.')),
    }),
    Health: object({ status: { const: 'ok' } }),
    Ready: object({ status: { const: 'ready' } }),
    Status: object({
        version: text('Of the server.'), supervisor: object({ pid: seat.pid }), writer: object({ ...seat, ready: { type: 'boolean' } }),
        workers: list(object({ slot: count('Its place.'), ...seat, connections: count('Now open.'), parked: count('Long-polls now waiting.') })),
        epoch: session.epoch, last_seq: count('The newest seq.'),
        store: object({
            used: count('Bytes.'), limit: count('Bytes it may use.'), file: count('Bytes of its file.'), sessions: count('In it.'),
            messages: count('In it.'), full: { type: 'boolean', description: 'Publishes are refused.' },
        }),
        draining: { type: 'boolean' },
    }),
};

// --- operations ---

const JSON_TYPE = 'application/json';
const MSGPACK = 'application/msgpack';
const both = (schema) => ({ [JSON_TYPE]: { schema }, [MSGPACK]: { schema } });
const header = (description, schema = { type: 'string' }) => ({ description, required: true, schema });
const headers = { RequestId: header('The request\'s, or one made for it.') };
const requestId = { 'X-Request-Id': { $ref: '#/components/headers/RequestId' } };

const answer = (description, schema, headers = {}) => ({ description, headers: { ...requestId, ...headers }, ...(schema ? { content: both(schema) } : {}) });

const CREDENTIAL = ['token_missing', 'token_malformed', 'token_bad_signature', 'token_expired', 'token_not_yet_valid', 'token_unknown_key'];
const headersOf = {
    401: { 'WWW-Authenticate': header('RFC 6750.') }, 415: { Accept: header('What is understood.') },
    429: { 'Retry-After': header('Seconds.', { type: 'integer' }) },
};

const responses = {}; // by their text, so that each stands once
function shared(status, response) {
    const key = JSON.stringify(response);
    const known = Object.keys(responses).find((name) => JSON.stringify(responses[name]) === key);
    const others = Object.keys(responses).filter((name) => name.startsWith(`Refused${status}`)).length;
    const name = known ?? `Refused${status}${others ? String.fromCharCode(96 + others) : ''}`;
    responses[name] = response;
    return { $ref: `#/components/responses/${name}` };
}

/** Problem responses by status; codes of one status share it. */
function refusals(wanted) {
    const byStatus = {};
    for (const code of wanted) (byStatus[codes[code][0]] ??= []).push(code);
    return Object.fromEntries(Object.entries(byStatus).map(([status, list]) => {
        const schema = { allOf: [ref('Problem'), { properties: { status: { const: Number(status) }, code: { enum: list } } }] };
        return [status, shared(status, {
            description: list.map((code) => `\`${code}\`: ${codes[code][1].toLowerCase()}.`).join(' '),
            headers: { ...requestId, ...headersOf[status] },
            content: { 'application/problem+json': { schema }, [MSGPACK]: { schema } },
        })];
    }));
}

const parameter = (where, name, description, schema, required = false) => ({ name, in: where, description, required, schema });
const query = (name, description, schema, required) => parameter('query', name, description, schema, required);
const inHeader = (name, description, schema) => parameter('header', name, description, schema);
const inPath = (name, description) => parameter('path', name, description, { type: 'string' }, true);
const SESSION = inPath('session', 'A session\'s id.');
const TOPIC = inPath('topic', 'A topic\'s name, percent-encoded: 1 to 255 bytes of UTF-8 without control characters.');
const number = (minimum, maximum, fallback) => ({ type: 'integer', minimum, maximum, default: fallback });
const parameters = {
    RequestId: inHeader('X-Request-Id', 'Taken over if it is 1 to 128 visible characters.', { type: 'string' }),
    Trace: inHeader('traceparent', 'W3C Trace Context; of a publish it travels with the message.', { type: 'string' }),
    AccessToken: query('access_token', 'The credential, where a header cannot be set.', { type: 'string' }),
};
const parameterRef = (name) => ({ $ref: `#/components/parameters/${name}` });
const TRACING = [parameterRef('RequestId'), parameterRef('Trace')];
const ACCESS_TOKEN = parameterRef('AccessToken');
const PUBLISH_HEADERS = [
    inHeader('Idempotency-Key', 'A repeat inside publish.dedup_window gets the first answer and is not published again.', { type: 'string', minLength: 1, maxLength: 255 }),
    inHeader('Restante-Event', 'The event of a payload that is no envelope.', { type: 'string', minLength: 1, maxLength: 255 }),
    inHeader('Restante-TTL', 'Its ttl.', { type: 'string' }),
    inHeader('Restante-Collapse', 'Its collapse key.', { type: 'string', minLength: 1, maxLength: 255 }),
];

const KEY = [{ apiKey: [] }];
const OWN = [{ apiKey: [] }, { sessionToken: [] }];

const body = (schema, required) => ({ required, content: both(ref(schema)) });
const publishBody = (schema) => ({
    required: true,
    description: 'An envelope as JSON or MessagePack; any other type is the payload itself.',
    content: { ...both(ref(schema)), '*/*': {} },
});

/** what: {summary, security (none: open to all), parameters, requestBody, responses, problems}. */
function operation(operationId, { summary, security, parameters: own = [], requestBody, responses: good, problems }) {
    const all = [...(security ? [ACCESS_TOKEN] : []), ...own, ...TRACING];
    const refused = [...(security ? CREDENTIAL : []), ...problems, 'not_acceptable'];
    return {
        operationId, summary, security: security ?? [], parameters: all, ...(requestBody ? { requestBody } : {}),
        responses: { ...good, ...refusals(refused), default: { $ref: '#/components/responses/Refused' } },
    };
}

const publish = (operationId, what) => operation(operationId, {
    security: KEY, requestBody: publishBody('Envelope'), ...what, parameters: [...what.parameters, ...PUBLISH_HEADERS],
});

/** A file that is part of the server; If-None-Match with its ETag is answered 304. */
function file(operationId, summary, type, problems = []) {
    const text = { type: 'string' };
    const made = operation(operationId, {
        summary, problems, parameters: [inHeader('If-None-Match', 'The ETag of the copy that is there.', text)],
        responses: {
            200: { description: 'The file.', headers: { ...requestId, ETag: header('Names these bytes.', text) }, content: { [type]: { schema: text } } },
            304: { description: 'The copy is still good.', headers: requestId },
        },
    });
    delete made.responses[406]; // whatever Accept says
    return made;
}

const cursorHeader = { 'Restante-Cursor': header('The answer\'s cursor.', ref('Cursor')) };

const EVENTS = 'An event stream (WHATWG HTML, 9.2). Each message is `id: <cursor>`, `event: <its event>`, `data: <the Message>`; ephemerals have no ' +
    'id. Comments show life every server.keepalive. Control events: `restante.reset` (a cursor that is not of this store; data `{reason, oldest, ' +
    'newest}`; everything from oldest follows), `restante.truncated` (data `{streams: [Lost]}`), `restante.closing` (data `{reason, retry_after_ms}`).';

const paths = {
    '/v1/sessions': {
        post: operation('openSession', {
            summary: 'Open a session, or find one by its name.',
            security: [{ apiKey: [] }, { bootstrapToken: [] }, {}], requestBody: body('OpenSession', false),
            responses: { 200: answer('It was there already.', ref('OpenedSession')), 201: answer('It is new.', ref('OpenedSession')) },
            problems: ['bad_request', 'token_revoked', 'forbidden', 'limit_reached', 'topic_unknown', 'too_large', 'unsupported_media_type'],
        }),
        get: operation('listSessions', {
            summary: 'A subject\'s sessions.', security: KEY,
            parameters: [query('subject', 'Whose.', { type: 'string', minLength: 1, maxLength: 255 }, true),
                query('limit', 'Sessions of a page.', number(1, 1000, 100)), query('after', 'The `next` of the page before.', { type: 'string' })],
            responses: { 200: answer('A page of them.', ref('Sessions')) },
            problems: ['bad_request', 'token_revoked', 'forbidden'],
        }),
    },
    '/v1/sessions/{session}': {
        parameters: [SESSION],
        get: operation('getSession', {
            summary: 'A session, its connections and how far it is.', security: OWN,
            responses: { 200: answer('The session.', ref('Session')) },
            problems: ['bad_request', 'token_revoked', 'forbidden', 'session_unknown'],
        }),
        patch: operation('patchSession', {
            summary: 'Merge attributes, set the ttl.', security: OWN, requestBody: body('PatchSession', true),
            responses: { 200: answer('The session.', ref('Session')) },
            problems: ['bad_request', 'token_revoked', 'forbidden', 'session_unknown', 'too_large', 'unsupported_media_type'],
        }),
        delete: operation('endSession', {
            summary: 'End it: its connections close, its mailbox goes.', security: OWN,
            responses: { 204: answer('It is gone.') },
            problems: ['bad_request', 'token_revoked', 'forbidden', 'session_unknown'],
        }),
    },
    '/v1/sessions/{session}/token': {
        parameters: [SESSION],
        post: operation('refreshToken', {
            summary: 'A fresh session token on a live session.', security: OWN,
            responses: { 200: answer('The token.', ref('Token')) },
            problems: ['bad_request', 'token_revoked', 'forbidden', 'session_unknown'],
        }),
    },
    '/v1/sessions/{session}/messages': {
        parameters: [SESSION],
        get: operation('pickUp', {
            summary: 'Pick up messages: at once, by long-poll, or as an event stream.',
            security: OWN,
            parameters: [
                query('cursor', 'What you have; absent: from the last ack.', ref('Cursor')),
                query('wait', 'How long to wait for a message, to 60s. An event stream does not need it.', ref('Duration')),
                query('limit', 'Messages of a page.', number(1, 1000, 100)),
                query('max_bytes', 'Bytes of message objects of a page, of which one always fits.', number(1, 67108864, 1048576)),
                query('ack', '1 or true: the cursor is an ack too.', number(0, 1, 0)),
                inHeader('Last-Event-ID', 'Of an event stream: the cursor; it beats the query\'s.', ref('Cursor')),
            ],
            responses: {
                200: {
                    description: `Messages. ${EVENTS}`, headers: requestId,
                    content: { ...both(ref('Messages')), 'text/event-stream': { schema: { type: 'string' } } },
                },
                204: answer('Nothing came in time; or, of an event stream, the session is unknown.'),
            },
            problems: ['bad_request', 'token_revoked', 'forbidden', 'session_unknown', 'superseded', 'cursor_reset'],
        }),
        post: publish('publishToSession', {
            summary: 'Publish into one mailbox.', parameters: [],
            responses: {
                200: answer('A duplicate: the first answer again.', ref('Published')), 201: answer('It is committed.', ref('Published')),
                202: answer('An ephemeral was passed on.', ref('PublishedEphemeral')),
            },
            problems: ['bad_request', 'token_revoked', 'forbidden', 'session_unknown', 'idempotency_conflict', 'too_large', 'mailbox_full'],
        }),
    },
    '/v1/sessions/{session}/messages/{seq}': {
        parameters: [SESSION, inPath('seq', 'A seq that a publish into this mailbox answered.')],
        get: operation('getReceipt', {
            summary: 'What became of a message.', security: KEY,
            responses: { 200: answer('The receipt.', ref('Receipt')) },
            problems: ['bad_request', 'token_revoked', 'forbidden', 'session_unknown', 'not_found'],
        }),
    },
    '/v1/sessions/{session}/ack': {
        parameters: [SESSION],
        post: operation('ack', {
            summary: 'Everything up to the cursor is processed.', security: OWN, requestBody: body('Ack', true),
            responses: { 204: answer('So be it.') },
            problems: ['bad_request', 'token_revoked', 'forbidden', 'session_unknown', 'cursor_reset', 'too_large', 'unsupported_media_type'],
        }),
    },
    '/v1/sessions/{session}/subscriptions/{topic}': {
        parameters: [SESSION, TOPIC],
        put: operation('subscribe', {
            summary: 'Subscribe the session, and track it; once more changes nothing but its presence.', security: OWN, requestBody: body('Subscribe', false),
            responses: { 200: answer('It is.', ref('Subscribed')) },
            problems: ['bad_request', 'token_revoked', 'forbidden', 'limit_reached', 'session_unknown', 'topic_unknown', 'too_large', 'unsupported_media_type', 'rate_limited'],
        }),
        delete: operation('unsubscribe', {
            summary: 'No more of it.', security: OWN,
            responses: { 204: answer('It is not subscribed.') },
            problems: ['bad_request', 'token_revoked', 'forbidden', 'session_unknown'],
        }),
    },
    '/v1/topics': {
        get: operation('listTopics', {
            summary: 'Topics that the key may read, by name.', security: KEY,
            parameters: [
                query('prefix', 'Names that begin so.', { type: 'string', maxLength: 255 }),
                query('limit', 'Topics of a page.', number(1, 1000, 100)),
                query('after', 'The `next` of the page before.', { type: 'string', maxLength: 255 }),
            ],
            responses: { 200: answer('They.', ref('Topics')) },
            problems: ['bad_request', 'token_revoked', 'forbidden'],
        }),
    },
    '/v1/topics/{topic}': {
        parameters: [TOPIC],
        get: operation('getTopic', {
            summary: 'A topic, as in the list.', security: KEY,
            responses: { 200: answer('The topic.', ref('Topic')) },
            problems: ['bad_request', 'token_revoked', 'forbidden', 'topic_unknown'],
        }),
    },
    '/v1/topics/{topic}/messages': {
        parameters: [TOPIC],
        get: operation('getHistory', {
            summary: 'What a topic holds, forward or backward.', security: KEY,
            parameters: [
                query('cursor', 'Forward: what you have; absent: from the oldest. Backward: what lies before it; absent: from the newest.', ref('Cursor')),
                query('limit', 'Messages of a page.', number(1, 1000, 100)),
                query('max_bytes', 'Bytes of message objects of a page, of which one always fits.', number(1, 67108864, 1048576)),
                query('reverse', '1 or true: backward, newest first.', number(0, 1, 0)),
            ],
            responses: { 200: answer('Messages; none where none was published yet.', ref('Messages'), cursorHeader) },
            problems: ['bad_request', 'token_revoked', 'forbidden', 'topic_unknown', 'cursor_reset'],
        }),
        post: publish('publishToTopic', {
            summary: 'Publish to a topic; the first message makes it.', parameters: [],
            security: OWN, requestBody: publishBody('TopicEnvelope'),
            responses: {
                200: answer('A duplicate: the first answer again.', ref('Published')), 201: answer('It is committed.', ref('Published')),
                202: answer('An ephemeral was passed on.', ref('PublishedEphemeral')),
            },
            problems: ['bad_request', 'token_revoked', 'forbidden', 'limit_reached', 'topic_unknown', 'idempotency_conflict', 'too_large', 'rate_limited'],
        }),
        delete: operation('emptyTopic', {
            summary: 'All its messages go.', security: KEY,
            responses: { 204: answer('It is empty.') },
            problems: ['bad_request', 'token_revoked', 'forbidden', 'topic_unknown'],
        }),
    },
    '/v1/topics/{topic}/presence': {
        parameters: [TOPIC],
        get: operation('getPresence', {
            summary: 'Who is in a topic. A session\'s token: of topics that it is subscribed to.', security: OWN,
            parameters: [query('limit', 'Keys of a page; it is less where they show much.', number(1, 1000, 100)),
                query('after', 'The `next` of the page before.', { type: 'string' })],
            responses: { 200: answer('They.', ref('Presence')) },
            problems: ['bad_request', 'token_revoked', 'forbidden', 'topic_unknown'],
        }),
    },
    '/v1/socket': {
        get: operation('openSocket', {
            summary: 'A WebSocket (RFC 6455) on a session, over HTTP/1.1. Subprotocols: restante.v1.json, restante.v1.msgpack; restante.bearer.<base64url of the ' +
                'credential> where a header cannot be set.',
            security: OWN,
            parameters: [query('session', 'A session\'s id.', { type: 'string' }, true), query('cursor', 'What you have; absent: from the last ack.', ref('Cursor'))],
            responses: { 101: { description: 'It is one.' } },
            problems: ['bad_request', 'token_revoked', 'forbidden', 'session_unknown', 'upgrade_required'],
        }),
    },
    '/v1/subjects/{subject}/messages': {
        parameters: [inPath('subject', 'Whose sessions.')],
        post: publish('publishToSubject', {
            summary: 'Publish into each live session of a subject, in one commit.', parameters: [],
            responses: {
                200: answer('All were duplicates.', ref('Results')), 201: answer('Something was stored.', ref('Results')),
                202: answer('An ephemeral was passed on.', ref('Results')),
                409: answer('All were refused, the last for its key\'s other content.', ref('Results')),
                507: answer('All were refused, the last because its mailbox is full.', ref('Results')),
            },
            problems: ['bad_request', 'token_revoked', 'forbidden', 'subject_unknown', 'too_large'],
        }),
    },
    '/v1/publish': {
        post: operation('publishBatch', {
            summary: 'Up to 1000 messages, one commit, a result for each.', security: KEY, requestBody: body('Batch', true),
            responses: { 200: answer('The results, in order.', ref('Results')) },
            problems: ['bad_request', 'token_revoked', 'forbidden', 'too_large', 'unsupported_media_type'],
        }),
    },
    '/v1/status': {
        get: operation('getStatus', {
            summary: 'Who lives, and how they are.', security: KEY,
            responses: { 200: answer('The state of the server.', ref('Status')) }, problems: ['token_revoked', 'forbidden'],
        }),
    },
    '/v1/rotate': {
        post: operation('rotateKeys', {
            summary: 'A new key for session tokens; the last one stays.', security: KEY,
            responses: { 204: answer('It is in force.') }, problems: ['token_revoked', 'forbidden'],
        }),
    },
    '/healthz': { get: operation('isAlive', { summary: 'Does it answer?', responses: { 200: answer('It does.', ref('Health')) }, problems: [] }) },
    '/readyz': { get: operation('isReady', { summary: 'Will it take requests?', responses: { 200: answer('It will.', ref('Ready')) }, problems: [] }) },
    '/metrics': {
        get: operation('getMetrics', {
            summary: 'Counters and gauges, in Prometheus\' text format.',
            responses: { 200: { description: 'They.', headers: requestId, content: { 'text/plain': { schema: { type: 'string' } } } } }, problems: [],
        }),
    },
    '/openapi.json': {
        get: operation('getDescription', { summary: 'This document.', responses: { 200: answer('It.', { type: 'object' }) }, problems: [] }),
    },
    '/restante.js': { get: file('getClient', 'The JavaScript client, an ES module without dependencies.', 'text/javascript') },
    '/restante.d.ts': { get: file('getClientTypes', 'Its TypeScript declarations.', 'application/typescript') },
    '/example': { get: file('getExample', 'A page that shows the client, where server.example is set.', 'text/html', ['not_found']) },
    '/example.js': { get: file('getExampleScript', 'Its script.', 'text/javascript', ['not_found']) },
};

const document = {
    openapi: '3.1.0',
    info: {
        title: 'restante',
        version,
        license: { name: 'MIT', identifier: 'MIT' },
        description: 'Sessions with mailboxes and topics that outlive connections. Every GET may be a HEAD; OPTIONS tells a path\'s methods. Bodies are JSON or ' +
            'MessagePack by Content-Type, answers by Accept. Unknown members and query parameters of a request are ignored.',
    },
    servers: [{ url: '/' }],
    paths,
    components: {
        schemas,
        headers,
        parameters,
        securitySchemes: {
            apiKey: { type: 'http', scheme: 'bearer', description: 'Of a backend; its scopes say what it may do.' },
            bootstrapToken: { type: 'http', scheme: 'bearer', bearerFormat: 'JWT', description: 'Short-lived, signed by a backend; opens a session of its subject.' },
            sessionToken: { type: 'http', scheme: 'bearer', description: 'For its own session, while that lives; and to publish to topics, where clients may, and see who is in its own.' },
        },
        responses: {
            ...responses,
            Refused: {
                description: 'A request that cannot be read or served: 408, 413, 414, 417, 431, 501, 505; 429 and 503 with Retry-After, a 503 to a ' +
                    'command with its outcome; 500 our bug; 507 `store_full`.',
                headers: requestId,
                content: { 'application/problem+json': { schema: ref('Problem') }, [MSGPACK]: { schema: ref('Problem') } },
            },
        },
    },
};

const made = `${JSON.stringify(document, null, 1)}\n`;
if (process.argv[2] === '--check') {
    const there = fs.existsSync(FILE) ? fs.readFileSync(FILE, 'utf8') : '';
    if (there !== made) {
        console.error('etc/openapi.json is not what scripts/openapi.mjs writes: run it');
        process.exit(1);
    }
} else {
    fs.writeFileSync(FILE, made);
}
