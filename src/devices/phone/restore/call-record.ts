import { type Static, Type } from '@sinclair/typebox';
import { Value } from '@sinclair/typebox/value';
import { MAX_NOTE_BYTES } from '../../../media/index.js';

const Text = Type.String();
const Texts = Type.Record(Type.String(), Type.String());

const DialogRecordSchema = Type.Object({
  id: Text,
  role: Type.Union([Type.Literal('uas'), Type.Literal('uac')]),
  callId: Text,
  localTag: Text,
  remoteTag: Text,
  /** From and To of our requests, with tags. */
  localParty: Text,
  remoteParty: Text,
  /** The nearest proxy first. */
  routeSet: Type.Array(Text),
  remoteTarget: Text,
  /** Our Contact. */
  localContact: Text,
  /** Embedded SIP server: the SDP that we sent last. */
  localSdp: Type.Optional(Text),
  /** Embedded SIP server: our 2xx, while its ACK has not come. */
  unacknowledged: Type.Optional(Type.Object({})),
});

const LegRecordSchema = Type.Object({
  /** Of the channel. */
  uuid: Text,
  /** The address that the leg's RTP is bound to. */
  mediaIp: Text,
  /** FreeSWITCH's last description; absent where it is not needed any more. */
  sdp: Type.Optional(Text),
  /** The SIP server that has the dialog. */
  sipServer: Text,
  dialog: DialogRecordSchema,
});

const FreeswitchRecordSchema = Type.Object({
  /** `host:port` of its event socket. */
  server: Text,
  /** What the phone said last; absent until it has answered our first offer. */
  phoneSdp: Type.Optional(Text),
  /** What the phone was told last; absent if it is the dialog's `localSdp`. */
  toldSdp: Type.Optional(Text),
  /** Of what the phone is told. */
  origin: Type.Optional(Type.Object({ id: Text, version: Type.Integer() })),
  /** Absent until they are bridged: such legs die with their gateway. */
  legs: Type.Optional(Type.Object({ phone: LegRecordSchema, media: LegRecordSchema })),
});

const CallRecordSchema = Type.Object({
  /** Another one cannot be read. */
  version: Type.Literal(1),
  /** The SIP server that has the dialog. */
  sipServer: Text,
  /** The gateway that had the call; absent: there is only one. */
  gateway: Type.Optional(Text),
  dialog: DialogRecordSchema,
  participantId: Text,
  info: Type.Object({
    id: Text,
    kind: Text,
    externalId: Text,
    direction: Type.Union([Type.Literal('inbound'), Type.Literal('outbound')]),
    caller: Type.Optional(Text),
    callerName: Type.Optional(Text),
    called: Type.Optional(Text),
    headers: Type.Optional(Texts),
  }),
  origin: Type.Object({
    address: Text,
    isDirect: Type.Boolean(),
    isConnection: Type.Boolean(),
    port: Type.Optional(Type.Integer()),
  }),
  /** Address that the dialog's INVITE or 2xx came from. */
  source: Text,
  /** Epoch milliseconds. */
  connectedAt: Type.Number(),
  answeredAt: Type.Number(),
  held: Type.Boolean(),
  /** The phone has sent media. */
  wasHeard: Type.Boolean(),
  /** Our 200 was not acknowledged. */
  awaitsAck: Type.Boolean(),
  /** A transfer that the phone asked for was under way. */
  transferring: Type.Boolean(),
  exchange: Type.Object({
    /** CSeq of the INVITE whose ACK must have the answer to our offer, and whether that is the call's first offer. */
    awaitedCseq: Type.Optional(Type.Integer()),
    isFirst: Type.Boolean(),
    /** Our re-INVITE was not answered. */
    owesOffer: Type.Boolean(),
  }),
  byeHeaders: Texts,
  /** The call is over, but for our BYE with these headers, which the phone has not answered yet. */
  owedBye: Type.Optional(Texts),
  audio: Type.Optional(Type.Object({ codec: Text, encryption: Text, remote: Type.Optional(Text) })),
  /** The FreeSWITCH between the phone and the media plane. */
  freeswitch: Type.Optional(FreeswitchRecordSchema),
});

/**
 * What of a dialog is kept. Of the INVITE and the 2xx that made it that is no more than the headers that RFC 3261 section
 * 12 makes the dialog of. The embedded SIP server's record of a dialog has more, which goes back to it untouched.
 */
export type DialogRecord = Static<typeof DialogRecordSchema>;

/** A leg in a FreeSWITCH: its channel there, and its dialog. */
export type LegRecord = Static<typeof LegRecordSchema>;

/** What is kept of a phone's way through a FreeSWITCH. */
export type FreeswitchRecord = Static<typeof FreeswitchRecordSchema>;

/** How far offers and answers of a call are. */
export type ExchangeRecord = CallRecord['exchange'];

/** What another process needs to go on with an answered call: plain data. */
export type CallRecord = Static<typeof CallRecordSchema>;

/** The legs of a call in a FreeSWITCH. */
export function legsOf({ freeswitch }: CallRecord): LegRecord[] {
  return freeswitch?.legs ? [freeswitch.legs.phone, freeswitch.legs.media] : [];
}

/** All dialogs of a call: with the phone, and with FreeSWITCH. */
export function dialogsOf(record: CallRecord): DialogRecord[] {
  return [record.dialog, ...legsOf(record).map(({ dialog }) => dialog)];
}

/**
 * The record of a call that goes on at another gateway, where it has this dialog. The ACK of our 2xx, and the answer in it,
 * went to the gateway before.
 */
export function recordElsewhere(record: CallRecord, dialog: DialogRecord): CallRecord {
  return { ...record, dialog, exchange: { isFirst: false, owesOffer: true }, awaitsAck: false };
}

/** Reads a note, perhaps of another version; undefined when it cannot be used. */
export function readCallRecord(note: string): CallRecord | undefined {
  try {
    const value: unknown = JSON.parse(note);
    return Value.Check(CallRecordSchema, value) ? value : undefined;
  } catch {
    // A device that was still being set up has an empty note.
    return undefined;
  }
}

/**
 * The record as a note of at most 8 kB. If it is longer, parts are left out that the call can go on without: first our
 * 200, which is then not sent again; then the shown headers; then our SDP, which refreshes of the session repeat.
 * @returns undefined when it is too long even so
 */
export function noteOf(record: CallRecord): string | undefined {
  let shorter = record;
  for (const shorten of [undefined, withoutAnswer, withoutHeaders, withoutSdp]) {
    if (shorten) shorter = shorten(shorter);
    const note = JSON.stringify(shorter);
    if (Buffer.byteLength(note) <= MAX_NOTE_BYTES) return note;
  }
  return undefined;
}

function withoutAnswer(record: CallRecord): CallRecord {
  const dialog = { ...record.dialog };
  delete dialog.unacknowledged;
  return { ...record, dialog };
}

function withoutHeaders(record: CallRecord): CallRecord {
  const info = { ...record.info };
  delete info.headers;
  return { ...record, info };
}

function withoutSdp({ dialog, ...record }: CallRecord): CallRecord {
  return { ...record, dialog: { ...dialog, ...(dialog.localSdp !== undefined && { localSdp: '' }) } };
}
