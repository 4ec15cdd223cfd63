// MessagePack by a codec that nobody here wrote. 64-bit integers are BigInt, so that they stay exact.

import { Decoder, Encoder } from '@msgpack/msgpack';

export const MSGPACK = 'application/msgpack';

const options = { useBigInt64: true };

export const pack = (value) => Buffer.from(new Encoder(options).encode(value));
export const unpack = (bytes) => new Decoder(options).decode(bytes);

/** As Client.request, speaking MessagePack both ways: answers have .value. raw: bytes as they are. */
export async function speak(client, method, path, { value, raw, headers = {}, ...more } = {}) {
    const body = raw ?? (value === undefined ? undefined : pack(value));
    const all = { Accept: MSGPACK, ...(body ? { 'Content-Type': MSGPACK } : {}), ...headers };
    const answer = await client.request(method, path, { ...more, body, headers: all });
    const type = answer.headers['content-type'];
    return { ...answer, type, value: type === MSGPACK && answer.bytes.length ? unpack(answer.bytes) : undefined };
}
