import { type ClientPage, launchChromium } from '../../../test/support/chromium.js';
import { SocketProxy } from '../../../test/support/socket-proxy.js';
import { until } from '../../../test/support/until.js';
import type { Room, Turns } from './room.js';

/** A page removed for its silence is so within 15 s; the machine is full. */
const REMOVED_WITHIN_MS = 40_000;
const SAYS = 1100;
/** So much of an error is told. */
const TOLD = 500;

/** A page that has connected, and what it can leave by. */
interface Leaver {
  readonly page: ClientPage;
  /** Between it and the gateway. */
  readonly sockets: SocketProxy;
}

/** A way to leave without a word. */
interface Leave {
  readonly name: string;
  /** In a browser of its own, which it takes with it. */
  readonly browser?: 'kill' | 'freeze';
  readonly go: (leaver: Leaver) => Promise<void>;
}

/** Cuts the sockets at a call of the page's, which then dies. */
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
 * One page for each way to leave: afterwards it is gone, its application is told once, and the others hear each other.
 * @returns what was wrong, in words
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
    // A relay answers pings for a browser that does not.
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
