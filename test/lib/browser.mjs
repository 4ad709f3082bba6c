// Debian's Chromium, headless, by the WebDriver protocol of its own driver: what a user sees and clicks.
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { Process } from './daemon.mjs';
import { freePort } from './wire.mjs';

const DRIVER = '/usr/bin/chromedriver';
const ELEMENT = 'element-6066-11e4-a52e-4f735466cecf';

export const hasBrowser = () => fs.existsSync(DRIVER) && fs.existsSync('/usr/bin/chromium');

export class Browser {
  static async start() {
    const browser = new Browser();
    browser.folder = fs.mkdtempSync(path.join(os.tmpdir(), 'deputy-test-'));
    browser.port = await freePort();
    browser.driver = new Process(DRIVER, [`--port=${browser.port}`], { cwd: browser.folder, env: { HOME: browser.folder, LD_PRELOAD: '' } });
    await browser.driver.until(/started successfully/);
    const { sessionId } = await browser.call('POST', '/session', {
      capabilities: {
        alwaysMatch: {
          browserName: 'chrome',
          'goog:chromeOptions': { binary: '/usr/bin/chromium', args: ['--headless=new', '--no-sandbox', '--disable-gpu', '--disable-dev-shm-usage', `--user-data-dir=${browser.folder}/profile`] },
          'goog:loggingPrefs': { browser: 'ALL' },
        },
      },
    });
    browser.session = `/session/${sessionId}`;
    return browser;
  }

  async call(method, where, body = undefined) {
    const answer = await fetch(`http://127.0.0.1:${this.port}${where}`, { method, body: body && JSON.stringify(body) });
    const { value } = await answer.json();
    if (!answer.ok) throw new Error(`${method} ${where}: ${value?.error}: ${value?.message}`);
    return value;
  }

  open(url) {
    return this.call('POST', `${this.session}/url`, { url });
  }

  url() {
    return this.call('GET', `${this.session}/url`);
  }

  // Until the address is one under `prefix`: a click is over before the way that it begins.
  async arrive(prefix, limit_ms = 20000) {
    const end = Date.now() + limit_ms;
    for (let url = await this.url(); !url.startsWith(prefix); url = await this.url()) {
      if (Date.now() > end) throw new Error(`still at ${url}, not at ${prefix}`);
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
  }

  async #element(selector) {
    return (await this.call('POST', `${this.session}/element`, { using: 'css selector', value: selector }))[ELEMENT];
  }

  async click(selector) {
    await this.call('POST', `${this.session}/element/${await this.#element(selector)}/click`, {});
  }

  async text(selector) {
    return this.call('GET', `${this.session}/element/${await this.#element(selector)}/text`);
  }

  async style(selector, property) {
    return this.call('GET', `${this.session}/element/${await this.#element(selector)}/css/${property}`);
  }

  // What the page's console was told since the last call: refusals of its policy among it.
  async console() {
    return (await this.call('POST', `${this.session}/se/log`, { type: 'browser' })).map(({ message }) => message);
  }

  async intoFrame(selector) {
    await this.call('POST', `${this.session}/frame`, { id: { [ELEMENT]: await this.#element(selector) } });
  }

  async stop() {
    await this.call('DELETE', this.session).catch(() => {});
    await this.driver.kill('SIGTERM');
    fs.rmSync(this.folder, { recursive: true, force: true, maxRetries: 5 });
  }
}
