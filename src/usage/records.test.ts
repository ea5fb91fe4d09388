import fc from 'fast-check';
import { expect, it } from 'vitest';
import { usageCsv, type UsageRecord } from './records.js';

const RECORD: UsageRecord = {
  id: 'r1',
  connectionId: 'c1',
  accountId: '9900000',
  participantId: 'p1',
  kind: 'phone',
  direction: 'inbound',
  deviceId: 'call-1',
  startedAt: 1_700_000_000_000,
  seconds: 1.5,
};

function cells(csv: string): readonly string[] {
  return csv.split('\r\n')[1]!.split(',');
}

it('has a header line and one line for each record, with empty cells for what is absent', () => {
  const csv = usageCsv([RECORD, { ...RECORD, endedAt: 1_700_000_001_500, endReason: 'left' }]);
  const lines = csv.split('\r\n');
  expect(lines).toHaveLength(4);
  expect(lines[0]).toMatch(/^id,connectionId,accountId,sessionId,/);
  expect(lines[1]).toBe(
    'r1,c1,9900000,,,p1,,phone,inbound,call-1,,,,2023-11-14T22:13:20.000Z,,1.5,,,,,' + ','.repeat(17),
  );
  expect(lines[2]).toMatch(/,2023-11-14T22:13:21.500Z,1.5,left,{21}$/);
});

it('has the codecs and the encryption of each direction in cells of their own', () => {
  const received = { codecs: ['opus', 'VP8'], encryption: 'DTLS-SRTP' };
  const csv = usageCsv([{ ...RECORD, received, sent: { codecs: ['PCMU'], encryption: 'none' } }]);
  expect(csv.split('\r\n')[0]).toMatch(/,receivedCodecs,receivedEncryption,sentCodecs,sentEncryption,/);
  expect(cells(csv).slice(-21, -17)).toEqual(['opus VP8', 'DTLS-SRTP', 'PCMU', 'none']);
});

it('has the quality of each direction in cells of their own', () => {
  const received = { packets: 950, lost: 50, jitterMs: 3.2, concealedMs: 900, levelDb: -21.5, mos: 3.93 };
  const csv = usageCsv([{ ...RECORD, quality: { received, sent: { packets: 1000, roundTripMs: 50 } } }]);
  expect(csv.split('\r\n')[0]).toMatch(
    /,receivedPackets,receivedLost,receivedDiscarded,receivedJitterMs,receivedRoundTripMs,receivedConcealedMs,receivedLevelDb,receivedMos,sentPackets,.*,sentMos,test$/,
  );
  expect(cells(csv).slice(-17).join()).toBe('950,50,,3.2,,900,-21.5,3.93,1000,,,,50,,,,');
});

it('quotes cells with quotes, commas and line ends', () => {
  expect(usageCsv([{ ...RECORD, callerName: 'Doe, "Jo"\nX' }])).toContain(',"Doe, ""Jo""\nX",');
});

it('keeps spreadsheets from computing text as formulas, and leaves phone numbers alone', () => {
  const named = (callerName: string) => cells(usageCsv([{ ...RECORD, callerName }]))[11];
  expect(named('=1+1')).toBe("'=1+1");
  expect(named('@SUM(A1)')).toBe("'@SUM(A1)");
  expect(named('-2+3')).toBe("'-2+3");
  expect(named('+1+cmd')).toBe("'+1+cmd");
  expect(named('\t=1')).toBe("'\t=1");
  expect(named('+15555550100')).toBe('+15555550100');
});

it('keeps every name from being a formula', () => {
  fc.assert(
    fc.property(
      fc.string({ minLength: 1 }),
      fc.constantFrom('=', '+', '-', '@', '\t', '\r'),
      (rest, first) => {
        fc.pre(!/^[0-9]+$/.test(rest));
        const line = usageCsv([{ ...RECORD, sessionTag: `${first}${rest}` }])
          .split('\r\n')
          .slice(1)
          .join('\r\n');
        expect(line).toMatch(/^r1,c1,9900000,,"?'/);
      },
    ),
  );
});

it('marks test calls', () => {
  expect(cells(usageCsv([{ ...RECORD, test: true }])).at(-1)).toBe('true');
});
