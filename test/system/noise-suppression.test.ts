import { afterAll, beforeAll, expect, it } from 'vitest';
import { startGateway, type TestGateway } from '../support/gateway.js';
import { readMetrics } from '../support/metrics.js';
import { Rest, type TestParticipant } from '../support/rest.js';
import { placeCall, type SippCall } from '../support/sipp.js';
import { until } from '../support/until.js';

/** In dBov. */
const NOISE = -30;
const SILENCE = -60;
const LOWERED_BY = 10;

let gateway: TestGateway;
let rest: Rest;

beforeAll(async () => {
  const env = { PATCHBAY_MEDIA_HOSTS: '1', PATCHBAY_NOISE_SUPPRESSION_MAX: '1' };
  gateway = await startGateway({ env });
  rest = new Rest(gateway);
});
afterAll(async () => {
  await gateway.stop();
});

async function suppress({ id }: TestParticipant, noiseSuppression: boolean): Promise<void> {
  await rest.request('PATCH', `/participants/${id}`, { noiseSuppression });
}

/** Longer than the time of which the loudness is measured: 300 ms. */
const LOOKS = 6;
const LOOK_MS = 50;

/** Waits until what a phone hears is, and stays, as loud as this. */
function hears({ tones }: SippCall, what: string, fits: (dBov: number) => boolean): Promise<true> {
  let inARow = 0;
  const stays = (): boolean => {
    inARow = fits(tones.loudness()) ? inARow + 1 : 0;
    return inARow >= LOOKS;
  };
  return until(what, stays, {
    withinMs: 20_000,
    everyMs: LOOK_MS,
    seen: () => Promise.resolve(tones.loudness()),
  });
}

const isNoise = (dBov: number): boolean => Math.abs(dBov - NOISE) < 2;
const isLowered = (dBov: number): boolean => dBov > SILENCE && dBov < NOISE - LOWERED_BY;

it('lowers the noise of a phone by 10 dB while its participant wants it, also on another media host', async () => {
  const session = await rest.session();
  const [noisy, listener] = [await rest.member(session), await rest.member(session)];
  const { sipPort } = gateway;
  const calls: SippCall[] = [];
  try {
    for (const { token } of [noisy, listener])
      calls.push(await placeCall({ sipPort, token, tone: 440, limitS: 120 }));
    const [speaks, listens] = calls as [SippCall, SippCall];
    speaks.tones.noise = NOISE;
    await hears(listens, 'the noise', isNoise);
    await suppress(noisy, true);
    await hears(listens, 'lowered noise', isLowered);

    await expect(suppress(listener, true)).rejects.toThrow(/409.*PATCHBAY_NOISE_SUPPRESSION_FULL/);
    const metrics = await readMetrics(gateway);
    expect(metrics.get('patchbay_noise_suppressions')).toBe(1);
    expect(metrics.get('patchbay_noise_suppressions_refused_total')).toBe(1);

    const ready = await gateway.waitForLog(({ msg }) => msg === 'Media host ready.');
    process.kill(ready['hostPid'] as number, 'SIGKILL');
    await gateway.waitForLog(({ msg }) => msg === 'A media host died: its devices go on elsewhere.');
    const diedAt = performance.now();
    // Half a second of them, so that what came from the dead host is not looked at any more.
    await until('packets of the next host', () => listens.tones.packetsSince(diedAt, 440).without > 25, {
      withinMs: 20_000,
    });
    await hears(listens, 'lowered noise', isLowered);
    await suppress(noisy, false);
    await hears(listens, 'the noise', isNoise);
    expect((await readMetrics(gateway)).get('patchbay_noise_suppressions')).toBe(0);
    await Promise.all(calls.map((call) => call.hangUp()));
  } finally {
    await Promise.all(calls.map((call) => call.end()));
  }
});
