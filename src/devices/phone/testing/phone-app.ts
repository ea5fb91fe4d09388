import { expect, vi } from 'vitest';
import { FakeMediaPlane } from '../../../media/testing/fake-plane.js';
import { type CallObserver, createPhoneApp, type PhoneAppOptions } from '../index.js';
import type { CallOutcome } from '../refusal.js';
import { type FakeDialog, FakeGate, FakeRequest, FakeSrf, recordingLog, VALID_TOKEN } from './fakes.js';

/** A phone application with a fake SIP server, core and media plane. */
export function startApp(options: Partial<PhoneAppOptions> = {}) {
  const srf = new FakeSrf();
  const gate = new FakeGate();
  const media = new FakeMediaPlane();
  const { log, lines } = recordingLog();
  const setupTimes: number[] = [];
  const over: CallOutcome[] = [];
  const refused: string[] = [];
  const observer: CallObserver = {
    answered: (ms) => void setupTimes.push(ms),
    over: (outcome) => void over.push(outcome),
    refused: (method, status) => void refused.push(`${method} ${status}`),
  };
  const app = createPhoneApp({ srf: srf.srf, gate, media, log, observer, sipServer: 'server', ...options });
  return { srf, gate, media, app, lines, setupTimes, over, refused };
}

export type Started = ReturnType<typeof startApp>;

/** An INVITE that carries the token in User-to-User. */
export function invite(
  token: string | undefined,
  headers: Record<string, string> = {},
  body = 'offer',
): FakeRequest {
  return new FakeRequest('INVITE', {
    body,
    headers: { ...(token !== undefined && { 'user-to-user': `${token};encoding=jwt` }), ...headers },
  });
}

/** Sends a request to the application. @returns its final response */
export async function answerTo({ srf }: Started, request: FakeRequest) {
  srf.receive(request);
  await vi.waitFor(() => expect(request.final).toBeDefined());
  return request.final!;
}

/** Makes an answered call. @returns its dialog */
export async function connectCall(
  started: Started,
  headers?: Record<string, string>,
  body?: string,
): Promise<FakeDialog> {
  const { status } = await answerTo(started, invite(VALID_TOKEN, headers, body));
  expect(status).toBe(200);
  return started.srf.dialogs.at(-1)!;
}
