// npm's ws against a running gannet serve in echo mode. GANNET_URL names it.
import assert from 'node:assert/strict';
import {randomBytes} from 'node:crypto';
import {once} from 'node:events';
import {test} from 'node:test';
import WebSocket from 'ws';

const url = process.env.GANNET_URL;
assert.ok(url, 'GANNET_URL is not set');
const LIMIT = {timeout: 30_000};

async function connect(options) {
  const ws = new WebSocket(url, options);
  await once(ws, 'open');
  return ws;
}

// The echoes of what was sent, in order: [data, isBinary] each.
function receive(ws, count) {
  return new Promise((resolve, reject) => {
    const got = [];
    ws.on('message', (data, isBinary) => {
      got.push([data, isBinary]);
      if (got.length === count) resolve(got);
    });
    ws.on('close', (code) => reject(new Error(`closed with ${code} after ${got.length} of ${count} messages`)));
    ws.on('error', reject);
  });
}

async function closed(ws) {
  const [code, reason] = await once(ws, 'close');
  return [code, reason.toString()];
}

async function finish(ws) {
  ws.removeAllListeners('close');
  const end = closed(ws);
  ws.close(1000, 'done');
  assert.equal((await end)[0], 1000);
}

async function echo(ws, data, binary) {
  const got = receive(ws, 1);
  ws.send(data, {binary});
  const [[back, isBinary]] = await got;
  assert.equal(isBinary, binary);
  assert.ok(Buffer.from(data).equals(back), `${data.length} in, ${back.length} other bytes out`);
  ws.removeAllListeners();
}

for (const perMessageDeflate of [false, true]) {
  test(`echoes text and binary of every length class, deflate offered: ${perMessageDeflate}`, LIMIT, async () => {
    const ws = await connect({perMessageDeflate});
    for (const size of [0, 1, 125, 126, 127, 65535, 65536, 1 << 20]) {
      await echo(ws, randomBytes(size), true);
      await echo(ws, 'g'.repeat(size), false);
    }
    await echo(ws, 'héllo, wörld, 日本語, 🐦, \u0000 and \ufeff', false);
    await finish(ws);
  });
}

test('answers pings with their own payload, and ignores pongs', LIMIT, async () => {
  const ws = await connect();
  for (const payload of [Buffer.alloc(0), Buffer.from('ping'), randomBytes(125)]) {
    ws.pong('nobody asked');
    const pong = once(ws, 'pong');
    ws.ping(payload);
    assert.ok((await pong)[0].equals(payload));
  }
  await finish(ws);
});

test('puts fragments together, with a ping between them', LIMIT, async () => {
  const ws = await connect({perMessageDeflate: false});
  const parts = ['a gannet ', '', 'dives ', 'from thirty metres: 🐦'];
  const got = receive(ws, 1);
  const pong = once(ws, 'pong');
  parts.forEach((part, i) => {
    ws.send(part, {fin: i === parts.length - 1});
    if (i === 1) ws.ping('in between');
  });
  assert.equal((await got)[0][0].toString(), parts.join(''));
  assert.equal((await pong)[0].toString(), 'in between');
  await finish(ws);
});

test('cuts no rune at a fragment boundary', LIMIT, async () => {
  const ws = await connect({perMessageDeflate: false});
  const text = Buffer.from('¥€🐦');
  const got = receive(ws, 1);
  for (let i = 0; i < text.length; i++) ws.send(text.subarray(i, i + 1), {binary: false, fin: i === text.length - 1});
  const [[back, isBinary]] = await got;
  assert.equal(isBinary, false);
  assert.ok(back.equals(text));
  await finish(ws);
});

test('keeps the order of 5,000 messages sent without waiting', LIMIT, async () => {
  const ws = await connect();
  const got = receive(ws, 5000);
  for (let i = 0; i < 5000; i++) ws.send(`message ${i}`);
  (await got).forEach(([data], i) => assert.equal(data.toString(), `message ${i}`));
  await finish(ws);
});

test('answers a Close with its own code', LIMIT, async (t) => {
  for (const [code, reason] of [[1000, ''], [1001, 'going'], [1011, ''], [3000, 'bye'], [4999, 'é'.repeat(61)]]) {
    await t.test(`${code} '${reason}'`, async () => {
      const ws = await connect();
      const end = closed(ws);
      ws.close(code, reason);
      assert.equal(ws.readyState, WebSocket.CLOSING);
      assert.equal((await end)[0], code);
      assert.equal(ws.readyState, WebSocket.CLOSED);
    });
  }
});

test('answers a Close without a body with one without a body', LIMIT, async () => {
  const ws = await connect();
  const end = closed(ws);
  ws.close();
  assert.deepEqual(await end, [1005, '']);
});

test('echoes everything sent before the Close', LIMIT, async () => {
  const ws = await connect();
  let bytes = 0;
  ws.on('message', (data) => { bytes += data.length; });
  const end = closed(ws);
  for (let i = 0; i < 100; i++) ws.send(randomBytes(10_000));
  ws.close(1000);
  assert.equal((await end)[0], 1000);
  assert.equal(bytes, 1_000_000);
});

test('refuses other versions with 426 and names its own', LIMIT, async () => {
  const ws = new WebSocket(url, {protocolVersion: 8});
  const [, res] = await once(ws, 'unexpected-response');
  res.resume();
  assert.equal(res.statusCode, 426);
  assert.equal(res.headers['sec-websocket-version'], '13');
  ws.on('error', () => {}); // ws reports the abandoned attempt
  ws.terminate();
});

test('fails with 1002 a client that breaks the framing', LIMIT, async (t) => {
  const frames = {
    'a reserved opcode': [0x83, 0x80, 1, 2, 3, 4],
    'an unmasked frame': [0x81, 0x01, 0x41],
    'RSV3': [0x91, 0x80, 1, 2, 3, 4],
    'a continuation of nothing': [0x80, 0x80, 1, 2, 3, 4],
    'a fragmented ping': [0x09, 0x80, 1, 2, 3, 4],
  };
  for (const [name, bytes] of Object.entries(frames)) {
    await t.test(name, async () => {
      const ws = await connect({perMessageDeflate: false});
      const end = closed(ws);
      ws._socket.write(Buffer.from(bytes)); // past ws, which would not send this
      assert.equal((await end)[0], 1002);
    });
  }
});

test('serves 200 connections at once, and outlives those that vanish', LIMIT, async () => {
  const all = await Promise.all(Array.from({length: 200}, () => connect()));
  for (const ws of all.slice(150)) ws.terminate();
  await Promise.all(all.slice(0, 150).map(async (ws, n) => {
    const got = receive(ws, 20);
    for (let i = 0; i < 20; i++) ws.send(`${n}/${i} ${'x'.repeat(n * i)}`);
    (await got).forEach(([data], i) => assert.equal(data.toString(), `${n}/${i} ${'x'.repeat(n * i)}`));
    await finish(ws);
  }));
});
