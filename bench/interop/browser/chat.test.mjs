// The chat of docs/examples/chat in two windows of a browser, with the browser's object in Go as the third. CHAT_PAGE is
// http://host:port/, DOMCHAT the program of bench/interop/domchat.
import assert from 'node:assert/strict';
import {spawn} from 'node:child_process';
import {mkdirSync, writeFileSync} from 'node:fs';
import {join} from 'node:path';
import {createInterface} from 'node:readline';
import {after, before, test} from 'node:test';
import {Chromium, version} from './chromium.mjs';

const {CHAT_PAGE: pageURL, DOMCHAT: domchat, CHAT_SCREENSHOTS: pictures} = process.env;
assert.ok(pageURL && domchat, 'CHAT_PAGE and DOMCHAT are not both set');
const LIMIT = {timeout: 180_000};
let windows; // two browsers, each with a profile of its own

before(() => {
  console.log(version());
  windows = [new Chromium(), new Chromium()];
});
after(() => Promise.all(windows.map((w) => w.close())));

// The Go program: what it hears, a line at a time.
class Go {
  #process = spawn(domchat, [pageURL.replace(/^http/, 'ws')], {stdio: ['pipe', 'pipe', 'inherit']});
  #lines = createInterface({input: this.#process.stdout})[Symbol.asyncIterator]();

  say(message) { this.#process.stdin.write(JSON.stringify(message) + '\n'); }

  async line() {
    const {value, done} = await this.#lines.next();
    assert.ok(!done, 'the Go client has ended');
    return value;
  }

  // The next message of a type that fits.
  async hears(type, fits = () => true) {
    for (;;) {
      const message = JSON.parse(await this.line());
      if (message.type === type && fits(message)) return message;
    }
  }

  leave() { this.#process.stdin.end(); }
  end() { this.#process.kill(); }
}

const enter = async (tab, name) => {
  await tab.until(`!document.getElementById('enter').disabled`);
  await tab.fill('name', name);
  await tab.click('enter');
};
const say = async (tab, text) => {
  await tab.fill('text', text);
  await tab.key('Enter', 13, '\r');
};
const users = (...names) => `[...document.querySelectorAll('#users li')].map((li) => li.textContent).join() === ${JSON.stringify(names.join())}`;
const shown = (name, text) => `[...document.querySelectorAll('#log li')].some((li) =>
  li.querySelector('b')?.textContent === ${JSON.stringify(name)} && li.lastChild.textContent === ${JSON.stringify(text)})`;
const inBoth = (tabs, expression) => Promise.all(tabs.map((tab) => tab.until(expression)));

test('two windows and a Go client: ids, names, a name that is taken, lists, messages without markup', LIMIT, async (t) => {
  const tabs = await Promise.all(windows.map((w) => w.open(pageURL)));
  await enter(tabs[0], 'Ann');
  await tabs[0].until(users('Ann'));
  await enter(tabs[1], 'Ann');
  await inBoth(tabs, users('Ann', 'Ann1'));
  await tabs[1].until(`document.getElementById('log').textContent.includes('Your name is Ann1')`);

  const go = new Go();
  t.after(() => go.end());
  assert.equal(await go.line(), 'open json');
  const {id} = JSON.parse(await go.line());
  assert.ok(Number.isInteger(id) && id > 0);
  go.say({type: 'username', name: 'Ann', id, date: Date.now()});
  assert.deepEqual(await go.hears('rejectusername'), {type: 'rejectusername', id, name: 'Ann2'});
  assert.deepEqual((await go.hears('userlist')).users, ['Ann', 'Ann1', 'Ann2']);
  go.say({type: 'username', name: 'Gopher', id, date: Date.now()});
  await inBoth(tabs, users('Ann', 'Ann1', 'Gopher'));

  await say(tabs[0], 'hello <b>all</b> 🐦 & you');
  const heard = await go.hears('message');
  assert.deepEqual([heard.name, heard.text], ['Ann', 'hello all 🐦 & you']);
  assert.ok(Math.abs(heard.date - Date.now()) < 60_000);
  await inBoth(tabs, shown('Ann', 'hello all 🐦 & you'));
  await say(tabs[1], 'hi');
  await inBoth(tabs, shown('Ann1', 'hi'));
  go.say({type: 'message', text: '<img src=x onerror=alert(1)>gannets <i>dive', id, date: Date.now()});
  await inBoth(tabs, shown('Gopher', 'gannets dive'));
  go.say({type: 'message', text: '5 < 6 and <script', id, date: Date.now()}); // no tag: it is shown as it is
  await inBoth(tabs, shown('Gopher', '5 < 6 and <script'));

  if (pictures) await take(tabs[0]);
  go.leave();
  assert.equal(await go.hears('message', (m) => m.text === '5 < 6 and <script').then(() => go.line()), 'close 1000 true');
  await inBoth(tabs, users('Ann', 'Ann1'));
  await tabs[1].send('Page.close');
  await tabs[0].until(users('Ann'));
  assert.deepEqual(tabs.flatMap((tab) => tab.problems), []);
});

test('a window that lost its server comes back with its name', LIMIT, async () => {
  const tab = await windows[0].open(pageURL);
  await enter(tab, 'Bea');
  await tab.until(`document.getElementById('users').textContent.includes('Bea')`);
  await tab.eval('socket.close()');
  await tab.until(`document.getElementById('status').textContent.startsWith('connection lost')`);
  await tab.until(`document.getElementById('status').textContent === 'connected' && document.getElementById('users').textContent.includes('Bea')`);
  await say(tab, 'back');
  await tab.until(shown('Bea', 'back'));
});

test('what is no message of the chat ends the connection, with a reason', LIMIT, async () => {
  const tab = await windows[0].open(pageURL);
  const ended = (sent) => tab.eval(`new Promise((resolve) => {
    const ws = new WebSocket(location.href.replace(/^http/, 'ws'));
    ws.onopen = () => ws.send(${sent});
    ws.onclose = (e) => resolve([e.code, e.wasClean, e.reason !== '']);
  })`);
  for (const sent of [`'{'`, `'[]'`, `'"x"'`, `new Uint8Array(3)`]) assert.deepEqual(await ended(sent), [1003, true, true], sent);
  for (const sent of [`'{"type":"message","text":"too early"}'`, `'{"type":"rejectusername"}'`, `'{}'`]) {
    assert.deepEqual(await ended(sent), [1008, true, true], sent);
  }
});

// Pictures of the page as a phone and a desk show it, by day and by night; nothing may be wider than the window.
async function take(tab) {
  mkdirSync(pictures, {recursive: true});
  for (const [width, height] of [[360, 640], [1280, 800]]) {
    for (const dark of [false, true]) {
      writeFileSync(join(pictures, `chat-${width}-${dark ? 'dark' : 'light'}.png`), await tab.screenshot({width, height, dark}));
      assert.ok(await tab.eval('document.documentElement.scrollWidth <= innerWidth'), `${width} px: it scrolls sideways`);
    }
  }
}
