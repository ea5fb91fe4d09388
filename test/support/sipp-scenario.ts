/** What a call is placed with. */
export interface InviteOptions {
  /** Request-URI; default the gateway's address without a user part, as Bandwidth's Voice API sends it. */
  readonly uri?: string;
  /** More header lines, such as `User-to-User: ...`. */
  readonly headers?: readonly string[];
  /** Default: no body, that is a late offer. */
  readonly sdp?: string | undefined;
  /** From header without the tag. */
  readonly from?: string;
}

/** A request inside the call. */
interface RequestOptions {
  readonly headers?: readonly string[];
  readonly body?: string;
  /** Default `application/sdp` for INVITE and UPDATE. */
  readonly contentType?: string;
}

/**
 * Writes a SIPp scenario for a calling phone, step by step; see SIPp's own documentation of its XML. Between steps
 * the phone waits for a cue: a request with the invented method CUE, which the test sends.
 * A BYE of the gateway is answered at any time and ends the scenario.
 */
export class Scenario {
  readonly #steps: string[] = [];
  #cseq = 1;
  #inviteCSeq = 1;
  /** Of the request sent last. */
  #method = 'INVITE';

  /** INVITE. Follow it by {@link expect} and {@link ack}. */
  invite(options: InviteOptions): this {
    this.#inviteCSeq = this.#cseq;
    return this.#send(
      [
        `INVITE ${options.uri ?? 'sip:[remote_ip]:[remote_port]'} SIP/2.0`,
        VIA,
        `From: ${options.from ?? '"Test phone" <sip:+15555550100@[local_ip]:[local_port]>'};tag=[call_number]`,
        'To: <sip:[remote_ip]:[remote_port]>',
        'Call-ID: [call_id]',
        `CSeq: ${this.#cseq++} INVITE`,
        'Max-Forwards: 70',
        CONTACT,
        ...(options.headers ?? []),
      ],
      options.sdp,
      'application/sdp',
      'retrans="500"',
    );
  }

  /** ACK of a 2xx. */
  ack(options: RequestOptions = {}): this {
    return this.#inDialog('ACK', this.#inviteCSeq, options, '');
  }

  /** CANCEL of the INVITE just sent, after a provisional response, whose Via has the INVITE's branch. */
  cancel(): this {
    this.#method = 'CANCEL';
    return this.#send([
      'CANCEL sip:[remote_ip]:[remote_port] SIP/2.0',
      '[last_Via:]',
      '[last_From:]',
      'To: <sip:[remote_ip]:[remote_port]>',
      'Call-ID: [call_id]',
      `CSeq: ${this.#inviteCSeq} CANCEL`,
      'Max-Forwards: 70',
    ]);
  }

  /** ACK of a refusal of the INVITE just received (RFC 3261 section 17.1.1.3: the INVITE's branch). */
  ackRefusal(): this {
    return this.#send([
      'ACK sip:[remote_ip]:[remote_port] SIP/2.0',
      '[last_Via:]',
      '[last_From:]',
      '[last_To:]',
      'Call-ID: [call_id]',
      `CSeq: ${this.#inviteCSeq} ACK`,
      'Max-Forwards: 70',
    ]);
  }

  /** A request inside the call; follow it by {@link expect}. A re-INVITE needs an {@link ack} too. */
  request(method: string, options: RequestOptions = {}): this {
    const cseq = this.#cseq++;
    this.#method = method;
    if (method === 'INVITE') this.#inviteCSeq = cseq;
    return this.#inDialog(method, cseq, options, 'retrans="500"');
  }

  /** Waits for a response to the latest request, or to one of the given method. Provisional ones may come before it. */
  expect(status: number, toMethod = this.#method): this {
    const provisional = [100, 180, 183].filter((code) => code !== status);
    const optional = provisional.map((code) => `<recv response="${code}" optional="true"/>`);
    return this.#add(
      ...optional,
      `<recv response="${status}" ${toMethod === 'INVITE' ? 'rrs="true"' : ''}>
         <action><ereg regexp=".*" search_in="hdr" header="To:" assign_to="to"/>
           <ereg regexp="[0-9]+" search_in="hdr" header="RSeq:" assign_to="rseq"/></action>
       </recv>`,
    );
  }

  /** Any of these refusals, and its ACK. */
  expectAny(statuses: readonly number[]): this {
    const [last, ...others] = [...statuses].reverse();
    return this.#add(
      '<recv response="100" optional="true"/>',
      ...others.map((code) => `<recv response="${code}" optional="true" next="refused"/>`),
      `<recv response="${last!}" next="refused"/>`,
      '<label id="refused"/>',
    ).ackRefusal();
  }

  /** PRACK of the reliable provisional response just received (RFC 3262). */
  prack(options: RequestOptions = {}): this {
    const rack = `RAck: [$rseq] ${this.#inviteCSeq} INVITE`;
    return this.request('PRACK', { ...options, headers: [rack, ...(options.headers ?? [])] });
  }

  /** Waits for a request of the gateway and answers it. */
  answer(method: string, status: string, options: RequestOptions = {}): this {
    return this.#add(`<recv request="${method}"/>`).#reply(status, options);
  }

  /** Waits for a call of the gateway, and takes it with 200 or refuses it. */
  answerInvite(status: string, sdp?: string): this {
    const to = '[last_To:];tag=[call_number]';
    return this.#add(
      '<recv request="INVITE"/>',
      `<send>${cdata(replyLines(status, to, []), sdp ?? '', 'application/sdp')}</send>`,
      '<recv request="ACK"/>',
    );
  }

  /** Waits for a call of the gateway, describes its media in a 183 only, and takes it with 200. */
  answerInviteEarly(sdp: string): this {
    const to = '[last_To:];tag=[call_number]';
    return this.#add(
      '<recv request="INVITE"/>',
      `<send>${cdata(replyLines('183 Session Progress', to, []), sdp, 'application/sdp')}</send>`,
      `<send>${cdata(replyLines('200 OK', to, []), '', '')}</send>`,
      '<recv request="ACK"/>',
    );
  }

  /** Lets a call of the gateway ring until the test's cue, then refuses it. */
  ringUntilCue(refusal: string): this {
    const to = '[last_To:];tag=[call_number]';
    // The cue would become the last message, whose headers a response copies.
    return this.#add(
      '<recv request="INVITE"><action>',
      ...INVITE_HEADERS.map(
        (name) => `<ereg regexp=".*" search_in="hdr" header="${name}:" assign_to="${variableOf(name)}"/>`,
      ),
      '</action></recv>',
      `<send>${cdata(replyLines('180 Ringing', to, []), '', '')}</send>`,
      '<recv request="CUE"/>',
      `<send>${cdata(laterReplyLines(refusal), '', '')}</send>`,
      '<recv request="ACK"/>',
    );
  }

  /** Waits for a request of the gateway, such as ACK, without answering it. */
  receive(method: string): this {
    return this.#add(`<recv request="${method}"/>`);
  }

  /** Waits for the test's {@link SippCall.cue}, or for the gateway's BYE. */
  waitForCue(): this {
    return this.#add(
      '<recv request="BYE" optional="true" next="hungUp"/>',
      '<recv request="ACK" optional="true"/>',
      '<recv request="CUE"/>',
    );
  }

  pause(ms: number): this {
    return this.#add(`<pause milliseconds="${ms}"/>`);
  }

  /** Waits for the gateway's BYE. */
  waitForBye(): this {
    return this.#add('<recv request="BYE" next="hungUp"/>');
  }

  bye(): this {
    return this.request('BYE').expect(200);
  }

  toXml(): string {
    return `<?xml version="1.0" encoding="UTF-8" ?>
<!DOCTYPE scenario SYSTEM "sipp.dtd">
<scenario name="phone">
<nop><action><assignstr assign_to="to" value=""/><assignstr assign_to="rseq" value=""/></action></nop>
<Reference variables="to,rseq"/>
${this.#steps.join('\n')}
<nop next="end"/>
<label id="hungUp"/>
${reply('200 OK', {})}
<label id="end"/>
</scenario>
`;
  }

  #reply(status: string, options: RequestOptions): this {
    return this.#add(reply(status, options));
  }

  #inDialog(method: string, cseq: number, options: RequestOptions, attributes: string): this {
    return this.#send(
      [
        `${method} [next_url] SIP/2.0`,
        VIA,
        '[routes]',
        'From: "Test phone" <sip:+15555550100@[local_ip]:[local_port]>;tag=[call_number]',
        'To:[$to]',
        'Call-ID: [call_id]',
        `CSeq: ${cseq} ${method}`,
        'Max-Forwards: 70',
        CONTACT,
        ...(options.headers ?? []),
      ],
      options.body,
      options.contentType ?? 'application/sdp',
      attributes,
    );
  }

  #send(lines: readonly string[], body = '', contentType = '', attributes = ''): this {
    return this.#add(`<send ${attributes}>${cdata(lines, body, contentType)}</send>`);
  }

  #add(...steps: string[]): this {
    this.#steps.push(...steps);
    return this;
  }
}

