import { afterEach, beforeAll, describe, expect, it } from 'vitest';
import { WebSocket } from 'ws';
import { AudioProgram } from '../support/program.js';
import type { TestParticipant } from '../support/rest.js';
import { placeCall, type SippCall } from '../support/sipp.js';
import { useStage } from '../support/stage.js';
import { until } from '../support/until.js';
import { WebhookReceiver } from '../support/webhook-receiver.js';

const CALLER_TONE = 440;
const AGENT_TONE = 700;
const PROGRAM_TONE = 1100;
const OTHER_PROGRAM_TONE = 1700;

const GRACE_S = 3;
const LIMIT = { withinMs: 20_000 };

const stage = useStage({ env: { PATCHBAY_PROGRAM_GRACE: String(GRACE_S) } });
const calls: SippCall[] = [];
const programs: AudioProgram[] = [];
let session: string;

beforeAll(async () => {
  session = await stage.rest.session();
});

afterEach(async () => {
  for (const program of programs.splice(0)) program.cut();
  await Promise.all(calls.splice(0).map((call) => call.end()));
});

async function phone(token: string, tone: number): Promise<SippCall> {
  const call = await placeCall({ sipPort: stage.gateway.sipPort, token, tone });
  calls.push(call);
  return call;
}

async function program(
  { token }: TestParticipant,
  options?: Parameters<typeof AudioProgram.connect>[2],
): Promise<AudioProgram> {
  const connected = await AudioProgram.connect(stage.gateway.wsUrl, token, options);
  programs.push(connected);
  return connected;
}

const only = (...participants: readonly TestParticipant[]) => ({
  participants: participants.map(({ id }) => ({ participantId: id })),
});

