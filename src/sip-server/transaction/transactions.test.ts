import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { parseMessage } from '../message/parse.js';
import type { SipRequest, SipResponse } from '../message/message.js';
import { buildResponse } from '../message/respond.js';
import type { Flow } from '../transport/flow.js';
import { InviteClientTransaction, NonInviteClientTransaction } from './client-transaction.js';
import { TransactionTimeouts } from './timing.js';
import {
  InviteServerMachine,
  NonInviteServerMachine,
  type ServerIdentity,
  type ServerMachine,
  type ServerTransactionHost,
} from './server-machine.js';

function request(method: string): SipRequest {
  const text = [
    `${method} sip:a@192.0.2.1 SIP/2.0`,
    'Via: SIP/2.0/UDP 192.0.2.2;branch=z9hG4bK-1',
    'From: <sip:b@192.0.2.2>;tag=b',
    'To: <sip:a@192.0.2.1>',
    'Call-ID: c',
    `CSeq: 7 ${method}`,
    'Contact: <sip:b@192.0.2.2>',
    '',
    '',
  ].join('\r\n');
  const message = parseMessage(Buffer.from(text));
  if (message.kind !== 'request') throw new Error('not a request');
  return message;
}

function sentRequest(bytes: Buffer): SipRequest {
  const message = parseMessage(bytes);
  if (message.kind !== 'request') throw new Error('not a request');
  return message;
}

function sentResponse(bytes: Buffer): SipResponse {
  const message = parseMessage(bytes);
  if (message.kind !== 'response') throw new Error('not a response');
  return message;
}

function flow(reliable: boolean): Flow {
  const end = { host: '192.0.2.1', port: 5060 };
  return {
    transport: reliable ? 'tcp' : 'udp',
    reliable,
    local: end,
    remote: end,
    open: true,
    send: () => undefined,
  };
}

/** Times in milliseconds at which something happened, from now on. */
function times(): { at: number[]; note: () => void } {
  const start = Date.now();
  const at: number[] = [];
  return { at, note: () => at.push(Date.now() - start) };
}

function identity(reliable: boolean): ServerIdentity {
  const from = flow(reliable);
  return { key: 'key', merge: undefined, localTag: 'tag', weight: 0, reliable, from, back: () => from };
}

function hostOf(send: (bytes: Buffer) => void, ended: () => void): ServerTransactionHost {
  const patience = new TransactionTimeouts<ServerMachine>((machine) => machine.terminate());
  return {
    send: (_machine, bytes) => send(bytes),
    startTimeout: (machine) => patience.begin(machine),
    keep: (machine) => patience.forget(machine),
    ended: () => ended(),
  };
}

beforeEach(() => {
  vi.useFakeTimers();
});

afterEach(() => {
  vi.useRealTimers();
});

