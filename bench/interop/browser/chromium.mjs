// A headless Chromium with an empty profile, driven over the DevTools protocol on a
// pipe: commands go in on its descriptor 3, answers and events come out on 4, each a
// JSON text ended by a NUL.
import {spawn, execFileSync} from 'node:child_process';
import {once} from 'node:events';
import {mkdtempSync, rmSync} from 'node:fs';
import {tmpdir} from 'node:os';
import {join} from 'node:path';

const PROGRAM = process.env.CHROMIUM ?? 'chromium';
const FLAGS = [
  '--headless', '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-dev-shm-usage',
  '--disable-background-networking', '--disable-component-update', '--disable-sync', '--remote-debugging-pipe',
];
// GANNET_PIN is the pin of a certificate that nobody vouches for: base64 of the SHA-256 of its key.
if (process.env.GANNET_PIN) FLAGS.push(`--ignore-certificate-errors-spki-list=${process.env.GANNET_PIN}`);
const COMMAND_LIMIT_MS = 30_000;

export const version = () =>
  execFileSync(PROGRAM, ['--version'], {encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore']}).trim();

export class Chromium {
  #process;
  #profile = mkdtempSync(join(tmpdir(), 'gannet-chromium-'));
  #nextId = 1;
  #waiting = new Map(); // command id -> {resolve, reject, timer}
  #listeners = [];
  #partial = [];        // chunks of a message whose NUL has not come

  constructor() {
    this.#process = spawn(PROGRAM, [...FLAGS, `--user-data-dir=${this.#profile}`, 'about:blank'],
      {stdio: ['ignore', 'ignore', 'ignore', 'pipe', 'pipe']});
    this.#process.on('exit', (code, signal) => this.#failAll(new Error(`chromium ended: ${code ?? signal}`)));
    this.#process.on('error', (e) => this.#failAll(e));
    this.#process.stdio[3].on('error', (e) => this.#failAll(e));
    this.#process.stdio[4].on('data', (chunk) => this.#onData(chunk));
  }

  #failAll(error) {
    for (const {reject, timer} of this.#waiting.values()) {
      clearTimeout(timer);
      reject(error);
    }
    this.#waiting.clear();
  }

  #onData(chunk) {
    let end;
    while ((end = chunk.indexOf(0)) >= 0) {
      const text = Buffer.concat([...this.#partial, chunk.subarray(0, end)]).toString();
      this.#partial = [];
      chunk = chunk.subarray(end + 1);
      this.#onMessage(JSON.parse(text));
    }
    if (chunk.length) this.#partial.push(chunk);
  }

  #onMessage(message) {
    if (message.id === undefined) {
      for (const listener of this.#listeners) listener(message);
      return;
    }
    const command = this.#waiting.get(message.id);
    if (!command) return; // its time was up
    this.#waiting.delete(message.id);
    clearTimeout(command.timer);
    if (message.error) command.reject(new Error(message.error.message));
    else command.resolve(message.result);
  }

  send(method, params = {}, sessionId = undefined) {
    const id = this.#nextId++;
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => {
        this.#waiting.delete(id);
        reject(new Error(`no answer to ${method} in ${COMMAND_LIMIT_MS} ms`));
      }, COMMAND_LIMIT_MS);
      this.#waiting.set(id, {resolve, reject, timer});
      this.#process.stdio[3].write(JSON.stringify({id, method, params, sessionId}) + '\0');
    });
  }

  onEvent(listener) { this.#listeners.push(listener); }

  async open(url) {
    const {targetId} = await this.send('Target.createTarget', {url: 'about:blank'});
    const {sessionId} = await this.send('Target.attachToTarget', {targetId, flatten: true});
    const tab = new Tab(this, sessionId);
    await tab.load(url);
    return tab;
  }

  async close() {
    if (this.#process.exitCode === null && this.#process.signalCode === null) {
      const exit = once(this.#process, 'exit');
      const kill = setTimeout(() => this.#process.kill('SIGKILL'), 5000);
      this.send('Browser.close').catch(() => {}); // it may end before it answers
      await exit;
      clearTimeout(kill);
    }
    rmSync(this.#profile, {recursive: true, force: true, maxRetries: 10, retryDelay: 100});
  }
}

// One tab, used the way a person does: by clicking, typing and looking.
class Tab {
  #browser;
  #session;
  problems = []; // uncaught exceptions, violations of the page's own policy, and what else the console shows as an error

  constructor(browser, session) {
    this.#browser = browser;
    this.#session = session;
    browser.onEvent(({sessionId, method, params}) => {
      if (sessionId !== session) return;
      if (method === 'Runtime.exceptionThrown') this.problems.push(params.exceptionDetails);
      if (method === 'Log.entryAdded' && (params.entry.source === 'security' || params.entry.level === 'error')) this.problems.push(params.entry);
    });
  }

  send(method, params) { return this.#browser.send(method, params, this.#session); }

  async load(url) {
    for (const domain of ['Runtime', 'Log', 'Page']) await this.send(`${domain}.enable`);
    const loaded = new Promise((resolve) => this.#browser.onEvent(({sessionId, method}) => {
      if (sessionId === this.#session && method === 'Page.loadEventFired') resolve();
    }));
    const {errorText} = await this.send('Page.navigate', {url});
    if (errorText) throw new Error(`${url}: ${errorText}`);
    await loaded;
  }

  // The value of an expression, or of the promise it gives.
  async eval(expression) {
    const {result, exceptionDetails} = await this.send('Runtime.evaluate',
      {expression, awaitPromise: true, returnByValue: true});
    if (exceptionDetails) throw new Error(exceptionDetails.exception?.description ?? exceptionDetails.text);
    return result.value;
  }

  text(id) { return this.eval(`document.getElementById('${id}').textContent`); }

  async until(expression, limitMs = 15_000) {
    for (const end = Date.now() + limitMs; Date.now() < end;) {
      if (await this.eval(expression)) return;
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    const log = await this.eval(`[...document.querySelectorAll('#log li')].slice(-10).map((li) => li.textContent).join('\\n')`);
    throw new Error(`not within ${limitMs} ms: ${expression}; the end of the page's log:\n${log}`);
  }

  async click(id) {
    const [x, y] = await this.eval(`(() => {
      const e = document.getElementById('${id}');
      e.scrollIntoView({block: 'center'});
      const r = e.getBoundingClientRect();
      return [r.x + r.width / 2, r.y + r.height / 2];
    })()`);
    for (const type of ['mousePressed', 'mouseReleased']) {
      await this.send('Input.dispatchMouseEvent', {type, x, y, button: 'left', clickCount: 1});
    }
  }

  async fill(id, text) {
    await this.eval(`document.getElementById('${id}').focus(), document.getElementById('${id}').select()`);
    if (text === '') await this.key('Backspace', 8);
    else await this.send('Input.insertText', {text});
  }

  async key(key, windowsVirtualKeyCode, text = undefined) {
    await this.send('Input.dispatchKeyEvent', {type: 'keyDown', key, code: key, windowsVirtualKeyCode, text});
    await this.send('Input.dispatchKeyEvent', {type: 'keyUp', key, code: key, windowsVirtualKeyCode});
  }

  async resize(width, height) {
    await this.send('Emulation.setDeviceMetricsOverride', {width, height, deviceScaleFactor: 1, mobile: width < 600});
  }

  async screenshot({width, height, dark}) {
    await this.resize(width, height);
    await this.send('Emulation.setEmulatedMedia',
      {features: [{name: 'prefers-color-scheme', value: dark ? 'dark' : 'light'}]});
    const {data} = await this.send('Page.captureScreenshot', {captureBeyondViewport: true});
    return Buffer.from(data, 'base64');
  }
}
