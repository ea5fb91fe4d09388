import { type ClientPage, launchChromium } from '../../../test/support/chromium.js';
import { SocketProxy } from '../../../test/support/socket-proxy.js';
import { until } from '../../../test/support/until.js';
import type { Room, Turns } from './room.js';

/** A silent page is removed within 15 s, but this machine is busy. */
const REMOVED_WITHIN_MS = 40_000;
const SAYS = 1100;
/** Characters of an error that are reported. */
const TOLD = 500;

/** A connected page, and the means to make it leave. */
interface Leaver {
  readonly page: ClientPage;
  /** Between it and the gateway. */
  readonly sockets: SocketProxy;
}

/** A way to leave without a message. */
interface Leave {
  readonly name: string;
  /** The page has its own browser, to which this happens. */
  readonly browser?: 'kill' | 'freeze';
  readonly go: (leaver: Leaver) => Promise<void>;
}

/** Cuts the sockets when the page calls a method, then crashes the page. */
const during =
  (method: string, act: (page: ClientPage) => Promise<unknown>) =>
  async ({ page, sockets }: Leaver): Promise<void> => {
    const before = sockets.connections;
    sockets.cutAtCall(method);
    // It never settles.
    act(page).catch(() => undefined);
    await until(`a new socket after the cut at ${method}`, () => sockets.connections > before, {
      withinMs: REMOVED_WITHIN_MS,
    });
    sockets.refuse(true);
    sockets.cut();
    await page.crash();
  };

const WAYS: readonly Leave[] = [
  { name: 'killed tab', go: ({ page }) => page.crash() },
  { name: 'killed browser', browser: 'kill', go: () => Promise.resolve() },
  { name: 'no close', browser: 'freeze', go: () => Promise.resolve() },
  {
    name: 'lost socket',
    go: async ({ page, sockets }) => {
      sockets.refuse(true);
      sockets.cut();
      await page.crash();
    },
  },
  { name: 'mid-offer', go: during('offerSdp', (page) => page.publishTone(SAYS, { alias: 'second' })) },
];

export const LEAVE_NAMES = WAYS.map(({ name }) => name);

/**
 * Tries each way to leave with one page. Checks that it is removed, that its application is told once, and that the
 * others hear each other.
 * @returns what went wrong, for people
 */
export async function leaveBadly(room: Room, { isDue, did }: Turns): Promise<string[]> {
  const wrong: string[] = [];
  for (const way of WAYS) {
    if (!isDue(way.name)) continue;
    const seen = await leave(room, way).catch((error: unknown) => String(error).slice(0, TOLD));
    if (seen !== undefined) wrong.push(`${way.name}: ${seen}`);
    did(way.name);
  }
  return wrong;
}

async function leave(room: Room, way: Leave): Promise<string | undefined> {
  const { webhooks } = room;
  const { gateway, rest } = room.application;
  const { id, token } = await room.member();
  const sockets = await SocketProxy.start(gateway.wsUrl);
  const own = way.browser && (await launchChromium());
  try {
    // Not by the relay, which would answer pings for a frozen browser.
    const gatewayUrl = own ? gateway.wsUrl : sockets.url;
    const page = await (own ?? room.chrome).openClient({ gatewayUrl, token });
    await page.publishTone(SAYS);
    await room.bothHear(SAYS, id);
    await way.go({ page, sockets });
    if (way.browser === 'kill') own?.kill();
    if (way.browser === 'freeze') own?.freeze();
    await webhooks.event('onLeave', id, REMOVED_WITHIN_MS);
    await room.page.loses({ participantId: id, withinMs: REMOVED_WITHIN_MS });
    await room.isUndisturbed();
    const told = webhooks.events(id).join(' ');
    const isRight = /^onConnect( onDisconnect)+ onLeave$/.test(told);
    return isRight ? undefined : `its application was told ${told}`;
  } finally {
    await own?.close();
    await sockets.stop();
    await rest.deleteParticipant(id);
  }
}
