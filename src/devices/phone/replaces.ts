import type { Participant } from '../../core/index.js';
import type { PhoneCall } from './call.js';
import type { PhoneGate } from './options.js';
import { Refusal } from './refusal.js';
import { header, type SipDialog, type SipRequest } from './sip.js';
import { authenticate, tokensOf } from './tokens/authenticate.js';

/** So many ended dialogs are remembered: to replace one of them gets 603, an unknown one 481. */
const MAX_ENDED = 1000;

/** Call-ID, local tag and remote tag of a dialog, as a key. */
type DialogName = string;

const nameOf = ({ callId, localTag, remoteTag }: SipDialog['sip']): DialogName =>
  [callId, localTag, remoteTag].join('\n');

/** A Replaces header (RFC 3891 section 6.1). */
interface Replaces {
  readonly name: DialogName;
  readonly earlyOnly: boolean;
}

interface ReplacesOptions {
  readonly gate: PhoneGate;
  readonly tokenHeaders: readonly string[];
  /** The operator knows everybody who can send requests. */
  readonly knowsPeers: boolean;
}

/** The calls that another phone may replace by an INVITE with Replaces (RFC 3891). */
export class ReplaceableCalls {
  readonly #calls = new Map<DialogName, PhoneCall>();
  /** Oldest first. */
  readonly #ended = new Set<DialogName>();

  /** A call has this dialog from now on. */
  add(call: PhoneCall, dialog: SipDialog): void {
    if (call.ended) return;
    const name = nameOf(dialog.sip);
    this.#calls.set(name, call);
    const over = (): void => {
      if (!this.#calls.delete(name)) return;
      this.#ended.add(name);
      for (const oldest of this.#ended) {
        if (this.#ended.size <= MAX_ENDED) break;
        this.#ended.delete(oldest);
      }
    };
    dialog.on('destroy', over);
    call.atEnd(over);
  }

  /**
   * The call that an INVITE asks to replace; undefined without Replaces.
   * @throws Refusal 400, 403, 481, 486, 603 as in RFC 3891 section 3; PatchbayError for an invalid token
   */
  async replacedBy(invite: SipRequest, options: ReplacesOptions): Promise<PhoneCall | undefined> {
    const value = header(invite, 'replaces');
    if (value === undefined) return undefined;
    if (header(invite, 'join') !== undefined)
      throw new Refusal(400, 'An INVITE cannot have both Replaces and Join.');
    const { name, earlyOnly } = parseReplaces(value);
    const call = this.#calls.get(name);
    // Early dialogs are not found: only those may be replaced that we initiated, and we initiate none.
    if (!call) {
      if (this.#ended.has(name)) throw new Refusal(603, 'The call to be replaced is over.');
      throw new Refusal(481, 'There is no such call to replace.');
    }
    const { participant, dialog } = call;
    // A call that was transferred goes on in another dialog.
    if (!participant || !dialog || nameOf(dialog.sip) !== name)
      throw new Refusal(603, 'The call to be replaced is over.');
    if (!(await mayReplace(invite, participant, dialog, options)))
      throw new Refusal(403, 'The INVITE may not replace this call.');
    if (earlyOnly) throw new Refusal(486, 'The call to be replaced is answered already.');
    return call;
  }
}

/**
 * A token must be of the same participant. Without a token, knowing the tags suffices if the operator knows all peers, or
 * if the INVITE comes from the address of the call.
 */
async function mayReplace(
  invite: SipRequest,
  participant: Participant,
  dialog: SipDialog,
  { gate, tokenHeaders, knowsPeers }: ReplacesOptions,
): Promise<boolean> {
  if (tokensOf(invite, tokenHeaders).length > 0)
    return (await authenticate(invite, tokenHeaders, gate)).id === participant.id;
  const source = dialog.res?.source_address ?? dialog.req.source_address;
  return knowsPeers || invite.source_address === source;
}

/** @throws Refusal 400 */
function parseReplaces(value: string): Replaces {
  const [callId = '', ...parts] = value.split(';').map((part) => part.trim());
  const parameters = new Map(
    parts.map((part) => {
      const [name = '', tag = ''] = part.split('=', 2);
      return [name.trim().toLowerCase(), tag.trim()] as const;
    }),
  );
  const [localTag, remoteTag] = [parameters.get('to-tag'), parameters.get('from-tag')];
  // A comma joins several headers, of which RFC 3891 allows only one.
  if (!/^[^\s,]+$/.test(callId) || value.includes(',') || !localTag || !remoteTag)
    throw new Refusal(400, 'Replaces is malformed.');
  return { name: nameOf({ callId, localTag, remoteTag }), earlyOnly: parameters.has('early-only') };
}
