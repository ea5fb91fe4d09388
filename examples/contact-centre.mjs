// A contact centre: a caller, an agent, and a supervisor who may listen, whisper and join in, all in one call.
// Type one of the words of `levels` while they talk. No call is touched for it: only subscriptions change.
import { createInterface } from 'node:readline';
import { ApiController, Client } from '@bandwidth/webrtc';

const { GATEWAY_URL = 'http://127.0.0.1:8080', SIP_ADDRESS = '127.0.0.1:5060' } = process.env;
const { ACCOUNT = '9900000', API_USER = 'patchbay', API_PASSWORD = 'patchbay' } = process.env;
const webrtc = new ApiController(
  new Client({
    // Without `environment` the SDK ignores `baseUrl`, and sends these credentials to Bandwidth.
    environment: 'custom',
    baseUrl: `${GATEWAY_URL}/v1`,
    basicAuthUserName: API_USER,
    basicAuthPassword: API_PASSWORD,
  }),
);

const { result: session } = await webrtc.createSession(ACCOUNT, { tag: 'contact centre' });

/** A new participant of the session, who hears nobody yet. */
async function join(tag) {
  const { result } = await webrtc.createParticipant(ACCOUNT, { publishPermissions: ['AUDIO'], tag });
  await webrtc.addParticipantToSession(ACCOUNT, session.id, result.participant.id);
  return { id: result.participant.id, token: result.token };
}

const people = {
  caller: await join('caller'),
  agent: await join('agent'),
  supervisor: await join('supervisor'),
};

/** Whom each hears. */
const levels = {
  private: { caller: ['agent'], agent: ['caller'], supervisor: [] },
  monitor: { caller: ['agent'], agent: ['caller'], supervisor: ['caller', 'agent'] },
  whisper: { caller: ['agent'], agent: ['caller', 'supervisor'], supervisor: ['caller', 'agent'] },
  barge: {
    caller: ['agent', 'supervisor'],
    agent: ['caller', 'supervisor'],
    supervisor: ['caller', 'agent'],
  },
};

async function change(level) {
  for (const [listener, heard] of Object.entries(levels[level])) {
    // An empty list is the same as none, which is to hear nobody.
    const participants = heard.map((name) => ({ participantId: people[name].id }));
    await webrtc.updateParticipantSubscriptions(ACCOUNT, session.id, people[listener].id, { participants });
  }
  console.log(`Now: ${level}`);
}

console.log(`Caller, with a softphone: sip:${people.caller.token}@${SIP_ADDRESS}`);
console.log(`Agent, in a browser:      ${GATEWAY_URL}/#token=${people.agent.token}`);
console.log(`Supervisor, in another:   ${GATEWAY_URL}/#token=${people.supervisor.token}`);
console.log(`Then type one of: ${Object.keys(levels).join(', ')}`);
await change('private');
for await (const line of createInterface({ input: process.stdin })) {
  if (Object.hasOwn(levels, line.trim())) await change(line.trim());
  else console.log(`Type one of: ${Object.keys(levels).join(', ')}`);
}
await webrtc.deleteSession(ACCOUNT, session.id);
