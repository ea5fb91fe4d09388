import { readFileSync } from 'node:fs';
import { expect, it } from 'vitest';
import { readConfig } from '../../src/app/read-config.js';
import { whatIsSaid } from '../support/configuration-page.js';
import { codeBlock } from '../support/page-blocks.js';

const PAGE = 'docs/operations.md';
const page = readFileSync(PAGE, 'utf8');

const settingsIn = (text: string): (readonly [string, string])[] =>
  [...text.matchAll(/\b(PATCHBAY_[A-Z_]+)=(\S+?)(?=[`\s]|$)/g)].map(([, name, value]) => [name!, value!]);

it('docs/operations.md begins with settings that a gateway takes together', () => {
  const config = readConfig(Object.fromEntries(settingsIn(codeBlock(PAGE, 'sh', 'PATCHBAY_SIP_HOST', {}))));
  expect(config).toMatchObject({
    sip: { hosts: ['192.0.2.10'] },
    rtp: { host: '192.0.2.10' },
    webrtc: { host: '192.0.2.10' },
    trustedProxies: ['127.0.0.1'],
    metricsFor: 'direct',
    dataDir: '/var/lib/patchbay',
  });
});

it.each([...settingsIn(page), ...settingsIn(readFileSync('docs/debugging.md', 'utf8'))])(
  'and names settings that it takes: %s=%s',
  (name, value) => expect(whatIsSaid(name, value)).toBeUndefined(),
);

it('docs/operations.md has the ports that a gateway has by default', () => {
  const { http, sip, rtp, webrtc } = readConfig({});
  const ports = [
    [http.port, 'PATCHBAY_HTTP_PORT'],
    [sip.port, 'PATCHBAY_SIP_PORT'],
    [rtp.ports.join('-'), 'PATCHBAY_RTP_PORTS'],
    [webrtc.port, 'PATCHBAY_WEBRTC_PORT'],
  ];
  for (const [port, variable] of ports) {
    const row = page
      .split('\n')
      .find((line) => line.startsWith(`| ${port}/`) && line.includes(`\`${variable}\``));
    expect(row, `${variable}: ${port}`).toBeDefined();
  }
});
