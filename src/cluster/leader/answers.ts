import type { Core } from '../../core/index.js';
import type { Answer, Question } from '../messages.js';

/**
 * Answers an edge's question.
 * @throws PatchbayError by rejection, as the core does
 */
export async function answerTo(asked: Question, core: Core): Promise<Answer> {
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
  }
}