describe('INVITE server transaction', () => {
  function start(reliable = false) {
    const sent: SipResponse[] = [];
    const clock = times();
    const ended = vi.fn();
    const invite = request('INVITE');
    const host = hostOf((bytes) => {
      sent.push(sentResponse(bytes));
      clock.note();
    }, ended);
    const transaction = new InviteServerMachine(identity(reliable), host);
    return { transaction, sent, clock, ended, invite };
  }

  it('repeats its last provisional response when the INVITE is repeated', () => {
    const { transaction, sent, invite } = start();
    transaction.receive('INVITE');
    expect(sent).toHaveLength(0);
    transaction.respond(buildResponse(invite, 180));
    transaction.receive('INVITE');
    expect(sent.map(({ status }) => status)).toEqual([180, 180]);
  });

  it('repeats a refusal at T1, 2 T1, 4 T1, then every T2, until timer H', () => {
    const { transaction, clock, ended, invite } = start();
    transaction.respond(buildResponse(invite, 486));
    vi.advanceTimersByTime(40_000);
    expect(clock.at).toEqual([0, 500, 1500, 3500, 7500, 11_500, 15_500, 19_500, 23_500, 27_500, 31_500]);
    expect(ended).toHaveBeenCalledOnce();
  });

  it('is quiet after the ACK and absorbs more of them until timer I', () => {
    const { transaction, sent, ended, invite } = start();
    transaction.respond(buildResponse(invite, 486));
    transaction.receive('ACK');
    expect(transaction.state).toBe('confirmed');
    transaction.receive('ACK');
    vi.advanceTimersByTime(4999);
    expect(ended).not.toHaveBeenCalled();
    vi.advanceTimersByTime(1);
    expect(ended).toHaveBeenCalledOnce();
    expect(sent).toHaveLength(1);
  });

  it('does not repeat a refusal over a reliable transport, and ends with the ACK', () => {
    const { transaction, sent, ended, invite } = start(true);
    transaction.respond(buildResponse(invite, 486));
    vi.advanceTimersByTime(20_000);
    expect(sent).toHaveLength(1);
    transaction.receive('ACK');
    expect(ended).toHaveBeenCalledOnce();
  });

  it('absorbs repeated INVITEs for timer L after a 2xx, passing only 2xx of the core (RFC 6026)', () => {
    const { transaction, sent, ended, invite } = start();
    transaction.respond(buildResponse(invite, 200));
    transaction.receive('INVITE');
    expect(sent).toHaveLength(1);
    expect(transaction.respond(buildResponse(invite, 486))).toBe(false);
    expect(transaction.respond(buildResponse(invite, 200))).toBe(true);
    expect(sent).toHaveLength(2);
    vi.advanceTimersByTime(31_999);
    expect(ended).not.toHaveBeenCalled();
    vi.advanceTimersByTime(1);
    expect(ended).toHaveBeenCalledOnce();
  });
});

describe('server transaction of another method', () => {
  function start(reliable = false) {
    const sent: number[] = [];
    const ended = vi.fn();
    const bye = request('BYE');
    const host = hostOf((bytes) => void sent.push(sentResponse(bytes).status), ended);
    return {
      transaction: new NonInviteServerMachine(identity(reliable), host),
      sent,
      ended,
      bye,
    };
  }

  it('repeats its answer for repeated requests until timer J', () => {
    const { transaction, sent, ended, bye } = start();
    transaction.receive();
    transaction.respond(buildResponse(bye, 200));
    transaction.receive();
    expect(sent).toEqual([200, 200]);
    expect(transaction.respond(buildResponse(bye, 500))).toBe(false);
    vi.advanceTimersByTime(31_999);
    expect(ended).not.toHaveBeenCalled();
    vi.advanceTimersByTime(1);
    expect(ended).toHaveBeenCalledOnce();
  });

  it('ends at once over a reliable transport', () => {
    const { transaction, ended, bye } = start(true);
    transaction.respond(buildResponse(bye, 200));
    expect(ended).toHaveBeenCalledOnce();
  });

  it('ends unanswered after 64 T1, when the client has given up', () => {
    const { transaction, ended, sent, bye } = start();
    vi.advanceTimersByTime(32_000);
    expect(ended).toHaveBeenCalledOnce();
    expect(transaction.respond(buildResponse(bye, 200))).toBe(false);
    expect(sent).toEqual([]);
  });
});

