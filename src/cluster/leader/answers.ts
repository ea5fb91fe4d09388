import type { Core } from '../../core/index.js';
import type { Question, Questions } from '../messages.js';

/**
 * Answers an edge's question.
 * @throws PatchbayError by rejection, as the core does
 */
export async function answerTo(
  question: Question,
  core: Core,
): Promise<Questions[keyof Questions]['answer']> {
  switch (question.question) {
    case 'authenticate': {
      const { token, ignoreExpiry } = question.asked;
      return core.authenticate(token, { ignoreExpiry });
    }
    case 'admitDevice': {
      const { participantId: id, accountId } = question.asked;
      core.admitDevice({ id, accountId });
      return null;
    }
    case 'participantOf':
      return core.participantOf(question.asked.participantId) ?? null;
    case 'connectedDevice':
      return core.connectedDevice(question.asked.participantId) ?? null;
    case 'resumePoint':
      return core.resumePoint(question.asked.participantId, question.asked.externalId) ?? null;
    case 'flush':
      await core.flush();
      return null;
  }
}
