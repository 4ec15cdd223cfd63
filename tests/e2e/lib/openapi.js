// An OpenAPI 3.1 description as a judge: which operation a request is, whether its answer is one of
// those described (by ajv), and what of the description has been seen in real answers so far.

import Ajv from 'ajv/dist/2020.js';

const SPEC = 'https://restante.invalid/openapi.json';
const METHODS = ['get', 'post', 'put', 'patch', 'delete'];

export class Description {
    constructor(document) {
        this.document = document;
        this.seen = new Set(); // "operationId status", "operationId status code"
        this.members = new Set(); // "Schema.member" of answers
        this.checks = new Map();
        this.ajv = new Ajv({ strict: false, allErrors: true, validateFormats: false });
        this.ajv.addSchema({ $id: SPEC, ...document });
        this.operations = Object.entries(document.paths).flatMap(([path, item]) => METHODS.filter((method) => item[method]).map((method) => ({
            ...item[method], path, method, pathParameters: item.parameters ?? [],
            at: `#/paths/${pointer(path)}/${method}`,
            pattern: new RegExp(`^${path.replace(/[.]/g, '\\.').replace(/\{\w+\}/g, '[^/]+')}$`),
        })));
    }

    deref(node) {
        if (!node?.$ref) return node;
        return node.$ref.slice(2).split('/').reduce((at, key) => at[key.replace(/~1/g, '/').replace(/~0/g, '~')], this.document);
    }

    operation(method, path) {
        const bare = path.split('?')[0];
        return this.operations.find((one) => one.method === method.toLowerCase() && one.pattern.test(bare));
    }

    named(operationId) {
        return this.operations.find((one) => one.operationId === operationId);
    }

    /** Parameters of an operation, those of its path too. */
    parameters(operation) {
        return [...operation.pathParameters, ...operation.parameters].map((one) => this.deref(one));
    }

    /** Throws when this answer is not described; notes it otherwise. */
    judge(operation, answer) {
        const what = `${operation.operationId}: ${answer.status} ${answer.text.slice(0, 300)}`;
        const response = this.deref(operation.responses[answer.status]);
        if (!response) throw new Error(`a status that is not described: ${what}`);
        this.seen.add(`${operation.operationId} ${answer.status}`);
        for (const [name, { required }] of Object.entries(response.headers ?? {}).map(([key, node]) => [key, this.deref(node)])) {
            if (required && answer.headers[name.toLowerCase()] === undefined) throw new Error(`no ${name}: ${what}`);
        }
        const type = (answer.headers['content-type'] ?? '').split(';')[0];
        if (!response.content) {
            if (answer.text) throw new Error(`a body that is not described: ${what}`);
            return;
        }
        const media = response.content[type];
        if (!media) throw new Error(`a type that is not described, ${type}: ${what}`);
        if (answer.json === undefined) return;
        const place = this.#place(operation, answer.status, type);
        if (!this.checks.has(place)) this.checks.set(place, this.ajv.compile({ $ref: `${SPEC}${place}` }));
        const check = this.checks.get(place);
        if (!check(answer.json)) throw new Error(`${what}\n${JSON.stringify(check.errors, null, 1)}`);
        this.#note(media.schema, answer.json, `${operation.operationId}${answer.status}`);
        if (answer.json.code) this.seen.add(`${operation.operationId} ${answer.status} ${answer.json.code}`);
    }

    #place(operation, status, type) {
        const response = operation.responses[status];
        const at = response.$ref ?? `${operation.at}/responses/${status}`;
        return `${at}/content/${pointer(type)}/schema`;
    }

    /** Notes which members of which schema a value has. */
    #note(schema, value, name) {
        if (schema.$ref) name = schema.$ref.split('/').at(-1);
        const at = this.deref(schema);
        for (const part of at.allOf ?? []) this.#note(part, value, name);
        if (Array.isArray(value)) {
            for (const item of value) if (at.items) this.#note(at.items, item, `${name}[]`);
        } else if (value && typeof value === 'object') {
            for (const [key, inner] of Object.entries(at.properties ?? {})) {
                if (!(key in value)) continue;
                this.members.add(`${name}.${key}`);
                this.#note(inner, value[key], `${name}.${key}`);
            }
        }
    }

    /** Every member that some answer is described to have. */
    allMembers() {
        const all = new Set();
        const walk = (schema, name) => {
            if (schema.$ref) name = schema.$ref.split('/').at(-1);
            const at = this.deref(schema);
            if (at.items) walk(at.items, at.items.$ref ? '' : `${name}[]`);
            for (const part of at.allOf ?? []) walk(part, name);
            for (const [key, inner] of Object.entries(at.properties ?? {})) {
                const known = all.has(`${name}.${key}`);
                all.add(`${name}.${key}`);
                if (!known) walk(inner, `${name}.${key}`);
            }
        };
        for (const operation of this.operations) {
            for (const [status, node] of Object.entries(operation.responses)) {
                for (const { schema } of Object.values(this.deref(node).content ?? {})) walk(schema, `${operation.operationId}${status}`);
            }
        }
        return all;
    }

    /** Every answer that is described: "operationId status", and with its code for refusals. */
    allAnswers() {
        return this.operations.flatMap((operation) => Object.entries(operation.responses).filter(([status]) => status !== 'default')
            .flatMap(([status, node]) => {
                const problem = this.deref(node).content?.['application/problem+json'];
                const codes = problem?.schema.allOf[1].properties.code.enum;
                return codes ? codes.map((code) => `${operation.operationId} ${status} ${code}`) : [`${operation.operationId} ${status}`];
            }));
    }

    /** Names of the members of an operation's request body, or of one of its nested lists. */
    requestMembers(operation, nested) {
        const schema = this.deref(operation.requestBody?.content['application/json'].schema);
        const at = nested ? this.deref(schema.properties[nested].items) : schema;
        return Object.keys(at?.properties ?? {});
    }
}

const pointer = (text) => encodeURIComponent(text.replace(/~/g, '~0').replace(/\//g, '~1'));
