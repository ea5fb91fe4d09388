/**
 * What it adds to the answering of calls that media is in processes of its own: the time from INVITE to 200 with the media
 * plane in the gateway's process, in one media host and in two, in turns of the same run. One call is made after the other,
 * by a caller that measures finer than SIPp, whose clock has steps of 4 ms.
 */
import { startGateway } from '../test/support/gateway.js';
import { Rest } from '../test/support/rest.js';
import { Caller, SDP, SipPeer } from '../test/support/sip-peer.js';
import { median } from './median.js';

const CALLS = Number(process.env['BENCH_CALLS'] ?? 200);
const WARM_UP_CALLS = Number(process.env['BENCH_WARM_UP'] ?? 300);
const TURNS = Number(process.env['BENCH_TURNS'] ?? 5);

/** @returns ms from INVITE to 200 */
async function call(peer: SipPeer, token: string): Promise<number> {
  const caller = new Caller(peer);
  const headers = [`User-to-User: ${token};encoding=jwt`];
  const invite = caller.request('INVITE', 1, { headers, body: SDP });
  const startedAt = performance.now();
  peer.send(invite);
  const answer = await peer.final();
  const took = performance.now() - startedAt;
  if (answer.status !== 200) throw new Error(`A call was refused: ${answer.startLine}`);
  caller.learn(answer);
  peer.send(caller.request('ACK', 1));
  peer.send(caller.request('BYE', 2));
  await peer.final();
  return took;
}

async function measure(hosts: number): Promise<number> {
  const env = { PATCHBAY_LOG_LEVEL: 'info', PATCHBAY_API_RATE: '0', PATCHBAY_MEDIA_HOSTS: String(hosts) };
  const gateway = await startGateway({ env, keepLog: false });
  const peer = await SipPeer.udp({ host: '127.0.0.1', port: gateway.sipPort });
  try {
    const { token } = await new Rest(gateway).participant();
    const times: number[] = [];
    for (let i = 0; i < WARM_UP_CALLS + CALLS; i += 1) {
      const took = await call(peer, token);
      if (i >= WARM_UP_CALLS) times.push(took);
    }
    return median(times);
  } finally {
    peer.close();
    await gateway.stop();
  }
}

const turns = new Map<number, number[]>([0, 1, 2].map((hosts) => [hosts, []]));
for (let turn = 0; turn < TURNS; turn += 1) for (const [hosts, own] of turns) own.push(await measure(hosts));
console.log(`INVITE to 200, median of ${CALLS} calls, ${TURNS} turns`);
const base = median(turns.get(0)!);
for (const [hosts, own] of turns) {
  const ms = median(own);
  const where = hosts === 0 ? 'in the gateway’s process' : `${hosts} media host${hosts === 1 ? '' : 's'}`;
  const added = hosts === 0 ? '' : `, ${(ms - base).toFixed(2)} ms more`;
  console.log(`  ${where.padEnd(26)} ${ms.toFixed(2)} ms${added}`);
}
