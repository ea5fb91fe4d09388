import { afterEach, beforeEach, describe, expect, it, onTestFailed } from 'vitest';
import { launchChromium, type TestBrowser } from '../support/chromium.js';
import { startGateway, type TestGateway } from '../support/gateway.js';
import { openMember } from '../support/member.js';
import { Rest } from '../support/rest.js';
import { until } from '../support/until.js';
import { placeCall, type SippCall } from '../support/sipp.js';

const [PHONE, OTHER_PHONE, PAGE] = [440, 700, 1_100];

/** Half a second. */
const ENOUGH_PACKETS = 25;

/** The client notices that its path to publish is dead, and makes a new one. */
const PUBLISHES_WITHIN_MS = 40_000;

let gateway: TestGateway;
let chrome: TestBrowser;
let rest: Rest;

beforeEach(async () => {
  [gateway, chrome] = await Promise.all([
    startGateway({ env: { PATCHBAY_MEDIA_HOSTS: '2' } }),
    launchChromium(),
  ]);
  rest = new Rest(gateway);
});
afterEach(async () => {
  await chrome.close();
  await gateway.stop();
});

/** Two phones that hear each other, in a session of their own. */
async function phones(): Promise<{ session: string; calls: readonly [SippCall, SippCall] }> {
  const session = await rest.session();
  const call = async (tone: number): Promise<SippCall> => {
    const { token } = await rest.member(session);
    return placeCall({ sipPort: gateway.sipPort, token, tone, limitS: 120 });
  };
  const calls = [await call(PHONE), await call(OTHER_PHONE)] as const;
  await hearEachOther(calls);
  return { session, calls };
}

/** Both hear the other's tone in packets that come from now on. */
async function hearEachOther([one, other]: readonly [SippCall, SippCall]): Promise<void> {
  const since = performance.now();
  const heard = (call: SippCall, tone: number): Promise<boolean> =>
    until(`${tone} Hz`, () => call.tones.packetsSince(since, tone).with >= ENOUGH_PACKETS, {
      withinMs: 20_000,
    });
  await Promise.all([heard(one, OTHER_PHONE), heard(other, PHONE)]);
}

/** The processes of the hosts, in the order in which they became ready. */
function hostsReady(): number[] {
  return gateway.log.filter(({ msg }) => msg === 'Media host ready.').map(({ hostPid }) => hostPid as number);
}

/** The host that the first device is placed on. */
const firstHost = (): number => hostsReady()[0]!;

/** Waits until a host is dead for the gateway. @returns the log line with what it carried */
function death(pid: number): ReturnType<TestGateway['waitForLog']> {
  return gateway.waitForLog(
    ({ msg, hostPid }) => msg === 'A media host died: its devices go on elsewhere.' && hostPid === pid,
    60_000,
  );
}

describe('a media host', { timeout: 150_000 }, () => {
  it.each([
    ['dies', 'SIGKILL'],
    ['hangs', 'SIGSTOP'],
  ] as const)(
    'that %s is replaced: its devices go on, and those of others notice nothing',
    async (_how, signal) => {
      onTestFailed(() => console.error(gateway.log.map((line) => JSON.stringify(line)).join('\n')));
      // A session's devices are on one host, and the next session's on the other.
      const [here, there] = [await phones(), await phones()];
      const page = await openMember({ gateway, chrome }, here.session, '0.12');
      await page.page.publishTone(PAGE);
      await here.calls[0].tones.hears(PAGE);
      await page.page.hears(PHONE);
      const messages = [...here.calls, ...there.calls].map((call) => call.messages.length);
      const breaks = there.calls.map(({ tones }) => tones.breaks);
      process.kill(firstHost(), signal);
      expect(await death(firstHost())).toMatchObject({ phones: 2, browsers: 1 });
      await hearEachOther(here.calls);
      await page.page.hears(PHONE, { withinMs: 30_000 });
      await here.calls[0].tones.hears(PAGE, PUBLISHES_WITHIN_MS);
      await hearEachOther(there.calls);
      expect(
        there.calls.map(({ tones }) => tones.breaks),
        'breaks on the other host',
      ).toEqual(breaks);
      await gateway.waitForLog(() => hostsReady().length === 3);

      expect(
        [...here.calls, ...there.calls].map((call) => call.messages.length),
        'no SIP message tells the phones',
      ).toEqual(messages);
      for (const { calls } of [here, there]) {
        await Promise.all(calls.map((call) => call.hangUp()));
        await Promise.all(calls.map((call) => call.end()));
      }
      await page.page.close();
    },
  );
});
