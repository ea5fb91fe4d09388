import { Type } from '@sinclair/typebox';

const accountId = Type.String({ description: 'The account, as configured.', examples: ['9900000'] });
const sessionId = Type.String();
const participantId = Type.String();

/** Path parameters. Ids are opaque: one that is not ours is simply not found. */
export const AccountPath = Type.Object({ accountId });
export const SessionPath = Type.Object({ accountId, sessionId });
export const ParticipantPath = Type.Object({ accountId, participantId });
export const MemberPath = Type.Object({ accountId, sessionId, participantId });
