import { type Core, PatchbayError } from '../../core/index.js';
import type { Clock, Log } from '../../shared/index.js';
import { failureOf } from '../failures.js';
import type { Answer, FromLeader, Question } from '../messages.js';
import type { CallSaving } from './call-saving.js';

/** When an edge may ask again what cannot be answered while nothing is written. */
const AGAIN_MS = 500;

interface Answering {
  readonly core: Core;
  readonly calls: CallSaving;
  readonly clock: Clock;
  readonly log: Log;
}

/** Answers an edge's question, or says why not. */
export async function answerTo(
  { id, ...asked }: { readonly id: number } & Question,
  parts: Answering,
): Promise<FromLeader> {
  try {
    return { type: 'answer', id, ...(await answer(asked, parts)) };
  } catch (error) {
    const { question } = asked;
    if (!(error instanceof PatchbayError))
      parts.log.error({ err: error, question }, 'A question could not be answered.');
    return { type: 'failed', id, failure: failureOf(error) };
  }
}

/** @throws PatchbayError by rejection, as the core does */
async function answer(asked: Question, { core, calls, clock }: Answering): Promise<Answer> {
  const { question } = asked;
  switch (question) {
    case 'authenticate': {
      const { token, ignoreExpiry } = asked.asked;
      return { question, answer: core.authenticate(token, { ignoreExpiry }) };
    }
    case 'admitDevice': {
      const { participantId: id, accountId } = asked.asked;
      core.admitDevice({ id, accountId });
      return { question, answer: null };
    }
    case 'participantOf':
      return { question, answer: core.participantOf(asked.asked.participantId) ?? null };
    case 'connectedDevice':
      return { question, answer: core.connectedDevice(asked.asked.participantId) ?? null };
    case 'resumePoint': {
      const { participantId, externalId } = asked.asked;
      return { question, answer: core.resumePoint(participantId, externalId) ?? null };
    }
    case 'flush':
      await core.flush();
      return { question, answer: null };
    case 'calls':
      await whenWritten(calls, clock);
      return { question, answer: calls.page(asked.asked) };
  }
}

/**
 * What the process before has said of its calls is on disk: otherwise the next leader might not have it, and nobody would say it
 * again.
 * @throws PatchbayError by rejection: NO_LEADER, after a moment
 */
async function whenWritten(calls: CallSaving, clock: Clock): Promise<void> {
  try {
    await calls.flush();
  } catch {
    await new Promise<void>((resolve) => void clock.setTimeout(resolve, AGAIN_MS));
    throw new PatchbayError('PATCHBAY_NO_LEADER', 'The leader cannot write at present.');
  }
}
