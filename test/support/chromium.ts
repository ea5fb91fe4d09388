import { existsSync } from 'node:fs';
import puppeteer, { type Browser } from 'puppeteer-core';
import { clientBundle, type ClientVersion } from './client-bundle.js';
import { ClientPage } from './client-page.js';
import { servePages, type PageServer } from './page-server.js';
import type { ConnectRequest } from './page/api.js';

export { CLIENT_VERSIONS, type ClientVersion } from './client-bundle.js';
export { ClientPage } from './client-page.js';

/** The headless shell is the same engine without the windows, which take half of a browser's processor time. */
const PATHS = [
  '/usr/bin/chromium-headless-shell',
  '/usr/bin/chromium',
  '/usr/bin/chromium-browser',
  '/usr/bin/google-chrome',
];

/** What every Chromium of the tests is started with: a new list each time, since puppeteer takes features out of it. */
export const chromiumFlags = (): string[] => [
  '--no-sandbox',
  // Fewer processes take less processor time.
  '--in-process-gpu',
  // All pages are in one, which takes a third off what a browser costs.
  '--renderer-process-limit=1',
  '--enable-features=NetworkServiceInProcess2',
  '--disable-features=AudioServiceOutOfProcess,WebRtcHideLocalIpsWithMdns',
  '--use-fake-device-for-media-stream=fps=5',
  '--use-fake-ui-for-media-stream',
];

/** Path of Chromium: `PATCHBAY_CHROMIUM`, or where Debian and others put it. */
export function chromiumPath(): string {
  const path = process.env['PATCHBAY_CHROMIUM'] ?? PATHS.find((candidate) => existsSync(candidate));
  if (path === undefined) throw new Error('Chromium not found: install it or set PATCHBAY_CHROMIUM.');
  return path;
}

interface OpenClient {
  /** Which published client the page runs; default 0.12. */
  readonly client?: ClientVersion;
}

/** A headless browser for tests. Close it in `afterEach` or `afterAll`: its processes end with it. */
export class TestBrowser {
  readonly #browser: Browser;
  readonly #pages: PageServer;
  #frozen = false;

  constructor(browser: Browser, pages: PageServer) {
    this.#browser = browser;
    this.#pages = pages;
  }

  /** A new page with the unmodified client loaded, not connected. */
  async openPage(options: OpenClient = {}): Promise<ClientPage> {
    const version = options.client ?? '0.12';
    this.#pages.put(`/${version}.js`, await clientBundle(version));
    const page = await this.#browser.newPage();
    const client = new ClientPage(page);
    await page.goto(`${this.#pages.url}/?${version}`);
    return client;
  }

  /** A new page whose client is connected. */
  async openClient(options: OpenClient & ConnectRequest): Promise<ClientPage> {
    const { client, ...request } = options;
    const page = await this.openPage(client === undefined ? {} : { client });
    await page.connect(request);
    return page;
  }

  /** Closes all pages, so that the next test has the machine to itself. */
  async closePages(): Promise<void> {
    const pages = await this.#browser.pages();
    // A browser without any page may end.
    await this.#browser.newPage();
    await Promise.all(pages.map((page) => page.close()));
  }

  /** Stops all of the browser's processes; to the gateway this looks like a lost network. */
  freeze(): void {
    this.#frozen = true;
    this.#signal('SIGSTOP');
  }

  thaw(): void {
    this.#frozen = false;
    this.#signal('SIGCONT');
  }

  /** SIGKILL to all of the browser's processes. */
  kill(): void {
    this.#signal('SIGKILL');
  }

  #signal(signal: NodeJS.Signals): void {
    const leader = this.#browser.process()?.pid;
    if (leader === undefined) throw new Error('The browser has no process.');
    // It leads a process group of its own.
    process.kill(-leader, signal);
  }

  async close(): Promise<void> {
    // A frozen browser would not answer.
    if (this.#frozen) this.kill();
    await Promise.allSettled([this.#browser.close(), this.#pages.close()]);
    this.#browser.process()?.kill('SIGKILL');
  }
}

interface LaunchOptions {
  /** A program that is Chromium; default {@link chromiumPath}. */
  readonly executablePath?: string;
  /** Address of this machine where the browser finds its pages; default 127.0.0.1. */
  readonly pagesHost?: string;
}

/** Starts a headless Chromium with fake media devices and no need for gestures. */
export async function launchChromium(options: LaunchOptions = {}): Promise<TestBrowser> {
  const pages = await servePages(options.pagesHost);
  const browser = await puppeteer.launch({
    executablePath: options.executablePath ?? chromiumPath(),
    headless: 'shell',
    // Not by a port: a browser in a network namespace could not be reached there.
    pipe: true,
    args: [...chromiumFlags(), '--autoplay-policy=no-user-gesture-required'],
  });
  return new TestBrowser(browser, pages);
}
