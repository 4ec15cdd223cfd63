// Bootstrap tokens as any backend would mint them: JWT, HS256, node's own crypto.

import { createHmac } from 'node:crypto';

const b64 = (bytes) => Buffer.from(bytes).toString('base64url');
const part = (value) => b64(typeof value === 'string' ? value : JSON.stringify(value));

export const now = () => Math.floor(Date.now() / 1000);

/** Signs header and claims as given, however wrong they are. Strings go in as raw JSON text. */
export function sign(header, claims, secret, hash = 'sha256') {
    const head = `${part(header)}.${part(claims)}`;
    return `${head}.${createHmac(hash, secret).update(head).digest('base64url')}`;
}

/** A good token; claims are merged over the good ones (undefined removes one). */
export function mint(key, claims = {}, header = {}) {
    return sign(
        { alg: 'HS256', typ: 'JWT', kid: key.kid, ...header },
        { sub: 'alice', iat: now(), exp: now() + 60, ...claims },
        key.secret,
    );
}
