// Prints who came and went: a receiver of the gateway's webhooks. Create participants with its address as `callbackUrl`:
//   node examples/webhook-receiver.mjs
//   {"publishPermissions": ["AUDIO"], "tag": "Ann", "callbackUrl": "http://127.0.0.1:3000/"}
import { createServer } from 'node:http';
import { json } from 'node:stream/consumers';

const { PORT = '3000' } = process.env;

/** Ids of the last events. One whose answer was lost comes again with the same id. */
const known = new Set();
const KEPT = 10_000;

const words = {
  onConnect: () => 'connected',
  onDisconnect: () => 'lost its connection, and may come back',
  onLeave: () => 'left',
  onDtmf: ({ digit }) => `pressed ${digit}`,
  onHold: () => 'put the session on hold',
  onResume: () => 'is back from hold',
  onCallFailed: ({ status, reason }) => `called in vain: ${status} ${reason}`,
};

/** Prints an event, unless it was printed before. */
function print(id, event) {
  if (known.has(id)) return;
  known.add(id);
  if (known.size > KEPT) known.delete(known.values().next().value);
  const time = new Date(Number(event.timestamp)).toISOString();
  const what = words[event.event]?.(event) ?? event.event;
  console.log(`${time} ${event.tag ?? event.participantId} ${what} (device ${event.deviceId})`);
}

const server = createServer(async (request, response) => {
  try {
    print(request.headers['x-patchbay-event-id'], await json(request));
    // Answer soon: after 5 s without an answer the event is sent again.
    response.writeHead(204).end();
  } catch {
    // No event of the gateway. It would send one with this answer again; 410 tells it not to.
    response.writeHead(400).end();
  }
});
server.listen(Number(PORT), '127.0.0.1', () => {
  console.log(`Listening on http://127.0.0.1:${server.address().port}/`);
});
