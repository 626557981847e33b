// A real browser on the page of a running gannet serve in echo mode. GANNET_PAGE
// names it (http://host:port/). What is asserted is what the page shows a person: its
// log of events, readyState and bufferedAmount; and the bare WebSocket object beside it.
import assert from 'node:assert/strict';
import {mkdirSync, writeFileSync} from 'node:fs';
import {join} from 'node:path';
import {after, before, test} from 'node:test';
import {Chromium, version} from './chromium.mjs';

const pageURL = process.env.GANNET_PAGE;
assert.ok(pageURL, 'GANNET_PAGE is not set');
const socketURL = pageURL.replace(/^http/, 'ws') + 'ws';
const LIMIT = {timeout: 60_000};
let browser;

before(() => {
  console.log(version());
  browser = new Chromium();
});
after(() => browser.close());

// The page's log as 'kind detail' lines, without what varies: the time an echo took.
const logLines = (tab) => tab.eval(`[...document.querySelectorAll('#log li')].map((li) =>
  li.dataset.kind + ' ' + li.lastChild.textContent.replace(/ \\([0-9.]+ ms\\)$/, ''))`);
const logged = (kind, part = '') =>
  `[...document.querySelectorAll('#log li[data-kind=${kind}]')].some((li) => li.textContent.includes(${JSON.stringify(part)}))`;
const inState = (n) => `document.getElementById('ready-state').textContent.startsWith('${n} ')`;

const openPage = () => browser.open(pageURL);

async function openConnected() {
  const tab = await openPage();
  await tab.click('connect');
  await tab.until(logged('open'));
  return tab;
}

test('connect, type, see the echo, close: every event once and in order', LIMIT, async () => {
  const tab = await openPage();
  assert.equal(await tab.text('ready-state'), 'no socket yet');
  assert.equal(await tab.eval(`document.getElementById('url').value`), socketURL);
  await tab.click('connect');
  await tab.until(logged('open'));
  await tab.fill('message', 'héllo 🐦');
  await tab.click('send-text');
  await tab.until(logged('message'));
  await tab.fill('code', '3000');
  await tab.fill('reason', 'bye');
  await tab.click('close');
  await tab.until(logged('close'));
  assert.deepEqual(await logLines(tab), [
    'state readyState 0 CONNECTING',
    'state readyState 1 OPEN',
    `open ${socketURL}`,
    'send text, 11 bytes: héllo 🐦',
    'message text, 11 bytes: héllo 🐦',
    'state readyState 2 CLOSING',
    'state readyState 3 CLOSED',
    `close code 3000, reason 'bye', clean`, // the answer repeats our code (RFC 6455 5.5.1), and our reason
  ]);
  assert.deepEqual(await Promise.all(['close-ours', 'close-theirs', 'was-clean'].map((id) => tab.text(id))),
    [`code 3000, reason 'bye'`, `code 3000, reason 'bye'`, 'true']);
  const closes = await tab.eval(`fetch('/stats').then((answer) => answer.json()).then((stats) => stats.closes)`);
  assert.ok(closes['3000'] >= 1, `the server did not see the 3000: ${JSON.stringify(closes)}`);
  assert.match(await tab.text('latency'), /^[0-9.]+ ms$/);
  assert.equal(await tab.text('buffered'), '0');
  assert.equal(await tab.text('received'), '1 message, 11 bytes');
  assert.deepEqual(tab.problems, []);
});

// The buttons that may be pressed, and that right after another one was.
const ENABLED = `[...document.querySelectorAll('form button')].filter((b) => !b.disabled).map((b) => b.id).join()`;
const enabled = (tab) => tab.eval(ENABLED);
const enabledAfter = (tab, id) => tab.eval(`document.getElementById('${id}').click(), ${ENABLED}`);
const talking = 'send-text,send-binary,generate,close';

test('what needs an open connection waits for one', LIMIT, async () => {
  const tab = await openPage();
  assert.equal(await enabled(tab), 'connect');
  const press = () => tab.eval(`for (const id of '${talking}'.split(',')) document.getElementById(id).click()`);
  await press();
  await tab.fill('message', 'too early');
  await tab.key('Enter', 13, '\r');
  assert.equal(await enabledAfter(tab, 'connect'), ''); // in CONNECTING
  await tab.until(logged('open'));
  assert.equal(await enabled(tab), talking);
  assert.equal(await enabledAfter(tab, 'close'), ''); // in CLOSING
  await tab.until(logged('close', `code 1005, reason '', clean`));
  assert.equal(await enabled(tab), 'connect');
  await press();
  await tab.key('Enter', 13, '\r');
  const kinds = (await logLines(tab)).map((line) => line.split(' ')[0]);
  assert.ok(!kinds.includes('send') && !kinds.includes('refused'), kinds.join());
  assert.equal(await tab.text('buffered'), '0');
  assert.deepEqual(await Promise.all(['close-ours', 'close-theirs', 'was-clean'].map((id) => tab.text(id))), ['no code', 'no code', 'true']);
  assert.deepEqual(tab.problems, []);
});

