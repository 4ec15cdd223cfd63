// House rules that a compiler does not check. Prints "file:line: what" for each finding, and ends
// with the number of files read. Usage: node scripts/lint-source.mjs FILE...

import fs from 'node:fs';
import path from 'node:path';

const MAX_LINES = 500;

/** Which rooms a room may include from. server/main.c is where all roles meet. */
const ROOMS = [
    [/^common\//, ['common']],
    [/^shm\/writer\//, ['common', 'shm', 'shm/writer']],
    [/^shm\//, ['common', 'shm']],
    [/^worker\//, ['common', 'shm', 'worker']],
    [/^server\/cli\//, ['common', 'shm', 'server', 'server/cli']],
    [/^server\/main\.c$/, ['common', 'shm', 'shm/writer', 'server', 'worker']],
    [/^server\//, ['common', 'shm', 'server']],
];

/** Who may include a library's headers; tests may ask any library for a second opinion. */
const LIBRARIES = [
    [/^lmdb\.h$/, /^shm\/store\w*\.[ch]$/],
    [/^http_parser\.h$/, /^worker\/h1\w*\.[ch]$/],
    [/^nghttp2\//, /^worker\/h2\w*\.[ch]$/],
    [/^libwebsockets\.h$/, /^(worker\/ws\w*\.[ch]|server\/cli\/tail_socket\.c)$/],
    [/^(cjson\/)?cJSON\.h$/, /^(common\/(json|token|claims|attributes)\w*\.c|worker\/rest\w*\.c|server\/cli\/\w+\.c)$/],
    [/^msgpack(\.h$|\/)/, /^common\/msgpack_write\.c$/],
    [/^openssl\//, /^(common\/(digest|token|ids|certificate)\w*\.c|worker\/(tls|wire)\w*\.c|server\/cli\/tail_socket\.c)$/],
    [/^curl\//, /^server\/(cli\/\w+|courier\w*)\.[ch]$/],
    [/^event2\//, /^(worker|server)\//],
];

const findings = [];
const report = (file, line, what) => findings.push(`${file}:${line}: ${what}`);

/** Comments and the insides of literals become blanks; lines stay. */
function bare(text) {
    const literal = /\/\*[\s\S]*?\*\/|\/\/[^\n]*|"(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])*'/g;
    return text.replace(literal, (found) => found.replace(/[^\n]/g, ' '));
}

const lineOf = (text, at) => text.slice(0, at).split('\n').length;

function includes(file, text) {
    const allowed = ROOMS.find(([pattern]) => pattern.test(file))?.[1];
    for (const found of text.matchAll(/^#include ([<"])([^>"]+)[>"]/gm)) {
        const [, kind, name] = found;
        const line = lineOf(text, found.index);
        for (const [header, may] of LIBRARIES) {
            if (allowed && header.test(name) && !may.test(file)) report(file, line, `${name} is not for this file`);
        }
        if (kind === '"' && allowed && !allowed.includes(path.dirname(name))) {
            report(file, line, `${name} is not downward from here`);
        }
    }
}

function conditions(file, text) {
    const code = bare(text);
    for (const found of code.matchAll(/\b(?:if|while)\s*\(/g)) {
        let depth = 1;
        let at = found.index + found[0].length;
        const begin = at;
        while (depth > 0 && at < code.length) {
            if (code[at] === '(') depth++;
            if (code[at] === ')') depth--;
            at++;
        }
        if (/[^=!<>]=(?!=)|<<=|>>=/.test(code.slice(begin, at - 1))) {
            report(file, lineOf(code, found.index), 'an assignment in a condition');
        }
    }
}

function shape(file, text) {
    const lines = text.split('\n').length - 1;
    if (lines > MAX_LINES) report(file, MAX_LINES, `${lines} lines; at most ${MAX_LINES}`);
    if (!text.startsWith('/*')) report(file, 1, 'does not open with a paragraph that says what and why');
    for (const found of text.matchAll(/\b(TODO|FIXME|XXX|HACK)\b/g)) report(file, lineOf(text, found.index), found[0]);
    const labels = bare(text).matchAll(/\bgoto\s+(\w+)/g);
    for (const found of labels) {
        if (found[1] !== 'out') report(file, lineOf(text, found.index), `goto ${found[1]}: the only label is out`);
    }
}

const files = process.argv.slice(2);
for (const file of files) {
    const text = fs.readFileSync(file, 'utf8');
    includes(file, text);
    conditions(file, text);
    shape(file, text);
}
for (const finding of findings) console.log(finding);
process.exitCode = findings.length > 0 ? 1 : 0;
