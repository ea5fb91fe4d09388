// A Voice API application: it answers each incoming call with BXML that transfers the caller into a session here.
// Name its address as the callback URL of your Voice API application, and the gateway's as SIP_URI:
//   SIP_URI=sip:gateway.example:5060 node examples/voice-app.mjs
import { createServer } from 'node:http';
import { json } from 'node:stream/consumers';
import { ApiController, Client } from '@bandwidth/webrtc';

const { PORT = '3000', GATEWAY_URL = 'http://127.0.0.1:8080', SIP_URI = 'sip:127.0.0.1:5060' } = process.env;
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

/** Sessions and their participants, by the Voice API's ids of the calls. */
const calls = new Map();

/** A new participant of a session, who hears everybody there. */
async function join(sessionId, tag) {
  const { result } = await webrtc.createParticipant(ACCOUNT, { publishPermissions: ['AUDIO'], tag });
  await webrtc.addParticipantToSession(ACCOUNT, sessionId, result.participant.id, { sessionId });
  return { id: result.participant.id, token: result.token };
}

/** Gives a call a session of its own, with a place for an agent. @returns BXML that brings the caller there */
async function transfer({ callId, from }) {
  const { result: session } = await webrtc.createSession(ACCOUNT, { tag: 'hotline' });
  const [caller, agent] = [await join(session.id, from), await join(session.id, 'agent')];
  calls.set(callId, { sessionId: session.id, participants: [caller.id, agent.id] });
  console.log(`${from} calls. To talk to them, open ${GATEWAY_URL}/#token=${agent.token}`);
  return ApiController.generateTransferBxml(caller.token, callId, SIP_URI);
}

/** The caller has hung up. The gateway would keep the session and its participants until they expire. */
async function end({ callId, from }) {
  const call = calls.get(callId);
  if (!call) return;
  calls.delete(callId);
  await webrtc.deleteSession(ACCOUNT, call.sessionId);
  for (const id of call.participants) await webrtc.deleteParticipant(ACCOUNT, id);
  console.log(`${from} has hung up.`);
}

const server = createServer(async (request, response) => {
  try {
    const event = await json(request);
    if (event.eventType === 'initiate') {
      const bxml = await transfer(event);
      response.writeHead(200, { 'content-type': 'application/xml' }).end(bxml);
      return;
    }
    if (event.eventType === 'disconnect') await end(event);
    response.writeHead(204).end();
  } catch (error) {
    console.error(error.message);
    response.writeHead(500).end();
  }
});
server.listen(Number(PORT), '127.0.0.1', () => {
  console.log(`Listening on http://127.0.0.1:${server.address().port}/`);
});
