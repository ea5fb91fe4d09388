import type { ConnectedDevice, Participant, Session } from '../core/index.js';

/** What the page of a participant shows of its call, for whoever has its token. */
interface Admission {
  readonly participant: { readonly id: string; readonly tag?: string; readonly publishes: readonly string[] };
  /** Absent: it is in no session. */
  readonly session?: { readonly tag?: string };
  /** Those whose streams it receives. */
  readonly heard: readonly { readonly id: string; readonly tag?: string; readonly kind?: string }[];
  /** Ids of those in `heard` to whom the keys go that it presses: phones and programs that receive it. */
  readonly digitsTo: readonly string[];
}

/** The core, as far as it is asked here. */
export interface AdmissionCore {
  authenticate(token: string): Participant;
  session(accountId: string, sessionId: string): Session;
  members(accountId: string, sessionId: string): readonly Participant[];
  device(accountId: string, participantId: string): ConnectedDevice | undefined;
}

/** Kinds of devices that are sent key presses. Pages have no use for them. */
const GET_DIGITS = new Set(['phone', 'program']);

const tagOf = ({ tag }: { readonly tag?: string | undefined }) => (tag === undefined ? {} : { tag });

/**
 * What a token's page may know: nothing of those whom it does not hear, so that somebody who listens in silence is not
 * given away.
 * @throws PatchbayError TOKEN_INVALID, TOKEN_EXPIRED, or PARTICIPANT_NOT_FOUND
 */
export function admissionOf(core: AdmissionCore, token: string): Admission {
  const own = core.authenticate(token);
  const { accountId, sessionId } = own;
  const participant = { id: own.id, ...tagOf(own), publishes: own.publishPermissions };
  if (sessionId === undefined) return { participant, heard: [], digitsTo: [] };
  const delivery = core.device(accountId, own.id)?.delivery ?? [];
  const publishers = new Set(delivery.map(({ participantId }) => participantId));
  const members = core
    .members(accountId, sessionId)
    .filter(({ id }) => id !== own.id && publishers.has(id))
    .map((member) => ({ member, device: core.device(accountId, member.id) }));
  const receivesOwn = (device: ConnectedDevice): boolean =>
    device.delivery.some(({ participantId }) => participantId === own.id);
  return {
    participant,
    session: tagOf(core.session(accountId, sessionId)),
    heard: members.map(({ member, device }) => ({
      id: member.id,
      ...tagOf(member),
      ...(device && { kind: device.info.kind }),
    })),
    digitsTo: members.flatMap(({ member, device }) =>
      device && GET_DIGITS.has(device.info.kind) && receivesOwn(device) ? [member.id] : [],
    ),
  };
}
