import { once } from 'node:events';
import { rmSync } from 'node:fs';
import type { AddressInfo } from 'node:net';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { WebSocketServer } from 'ws';
import { startGateway, type TestGateway } from '../support/gateway.js';
import { AudioProgram } from '../support/program.js';
import { Rest, type TestParticipant } from '../support/rest.js';
import { placeCall, type SippCall } from '../support/sipp.js';
import { muLawDecode, muLawEncode, sine, toneLevel } from '../support/tones.js';
import { until } from '../support/until.js';

const CALLER_TONE = 440;
const PROGRAM_TONE = 1100;
const LIMIT = { withinMs: 20_000 };

let gateway: TestGateway;
let rest: Rest;
let session: string;
let caller: TestParticipant;
let call: SippCall;

/** A server that the gateway connects to; each connection is a program. */
const server = new WebSocketServer({
  host: '127.0.0.1',
  port: 0,
  handleProtocols: (offered) => offered.has('audio.jambonz.org') && 'audio.jambonz.org',
});
const programs: AudioProgram[] = [];
let rate = 16_000;
server.on('connection', (socket) => programs.push(new AudioProgram(socket, { rate })));

const urlOfServer = (): string => `ws://127.0.0.1:${(server.address() as AddressInfo).port}/agent?key=s3cret`;

beforeAll(async () => {
  if (!server.address()) await once(server, 'listening');
  gateway = await startGateway({ env: { PATCHBAY_MEDIA_HOSTS: '1' } });
  rest = new Rest(gateway);
  session = await rest.session();
  caller = await rest.member(session);
  call = await placeCall({ sipPort: gateway.sipPort, token: caller.token, tone: CALLER_TONE });
});
afterEach(() => {
  for (const program of programs.splice(0)) program.socket.close();
});
afterAll(async () => {
  await call.end();
  await gateway.stop();
  rmSync(gateway.dataDir, { recursive: true, force: true });
  server.close();
});

/** The program that the gateway has connected to. */
async function connected(dialect: string, programRate: number): Promise<[AudioProgram, TestParticipant]> {
  rate = programRate;
  const participant = await rest.member(session);
  const body = { url: urlOfServer(), dialect, rate: programRate };
  await rest.request('PUT', `/participants/${participant.id}/program`, body);
  await until('a connection', () => programs.length > 0, LIMIT);
  return [programs[0]!, participant];
}

const muLawOf = (text: string): Buffer => Buffer.from(text, 'base64');

describe('the gateway connects to a program', () => {
  it.each([
    ['patchbay', 24_000],
    ['vonage', 16_000],
    ['jambonz', 8_000],
  ])('that speaks %s at %i Hz: it and a phone hear each other, and digits come', async (dialect, hertz) => {
    const [program, { id }] = await connected(dialect, hertz);
    await program.hears(CALLER_TONE);
    program.playTone(PROGRAM_TONE, 20);
    await call.tones.hears(PROGRAM_TONE);
    call.tones.sendDigit('6');
    const isDigit = (message: object): boolean => /"(?:digit|dtmf)":"6"/.test(JSON.stringify(message));
    await until('the digit', () => program.messages.some(isDigit), LIMIT);
    const shown = JSON.stringify(await rest.request('GET', `/participants/${id}/program`));
    expect(shown).toContain('"state":"connected"');
    expect(shown).not.toContain('s3cret');
    await rest.request('DELETE', `/participants/${id}/program`);
    expect((await program.closed).code).toBe(1000);
    await call.tones.stopsHearing(PROGRAM_TONE);
    await expect(rest.request('GET', `/participants/${id}/program`)).rejects.toThrow('404');
  });

  it('that speaks twilio: µ-law in base64, marks, and clear', async () => {
    const [program, { id }] = await connected('twilio', 8_000);
    const start = await program.message('start');
    const { streamSid } = start as { streamSid: string };
    const heard = (): number => {
      const latest = program.messages.filter(({ event }) => event === 'media').slice(-10);
      const bytes = Buffer.concat(latest.map(({ media }) => muLawOf((media as { payload: string }).payload)));
      return toneLevel(Int16Array.from(bytes, muLawDecode), CALLER_TONE, 8_000);
    };
    await until('the caller', () => heard() > -35, LIMIT);
    const payload = Buffer.from(Array.from(sine(PROGRAM_TONE, 8_000)(80_000), muLawEncode)).toString(
      'base64',
    );
    program.send({ event: 'media', streamSid, media: { payload } });
    program.send({ event: 'mark', streamSid, mark: { name: 'ten seconds' } });
    await call.tones.hears(PROGRAM_TONE);
    expect(program.messages.some(({ event }) => event === 'mark')).toBe(false);
    program.send({ event: 'clear', streamSid });
    expect(await program.message('mark')).toMatchObject({ mark: { name: 'ten seconds' } });
    await call.tones.stopsHearing(PROGRAM_TONE);
    await rest.disconnectDevice(id);
    await program.message('stop');
  });

  it('again when the gateway was killed: what it said is heard meanwhile, and it is the device that it was', async () => {
    const [program, { id }] = await connected('patchbay', 16_000);
    await program.hears(CALLER_TONE);
    const before = (await rest.device(id)).id;
    program.playTone(PROGRAM_TONE, 55);
    await call.tones.hears(PROGRAM_TONE);
    await gateway.kill();
    programs.splice(0);
    await call.tones.hears(PROGRAM_TONE);
    gateway = await startGateway({
      dataDir: gateway.dataDir,
      env: { PATCHBAY_MEDIA_HOSTS: '1', PATCHBAY_SIP_PORT: String(gateway.sipPort) },
    });
    rest = new Rest(gateway);
    await until('a new connection', () => programs.length > 0, LIMIT);
    expect(await programs[0]!.message('start')).toMatchObject({ resumed: true, connectionId: before });
    await programs[0]!.hears(CALLER_TONE);
    await call.tones.hears(PROGRAM_TONE);
    expect((await rest.device(id)).id).toBe(before);
    await rest.request('DELETE', `/participants/${id}/program`);
  });
});
