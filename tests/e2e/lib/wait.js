// Waiting for conditions, never for time to pass.

const PAUSE_MS = 10;

export const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

/** Repeats probe (which may be async) until it returns something truthy; that is the result. */
export async function until(what, probe, seconds = 10) {
    const end = Date.now() + seconds * 1000;
    for (;;) {
        const value = await probe();
        if (value) return value;
        if (Date.now() > end) throw new Error(`waited ${seconds} s in vain: ${what}`);
        await pause(PAUSE_MS);
    }
}

/** The promise's outcome, or an error after so many seconds; what: a text, or a function that makes it then. */
export function within(seconds, what, promise) {
    let timer;
    const late = new Promise((_, reject) => {
        timer = setTimeout(() => reject(new Error(`${typeof what === 'function' ? what() : what}: not done in ${seconds} s`)), seconds * 1000);
    });
    return Promise.race([promise, late]).finally(() => clearTimeout(timer));
}

/** Connection failures that a killed process causes; anything else is a finding. */
const BROKEN = new Set([
    'ECONNRESET', 'ECONNREFUSED', 'EPIPE', 'ETIMEDOUT', 'ERR_STREAM_PREMATURE_CLOSE',
    'ERR_HTTP2_STREAM_CANCEL', 'ERR_HTTP2_INVALID_SESSION', 'ERR_HTTP2_GOAWAY_SESSION',
]);
const REFUSED = /NGHTTP2_REFUSED_STREAM/; // a stream that a leaving server had not begun
export const isBroken = (error) =>
    BROKEN.has(error.code) || error.message === 'socket hang up' || REFUSED.test(error.message);

/** Repeats a request until its connection held and its answer was not 503. */
export function persist(what, request, seconds = 30) {
    return until(what, async () => {
        try {
            const answer = await request();
            return answer.status === 503 ? null : answer;
        } catch (error) {
            if (isBroken(error)) return null;
            throw error;
        }
    }, seconds);
}
