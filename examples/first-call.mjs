// A first call: a session with a page and a phone in it. Run it beside `npm start`; it needs nothing but Node.
// What it asks of the gateway is the whole API that a call needs: a session, two participants, two subscriptions.
import { createInterface } from 'node:readline';
import { setTimeout } from 'node:timers/promises';

const { GATEWAY_URL = 'http://127.0.0.1:8080', SIP_ADDRESS = '127.0.0.1:5060' } = process.env;

/** The development account, which a gateway has when no accounts are configured. */
const account = `${GATEWAY_URL}/v1/accounts/9900000`;
const authorization = `Basic ${btoa('patchbay:patchbay')}`;

async function rest(method, path, body) {
  const response = await fetch(account + path, {
    method,
    headers: { authorization, 'content-type': 'application/json' },
    ...(body && { body: JSON.stringify(body) }),
  }).catch((error) => {
    throw new Error(`No gateway answers at ${GATEWAY_URL}: start it by "npm start".`, { cause: error });
  });
  const text = await response.text();
  if (!response.ok) throw new Error(`${method} ${path}: ${response.status} ${text}`);
  return text && JSON.parse(text);
}

const session = await rest('POST', '/sessions', { tag: 'first call' });

/** A new participant of the session, who hears everybody there. Its token connects a page or a phone. */
async function join(tag) {
  const { participant, token } = await rest('POST', '/participants', { publishPermissions: ['AUDIO'], tag });
  await rest('PUT', `/sessions/${session.id}/participants/${participant.id}`, { sessionId: session.id });
  return { id: participant.id, token };
}

const page = await join('page');
const phone = await join('phone');
const uri = `sip:${phone.token}@${SIP_ADDRESS}`;

console.log(`
Open this in a browser, and click Join:
  ${GATEWAY_URL}/#token=${page.token}

Call this with a softphone:
  ${uri}

With baresip, that is:
  baresip -f examples/softphone -e '/dial ${uri}'

Enter changes whether the phone hears the page. Ctrl-C ends the session, and with it the call.
`);

let listening = true;
createInterface({ input: process.stdin }).on('line', async () => {
  listening = !listening;
  // An empty body is a subscription to nobody.
  const body = listening ? { participants: [{ participantId: page.id }] } : {};
  await rest('PUT', `/sessions/${session.id}/participants/${phone.id}/subscriptions`, body);
  console.log(`The phone is subscribed to ${listening ? 'the page' : 'nobody'} now.`);
});

for (const signal of ['SIGINT', 'SIGTERM']) {
  process.once(signal, async () => {
    await rest('DELETE', `/sessions/${session.id}`);
    process.exit();
  });
}

/** What a participant's device is doing, in words. */
function stateOf({ tag, device }) {
  if (!device) return `The ${tag} is not connected.`;
  const speaks = device.streams.length > 0 ? 'speaks' : 'says nothing';
  return `The ${tag} is connected, ${speaks} and hears ${device.delivery.length > 0 ? 'the other' : 'nobody'}.`;
}

// An application is told by webhooks (examples/webhook-receiver.mjs); this one asks, so that it needs no server.
for (let last = ''; ; await setTimeout(500)) {
  const { participants } = await rest('GET', `/sessions/${session.id}`);
  const now = participants.map(stateOf).join(' ');
  if (now !== last) console.log(now);
  last = now;
}
