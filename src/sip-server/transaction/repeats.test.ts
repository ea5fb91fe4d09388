import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { zeroCounters } from '../counters.js';
import { isFault, readEssentials } from '../message/essentials.js';
import { parseMessage } from '../message/parse.js';
import { buildResponse } from '../message/respond.js';
import type { Flow } from '../transport/flow.js';
import type { ServerTransaction } from './server-machine.js';
import { Transactions } from './transactions.js';

type TestFlow = { -readonly [Key in keyof Flow]: Flow[Key] };

function flowOf(transport: 'udp' | 'tcp', port: number): TestFlow {
  const local = { host: '192.0.2.1', port: 5060 };
  const remote = { host: '192.0.2.2', port };
  return { transport, reliable: transport === 'tcp', local, remote, open: true, send: () => undefined };
}

/** A table of transactions; what it tells of its requests, and what it sends by which port. */
function start() {
  const told: string[] = [];
  const sent: string[] = [];
  let last: ServerTransaction | undefined;
  const tell =
    (what: string) =>
    (transaction: ServerTransaction): void => {
      told.push(what);
      last = transaction;
    };
  const send = (flow: Flow, bytes: Buffer): void =>
    void sent.push(`${bytes.toString('latin1', 8, 11)} by ${String(flow.remote.port)}`);
  const transactions = new Transactions(
    { send, sendMessage: () => undefined, flowTo: () => undefined, prove: () => undefined },
    {
      request: tell('new'),
      merged: tell('merged'),
      repeated: () => void told.push('repeated'),
      cancel: () => undefined,
      ack: () => undefined,
      stray: () => undefined,
      overloaded: () => undefined,
    },
    100,
    zeroCounters(),
  );
  const receive = (flow: Flow, branch = 'a'): void => {
    const text = [
      'INVITE sip:a@192.0.2.1 SIP/2.0',
      `Via: SIP/2.0/${flow.transport.toUpperCase()} 192.0.2.2;branch=z9hG4bK-${branch};rport`,
      ...['From: <sip:b@192.0.2.2>;tag=b', 'To: <sip:a@192.0.2.1>', 'Call-ID: c', 'CSeq: 7 INVITE'],
      ...['Contact: <sip:b@192.0.2.2>', '', ''],
    ].join('\r\n');
    const message = parseMessage(Buffer.from(text));
    if (message.kind !== 'request') throw new Error('not a request');
    const essentials = readEssentials(message);
    if (isFault(essentials)) throw new Error(essentials.why);
    transactions.receiveRequest(message, essentials, flow);
  };
  const answer = (status: number): void => {
    const { request, localTag: toTag } = last!;
    last!.respond(buildResponse(request, status, { toTag }));
  };
  return { told, sent, receive, answer };
}

describe('a repeated INVITE', () => {
  beforeEach(() => vi.useFakeTimers());
  afterEach(() => vi.useRealTimers());

  it('has its refusal sent by the connection on which it came', () => {
    const { told, sent, receive, answer } = start();
    receive(flowOf('tcp', 1));
    answer(486);
    receive(flowOf('tcp', 2));
    expect(sent).toEqual(['486 by 1', '486 by 2']);
    expect(told).toEqual(['new']);
  });

  it('that was accepted is told, and its 2xx goes by the connection on which it came', () => {
    const { told, sent, receive, answer } = start();
    receive(flowOf('tcp', 1));
    answer(200);
    receive(flowOf('tcp', 2));
    expect(told).toEqual(['new', 'repeated']);
    expect(sent).toEqual(['200 by 1']);
  });

  it('is not followed over UDP, where anybody could send it', () => {
    const { sent, receive, answer } = start();
    receive(flowOf('udp', 1));
    receive(flowOf('udp', 2));
    receive(flowOf('tcp', 3));
    answer(486);
    expect(sent).toEqual(['486 by 1']);
  });

  it('under another branch is new when the connection of the first is gone (RFC 3263 section 4.3)', () => {
    const { told, receive } = start();
    const first = flowOf('tcp', 1);
    receive(first);
    receive(flowOf('tcp', 2), 'b');
    expect(told).toEqual(['new', 'merged']);
    first.open = false;
    receive(flowOf('tcp', 2), 'c');
    expect(told).toEqual(['new', 'merged', 'new']);
    receive(flowOf('tcp', 3), 'd');
    expect(told).toEqual(['new', 'merged', 'new', 'merged']);
  });
});
