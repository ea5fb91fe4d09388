import type { SipRequest } from '../message/message.js';
import type { Flow } from '../transport/flow.js';

/** A request as it is told to those who use the server. `get` joins several lines of a header with commas. */
export interface ToldRequest {
  readonly uri: string;
  get(name: string): string | undefined;
}

/** An INVITE with what tells whose it is and what it offers. */
export interface ToldInvite extends ToldRequest {
  /** The address that it came from. */
  readonly source_address: string;
  readonly body: string;
}

export function toldRequest({ uri, headers }: SipRequest): ToldRequest {
  const get = (name: string): string | undefined => {
    const values = headers.all(name.toLowerCase());
    return values.length === 0 ? undefined : values.join(',');
  };
  return { uri, get };
}

export function toldInvite(invite: SipRequest, { remote }: Pick<Flow, 'remote'>): ToldInvite {
  return { ...toldRequest(invite), source_address: remote.host, body: invite.body.toString('utf8') };
}
