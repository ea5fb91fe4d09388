import { describe, expect, it } from 'vitest';
import { readConfig } from './read-config.js';
import { configWarnings, type WarningFacts } from './warnings.js';

const NOW = Date.parse('2026-11-30T00:00:00Z');
const DAY_MS = 86_400_000;

/** The codes of the warnings about an environment. */
function codes(environment: Record<string, string>, facts: Partial<WarningFacts> = {}): string[] {
  const all = { hasDevelopmentAccount: false, interfaces: ['127.0.0.1', '192.0.2.10'], now: NOW, ...facts };
  const warnings = configWarnings(readConfig(environment), all);
  for (const { message, advice } of warnings)
    for (const text of [message, advice]) expect(text).toMatch(/\.$/);
  return warnings.map(({ code }) => code);
}

const ACCOUNT = { PATCHBAY_ACCOUNTS: '1:a:x' };
const OPEN = { ...ACCOUNT, PATCHBAY_HTTP_HOST: '0.0.0.0', PATCHBAY_METRICS_ALLOW: '127.0.0.1' };
const PROXIED = { PATCHBAY_TRUSTED_PROXIES: '127.0.0.1', PATCHBAY_WEBRTC_HOST: '192.0.2.10' };
const SIP = {
  PATCHBAY_SIP_HOST: '192.0.2.10',
  PATCHBAY_RTP_HOST: '192.0.2.10',
  PATCHBAY_SIP_ALLOW: '192.0.2.0/24',
};

describe('warnings about the configuration', () => {
  it('are none on one machine with nothing set, nor for the gateway of docs/operations.md', () => {
    expect(codes({}, { hasDevelopmentAccount: true })).toEqual([]);
    expect(codes({ ...ACCOUNT, ...PROXIED, ...SIP })).toEqual([]);
  });

  it.each<[string, Record<string, string>]>([
    ['NO_TLS', { ...OPEN, PATCHBAY_WEBRTC_HOST: '192.0.2.10' }],
    ['MEDIA_ON_LOOPBACK', { ...ACCOUNT, ...PROXIED, PATCHBAY_WEBRTC_HOST: '127.0.0.1' }],
    ['MEDIA_ON_LOOPBACK', { ...ACCOUNT, ...SIP, PATCHBAY_RTP_HOST: '127.0.0.1' }],
    ['PUBLIC_ADDRESS_MISSING', { ...ACCOUNT, PATCHBAY_RTP_HOST: '10.1.2.3' }],
    ['PUBLIC_ADDRESS_MISSING', { ...ACCOUNT, PATCHBAY_WEBRTC_HOST: '192.168.1.2' }],
    ['METRICS_OPEN', { ...OPEN, ...PROXIED, PATCHBAY_METRICS_ALLOW: '' }],
    ['SIP_OPEN', { ...ACCOUNT, ...SIP, PATCHBAY_SIP_ALLOW: '' }],
    ['SIP_APPS_OPEN', { ...ACCOUNT, PATCHBAY_SIP_APPS: '192.0.2.10:9022:secret' }],
    ['SHORT_TOKEN_SECRET', { ...ACCOUNT, PATCHBAY_TOKEN_SECRET: 'short' }],
    ['NO_BACKUPS', { ...ACCOUNT, PATCHBAY_BACKUPS: '0' }],
  ])('have %s for %o', (code, environment) => expect(codes(environment)).toEqual([code]));

  it('tell of the development account as soon as others reach it', () => {
    const facts = { hasDevelopmentAccount: true };
    expect(codes({ PATCHBAY_HTTP_HOST: '0.0.0.0' }, facts)).toContain('DEVELOPMENT_ACCOUNT_OPEN');
    expect(codes(PROXIED, facts)).toEqual(['DEVELOPMENT_ACCOUNT_OPEN']);
    expect(codes({ PATCHBAY_HTTP_HOST: '::1' }, facts)).toEqual([]);
  });

  it('know by the machine’s addresses whether it is behind NAT, where media use all of them', () => {
    const everywhere = { ...ACCOUNT, PATCHBAY_RTP_HOST: '0.0.0.0' };
    expect(codes(everywhere, { interfaces: ['127.0.0.1', '10.0.0.5'] })).toEqual(['PUBLIC_ADDRESS_MISSING']);
    expect(codes(everywhere, { interfaces: ['10.0.0.5', '192.0.2.10'] })).toEqual([]);
    expect(codes({ ...everywhere, PATCHBAY_PUBLIC_IP: '192.0.2.10' }, { interfaces: ['10.0.0.5'] })).toEqual(
      [],
    );
  });

  it('tell of what accounts can do to each other, where there are several', () => {
    const two = { PATCHBAY_ACCOUNTS: '1:a:x,2:b:y' };
    expect(codes(two)).toEqual(['NO_CALL_LIMIT', 'WEBHOOKS_TO_PRIVATE_ADDRESSES']);
    const careful = { PATCHBAY_MAX_CALLS: '100', PATCHBAY_WEBHOOK_DENY: '10.0.0.0/8' };
    expect(codes({ ...two, ...careful })).toEqual([]);
  });

  it('tell of a certificate two weeks before its end', () => {
    const at = (days: number) => codes(ACCOUNT, { certificateEndsAt: NOW + days * DAY_MS });
    expect(at(15)).toEqual([]);
    expect(at(13)).toEqual(['CERTIFICATE_ENDS_SOON']);
    expect(at(-1)).toEqual(['CERTIFICATE_ENDED']);
  });
});