describe('INVITE client transaction', () => {
  function start(reliable = false) {
    const sent: SipRequest[] = [];
    const clock = times();
    const responses: number[] = [];
    const failures: string[] = [];
    const ended = vi.fn();
    const invite = request('INVITE');
    let breakTransport: () => void = () => undefined;
    const transaction = new InviteClientTransaction(invite, flow(reliable), {
      send: (bytes, onFailure) => {
        sent.push(sentRequest(bytes));
        clock.note();
        breakTransport = () => onFailure(new Error('gone'));
      },
      response: ({ status }) => void responses.push(status),
      failed: (failure) => void failures.push(failure),
      ended,
    });
    transaction.start();
    return { transaction, sent, clock, responses, failures, ended, invite, break: () => breakTransport() };
  }

  it('repeats the INVITE at doubling intervals and gives up at timer B', () => {
    const { clock, failures, ended } = start();
    vi.advanceTimersByTime(40_000);
    expect(clock.at).toEqual([0, 500, 1500, 3500, 7500, 15_500, 31_500]);
    expect(failures).toEqual(['timeout']);
    expect(ended).toHaveBeenCalledOnce();
  });

  it('stops repeating at a provisional response and waits as long as it rings', () => {
    const { transaction, sent, responses, failures, invite } = start();
    transaction.receive(buildResponse(invite, 180));
    vi.advanceTimersByTime(600_000);
    expect(sent).toHaveLength(1);
    expect(responses).toEqual([180]);
    expect(failures).toEqual([]);
  });

  it('acknowledges a refusal, every time that it is repeated, until timer D', () => {
    const { transaction, sent, responses, ended, invite } = start();
    const refusal = buildResponse(invite, 486, { toTag: 'x' });
    transaction.receive(refusal);
    transaction.receive(refusal);
    expect(sent.map(({ method }) => method)).toEqual(['INVITE', 'ACK', 'ACK']);
    expect(sent[1]?.headers.get('to')).toBe('<sip:a@192.0.2.1>;tag=x');
    expect(sent[1]?.headers.get('cseq')).toBe('7 ACK');
    expect(sent[1]?.headers.get('via')).toBe(invite.headers.get('via'));
    expect(responses).toEqual([486]);
    vi.advanceTimersByTime(32_000);
    expect(ended).toHaveBeenCalledOnce();
  });

  it('passes every 2xx up for timer M, as forks answer one by one (RFC 6026)', () => {
    const { transaction, sent, responses, ended, invite } = start();
    transaction.receive(buildResponse(invite, 200, { toTag: 'x' }));
    transaction.receive(buildResponse(invite, 200, { toTag: 'y' }));
    transaction.receive(buildResponse(invite, 486));
    expect(responses).toEqual([200, 200]);
    expect(sent).toHaveLength(1);
    vi.advanceTimersByTime(32_000);
    expect(ended).toHaveBeenCalledOnce();
  });

  it('goes on after a 2xx when its transport fails: ACKs are the core’s, and forks may still answer', () => {
    const { transaction, responses, failures, ended, invite, break: breakNow } = start();
    transaction.receive(buildResponse(invite, 200, { toTag: 'x' }));
    breakNow();
    expect(ended).not.toHaveBeenCalled();
    transaction.receive(buildResponse(invite, 200, { toTag: 'y' }));
    expect(responses).toEqual([200, 200]);
    vi.advanceTimersByTime(32_000);
    expect(failures).toEqual([]);
    expect(ended).toHaveBeenCalledOnce();
  });

  it('reports a transport that fails, once', () => {
    const { failures, ended, break: breakNow } = start(true);
    breakNow();
    breakNow();
    vi.advanceTimersByTime(40_000);
    expect(failures).toEqual(['transport']);
    expect(ended).toHaveBeenCalledOnce();
  });
});

describe('client transaction of another method', () => {
  function start(reliable = false) {
    const clock = times();
    const responses: number[] = [];
    const failures: string[] = [];
    const ended = vi.fn();
    const bye = request('BYE');
    const transaction = new NonInviteClientTransaction(bye, flow(reliable), {
      send: clock.note,
      response: ({ status }) => void responses.push(status),
      failed: (failure) => void failures.push(failure),
      ended,
    });
    transaction.start();
    return { transaction, clock, responses, failures, ended, bye };
  }

  it('repeats at intervals that double up to T2 and gives up at timer F', () => {
    const { clock, failures } = start();
    vi.advanceTimersByTime(40_000);
    expect(clock.at).toEqual([0, 500, 1500, 3500, 7500, 11_500, 15_500, 19_500, 23_500, 27_500, 31_500]);
    expect(failures).toEqual(['timeout']);
  });

  it('repeats every T2 once it has a provisional response', () => {
    const { transaction, clock, bye } = start();
    transaction.receive(buildResponse(bye, 100));
    vi.advanceTimersByTime(9000);
    expect(clock.at).toEqual([0, 500, 4500, 8500]);
  });

  it('keeps back repeated answers until timer K', () => {
    const { transaction, responses, ended, bye } = start();
    transaction.receive(buildResponse(bye, 200));
    transaction.receive(buildResponse(bye, 200));
    expect(responses).toEqual([200]);
    vi.advanceTimersByTime(4999);
    expect(ended).not.toHaveBeenCalled();
    vi.advanceTimersByTime(1);
    expect(ended).toHaveBeenCalledOnce();
  });
});
