// Prints participant tokens as SIPp takes them (an injection file, `-inf`): each call needs one of its own.
//   node examples/tokens.mjs 10 > tokens.csv
import { ApiController, Client } from '@bandwidth/webrtc';

const { GATEWAY_URL = 'http://127.0.0.1:8080', ACCOUNT = '9900000' } = process.env;
const { API_USER: basicAuthUserName = 'patchbay', API_PASSWORD: basicAuthPassword = 'patchbay' } =
  process.env;
const webrtc = new ApiController(
  // Without `environment` the SDK ignores `baseUrl`, and sends these credentials to Bandwidth.
  new Client({ environment: 'custom', baseUrl: `${GATEWAY_URL}/v1`, basicAuthUserName, basicAuthPassword }),
);

const { result: session } = await webrtc.createSession(ACCOUNT, { tag: 'SIPp' });
console.log('SEQUENTIAL');
for (let left = Number(process.argv[2] ?? 1); left > 0; left -= 1) {
  const { result } = await webrtc.createParticipant(ACCOUNT, { publishPermissions: ['AUDIO'] });
  // A session has at most 20 participants. One without a session may call, too: it is alone until it is added to one.
  if (left <= 20) {
    await webrtc.addParticipantToSession(ACCOUNT, session.id, result.participant.id, {
      sessionId: session.id,
    });
  }
  console.log(result.token);
}