const VIA = 'Via: SIP/2.0/[transport] [local_ip]:[local_port];branch=[branch]';
const CONTACT = 'Contact: <sip:phone@[local_ip]:[local_port];transport=[transport]>';

function reply(status: string, options: RequestOptions): string {
  const lines = replyLines(status, '[last_To:]', options.headers ?? []);
  return `<send>${cdata(lines, options.body ?? '', options.contentType ?? 'application/sdp')}</send>`;
}

function replyLines(status: string, to: string, headers: readonly string[]): string[] {
  const copied = ['[last_Via:]', '[last_From:]', to, '[last_Call-ID:]', '[last_CSeq:]'];
  return [`SIP/2.0 ${status}`, ...copied, CONTACT, ...headers];
}

/** The headers of an INVITE that its later answers need. */
const INVITE_HEADERS = ['Via', 'From', 'To', 'CSeq'];

const variableOf = (header: string): string => `invite_${header.toLowerCase()}`;

/** An answer to the INVITE after another message came: from what was kept of it. */
function laterReplyLines(status: string): string[] {
  const kept = INVITE_HEADERS.map((name) => {
    const tag = name === 'To' ? ';tag=[call_number]' : '';
    return `${name}:[$${variableOf(name)}]${tag}`;
  });
  return [`SIP/2.0 ${status}`, ...kept, 'Call-ID: [call_id]', CONTACT];
}

function cdata(lines: readonly string[], body: string, contentType: string): string {
  const type = body === '' ? [] : [`Content-Type: ${contentType}`];
  const head = [...lines, ...type, 'Content-Length: [len]'].join('\n');
  return `<![CDATA[\n${head}\n\n${body.replace(/\r\n/g, '\n')}]]>`;
}
