import type {
  OfferedTransport,
  Transport,
  TransportFactory,
  TransportHandlers,
  TransportState,
  TransportDescription,
} from '../transport/transport.js';

/** A transport without a network: a test plays the browser by its handlers and sees what is sent. */
class FakeTransport implements OfferedTransport {
  readonly local: TransportDescription;
  readonly hasData: boolean;
  readonly handlers: TransportHandlers;
  readonly sent: Buffer[] = [];
  readonly told: string[] = [];
  remote: TransportDescription | undefined;
  state: TransportState = 'connecting';

  constructor(number: number, hasData: boolean, handlers: TransportHandlers) {
    this.hasData = hasData;
    this.handlers = handlers;
    this.local = {
      iceUfrag: `ours${number}`,
      icePwd: 'our-password-of-22-chars',
      fingerprint: 'sha-256 AA:BB',
      setup: 'actpass',
      candidates: ['1 1 UDP 2114977791 127.0.0.1 7000 typ host'],
    };
  }

  accept(remote: TransportDescription): void {
    this.remote = remote;
  }

  send(packet: Buffer): boolean {
    if (this.state !== 'connected') return false;
    this.sent.push(Buffer.from(packet));
    return true;
  }

  sendDiagnostics(message: string): void {
    this.told.push(message);
  }

  become(state: TransportState): void {
    this.state = state;
    this.handlers.onState(state);
  }

  close(): void {
    this.state = 'closed';
  }
}

/** Makes {@link FakeTransport}s and keeps them for the test. */
export class FakeTransports implements TransportFactory {
  readonly made: FakeTransport[] = [];

  /** The newest one. */
  get last(): FakeTransport {
    const transport = this.made.at(-1);
    if (!transport) throw new Error('No transport was made.');
    return transport;
  }

  async offer(handlers: TransportHandlers): Promise<OfferedTransport> {
    return Promise.resolve(this.#make(false, handlers));
  }

  async answer(
    remote: TransportDescription,
    withData: boolean,
    handlers: TransportHandlers,
  ): Promise<Transport> {
    const transport = this.#make(withData, handlers);
    transport.accept(remote);
    return Promise.resolve(transport);
  }

  async stop(): Promise<void> {
    for (const transport of this.made) transport.close();
    return Promise.resolve();
  }

  #make(withData: boolean, handlers: TransportHandlers): FakeTransport {
    const transport = new FakeTransport(this.made.length + 1, withData, handlers);
    this.made.push(transport);
    return transport;
  }
}
