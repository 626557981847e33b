// A real browser's permessage-deflate (RFC 7692) with a running gannet serve in echo mode. GANNET_PAGE names it
// (http://host:port/), GANNET_DEFLATE and GANNET_WINDOW its --deflate and --deflate-window. Chromium offers
// "permessage-deflate; client_max_window_bits" and compresses with zlib.
import assert from 'node:assert/strict';
import {after, before, test} from 'node:test';
import {Chromium, version} from './chromium.mjs';

const pageURL = process.env.GANNET_PAGE;
assert.ok(pageURL, 'GANNET_PAGE is not set');
const mode = process.env.GANNET_DEFLATE || 'off';
const windowBits = Number(process.env.GANNET_WINDOW || 15);
const compressing = mode !== 'off';
const LIMIT = {timeout: 60_000};
let browser;

before(() => {
  console.log(version());
  browser = new Chromium();
});
after(() => browser.close());

// What the server agrees to, as the browser's object shows it.
const extensions = !compressing ? '' : 'permessage-deflate' +
  (mode === 'alone' ? '; server_no_context_takeover' : '') +
  (windowBits < 15 ? `; server_max_window_bits=${windowBits}; client_max_window_bits=${windowBits}` : '');

// What the page itself is given to run: messages of a kind and a size, and an exchange that compares what comes back.
const TOOLS = `
  let state = 1;
  const next = () => (state = (Math.imul(state, 1103515245) + 12345) >>> 0) >>> 8;
  const words = 'the gannet folds its wings and falls from thirty metres: es stürzt der Basstölpel in die See 日本海 🐦'.split(' ');
  const pieces = {
    json: () => JSON.stringify({id: next(), side: next() & 1 ? 'buy' : 'sell', price: (next() % 500000) / 100}) + ',',
    prose: () => words[next() % words.length] + ' ',
    letter: () => 'gggggggg',
    letters: () => String.fromCharCode(65 + next() % 16),
  };
  const bytesOf = (data) => typeof data === 'string' ? new TextEncoder().encode(data).length : data.length;
  const make = (kind, size) => {
    if (kind === 'noise') return Uint8Array.from({length: size}, () => next());
    const parts = [];
    for (let length = 0; length < size; length += parts.at(-1).length) parts.push(pieces[kind]());
    return parts.join('');
  };
  const up = [0, 1, 2, 3];
  while (up.at(-1) < 46368) up.push(up.at(-1) + up.at(-2));
  const wave = [...up, ...up.slice(0, -1).reverse()];
  const exchange = (all) => new Promise((resolve, reject) => {
    const ws = new WebSocket(location.href.replace(/^http/, 'ws') + 'ws');
    ws.binaryType = 'arraybuffer';
    let at = 0;
    ws.onerror = () => reject(new Error('the connection failed at message ' + at));
    ws.onopen = () => { for (const data of all) ws.send(data); };
    ws.onmessage = ({data}) => {
      const want = all[at];
      const same = typeof want === 'string' ? data === want :
        typeof data !== 'string' && data.byteLength === want.length && new Uint8Array(data).every((byte, i) => byte === want[i]);
      if (!same) reject(new Error('message ' + at + ' of ' + bytesOf(want) + ' bytes came back as another'));
      if (++at === all.length) ws.close(1000);
    };
    ws.onclose = ({code}) => resolve({code, at, extensions: ws.extensions, bytes: all.reduce((sum, data) => sum + bytesOf(data), 0)});
  });
  const stats = async () => (await (await fetch('/stats')).json()).deflate;
  // What the server's counters grew by; it counts what a turn received when that ends, and an echo may leave before.
  const counted = async (act, done) => {
    const before = await stats();
    const result = await act();
    for (const end = Date.now() + 5000; ;) {
      const now = await stats();
      const grown = Object.fromEntries(Object.keys(now).map((name) => [name, now[name] - before[name]]));
      if (done(grown) || Date.now() > end) return {...result, grown};
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
  };
`;

