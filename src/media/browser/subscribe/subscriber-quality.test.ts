import { describe, expect, it } from 'vitest';
import { isRtcp, readUint32, writeRtcpReport } from '../../rtp/index.js';
import { extendedReport, voipMetricsBlock } from '../../rtp/testing/packets.js';
import { directionQuality } from '../../quality/index.js';
import { published, setUp, useFakeTimers } from '../testing/subscribe-stage.js';

describe('what a subscriber reports', () => {
  useFakeTimers();

  async function listening() {
    const stage = setUp();
    const [mic, camera] = [published('PCMU', 'a'), published('VP8', 'a')];
    stage.connection.setTracks([mic.track, camera.track]);
    await stage.settle();
    for (let i = 0; i < 100; i += 1) mic.push(i);
    const ssrc = readUint32(stage.transports.last.sent.at(-1)!, 8);
    const report = (parts: object, about = ssrc): void =>
      stage.transports.last.handlers.onPacket(
        writeRtcpReport({
          ssrc: 1,
          cname: 'page',
          blocks: [
            {
              ssrc: about,
              fractionLost: 0,
              packetsLost: 0,
              highestSequence: 100,
              jitter: 0,
              lastSenderReport: 0,
              delaySinceLastSenderReport: 0,
              ...parts,
            },
          ],
        }),
      );
    const quality = () => directionQuality(stage.connection.audioFigures);
    return { ...stage, mic, camera, ssrc, report, quality };
  }

  it('is the quality of the audio that it is sent, also of tracks that left', async () => {
    const { transports, connection, turn, mic, report, quality } = await listening();
    expect(quality()).toEqual({ packets: 100 });
    mic.track.setClock({ ntpSeconds: 0xabcd1234, ntpFraction: 0x56780000, rtpTimestamp: 7 });
    expect(isRtcp(transports.last.sent.at(-1)!)).toBe(true);
    await turn(120);
    report({
      packetsLost: 4,
      jitter: 24,
      lastSenderReport: 0x12345678,
      delaySinceLastSenderReport: 65536 / 50,
    });
    expect(quality()).toMatchObject({ packets: 100, lost: 4, jitterMs: 3, roundTripMs: 100 });
    expect(connection.roundTripMs).toBeCloseTo(100, 0);
    expect(quality().mos).toBeCloseTo(4.01, 1);
    connection.setTracks([]);
    expect(quality()).toEqual({ packets: 100, lost: 4 });
  });

  it('is ignored, and told, when it cannot be true', async () => {
    const { transports, ssrc, report, quality, onReportIgnored } = await listening();
    report({ packetsLost: 101 });
    transports.last.handlers.onPacket(extendedReport(Buffer.from([7, 0, 0, 9, 0, 0, 0, 0])));
    report({ packetsLost: 101 }, ssrc ^ 1);
    expect(onReportIgnored).toHaveBeenCalledTimes(2);
    expect(quality()).toEqual({ packets: 100 });
    transports.last.handlers.onPacket(extendedReport(voipMetricsBlock({ ssrc, discard: 64 })));
    expect(quality()).toMatchObject({ discarded: 25 });
  });
});
