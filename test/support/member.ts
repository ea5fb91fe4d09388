import type { ClientPage, ClientVersion, TestBrowser } from './chromium.js';
import type { TestGateway } from './gateway.js';
import { type NewTestParticipant, Rest, type TestParticipant } from './rest.js';

/** A participant in a session, and the page that is its device. */
export interface Member {
  readonly who: TestParticipant;
  readonly page: ClientPage;
}

/** Makes a participant, puts it into a session, where it receives everyone, and opens its page. */
export async function openMember(
  { gateway, chrome }: { readonly gateway: TestGateway; readonly chrome: TestBrowser },
  session: string,
  client: ClientVersion,
  options?: NewTestParticipant,
): Promise<Member> {
  const who = await new Rest(gateway).member(session, options);
  return { who, page: await chrome.openClient({ client, gatewayUrl: gateway.wsUrl, token: who.token }) };
}
