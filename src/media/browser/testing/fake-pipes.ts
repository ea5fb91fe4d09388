import type {
  OfferedPipe,
  Pipe,
  PipeFactory,
  PipeHandlers,
  PipeState,
  TransportDescription,
} from '../transport/pipe.js';

/** A pipe without a network: a test plays the browser by its handlers and sees what is sent. */
class FakePipe implements OfferedPipe {
  readonly local: TransportDescription;
  readonly hasData: boolean;
  readonly handlers: PipeHandlers;
  readonly sent: Buffer[] = [];
  readonly told: string[] = [];
  remote: TransportDescription | undefined;
  state: PipeState = 'connecting';

  constructor(number: number, hasData: boolean, handlers: PipeHandlers) {
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

  become(state: PipeState): void {
    this.state = state;
    this.handlers.onState(state);
  }

  close(): void {
    this.state = 'closed';
  }
}

/** Makes {@link FakePipe}s and keeps them for the test. */
export class FakePipes implements PipeFactory {
  readonly made: FakePipe[] = [];

  /** The newest one. */
  get last(): FakePipe {
    const pipe = this.made.at(-1);
    if (!pipe) throw new Error('No pipe was made.');
    return pipe;
  }

  async offer(handlers: PipeHandlers): Promise<OfferedPipe> {
    return Promise.resolve(this.#make(false, handlers));
  }

  async answer(remote: TransportDescription, withData: boolean, handlers: PipeHandlers): Promise<Pipe> {
    const pipe = this.#make(withData, handlers);
    pipe.accept(remote);
    return Promise.resolve(pipe);
  }

  async stop(): Promise<void> {
    for (const pipe of this.made) pipe.close();
    return Promise.resolve();
  }

  #make(withData: boolean, handlers: PipeHandlers): FakePipe {
    const pipe = new FakePipe(this.made.length + 1, withData, handlers);
    this.made.push(pipe);
    return pipe;
  }
}
