// Writes configurations: {session: {ttl: '1h'}} becomes session { ttl = "1h" }.

const quote = (text) => `"${String(text).replace(/\\/g, '\\\\').replace(/"/g, '\\"')}"`;

function value(v) {
    if (Array.isArray(v)) return `{ ${v.map(quote).join(', ')} }`;
    return typeof v === 'string' ? quote(v) : String(v);
}

const settings = (section) =>
    Object.entries(section).map(([name, v]) => `${name} = ${value(v)}`).join('\n    ');

/** top: scalars and sections; titled: [kind, title, settings] rows; extra: text as it is. */
export function render(top, titled, extra = '') {
    const lines = [];
    for (const [name, v] of Object.entries(top)) {
        if (typeof v === 'object' && !Array.isArray(v)) lines.push(`${name} {\n    ${settings(v)}\n}`);
        else lines.push(`${name} = ${value(v)}`);
    }
    for (const [kind, name, section] of titled) {
        lines.push(`${kind} ${quote(name)} {\n    ${settings(section)}\n}`);
    }
    return `${lines.join('\n')}\n${extra}`;
}
