// A TCP proxy that lets HTTP through and treats WebSockets as badly as it is told to.

import net from 'node:net';

const HEAD_END = '\r\n\r\n';

export class BadRoad {
    #server = net.createServer((near) => this.#accept(near));
    #pairs = new Set();

    /** how new WebSockets fare: 'pass'; 'refuse'; 'mute' (nothing is heard behind the handshake); a
     * number: cut after so many milliseconds. */
    constructor(port) {
        this.port = port;
        this.how = 'pass';
        this.closed = false; // to everything
        this.seen = 0; // WebSockets
    }

    async listen() {
        await new Promise((resolve) => this.#server.listen(0, '127.0.0.1', resolve));
        this.url = `http://127.0.0.1:${this.#server.address().port}`;
        return this;
    }

    #accept(near) {
        if (this.closed) return void near.destroy();
        const far = net.connect(this.port, '127.0.0.1');
        const pair = { near, far, socket: false, mute: false, swallowed: 0 };
        this.#pairs.add(pair);
        const end = () => {
            this.#pairs.delete(pair);
            near.destroy();
            far.destroy();
        };
        for (const side of [near, far]) side.on('error', end).on('close', end);
        near.on('data', (bytes) => {
            if (!pair.socket && /^upgrade: *websocket/im.test(bytes.toString('latin1'))) this.#upgrade(pair, end);
            if (pair.mute) pair.swallowed++;
            else far.write(bytes);
        });
        far.on('data', (bytes) => this.#back(pair, bytes));
    }

    #upgrade(pair, end) {
        this.seen++;
        pair.socket = true;
        pair.how = this.how;
        if (this.how === 'refuse') end();
        else if (typeof this.how === 'number') setTimeout(end, this.how);
    }

    #back(pair, bytes) {
        if (pair.mute) return void pair.swallowed++;
        if (pair.how === 'mute') {
            const end = bytes.indexOf(HEAD_END) + HEAD_END.length;
            pair.near.write(bytes.subarray(0, end));
            pair.mute = true;
        } else {
            pair.near.write(bytes);
        }
    }

    get sockets() {
        return [...this.#pairs].filter(({ socket }) => socket);
    }

    /** From now on every open WebSocket is a hole. */
    swallow() {
        for (const pair of this.sockets) pair.mute = true;
    }

    /** Everything that is open breaks. */
    cut() {
        for (const { near } of this.#pairs) near.destroy();
    }

    async close() {
        this.closed = true;
        this.cut();
        await new Promise((resolve) => this.#server.close(resolve));
    }
}
