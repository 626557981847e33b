// A WebSocket server with npm's ws, set up as its README advises for speed: bufferutil is installed, which masks and
// unmasks in C; permessage-deflate is off, its default on servers; no client is tracked where no broadcast needs it; UTF-8 is not
// checked. One process, one thread: what Node.js makes of one core.
//
//   node server.mjs --addr 127.0.0.1:9001 [--mode echo|discard|broadcast] [--cert FILE --key FILE]
//
// It prints "listening ADDRESS" when it listens, so port 0 can be asked for. There is no mode elsewhere: JavaScript has one
// thread, and a reply that is put off still leaves from it.
import {readFileSync} from 'node:fs';
import {createServer} from 'node:http';
import {createServer as createSecureServer} from 'node:https';
import {parseArgs} from 'node:util';
import {WebSocketServer} from 'ws';

const {values: given} = parseArgs({options: {
  addr: {type: 'string', default: '127.0.0.1:9001'},
  mode: {type: 'string', default: 'echo'},
  cert: {type: 'string'},
  key: {type: 'string'},
}});

const does = {
  echo: (socket) => (data, isBinary) => socket.send(data, {binary: isBinary}),
  discard: () => () => {},
  broadcast: () => (data, isBinary) => {
    for (const client of sockets.clients) client.send(data, {binary: isBinary});
  },
}[given.mode];
if (!does) {
  console.error(`--mode ${given.mode}: want echo, discard or broadcast`);
  process.exit(2);
}

const server = given.cert
  ? createSecureServer({cert: readFileSync(given.cert), key: readFileSync(given.key)})
  : createServer();
const sockets = new WebSocketServer({
  server,
  clientTracking: given.mode === 'broadcast',
  maxPayload: 0, // no limit, as with the other peers
  skipUTF8Validation: true,
});
sockets.on('connection', (socket) => {
  socket.on('error', () => {}); // ws closes it
  socket.on('message', does(socket));
});
const [host, port] = given.addr.split(':');
server.listen({host, port: Number(port), backlog: 4096}, () => {
  const at = server.address();
  console.log(`listening ${at.address}:${at.port}`);
});
