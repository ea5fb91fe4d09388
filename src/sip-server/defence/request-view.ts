import type { SipRequest } from '../message/message.js';
import type { Flow } from '../transport/flow.js';

/** A request as users of the server see it. `get` joins several lines of a header with commas. */
export interface RequestView {
  readonly uri: string;
  get(name: string): string | undefined;
}

/** An INVITE with what tells whose it is and what it offers. */
export interface InviteView extends RequestView {
  /** The address that it came from. */
  readonly source_address: string;
  readonly body: string;
}

export function requestView({ uri, headers }: SipRequest): RequestView {
  const get = (name: string): string | undefined => {
    const values = headers.all(name.toLowerCase());
    return values.length === 0 ? undefined : values.join(',');
  };
  return { uri, get };
}

export function inviteView(invite: SipRequest, { remote }: Pick<Flow, 'remote'>): InviteView {
  return { ...requestView(invite), source_address: remote.host, body: invite.body.toString('utf8') };
}
