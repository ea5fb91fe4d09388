import { once } from 'node:events';
import { rmSync } from 'node:fs';
import type { AddressInfo } from 'node:net';
import { TwilioRealtimeTransportLayer } from '@openai/agents-extensions';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { type WebSocket, WebSocketServer } from 'ws';
import { startGateway, type TestGateway } from '../support/gateway.js';
import { Rest } from '../support/rest.js';
import { placeCall, type SippCall } from '../support/sipp.js';
import { muLawDecode, muLawEncode, sine, toneLevel } from '../support/tones.js';
import { until } from '../support/until.js';

const CALLER_TONE = 440;
const MODEL_TONE = 1100;
const LIMIT = { withinMs: 20_000 };
/** Samples of a piece of speech that the model sends: 200 ms. */
const PIECE = 1600;

/** What the agent's own library talks to in place of a model: it hears audio, and speaks tones when the test says so. */
class FakeModel {
  readonly server = new WebSocketServer({ host: '127.0.0.1', port: 0 });
  readonly heard: Buffer[] = [];
  /** Types of what the library sent. */
  readonly asked = new Set<string>();
  #socket: WebSocket | undefined;
  #responses = 0;

  constructor() {
    this.server.on('connection', (socket) => {
      this.#socket = socket;
      this.send({ type: 'session.created', session: {} });
      socket.on('message', (data: Buffer) => {
        const message = JSON.parse(data.toString()) as { type: string; audio?: string };
        this.asked.add(message.type);
        if (message.type === 'input_audio_buffer.append')
          this.heard.push(Buffer.from(message.audio ?? '', 'base64'));
      });
    });
  }

  send(message: object): void {
    this.#socket?.send(JSON.stringify({ event_id: 'event', ...message }));
  }

  hears(hertz: number): boolean {
    const bytes = Buffer.concat(this.heard.slice(-20));
    return bytes.length > 1000 && toneLevel(Int16Array.from(bytes, muLawDecode), hertz, 8000) > -35;
  }

  /** Sends seconds of a tone at once. @param isWhole nothing follows it: the library sees to interruptions until then */
  say(seconds: number, isWhole: boolean): void {
    this.#responses += 1;
    const about = {
      response_id: `response-${this.#responses}`,
      item_id: `item-${this.#responses}`,
      output_index: 0,
      content_index: 0,
    };
    this.send({ type: 'response.created', response: { id: about.response_id } });
    const tone = sine(MODEL_TONE, 8000);
    for (let sent = 0; sent < seconds * 8000; sent += PIECE) {
      const delta = Buffer.from(Array.from(tone(PIECE), muLawEncode)).toString('base64');
      this.send({ type: 'response.output_audio.delta', ...about, delta });
    }
    if (!isWhole) return;
    this.send({ type: 'response.output_audio.done', ...about });
    this.send({ type: 'response.done', response: { id: about.response_id, output: [], usage: {} } });
  }
}

const urlOf = (server: WebSocketServer): string =>
  `ws://127.0.0.1:${(server.address() as AddressInfo).port}/`;

const model = new FakeModel();
const agents = new WebSocketServer({ host: '127.0.0.1', port: 0 });
/** What came from the gateway, as the library tells it. */
const told: { readonly event: string }[] = [];
let gateway: TestGateway;
let call: SippCall;
let rest: Rest;
let agent: string;

beforeAll(async () => {
  for (const server of [model.server, agents]) if (!server.address()) await once(server, 'listening');
  agents.on('connection', (socket) => {
    const transport = new TwilioRealtimeTransportLayer({
      // It is a socket of `ws`, as in the library's own examples.
      // eslint-disable-next-line @typescript-eslint/no-unsafe-class-instance-assignment
      twilioWebSocket: socket,
    });
    transport.on('*', (event) => {
      if (event.type === 'twilio_message') told.push(event['message'] as { event: string });
    });
    void transport.connect({ apiKey: 'none', url: urlOf(model.server), initialSessionConfig: {} });
  });
  gateway = await startGateway();
  rest = new Rest(gateway);
  const session = await rest.session();
  const caller = await rest.member(session);
  agent = (await rest.member(session)).id;
  call = await placeCall({ sipPort: gateway.sipPort, token: caller.token, tone: CALLER_TONE });
});
afterAll(async () => {
  await call.end();
  await gateway.stop();
  rmSync(gateway.dataDir, { recursive: true, force: true });
  agents.close();
  model.server.close();
});

it('an agent of OpenAI’s library, by its Twilio transport as it is, talks with a phone and is interrupted', async () => {
  await rest.request('PUT', `/participants/${agent}/program`, { url: urlOf(agents), dialect: 'twilio' });
  await until('the model hears the caller', () => model.hears(CALLER_TONE), LIMIT);
  model.say(2, true);
  await call.tones.hears(MODEL_TONE);
  const marks = (): number => told.filter(({ event }) => event === 'mark').length;
  await until('marks of all that was played', () => marks() >= 10, LIMIT);
  await call.tones.stopsHearing(MODEL_TONE);
  model.say(20, false);
  await call.tones.hears(MODEL_TONE);
  // The caller begins to speak: the library clears what waits at the gateway.
  model.send({ type: 'input_audio_buffer.speech_started', audio_start_ms: 1, item_id: 'caller' });
  await call.tones.stopsHearing(MODEL_TONE);
  await until(
    'the model is told how much was heard',
    () => model.asked.has('conversation.item.truncate'),
    LIMIT,
  );
  await rest.request('DELETE', `/participants/${agent}/program`);
  await until('its end', () => told.some(({ event }) => event === 'stop'), LIMIT);
  expect(new Set(told.map(({ event }) => event))).toEqual(
    new Set(['connected', 'start', 'media', 'mark', 'stop']),
  );
});
