import { type Static, Type } from '@sinclair/typebox';
import { Value } from '@sinclair/typebox/value';

const Endpoint = Type.Object({ host: Type.String(), port: Type.Integer({ minimum: 0, maximum: 65_535 }) });
const Sequence = Type.Integer({ minimum: 0, maximum: 2 ** 31 });

const SavedDialogSchema = Type.Object({
  id: Type.String(),
  /** Who sent the INVITE: the peer (`uas`), or we (`uac`). */
  role: Type.Union([Type.Literal('uas'), Type.Literal('uac')]),
  callId: Type.String(),
  localTag: Type.String(),
  remoteTag: Type.String(),
  /** From and To of our requests, with tags. */
  localParty: Type.String(),
  remoteParty: Type.String(),
  /** The nearest proxy first. */
  routeSet: Type.Array(Type.String()),
  remoteTarget: Type.String(),
  /** CSeq numbers: of our last request, of our last INVITE, and of the peer's last request. */
  localSequence: Sequence,
  inviteSequence: Sequence,
  remoteSequence: Type.Optional(Sequence),
  localContact: Type.String(),
  localSdp: Type.String(),
  /** The way of the peer's last message. */
  transport: Type.Union([Type.Literal('udp'), Type.Literal('tcp'), Type.Literal('tls')]),
  local: Endpoint,
  remote: Endpoint,
  /** The tags of its application. */
  tags: Type.Array(Type.String()),
  peerAllowsUpdate: Type.Boolean(),
  /** The session timer (RFC 4028), and when it was started or refreshed, in epoch milliseconds. */
  session: Type.Optional(
    Type.Object({
      seconds: Type.Integer({ minimum: 1 }),
      refreshedByUs: Type.Boolean(),
      since: Type.Number(),
    }),
  ),
  /** Our 2xx, while its ACK has not come. The body is left out if it is `localSdp`. */
  unacknowledged: Type.Optional(
    Type.Object({ sequence: Sequence, head: Type.String(), hasSdp: Type.Boolean() }),
  ),
});

/**
 * What another process needs to go on with a confirmed INVITE dialog: plain data. Strings hold one byte per character,
 * as those of messages do. Of the messages that made the dialog it has no more than RFC 3261 section 12 wants.
 */
export type SavedDialog = Static<typeof SavedDialogSchema>;

/** Reads what was saved, perhaps by another version; undefined when it cannot be used. */
export function readSavedDialog(value: unknown): SavedDialog | undefined {
  return Value.Check(SavedDialogSchema, value) ? value : undefined;
}
