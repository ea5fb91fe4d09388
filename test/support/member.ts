import type { ClientPage, ClientVersion, TestBrowser } from './chromium.js';
import type { TestGateway } from './gateway.js';
import { type NewTestMember, Rest, type TestParticipant } from './rest.js';

/** A participant in a session, and the page that is its device. */
export interface Member {
  readonly who: TestParticipant;
  readonly page: ClientPage;
}

/** Where members are made. */
interface MemberScene {
  readonly gateway: TestGateway;
  readonly chrome: TestBrowser;
  /** URL for the page's WebSocket, for example of a proxy; default: the gateway's. */
  readonly gatewayUrl?: string;
}

/** Makes a participant, puts it into a session, and opens its page. */
export async function openMember(
  { gateway, chrome, gatewayUrl = gateway.wsUrl }: MemberScene,
  session: string,
  client: ClientVersion,
  options?: NewTestMember,
): Promise<Member> {
  const who = await new Rest(gateway).member(session, options);
  return { who, page: await chrome.openClient({ client, gatewayUrl, token: who.token }) };
}
