import { existsSync } from 'node:fs';
import { networkInterfaces } from 'node:os';
import puppeteer from 'puppeteer-core';
import { TestBrowser } from './chromium.js';
import type { FarNetwork } from './far-network.js';
import { servePages } from './page-server.js';

const PATHS = ['/usr/bin/firefox-esr', '/usr/bin/firefox'];

const PREFERENCES = {
  // As Chromium's flags: tabs in the background run as fast as the one in front.
  'dom.min_background_timeout_value': 4,
  'dom.timeout.enable_budget_timer_throttling': false,
  'media.autoplay.default': 0,
  'media.autoplay.blocking_policy': 0,
  'media.autoplay.block-webaudio': false,
  // Without an audio device, Web Audio would never start.
  'media.cubeb.force_mock_context': true,
  'media.navigator.permission.disabled': true,
  'media.navigator.streams.fake': true,
  'media.peerconnection.ice.obfuscate_host_addresses': false,
  // Firefox waits longer after each failed attempt to connect, up to a minute, and lets all pages of the same host wait
  // with the one: pages of tests that run at the same time would wait for each other's gateways.
  'network.websocket.delay-failed-reconnects': false,
};

/** Path of Firefox: `PATCHBAY_FIREFOX`, or where Debian puts it; undefined when there is none. */
export function firefoxPath(): string | undefined {
  return process.env['PATCHBAY_FIREFOX'] ?? PATHS.find((candidate) => existsSync(candidate));
}

/**
 * An address of this machine where Firefox can reach a gateway: it has no candidates of 127.0.0.1, even when
 * told to. What is sent there never leaves the machine.
 */
export function firefoxReachableHost(): string {
  const addresses = Object.values(networkInterfaces()).flatMap((list) => list ?? []);
  return addresses.find(({ family, internal }) => family === 'IPv4' && !internal)?.address ?? '127.0.0.1';
}

/** Starts a headless Firefox with fake media devices. @param network where it is, if not here */
export async function launchFirefox(network?: FarNetwork): Promise<TestBrowser> {
  const program = firefoxPath();
  if (program === undefined) throw new Error('Firefox not found: install it or set PATCHBAY_FIREFOX.');
  const pages = await servePages(network?.gatewayHost);
  const browser = await puppeteer.launch({
    browser: 'firefox',
    executablePath: network?.inside(program) ?? program,
    headless: true,
    extraPrefsFirefox: PREFERENCES,
    ...(network ? { debuggingPort: await network.passOnPort() } : {}),
  });
  return new TestBrowser(browser, pages);
}
