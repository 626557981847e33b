// npm's ws speaking permessage-deflate (RFC 7692) with a running gannet serve in echo mode: what is agreed on, and
// zlib's streams in both directions. GANNET_URL names the server, GANNET_DEFLATE and GANNET_WINDOW its --deflate
// and --deflate-window.
import assert from 'node:assert/strict';
import {once} from 'node:events';
import {after, test} from 'node:test';
import {constants} from 'node:zlib';
import WebSocket from 'ws';
import {bytesOf, generator, kinds, messages, WAVE} from './corpus.mjs';

const url = process.env.GANNET_URL;
assert.ok(url, 'GANNET_URL is not set');
const mode = process.env.GANNET_DEFLATE || 'off';
const windowBits = Number(process.env.GANNET_WINDOW || 15);
const compressing = mode !== 'off';
const takesOver = mode === 'shared' || mode === 'own';
const LIMIT = {timeout: 60_000};
const BITS = [8, 9, 10, 11, 12, 13, 14, 15];

async function stats() {
  const answer = await fetch(url.replace(/^ws/, 'http').replace(/ws$/, 'stats'));
  return (await answer.json()).deflate;
}

// What the server's counters of compressed messages grew by during act. It counts a turn when that ends, and an echo may leave before: the
// sum is waited for.
async function counted(act, done) {
  const before = await stats();
  await act();
  for (const end = Date.now() + 5000; ;) {
    const now = await stats();
    const grown = Object.fromEntries(Object.keys(now).map((name) => [name, now[name] - before[name]]));
    if (done(grown) || Date.now() > end) return grown;
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

// The parameters of the one extension in a response's header; null where there is none.
function parse(header) {
  if (header === undefined) return null;
  const [name, ...parameters] = header.split(';').map((part) => part.trim());
  assert.equal(name, 'permessage-deflate');
  return Object.fromEntries(parameters.map((parameter) => {
    const [key, value] = parameter.split('=');
    return [key, value === undefined ? true : Number(value)];
  }));
}

// What RFC 7692 7.1 and this server's policy make of an offer of ws's options.
function answerTo(offer) {
  if (!compressing) return null;
  const answer = {};
  if (offer.serverNoContextTakeover || mode === 'alone') answer.server_no_context_takeover = true;
  const named = typeof offer.clientMaxWindowBits === 'number';
  if (offer.clientNoContextTakeover || (offer.clientMaxWindowBits === false && windowBits < 15)) answer.client_no_context_takeover = true;
  if (offer.serverMaxWindowBits || windowBits < 15) answer.server_max_window_bits = Math.min(offer.serverMaxWindowBits ?? 15, windowBits);
  if (named) answer.client_max_window_bits = Math.min(offer.clientMaxWindowBits, windowBits);
  else if (offer.clientMaxWindowBits !== false && windowBits < 15) answer.client_max_window_bits = windowBits;
  return answer;
}

// What a failed test leaves open would keep the process from ending.
const sockets = new Set();
after(() => { for (const ws of sockets) ws.terminate(); });

// connect offers what ws makes of these options, and holds the answer against the RFC.
async function connect(options = {}) {
  const ws = new WebSocket(url, {perMessageDeflate: {threshold: 0, ...options}});
  sockets.add(ws);
  const upgraded = once(ws, 'upgrade');
  await once(ws, 'open');
  const [response] = await upgraded;
  assert.deepEqual(parse(response.headers['sec-websocket-extensions']), answerTo(options));
  assert.equal(ws.extensions, compressing ? 'permessage-deflate' : '');
  return ws;
}

// exchange sends all without waiting and compares what comes back, in order.
async function exchange(ws, all) {
  await new Promise((resolve, reject) => {
    let next = 0;
    ws.on('error', reject);
    ws.on('close', (code) => reject(new Error(`closed with ${code} after ${next} of ${all.length}`)));
    ws.on('message', (data, isBinary) => {
      const want = all[next];
      if (isBinary !== (typeof want !== 'string') || !data.equals(Buffer.from(want))) {
        reject(new Error(`message ${next}: ${bytesOf(want)} bytes out, ${data.length} other bytes back`));
      }
      if (++next === all.length) resolve();
    });
    for (const data of all) ws.send(data);
  });
  ws.removeAllListeners();
}

async function finish(ws) {
  const end = once(ws, 'close');
  ws.close(1000);
  assert.equal((await end)[0], 1000);
}

const OFFERS = [
  {},
  {clientMaxWindowBits: false},
  {serverNoContextTakeover: true},
  {clientNoContextTakeover: true},
  {serverNoContextTakeover: true, clientNoContextTakeover: true},
  ...BITS.map((bits) => ({clientMaxWindowBits: bits})),
  ...BITS.map((bits) => ({serverMaxWindowBits: bits})),
  ...BITS.map((bits) => ({clientMaxWindowBits: bits, serverMaxWindowBits: bits})),
  ...BITS.map((bits) => ({clientMaxWindowBits: bits, serverMaxWindowBits: 23 - bits, serverNoContextTakeover: true, clientNoContextTakeover: true})),
  {serverMaxWindowBits: 10, serverNoContextTakeover: true},
  {clientMaxWindowBits: 10, clientNoContextTakeover: true},
];

test('every offer ws can make is answered by the RFC, and 188 messages come back', LIMIT, async (t) => {
  const all = messages(WAVE);
  for (const offer of OFFERS) {
    await t.test(JSON.stringify(offer), async () => {
      const ws = await connect(offer);
      await exchange(ws, all);
      await finish(ws);
    });
  }
});

test('one after the other, 1,000 messages of one connection', LIMIT, async () => {
  const ws = await connect();
  const next = generator(7);
  const names = Object.keys(kinds);
  for (let i = 0; i < 1000; i++) await exchange(ws, [kinds[names[next() % names.length]](next() % 4000, next)]);
  await finish(ws);
});

test('messages beyond a mebibyte, with small ones between and around', LIMIT, async () => {
  const ws = await connect();
  await exchange(ws, messages([70, 1 << 20, 0, 3_000_001, 200, (1 << 20) + 1, 130]));
  await finish(ws);
});

test('what every level, strategy and memory of zlib writes is read', LIMIT, async (t) => {
  const {Z_DEFAULT_STRATEGY, Z_FILTERED, Z_HUFFMAN_ONLY, Z_RLE, Z_FIXED} = constants;
  const settings = [0, 1, 2, 4, 6, 9].map((level) => ({level, strategy: Z_DEFAULT_STRATEGY, memLevel: 8}));
  for (const strategy of [Z_FILTERED, Z_HUFFMAN_ONLY, Z_RLE, Z_FIXED]) settings.push({level: 6, strategy, memLevel: 8});
  for (const memLevel of [1, 9]) settings.push({level: 6, strategy: Z_DEFAULT_STRATEGY, memLevel});
  for (const zlibDeflateOptions of settings) {
    await t.test(JSON.stringify(zlibDeflateOptions), async () => {
      const ws = await connect({zlibDeflateOptions});
      await exchange(ws, messages([...WAVE, 200_000]));
      await finish(ws);
    });
  }
});

// Text and JSON, which any compressor makes less than two thirds of.
const worthwhile = messages(WAVE.filter((size) => size >= (mode === 'own' ? 128 : 64)), ['json', 'prose', 'letter']);

test('messages are compressed both ways: by the counters, and on the wire', LIMIT, async () => {
  const bytes = worthwhile.reduce((sum, data) => sum + bytesOf(data), 0);
  const wanted = compressing ? worthwhile.length : 0;
  let onWire;
  const grown = await counted(async () => {
    const ws = await connect();
    assert.equal((await stats()).conns > 0, compressing);
    const [read, written] = [ws._socket.bytesRead, ws._socket.bytesWritten];
    await exchange(ws, worthwhile);
    onWire = {read: ws._socket.bytesRead - read, written: ws._socket.bytesWritten - written};
    await finish(ws);
  }, (n) => n.messagesIn === wanted && n.messagesOut === wanted);
  assert.equal(grown.messagesIn, wanted);
  assert.equal(grown.messagesOut, wanted);
  assert.equal(grown.bytesIn, compressing ? bytes : 0);
  assert.equal(grown.bytesOut, compressing ? bytes : 0);
  if (compressing) {
    assert.ok(grown.wireBytesIn < bytes / 2 && grown.wireBytesOut < bytes / 2, `${bytes} bytes are ${grown.wireBytesIn} in and ${grown.wireBytesOut} out`);
    assert.ok(onWire.read < grown.wireBytesOut + 20 * wanted, `${onWire.read} bytes came for ${grown.wireBytesOut} counted`);
    assert.ok(onWire.written < grown.wireBytesIn + 20 * wanted, `${onWire.written} bytes went for ${grown.wireBytesIn} counted`);
  } else {
    assert.ok(onWire.read > bytes && onWire.written > bytes);
  }
});

// Noise of four bits a byte: alone it takes half of its length, and no more than a few bytes where the same noise was
// in an earlier message. (Noise of eight would be sent as it is, and what is sent so is no history.)
function sixteenLetters(size) {
  const next = generator(3);
  return Buffer.from(Array.from({length: size}, () => 65 + (next() >>> 8) % 16));
}

test('each side points back at earlier messages exactly if that was agreed', LIMIT, async (t) => {
  if (!compressing) return assert.deepEqual(await stats(), {conns: 0, messagesIn: 0, wireBytesIn: 0, bytesIn: 0, messagesOut: 0, wireBytesOut: 0, bytesOut: 0});
  for (const offer of [
    {}, {serverNoContextTakeover: true}, {clientNoContextTakeover: true}, {serverNoContextTakeover: true, clientNoContextTakeover: true},
    {clientMaxWindowBits: 8, serverMaxWindowBits: 8},
  ]) {
    await t.test(JSON.stringify(offer), async () => {
      const size = 200; // what a window of 2^8 still holds
      const again = Array(20).fill(sixteenLetters(size));
      const grown = await counted(async () => {
        const ws = await connect(offer);
        await exchange(ws, again);
        await finish(ws);
      }, (n) => n.messagesIn === again.length);
      const [alone, pointing] = [0.45 * size * again.length, 0.2 * size * again.length];
      assert.equal(grown.messagesIn, again.length);
      if (offer.clientNoContextTakeover) assert.ok(grown.wireBytesIn > alone, `${grown.wireBytesIn} bytes in`);
      else assert.ok(grown.wireBytesIn < pointing, `${grown.wireBytesIn} bytes in`);
      if (offer.serverNoContextTakeover || !takesOver) assert.ok(grown.messagesOut === again.length && grown.wireBytesOut > alone, `${grown.wireBytesOut} bytes out`);
      else assert.ok(grown.messagesOut === again.length && grown.wireBytesOut < pointing, `${grown.messagesOut} messages, ${grown.wireBytesOut} bytes out`);
    });
  }
});

test('a message compressed fragment by fragment, with pings between', LIMIT, async (t) => {
  for (const offer of [{}, {clientNoContextTakeover: true}]) {
    await t.test(JSON.stringify(offer), async () => {
      const ws = await connect(offer);
      for (const names of [['json'], ['noise'], ['prose', 'letter']]) {
        const parts = messages([0, 1, 100, 0, 5000, 70_000, 3, 0], names).map((part) => Buffer.from(part));
        const binary = names[0] === 'noise';
        const back = once(ws, 'message');
        parts.forEach((part, i) => {
          ws.send(part, {binary, fin: i === parts.length - 1});
          if (i % 2) ws.ping();
        });
        const [data, isBinary] = await back;
        assert.equal(isBinary, binary);
        assert.ok(data.equals(Buffer.concat(parts)));
        await exchange(ws, messages([300, 20], names));
      }
      await finish(ws);
    });
  }
});

test('compressed and plain messages take turns', LIMIT, async () => {
  const ws = await connect();
  const all = messages(WAVE, ['json']);
  const back = [];
  const done = new Promise((resolve) => ws.on('message', (data) => { if (back.push(data.toString()) === all.length) resolve(); }));
  all.forEach((data, i) => ws.send(data, {compress: i % 3 !== 1}));
  await done;
  assert.deepEqual(back, all);
  await finish(ws);
});

test('60 compressing connections at once', LIMIT, async () => {
  await Promise.all(Array.from({length: 60}, async (_, n) => {
    const ws = await connect(OFFERS[n % OFFERS.length]);
    for (let i = 0; i < 3; i++) await exchange(ws, messages([n, 10 * n, 100 * n, 7], undefined, n + 100 * i));
    await finish(ws);
  }));
});