describe('a program', () => {
  it('and a phone hear each other, and a page hears it; digits pass both ways', async () => {
    const { rest, gateway, chrome } = stage;
    const receiver = await WebhookReceiver.start();
    const callbackUrl = receiver.url;
    const [caller, agent, viewer] = [
      await rest.member(session, { callbackUrl }),
      await rest.member(session, { callbackUrl }),
      await rest.member(session),
    ];
    const page = await chrome.openClient({ client: '0.12', gatewayUrl: gateway.wsUrl, token: viewer.token });
    const call = await phone(caller.token, CALLER_TONE);
    const bot = await program(agent, { rate: 24_000, alias: 'bot' });
    await bot.hears(CALLER_TONE);
    bot.playTone(PROGRAM_TONE, 20);
    await Promise.all([call.tones.hears(PROGRAM_TONE), page.hears(PROGRAM_TONE)]);
    expect(await rest.device(agent.id)).toMatchObject({
      kind: 'program',
      received: { codecs: ['L16'] },
      streams: [{ alias: 'bot', mediaTypes: ['AUDIO'] }],
    });
    call.tones.sendDigit('7');
    expect(await bot.message('dtmf')).toMatchObject({ digit: '7', participantId: caller.id });
    bot.send({ type: 'clear' });
    bot.send({ type: 'dtmf', digits: '5#' });
    await until('the program’s digits at the phone', () => call.tones.digits === '5#', LIMIT);
    await until('the webhooks', () => receiver.digits(agent.id) === '5#', LIMIT);
    await rest.request('POST', `/participants/${agent.id}/device/dtmf`, { digits: '9' });
    await bot.message('dtmf', ({ digit, channel }) => digit === '9' && channel === undefined);
    bot.send({ type: 'leave' });
    expect(await bot.closed).toEqual({ code: 1000, reason: 'left' });
    await receiver.event('onLeave', agent.id);
    expect(receiver.events(agent.id)).toEqual(['onConnect', 'onLeave']);
    expect(await rest.request('GET', '/usage')).toMatchObject({
      items: expect.arrayContaining([
        expect.objectContaining({ kind: 'program', participantId: agent.id, endReason: 'left' }),
      ]) as unknown,
    });
    receiver.close();
  });

  it('whispers to the agent alone; the caller hears nothing of it', async () => {
    const { rest } = stage;
    const session = await rest.session();
    const [caller, agent, coach] = [
      await rest.member(session, { subscriptions: {} }),
      await rest.member(session, { subscriptions: {} }),
      await rest.member(session, { subscriptions: {} }),
    ];
    await rest.subscribe(session, caller.id, only(agent));
    await rest.subscribe(session, agent.id, only(caller, coach));
    await rest.subscribe(session, coach.id, only(caller, agent));
    const callerPhone = await phone(caller.token, CALLER_TONE);
    const agentPhone = await phone(agent.token, AGENT_TONE);
    const bot = await program(coach, { rate: 8000 });
    await bot.hears(CALLER_TONE);
    await bot.hears(AGENT_TONE);
    await callerPhone.tones.hears(AGENT_TONE);
    const since = performance.now();
    bot.playTone(PROGRAM_TONE, 3);
    bot.send({ type: 'mark', mark: 'said' });
    await agentPhone.tones.hears(PROGRAM_TONE);
    await agentPhone.tones.hears(CALLER_TONE);
    await bot.message('played');
    const heard = callerPhone.tones.packetsSince(since, PROGRAM_TONE);
    expect(heard.with).toBe(0);
    expect(heard.without).toBeGreaterThan(50);
  });

  it('and another one in the same session hear each other, and each stream by itself if they like', async () => {
    const { rest } = stage;
    const session = await rest.session();
    const [caller, one, other] = [
      await rest.member(session),
      await rest.member(session),
      await rest.member(session),
    ];
    await phone(caller.token, CALLER_TONE);
    const mixed = await program(one, { rate: 48_000 });
    const apart = await program(other, { rate: 16_000, channels: 'streams' });
    mixed.playTone(PROGRAM_TONE, 20);
    apart.playTone(OTHER_PROGRAM_TONE, 20);
    await mixed.hears(CALLER_TONE);
    await mixed.hears(OTHER_PROGRAM_TONE);
    const channelOf = async ({ id }: TestParticipant): Promise<number> =>
      Number((await apart.message('channel', ({ participantId }) => participantId === id))['channel']);
    const [ofCaller, ofOne] = [await channelOf(caller), await channelOf(one)];
    await apart.hears(CALLER_TONE, ofCaller);
    await apart.hears(PROGRAM_TONE, ofOne);
    expect(apart.level(PROGRAM_TONE, ofCaller)).toBeLessThan(-50);
    expect(apart.level(CALLER_TONE, ofOne)).toBeLessThan(-50);
  });

  it('moves to another session within its connection', async () => {
    const { rest } = stage;
    const [here, there] = [await rest.session(), await rest.session()];
    const [caller, agent, mover] = [
      await rest.member(here),
      await rest.member(there),
      await rest.member(here),
    ];
    const callerPhone = await phone(caller.token, CALLER_TONE);
    const agentPhone = await phone(agent.token, AGENT_TONE);
    const bot = await program(mover);
    bot.playTone(PROGRAM_TONE, 20);
    await bot.hears(CALLER_TONE);
    await callerPhone.tones.hears(PROGRAM_TONE);
    await rest.leave(here, mover.id);
    await rest.join(there, mover.id, { sessionId: there });
    await bot.hears(AGENT_TONE);
    await bot.hearsNoMore(CALLER_TONE);
    await agentPhone.tones.hears(PROGRAM_TONE);
    await callerPhone.tones.stopsHearing(PROGRAM_TONE);
    expect(bot.messages.filter(({ type }) => type === 'start')).toHaveLength(1);
  });

  it('is played in real time when it sends three seconds at once, and is silent when that is cleared', async () => {
    const { rest } = stage;
    const session = await rest.session();
    const [caller, agent] = [await rest.member(session), await rest.member(session)];
    const { tones } = await phone(caller.token, CALLER_TONE);
    const bot = await program(agent);
    await bot.hears(CALLER_TONE);
    const since = performance.now();
    bot.playTone(PROGRAM_TONE, 3);
    bot.send({ type: 'mark', mark: 'three seconds' });
    // In between the phone keeps no more than two seconds of what it heard.
    await bot.message('played');
    expect(performance.now() - since).toBeGreaterThan(2_900);
    expect(tones.packetsSince(since, PROGRAM_TONE).inARow).toBeGreaterThan(80);
    await tones.stopsHearing(PROGRAM_TONE);
    bot.playTone(OTHER_PROGRAM_TONE, 60);
    bot.send({ type: 'mark', mark: 'a minute' });
    await tones.hears(OTHER_PROGRAM_TONE);
    bot.send({ type: 'clear' });
    await bot.message('played', ({ mark }) => mark === 'a minute');
    await tones.stopsHearing(OTHER_PROGRAM_TONE);
  });

  it('goes on after it lost its socket if it is back in time, and is gone otherwise', async () => {
    const { rest, gateway } = stage;
    const receiver = await WebhookReceiver.start();
    const session = await rest.session();
    const [caller, agent] = [
      await rest.member(session),
      await rest.member(session, { callbackUrl: receiver.url }),
    ];
    const { tones } = await phone(caller.token, CALLER_TONE);
    const bot = await program(agent);
    const { id } = await rest.device(agent.id);
    bot.playTone(PROGRAM_TONE, 20);
    await tones.hears(PROGRAM_TONE);
    bot.cut();
    await receiver.event('onDisconnect', agent.id);
    const again = await program(agent);
    expect(again.messages[0]).toMatchObject({ resumed: true, connectionId: id });
    await again.hears(CALLER_TONE);
    await tones.hears(PROGRAM_TONE);
    again.cut();
    await receiver.event('onLeave', agent.id);
    expect(receiver.events(agent.id)).toEqual(['onConnect', 'onDisconnect', 'onDisconnect', 'onLeave']);
    await tones.stopsHearing(PROGRAM_TONE);
    await expect(rest.device(agent.id)).rejects.toThrow('404');
    expect(gateway.log.some((line) => JSON.stringify(line).includes(agent.token))).toBe(false);
    receiver.close();
  });

  it('is refused with a status, and closed with a reason when it goes on with bad messages', async () => {
    const { rest, gateway } = stage;
    const agent = await rest.member(session);
    const status = (query: string): Promise<unknown> =>
      new Promise((resolve) => {
        const socket = new WebSocket(`${gateway.wsUrl}/program/?${query}`);
        socket.on('error', () => undefined);
        socket.once('unexpected-response', (_request, response) => {
          response.resume();
          resolve(response.statusCode);
        });
      });
    expect(await status('token=none')).toBe(401);
    expect(await status(`token=${agent.token}&rate=11025`)).toBe(400);
    const bot = await program(agent);
    for (let i = 0; i < 30; i += 1) bot.send({ type: 'sing' });
    const { code, reason } = await bot.closed;
    expect([code, reason]).toEqual([1008, 'Too many bad messages, the last one: unknown-message.']);
    expect(await bot.message('error')).toMatchObject({ code: 'unknown-message' });
    await rest.deleteParticipant(agent.id);
  });

  it('is counted in the metrics', async () => {
    const { gateway } = stage;
    const metrics = await (await fetch(`${gateway.httpUrl}/metrics`)).text();
    expect(metrics).toMatch(/^patchbay_devices\{kind="program"\} \d/m);
    expect(metrics).toMatch(/^patchbay_program_sockets \d/m);
    expect(metrics).toMatch(/^patchbay_program_refusals_total\{reason="parameters"\} 2$/m);
    expect(metrics).toMatch(/^patchbay_program_refusals_total\{reason="abuse"\} 1$/m);
    expect(metrics).toMatch(/^patchbay_program_lost_audio_seconds_total\{direction="to_program"\} 0$/m);
  });
});