test('by the keyboard alone: connect, send, close with a reason, connect again', LIMIT, async () => {
  const tab = await openPage();
  const at = () => tab.eval('document.activeElement.id');
  const tabUntil = async (id) => {
    for (let n = 0; await at() !== id; n++) {
      assert.ok(n < 20, `no way to ${id} from ${await at()}`);
      await tab.key('Tab', 9);
    }
  };
  await tabUntil('connect');
  await tab.key('Enter', 13, '\r');
  await tab.until(logged('open'));
  assert.equal(await at(), 'message'); // not lost with the button that was disabled
  await tab.fill('message', 'by the Enter key');
  await tab.key('Enter', 13, '\r');
  await tab.until(logged('message', 'by the Enter key'));
  await tabUntil('reason');
  await tab.fill('reason', 'enough');
  await tabUntil('close');
  await tab.key('Enter', 13, '\r');
  await tab.until(logged('close', `code 1000, reason 'enough', clean`)); // a reason needs a code
  await tab.until(`document.activeElement.id === 'connect'`);
  await tab.key('Enter', 13, '\r');
  await tab.until(inState(1));
  assert.equal(await tab.text('close-ours'), '-'); // of this connection
  assert.deepEqual(tab.problems, []);
});

test('a mebibyte of binary and one of text come back through the page', LIMIT, async () => {
  const tab = await openConnected();
  await tab.click('generate');
  await tab.until(logged('message', 'binary, 1,048,576 bytes'));
  await tab.eval(`document.getElementById('kind').value = 'text'`);
  await tab.click('generate');
  await tab.until(logged('message', 'text, 1,048,576 bytes: gannet '));
  await tab.until(`document.getElementById('buffered').textContent === '0'`);
  assert.equal(await tab.text('received'), '2 messages, 2,097,152 bytes');
  assert.notEqual(await tab.text('buffered-max'), '0');
  assert.ok(await tab.eval(inState(1)));
});

test('codes and reasons that user code may not send are refused, the state stays', LIMIT, async () => {
  const tab = await openConnected();
  for (const code of ['1001', '1005', '2999', '5000']) {
    await tab.fill('code', code);
    await tab.click('close');
  }
  await tab.fill('code', '1000');
  await tab.fill('reason', 'é'.repeat(62)); // 124 bytes, one too many
  await tab.click('close');
  const lines = (await logLines(tab)).slice(3);
  assert.deepEqual(lines, [...Array(4).fill('refused close: InvalidAccessError'), 'refused close: SyntaxError']);
  assert.ok(await tab.eval(inState(1)));
  await tab.fill('reason', 'é'.repeat(61)); // 122 bytes
  await tab.click('close');
  await tab.until(logged('close', 'code 1000, ') + ' && ' + inState(3));
});

test('a sub-protocol that is no token throws; one the server does not speak fails', LIMIT, async () => {
  const tab = await openPage();
  await tab.fill('protocols', 'not a token');
  await tab.click('connect');
  await tab.until(logged('refused', 'new WebSocket: SyntaxError'));
  await tab.fill('protocols', 'nobody.speaks.this');
  await tab.click('connect');
  await tab.until(logged('close'));
  assert.deepEqual((await logLines(tab)).slice(1), [
    'state readyState 0 CONNECTING',
    'state readyState 3 CLOSED',
    'error the connection failed (readyState 3)',
    `close code 1006, reason '', not clean`,
  ]);
});

