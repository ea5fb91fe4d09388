import { readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { movable, rtpPortOf, useFreeswitchPool } from '../support/freeswitch-pool.js';
import type { LogLine } from '../support/gateway.js';
import { Rest } from '../support/rest.js';
import { audioAddressOf } from '../support/sip-message.js';
import { FREESWITCH_PROGRAM } from '../support/servers.js';
import { placeCall, placeRefusedCall, type SippCall } from '../support/sipp.js';
import { Softphone } from '../support/softphones.js';
import { until } from '../support/until.js';

/** A hang is noticed when a ping is not answered. */
const HANG_MS = 20_000;

const TITLE = 'a FreeSWITCH of the pool (needs PATCHBAY_TEST_FREESWITCH_PROGRAM)';

describe.skipIf(!FREESWITCH_PROGRAM)(TITLE, () => {
  const { freeswitch, gatewayWith, ended, afterwards } = useFreeswitchPool();

  it('that is killed causes a re-INVITE of its calls, does not affect others, and is used again', async () => {
    const servers = [await freeswitch(1), await freeswitch(2)];
    const gateway = await gatewayWith(servers);
    const rest = new Rest(gateway);
    const session = await rest.session();
    const [one, other] = [await rest.member(session), await rest.member(session)];
    const place = async (token: string, tone: number): Promise<SippCall> =>
      ended(
        await placeCall({
          sipPort: gateway.sipPort,
          token,
          tone,
          then: movable,
        }),
      );
    const lost = await place(one.token, 440);
    const kept = ended(await placeCall({ sipPort: gateway.sipPort, token: other.token, tone: 700 }));
    await lost.tones.hears(700);
    const [lostPort, keptPort] = [await rtpPortOf(lost), await rtpPortOf(kept)];
    const dying = servers.find((server) => server.owns(lostPort))!;
    const living = servers.find((server) => server.owns(keptPort))!;
    expect(dying, 'the second call goes to the less loaded').not.toBe(living);
    const { id: deviceId, streams } = await rest.device(one.id);
    const messagesOfKept = kept.messages.length;

    await dying.kill();
    const reinvite = await lost.waitFor('re-INVITE', ({ method }) => method === 'INVITE');
    const moved = audioAddressOf(reinvite.body);
    expect(living.owns(moved.port)).toBe(true);
    lost.tones.start(moved);
    await lost.tones.hears(700);
    await kept.tones.hears(440);
    expect(kept.messages.length).toBe(messagesOfKept);
    // What is measured of them goes on.
    const same = streams.map(({ streamId }) => ({ streamId }));
    expect(await rest.device(one.id)).toMatchObject({ id: deviceId, streams: same });

    await dying.restart();
    const isUp = ({ msg, freeswitch: address }: LogLine): boolean =>
      msg === 'FreeSWITCH is up.' && dying.address.startsWith(String(address));
    await until('FreeSWITCH up again', () => gateway.log.filter(isUp).length === 2, { withinMs: 20_000 });
    const third = await rest.member(session);
    const next = ended(await placeCall({ sipPort: gateway.sipPort, token: third.token }));
    expect(dying.owns(await rtpPortOf(next))).toBe(true);
  });

  it('that hangs causes a re-INVITE of its calls, and has none of their legs left when it continues', async () => {
    const hanging = await freeswitch(1);
    const gateway = await gatewayWith([hanging, await freeswitch(2)]);
    const rest = new Rest(gateway);
    const session = await rest.session();
    const [one, other] = [await rest.member(session), await rest.member(session)];
    const { sipPort } = gateway;
    const calls = [
      ended(await placeCall({ sipPort, token: one.token, tone: 440, then: movable })),
      ended(await placeCall({ sipPort, token: other.token, tone: 700, then: movable })),
    ] as const;
    const hung = hanging.owns(await rtpPortOf(calls[0])) ? calls[0] : calls[1];
    expect(hanging.owns(await rtpPortOf(hung))).toBe(true);
    const [heard, owner] = hung === calls[0] ? [700, one] : [440, other];
    await hung.tones.hears(heard);
    const { id: deviceId, streams } = await rest.device(owner.id);

    hanging.freeze();
    const reinvite = await hung.waitFor('re-INVITE', ({ method }) => method === 'INVITE', HANG_MS);
    const moved = audioAddressOf(reinvite.body);
    expect(hanging.owns(moved.port)).toBe(false);
    hung.tones.start(moved);
    await hung.tones.hears(heard);
    // What is measured of them goes on.
    const same = streams.map(({ streamId }) => ({ streamId }));
    expect(await rest.device(owner.id)).toMatchObject({ id: deviceId, streams: same });

    hanging.thaw();
    await until('no legs', async () => (await hanging.channels()) === 0, { withinMs: HANG_MS });
    await hung.tones.hears(heard);
  });

  it('carries a phone that insists on DTLS-SRTP', async () => {
    // ICE candidates of this machine itself are not tried by default.
    const server = await freeswitch(1, { FREESWITCH_CANDIDATE_ACL: 'loopback.auto' });
    const gateway = await gatewayWith([server]);
    const rest = new Rest(gateway);
    const session = await rest.session();
    const [one, other] = [await rest.member(session), await rest.member(session)];
    const call = ended(await placeCall({ sipPort: gateway.sipPort, token: other.token, tone: 700 }));
    const uri = `sip:gw@127.0.0.1:${gateway.sipPort};token=${one.token}`;
    const phone = Softphone.baresip({ uri, tone: 500, srtp: 'dtls' });
    afterwards(() => phone.end());
    await call.tones.hears(500, 10_000);
    expect(phone.output).toContain('DTLS-SRTP complete');
    await phone.hangUp();
    expect(phone.heard(700)).toBe(true);
  });

  it('shows in the metrics whether it is healthy, its calls, and its losses', async () => {
    const server = await freeswitch(1);
    const gateway = await gatewayWith([server]);
    const rest = new Rest(gateway);
    const { token } = await rest.member(await rest.session());
    const call = ended(await placeCall({ sipPort: gateway.sipPort, token }));
    const [host, port] = server.address.split(':');
    const measured = async (name: string): Promise<number> => {
      const metrics = await (await fetch(`${gateway.httpUrl}/metrics`)).text();
      const line = `patchbay_freeswitch_${name}{server="${host}:${port}"} `;
      return Number(
        metrics
          .split('\n')
          .find((text) => text.startsWith(line))
          ?.slice(line.length),
      );
    };
    expect(await measured('healthy')).toBe(1);
    expect(await measured('calls')).toBe(1);
    expect(await measured('load')).toBeGreaterThan(0);
    expect(await measured('losses_total')).toBe(0);

    await server.kill();
    await call.hungUp();
    expect(await measured('healthy')).toBe(0);
    expect(await measured('calls')).toBe(0);
    expect(await measured('losses_total')).toBe(1);
  });

  it('that was the only one ends its calls with BYE; calls get 503 and Retry-After until it is back', async () => {
    const server = await freeswitch(1);
    const gateway = await gatewayWith([server]);
    const rest = new Rest(gateway);
    const { id, token } = await rest.member(await rest.session());
    const call = ended(await placeCall({ sipPort: gateway.sipPort, token }));

    await server.kill();
    await call.hungUp();
    await expect(rest.device(id)).rejects.toThrow('404');
    const refusal = await placeRefusedCall({ sipPort: gateway.sipPort, token });
    expect(refusal.status).toBe(503);
    expect(refusal.header('Retry-After')).toMatch(/^\d+/);

    await server.restart();
    const again = await until(
      'a call that is answered',
      async () => {
        const next = await placeCall({
          sipPort: gateway.sipPort,
          token,
          then: (scenario) => scenario.expectAny([200, 503]),
        });
        const { status } = await next.final();
        await next.end();
        return status === 200;
      },
      { withinMs: 20_000, everyMs: 500 },
    );
    expect(again).toBe(true);
  });

  it('that was the only one has its calls moved to direct RTP, if so configured', async () => {
    const server = await freeswitch(1);
    const gateway = await gatewayWith([server], { env: { PATCHBAY_FREESWITCH_FALLBACK: 'direct' } });
    const rest = new Rest(gateway);
    const session = await rest.session();
    const [one, other] = [await rest.member(session), await rest.member(session)];
    const call = ended(
      await placeCall({
        sipPort: gateway.sipPort,
        token: one.token,
        then: movable,
      }),
    );
    await server.kill();
    const reinvite = await call.waitFor('re-INVITE', ({ method }) => method === 'INVITE');
    call.tones.start(audioAddressOf(reinvite.body));

    const direct = ended(await placeCall({ sipPort: gateway.sipPort, token: other.token, tone: 700 }));
    await call.tones.hears(700);
    await direct.tones.hears(440);
    expect(server.owns(await rtpPortOf(direct))).toBe(false);
  });

  it('hangs up the legs of a killed gateway that has kept nothing of their call', async () => {
    const server = await freeswitch(1);
    const gateway = await gatewayWith([server]);
    const rest = new Rest(gateway);
    const { token } = await rest.member(await rest.session());
    ended(await placeCall({ sipPort: gateway.sipPort, token }));
    await until('both legs', async () => (await server.channels()) === 2, { withinMs: 20_000 });

    await gateway.kill();
    expect(await server.channels()).toBe(2);
    for (const file of readdirSync(gateway.dataDir).filter((name) => name.startsWith('patchbay.db')))
      rmSync(join(gateway.dataDir, file));
    await gatewayWith([server], { dataDir: gateway.dataDir });
    await until('no legs', async () => (await server.channels()) === 0, { withinMs: 20_000 });
  });

  it('ends the call by BYE when it hangs up a leg itself', async () => {
    const server = await freeswitch(1);
    const gateway = await gatewayWith([server]);
    const rest = new Rest(gateway);
    const { id, token } = await rest.member(await rest.session());
    const call = ended(await placeCall({ sipPort: gateway.sipPort, token }));
    await until('both legs', async () => (await server.channels()) === 2, { withinMs: 20_000 });

    await server.api('hupall NORMAL_CLEARING');
    await call.hungUp();
    await expect(rest.device(id)).rejects.toThrow('404');
    await until('no legs', async () => (await server.channels()) === 0, { withinMs: 20_000 });
  });

  it('keeps no leg when the phone or the application hangs up', async () => {
    const server = await freeswitch(1);
    const gateway = await gatewayWith([server]);
    const rest = new Rest(gateway);
    const session = await rest.session();
    const [one, other] = [await rest.member(session), await rest.member(session)];
    const leaving = ended(await placeCall({ sipPort: gateway.sipPort, token: one.token }));
    const removed = ended(await placeCall({ sipPort: gateway.sipPort, token: other.token }));
    await until('four legs', async () => (await server.channels()) === 4, { withinMs: 20_000 });

    await leaving.hangUp();
    await until('two legs', async () => (await server.channels()) === 2, { withinMs: 20_000 });
    await rest.disconnectDevice(other.id);
    await removed.hungUp();
    await until('no legs', async () => (await server.channels()) === 0, { withinMs: 20_000 });
  });
});
