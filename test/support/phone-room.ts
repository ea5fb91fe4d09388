import { afterAll, beforeAll, expect, it } from 'vitest';
import { startGateway, type TestGateway } from './gateway.js';
import { type NewTestParticipant, Rest, type TestParticipant } from './rest.js';
import { type CallOptions, phoneOffer, placeCall, type SippCall, type Steps } from './sipp.js';

/** Tones of the phone under test and of the other phone in its session, in Hz. */
export const MINE = 440;
export const OTHERS = 700;

/** Phones' media do not go by FreeSWITCH. */
export const isDirect = (process.env['PATCHBAY_FREESWITCH'] ?? '') === '';

/** A test of what the media plane agrees on: FreeSWITCH negotiates with phones in its own way. */
export const direct = it.skipIf(!isDirect);

export const isEmbedded = (process.env['PATCHBAY_DRACHTIO'] ?? '') === '';

/** A test of what drachtio-server does by itself, in another way. */
export const embedded = it.skipIf(!isEmbedded);

/** How long phones are waited for. */
export const limit = { withinMs: 20_000, everyMs: 10 };

/** Steps of a phone that holds its call and resumes it, at cues. */
export const holdsOnce: Steps = (scenario, port) =>
  scenario
    .expect(200)
    .ack()
    .waitForCue()
    .request('INVITE', { body: phoneOffer(port, { direction: 'sendonly', version: 2 }) })
    .expect(200)
    .ack()
    .waitForCue()
    .request('INVITE', { body: phoneOffer(port, { version: 3 }) })
    .expect(200)
    .ack()
    .waitForCue()
    .bye();

interface PhoneRoomOptions {
  /** Environment of the gateway. */
  readonly env?: Record<string, string>;
  /** No other phone in the session. */
  readonly alone?: boolean;
}

/** A gateway with a session in which another phone talks already, for the tests of one file. */
interface PhoneRoom {
  readonly gateway: TestGateway;
  readonly rest: Rest;
  readonly session: string;
  /** The other phone, with the tone {@link OTHERS}. */
  readonly other: TestParticipant;
  readonly otherCall: SippCall;
  /** Makes a call of a new participant of the session, with the tone {@link MINE}, and ends it whatever happens. */
  withCall(
    options: Partial<CallOptions> & { readonly participant?: NewTestParticipant },
    test: (call: SippCall, participant: TestParticipant) => Promise<void>,
  ): Promise<void>;
}

/** Call it at the top of a `describe`. The parts are there from `beforeAll` on. */
export function usePhoneRoom({ env = {}, alone = false }: PhoneRoomOptions = {}): PhoneRoom {
  let gateway: TestGateway | undefined;
  let session: string | undefined;
  let other: { participant: TestParticipant; call: SippCall } | undefined;
  const rest = (): Rest => new Rest(started(gateway));

  beforeAll(async () => {
    gateway = await startGateway({ env });
    session = await rest().session();
    if (alone) return;
    const participant = await rest().member(session);
    const options = { sipPort: gateway.sipPort, token: participant.token, tone: OTHERS };
    other = { participant, call: await placeCall(options) };
  });
  afterAll(async () => {
    await other?.call.end();
    expect(await gateway?.stop()).toBe(0);
  });

  return {
    get gateway() {
      return started(gateway);
    },
    get rest() {
      return rest();
    },
    get session() {
      return started(session);
    },
    get other() {
      return started(other).participant;
    },
    get otherCall() {
      return started(other).call;
    },
    async withCall({ participant: about = {}, ...options }, test) {
      const participant = await rest().member(started(session), about);
      const { sipPort } = started(gateway);
      const call = await placeCall({ sipPort, token: participant.token, tone: MINE, ...options });
      try {
        await test(call, participant);
      } finally {
        await call.end();
        // Some tests delete it themselves.
        await rest()
          .deleteParticipant(participant.id)
          .catch((error: unknown) => expect(String(error)).toContain('404'));
      }
    },
  };
}

function started<T>(part: T | undefined): T {
  if (part === undefined) throw new Error('The room is set up in beforeAll: use it in tests only.');
  return part;
}
