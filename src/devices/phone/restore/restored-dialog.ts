import Srf from 'drachtio-srf';
import type { SipDialog } from '../sip.js';
import { callIdOf, header } from '../sip.js';
import { firstAddress } from '../caller.js';
import type { DialogRecord } from './call-record.js';

/** The record of a dialog, from the messages that made it. For SIP servers that give out none themselves. */
export function dialogRecordOf({ id, type, req, res, sip, local }: SipDialog): DialogRecord {
  const received = type === 'uas' ? req : res;
  const routes = received?.get('Record-Route');
  const to = req.get('To') ?? '';
  const parties =
    type === 'uas'
      ? { localParty: `${to};tag=${sip.localTag}`, remoteParty: req.get('From') ?? '' }
      : { localParty: req.get('From') ?? '', remoteParty: res?.get('To') ?? to };
  return {
    id,
    role: type,
    callId: callIdOf(req),
    localTag: sip.localTag,
    remoteTag: sip.remoteTag,
    ...parties,
    routeSet: routes === undefined ? [] : [routes],
    remoteTarget: firstAddress((received && header(received, 'contact')) ?? '').uri,
    localContact: local.contact ?? '',
  };
}

/** The parts of drachtio-srf that its own types lack. */
interface Library {
  readonly Dialog: new (srf: Srf, role: 'uas' | 'uac', messages: object) => SipDialog;
  readonly SipMessage: new (message: object) => object;
  readonly SipRequest: new (message: object, meta: object) => object;
  readonly SipResponse: new () => { msg: object; meta: object };
}

interface DialogTable {
  readonly app: { readonly client: unknown };
  addDialog(dialog: SipDialog): void;
  removeDialog(dialog: SipDialog): void;
}

const { Dialog, SipMessage, SipRequest, SipResponse } = Srf as unknown as Library;

/**
 * Makes drachtio-srf know a dialog of an earlier process. drachtio-srf makes a dialog of the INVITE and the 2xx; what it
 * reads in them is written anew from the record.
 * @param source address of the phone
 */
export function restoreDialog(srf: Srf, record: DialogRecord, source: string): SipDialog {
  const table = srf as unknown as DialogTable;
  const { role, id, callId, localParty, remoteParty, localTag, remoteTag, routeSet } = record;
  const ours = role === 'uac';
  const contacts = { ours: inBrackets(record.localContact), theirs: `<${record.remoteTarget}>` };
  const routes = routeSet.length === 0 ? {} : { 'record-route': routeSet.join(',') };
  const from = ours ? localParty : remoteParty;
  const to = ours ? remoteParty : localParty;
  const calleeTag = ours ? remoteTag : localTag;
  const common = { 'call-id': callId, from };
  const invite = {
    method: 'INVITE',
    uri: ours ? record.remoteTarget : firstAddress(contacts.ours).uri,
    headers: {
      ...common,
      to: withoutTag(to, calleeTag),
      contact: ours ? contacts.ours : contacts.theirs,
      ...(ours ? {} : routes),
    },
    body: '',
  };
  const answer = {
    status: 200,
    headers: {
      ...common,
      to,
      contact: ours ? contacts.theirs : contacts.ours,
      ...(ours ? routes : {}),
    },
    body: '',
  };
  const meta = { source: ours ? 'application' : 'network', address: source, dialogId: id };
  const response = new SipResponse();
  response.msg = new SipMessage(answer);
  response.meta = { ...meta, source: ours ? 'network' : 'application' };
  const dialog = new Dialog(srf, role, {
    req: new SipRequest(new SipMessage(invite), meta),
    res: response,
    sent: new SipMessage(answer),
  });
  // drachtio-srf has none until it connects, which it does only when all dialogs are known.
  Object.defineProperty(dialog, 'agent', { get: () => table.app.client });
  table.addDialog(dialog);
  return dialog;
}

/** Makes drachtio-srf forget a dialog that another gateway has. */
export function forgetDialog(srf: Srf, dialog: SipDialog): void {
  (srf as unknown as DialogTable).removeDialog(dialog);
}

function inBrackets(contact: string): string {
  return contact === '' ? '<sip:localhost>' : contact;
}

function withoutTag(party: string, tag: string): string {
  return party.replace(`;tag=${tag}`, '');
}
