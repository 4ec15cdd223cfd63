// npm's WebSocket client, which nobody here wrote.

export { WebSocket } from 'ws';