test('a port where nothing listens: error, then close 1006, never OPEN', LIMIT, async () => {
  const tab = await openPage();
  await tab.fill('url', socketURL.replace(/:\d+\//, ':9999/'));
  await tab.click('connect');
  await tab.until(logged('close', 'code 1006'));
  assert.deepEqual((await logLines(tab)).map((line) => line.split(' ')[0]), ['state', 'state', 'error', 'close']);
});

test('the server panel shows /stats, folded on a telephone', LIMIT, async () => {
  const phone = await browser.open('about:blank');
  await phone.resize(360, 780);
  await phone.load(pageURL);
  const shown = `document.getElementById('stats-note').checkVisibility({contentVisibilityAuto: true}) && document.getElementById('stats').offsetHeight > 0`;
  await phone.until(`document.querySelectorAll('#stats dt').length > 0`);
  assert.equal(await phone.eval(shown), false);
  await phone.eval(`document.querySelector('#stats-fold summary').focus()`);
  await phone.key('Enter', 13, '\r');
  await phone.until(shown);
  const tab = await openPage();
  await tab.until(shown);
  await tab.until(`document.querySelectorAll('#stats dt').length > 0`);
  assert.match(await tab.text('stats-note'), /^From \/stats at /);
});

test('bufferedAmount counts payload bytes in the turn and reaches zero', LIMIT, async () => {
  const tab = await openPage();
  const result = await tab.eval(`new Promise((resolve, reject) => {
    const ws = new WebSocket('${socketURL}');
    const seen = [ws.bufferedAmount];
    let echoes = 0;
    ws.onerror = reject;
    ws.onopen = () => {
      for (const data of ['a', new Uint8Array(2), new Blob(['abc']), new ArrayBuffer(4), '¥'.repeat(6)]) {
        ws.send(data);
        seen.push(ws.bufferedAmount);
      }
    };
    ws.onmessage = () => { if (++echoes === 5) { seen.push(ws.bufferedAmount); ws.close(); ws.send('late'); seen.push(ws.bufferedAmount); } };
    ws.onclose = () => { seen.push(ws.bufferedAmount); resolve(seen); };
  })`);
  assert.deepEqual(result, [0, 1, 3, 6, 10, 22, 0, 4, 4]);
});

test('what comes back is what was sent, as ArrayBuffer and as Blob', LIMIT, async () => {
  const tab = await openPage();
  const same = await tab.eval(`(async () => {
    const sent = new Uint8Array(1 << 20);
    for (let at = 0; at < sent.length; at += 65536) crypto.getRandomValues(sent.subarray(at, at + 65536));
    const digest = async (bytes) => new Uint8Array(await crypto.subtle.digest('SHA-256', bytes)).join();
    const want = await digest(sent);
    const got = [];
    for (const binaryType of ['arraybuffer', 'blob']) {
      const ws = new WebSocket('${socketURL}');
      ws.binaryType = binaryType;
      await new Promise((resolve, reject) => { ws.onopen = resolve; ws.onerror = reject; });
      const answer = new Promise((resolve) => { ws.onmessage = resolve; });
      ws.send(sent);
      const {data} = await answer;
      got.push(await digest(data instanceof Blob ? await data.arrayBuffer() : data) === want);
      ws.close();
    }
    return got;
  })()`);
  assert.deepEqual(same, [true, true]);
});

test('100 sockets of one page, 20 messages each, in order', LIMIT, async () => {
  const tab = await openPage();
  const codes = await tab.eval(`Promise.all(Array.from({length: 100}, (_, n) => new Promise((resolve, reject) => {
    const ws = new WebSocket('${socketURL}');
    let next = 0;
    ws.onerror = () => reject(new Error('socket ' + n + ' failed'));
    ws.onopen = () => { for (let i = 0; i < 20; i++) ws.send(n + '/' + i); };
    ws.onmessage = ({data}) => {
      if (data !== n + '/' + next) reject(new Error('got ' + data + ', want ' + n + '/' + next));
      if (++next === 20) ws.close(4000 + n);
    };
    ws.onclose = ({code, wasClean}) => resolve(wasClean ? code : -code);
  })))`);
  assert.deepEqual(codes, Array.from({length: 100}, (_, n) => 4000 + n));
});

test('the page fits a telephone and a desk, in light and in dark', LIMIT, async () => {
  const folder = process.env.GANNET_SCREENSHOTS;
  const tab = await openConnected();
  await tab.click('send-text');
  await tab.until(logged('message'));
  await tab.until(`document.querySelectorAll('#stats dt').length > 0`);
  for (const [name, view] of Object.entries({
    'desk-light': {width: 1280, height: 900, dark: false},
    'desk-dark': {width: 1280, height: 900, dark: true},
    'phone-light': {width: 360, height: 780, dark: false},
    'phone-dark': {width: 360, height: 780, dark: true},
    'phone-small': {width: 320, height: 568, dark: false},
  })) {
    const png = await tab.screenshot(view);
    const overflow = await tab.eval('document.documentElement.scrollWidth - document.documentElement.clientWidth');
    assert.equal(overflow, 0, `${name}: the page is ${overflow} px wider than the window`);
    const squeezed = await tab.eval(`[...document.querySelectorAll('dt, button, .states li')].filter((e) => e.offsetHeight > 60).map((e) => e.textContent)`);
    assert.deepEqual(squeezed, [], `${name}: names broken over three lines or more`);
    const broken = await tab.eval(`[...document.querySelectorAll('#stats dd')].filter((e) => e.offsetHeight > 35).map((e) => e.textContent)`);
    assert.deepEqual(broken, [], `${name}: numbers broken over two lines`);
    if (!folder) continue;
    mkdirSync(folder, {recursive: true});
    writeFileSync(join(folder, `${name}.png`), png);
  }
});