const inPage = (tab, body) => tab.eval(`(async () => { ${TOOLS} ${body} })()`);

test('the page shows what was agreed on, and what the server counts of it', LIMIT, async () => {
  const tab = await browser.open(pageURL);
  await tab.click('connect');
  await tab.until(`document.getElementById('ready-state').textContent.startsWith('1 ')`);
  assert.equal(await tab.text('extensions'), extensions || 'none');
  await tab.click('send-text');
  const shown = `[...document.querySelectorAll('#stats dt')].find((dt) => dt.textContent === 'deflate messagesIn')?.nextSibling.textContent.replaceAll(',', '')`;
  await tab.until(compressing ? `Number(${shown}) >= 1` : `${shown} === '0'`);
  assert.deepEqual(tab.problems, []);
});

test('282 messages of a connection, growing and shrinking, of every kind', LIMIT, async () => {
  const tab = await browser.open(pageURL);
  const got = await inPage(tab, `return exchange(wave.flatMap((size) => ['noise', 'json', 'prose', 'letter', 'letters', 'noise'].map((kind) => make(kind, size))));`);
  assert.equal(got.extensions, extensions);
  assert.equal(got.code, 1000);
  assert.equal(got.at, 282);
});

test('messages beyond a mebibyte, with small ones around', LIMIT, async () => {
  const tab = await browser.open(pageURL);
  const got = await inPage(tab, `return exchange([70, 1 << 20, 0, 3000001, 200, (1 << 20) + 1, 130].flatMap((size) => ['noise', 'json', 'letter'].map((kind) => make(kind, size))));`);
  assert.deepEqual([got.code, got.at], [1000, 21]);
});

test('messages are compressed both ways', LIMIT, async () => {
  const tab = await browser.open(pageURL);
  const got = await inPage(tab, `
    const all = wave.filter((size) => size >= ${mode === 'own' ? 128 : 64}).flatMap((size) => ['json', 'prose', 'letter'].map((kind) => make(kind, size)));
    return counted(() => exchange(all), (n) => n.messagesIn === ${compressing ? 'all.length' : '0'});`);
  const {grown, at, bytes} = got;
  if (!compressing) return assert.deepEqual([grown.messagesIn, grown.messagesOut], [0, 0]);
  assert.deepEqual([grown.messagesIn, grown.messagesOut, grown.bytesIn, grown.bytesOut], [at, at, bytes, bytes]);
  assert.ok(grown.wireBytesIn < bytes / 2 && grown.wireBytesOut < bytes / 2, JSON.stringify(grown));
});

test('both sides point at earlier messages, if that was agreed', LIMIT, async () => {
  const tab = await browser.open(pageURL);
  const {grown} = await inPage(tab, `
    const all = Array(20).fill(make('letters', 200));
    return counted(() => exchange(all), (n) => n.messagesIn === ${compressing ? 20 : 0});`);
  if (!compressing) return assert.equal(grown.messagesIn, 0);
  assert.deepEqual([grown.messagesIn, grown.messagesOut], [20, 20]);
  const [alone, pointing] = [0.45 * 4000, 0.2 * 4000];
  assert.ok(grown.wireBytesIn < pointing, JSON.stringify(grown));
  if (mode === 'alone') assert.ok(grown.wireBytesOut > alone, JSON.stringify(grown));
  else assert.ok(grown.wireBytesOut < pointing, JSON.stringify(grown));
});

test('50 compressing sockets of one page', LIMIT, async () => {
  const tab = await browser.open(pageURL);
  const got = await inPage(tab, `return Promise.all(Array.from({length: 50}, (_, n) =>
    exchange([n, 10 * n, 100 * n, 7, 10 * n].flatMap((size) => ['json', 'noise', 'prose'].map((kind) => make(kind, size))))));`);
  for (const one of got) assert.deepEqual([one.code, one.at, one.extensions], [1000, 15, extensions]);
});
