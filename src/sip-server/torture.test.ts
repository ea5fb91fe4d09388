import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type Srf from 'drachtio-srf';
import type { SipServer } from './index.js';
import { torture, tortureMessages } from '../../test/support/rfc4475.js';
import { Caller, SipPeer } from '../../test/support/sip-peer.js';
import { addressOf, connectApp, testServer } from '../../test/support/sip-server.js';

/**
 * What each message of RFC 4475 is answered with: by an application that takes everything, by the server itself,
 * or not at all (0). Where the RFC leaves a choice the comment names it.
 */
const ANSWERS: Record<string, number> = {
  wsinv: 481, // well formed, but it names a dialog that is not there
  intmeth: 501,
  esc01: 486,
  escnull: 200,
  esc02: 501, // RE%47IST%45R is not REGISTER
  lwsdisp: 200,
  longreq: 486,
  dblreq: 200,
  semiuri: 200,
  transports: 200,
  mpart01: 200,
  unreason: 0,
  noreason: 0,
  badinv01: 400,
  clerr: 400,
  ncl: 400,
  scalar02: 400,
  scalarlg: 0,
  quotbal: 486, // may be refused; the missing quote is inferred
  ltgtruri: 400,
  lwsruri: 400,
  lwsstart: 400,
  trws: 400, // may be taken as well
  escruri: 486, // may be refused; transfers carry User-to-User this way
  baddate: 486, // may be refused
  regbadct: 400,
  badaspec: 200, // may be refused
  baddn: 200, // may be refused; the quotes are inferred
  badvers: 505,
  mismatch01: 400,
  mismatch02: 400,
  bigcode: 0,
  badbranch: 200,
  insuf: 400,
  unkscm: 416,
  novelsc: 416,
  unksm2: 200,
  bext01: 420,
  invut: 486, // the application's to refuse
  regaut01: 200, // the application's to refuse
  multi01: 400,
  mcl01: 400,
  bcast: 0,
  zeromf: 200,
  cparam01: 200,
  cparam02: 200,
  regescrt: 200,
  sdp01: 486, // the application's to refuse
  inv2543: 400, // without Contact there is no dialog to make
};

/** What the application answers: nothing that would need an ACK to be quiet. */
const TAKEN: Record<string, number> = { invite: 486 };

/** Only a datagram can end before its Content-Length or hold more than it. */
const DATAGRAMS = ['clerr', 'dblreq'];

let server: SipServer;
let srf: Srf;
let peer: SipPeer | undefined;
const seen: Srf.SrfRequest[] = [];

beforeEach(async () => {
  seen.length = 0;
  server = await testServer();
  srf = await connectApp(server, (app) => {
    for (const method of ['invite', 'register', 'message']) {
      app.use(method, (req, res) => {
        seen.push(req);
        res.send(TAKEN[method] ?? 200);
      });
    }
  });
});

afterEach(async () => {
  peer?.close();
  srf.disconnect();
  await server.stop();
});

/** Sends a message and returns the status that it is answered with, 0 for none. */
async function answerTo(name: string): Promise<number> {
  const text = torture(name);
  if (DATAGRAMS.includes(name)) {
    peer = await SipPeer.udp(addressOf(server, 'udp'));
    // Ask for the answer at this socket, not at the port of 192.0.2.x's SIP phone.
    peer.send(text.toString('latin1').replace(/branch=/, 'rport;branch='));
  } else {
    peer = await SipPeer.tcp(addressOf(server, 'tcp'));
    peer.send(text);
  }
  if (ANSWERS[name] === 0) {
    // Whatever the server makes of it comes before its answer to what is sent next.
    peer.send(new Caller(peer, 'TCP').request('OPTIONS', 1));
  }
  const first = await peer.final();
  return ANSWERS[name] === 0 && first.header('cseq')[0] === '1 OPTIONS' ? 0 : first.status;
}

describe('RFC 4475', () => {
  it('is here in full', () => {
    expect(tortureMessages().map(({ name }) => name)).toEqual(Object.keys(ANSWERS));
  });

  it.each(Object.keys(ANSWERS))('%s', async (name) => {
    expect(await answerTo(name)).toBe(ANSWERS[name]);
  });

  it('hands the application what the caller meant', async () => {
    await answerTo('esc01');
    expect(seen[0]?.uri).toBe('sip:sips%3Auser%40example.com@example.net');
    expect(seen[0]?.getParsedHeader('contact')[0]?.uri).toBe(
      'sip:cal%6Cer@host5.example.net;%6C%72;n%61me=v%61lue%25%34%31',
    );
    expect(seen[0]?.get('call-id')).toBe('esc01.239409asdfakjkn23onasd0-3234');
    expect(seen[0]?.body).toContain('a=rtpmap:31 LPC');
  });

  it('ends the first request of a datagram at its Content-Length', async () => {
    await answerTo('dblreq');
    expect(seen.map(({ method }) => method)).toEqual(['REGISTER']);
  });

  it('keeps every Via of a long request in its order', async () => {
    await answerTo('longreq');
    const vias = peer?.heard.find(({ status }) => status === 486)?.header('via') ?? [];
    expect(vias).toHaveLength(34);
    expect(vias[0]).toContain('sip33.example.com');
    expect(vias[33]).toContain(`branch=very${'long'.repeat(50)}branchvalue`);
  });

  it('reads URI parameters that are not the header’s', async () => {
    await answerTo('cparam02');
    expect(seen[0]?.get('contact')).toBe('<sip:+19725552222@gw1.example.net;unknownparam>');
  });
});
