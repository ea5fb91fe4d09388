import { setTimeout as pause } from 'node:timers/promises';
import { type Clock, describeError } from '../../shared/index.js';
import type { MeasuredCall } from '../measured-call.js';
import type { Problem } from '../types.js';
import type { ApplicationClient } from './application-client.js';
import type { Verb } from './bxml.js';
import { Callbacks, CallEnds, type Document, fault } from './callbacks.js';
import { resampled, speak, speechMs } from './speech.js';
import { Steps } from './steps.js';
import { type DialLeg, Transfer, type TransferEnd } from './transfer.js';
import { type Cause, VoiceCall } from './voice-call.js';

/** An application to be tried: where it answers, or the BXML that it would answer. */
export interface NewApplicationTrial {
  readonly answerUrl?: string | undefined;
  readonly answerMethod?: 'GET' | 'POST' | undefined;
  readonly username?: string | undefined;
  readonly password?: string | undefined;
  readonly disconnectUrl?: string | undefined;
  readonly disconnectMethod?: 'GET' | 'POST' | undefined;
  readonly bxml?: string | undefined;
  readonly from?: string | undefined;
  readonly to?: string | undefined;
  readonly applicationId?: string | undefined;
  readonly tag?: string | undefined;
  /** `inbound`: somebody calls the application's number; `outbound`: the application has had somebody called. */
  readonly direction?: 'inbound' | 'outbound' | undefined;
  readonly voiceApiUrl?: string | undefined;
}

/** Samples of a sound, 16 bits, mono. */
export interface LoadedSound {
  readonly rate: number;
  readonly samples: Int16Array;
}

interface ApplicationTrialParts {
  readonly call: MeasuredCall;
  readonly client: ApplicationClient;
  readonly dial: DialLeg;
  /** @throws Error whose message says why it cannot be played */
  readonly loadSound: (accountId: string, url: string) => Promise<LoadedSound>;
  readonly clock: Clock;
  /** Called at each step. */
  readonly onStep: () => void;
}

/** Nobody hears what is said to the caller alone, so it need not take as long as it would. */
const UNHEARD_MS = 1_500;
const MAX_PAUSE_MS = 60_000;
/** What can be executed for a called party before it is connected to the caller. */
const NOT_FOR_CALLED = ['Transfer', 'Bridge', 'Conference', 'Forward'];
const DEFAULT_VOICE_API = 'https://voice.bandwidth.com';

/** Verbs are executed for the caller, or for the called party of a transfer, who hears them. */
interface Party {
  readonly call: VoiceCall;
  readonly transfer?: Transfer;
}

/** Behaves toward one application as the Voice API would: sends events, executes the BXML that comes, and places calls. */
export class ApplicationTrial {
  readonly #parts: ApplicationTrialParts;
  readonly #options: NewApplicationTrial;
  readonly #caller: VoiceCall;
  readonly steps: Steps;
  readonly #callbacks: Callbacks;
  readonly #stop = new AbortController();
  #transfer: Transfer | undefined;
  readonly over: Promise<void>;

  constructor(options: NewApplicationTrial, parts: ApplicationTrialParts) {
    this.#parts = parts;
    this.#options = options;
    const { call, clock } = parts;
    const now = (): number => clock.now();
    const {
      from = '+15555550100',
      to = '+15555550199',
      applicationId = 'trial',
      direction = 'outbound',
    } = options;
    const voiceApiUrl = options.voiceApiUrl?.replace(/\/$/, '') ?? DEFAULT_VOICE_API;
    const callId = `c-${call.testCallId}`;
    const { accountId } = call;
    this.#caller = new VoiceCall({ accountId, applicationId, from, to, direction, voiceApiUrl, callId }, now);
    this.#caller.tag = options.tag ?? '';
    this.steps = new Steps(now, (steps) => {
      call.step(steps);
      parts.onStep();
    });
    this.#callbacks = new Callbacks(parts.client, this.steps, this.#stop.signal);
    this.over = this.#run();
  }

  /** Hangs up. Resolves when the application has been told. */
  async hangUp(): Promise<void> {
    this.#stop.abort();
    await this.#transfer?.hangUp();
    await this.over;
  }

  async #run(): Promise<void> {
    let cause: Cause = 'hangup';
    let problem: Problem | undefined;
    try {
      await this.#execute(await this.#begin(), { call: this.#caller });
    } catch (error) {
      if (error instanceof CallEnds) ({ reason: cause, problem } = error);
      else if (!this.#stop.signal.aborted) {
        cause = 'error';
        problem = fault(describeError(error), 'See the log of the gateway.');
      }
    }
    await this.#transfer?.hangUp();
    await this.#disconnected(cause);
    if (problem) {
      this.steps.add({ kind: 'note', text: problem.message, isFault: true });
      this.#parts.call.failed(problem);
    } else this.#parts.call.ended();
  }

  /** The first BXML. */
  async #begin(): Promise<Document> {
    const {
      answerUrl,
      answerMethod = 'POST',
      username,
      password,
      bxml,
      direction = 'outbound',
    } = this.#options;
    if (direction === 'outbound') this.#caller.answeredAt = this.#parts.clock.now();
    if (bxml !== undefined) {
      this.steps.add({ kind: 'note', text: 'Executes the BXML that was given.', response: bxml });
      return this.#callbacks.document(bxml, undefined);
    }
    const callback = { url: new URL(answerUrl!), method: answerMethod, username, password };
    const type = direction === 'outbound' ? 'answer' : 'initiate';
    const document = await this.#callbacks.ask(callback, this.#caller.event(type));
    // An incoming call is answered by the first BXML.
    this.#caller.answeredAt ??= this.#parts.clock.now();
    return document;
  }

  async #execute({ verbs, base }: Document, party: Party): Promise<void> {
    for (const verb of verbs) {
      this.#stop.signal.throwIfAborted();
      if (party.transfer?.isOver === true) return;
      const isAllowed = !party.transfer || !NOT_FOR_CALLED.includes(verb.name);
      if (!isAllowed) {
        const text = `<${verb.name}> cannot be executed for the called party.`;
        this.steps.add({ kind: 'verb', text, isFault: true });
        continue;
      }
      const next = await this.#verb(verb, base, party);
      if (next) {
        await this.#execute(next, party);
        return;
      }
    }
  }

  /** @returns the document that takes the place of the present one, if any */
  async #verb(verb: Verb, base: URL | undefined, party: Party): Promise<Document | undefined> {
    const { name, text, attributes } = verb;
    switch (name) {
      case 'SpeakSentence':
        await this.#say(text, attributes['locale'], party);
        return undefined;
      case 'PlayAudio':
        await this.#play(text, base, party);
        return undefined;
      case 'Pause':
      case 'Ring': {
        const seconds = Number(attributes['duration'] ?? (name === 'Ring' ? 5 : 1)) || 0;
        this.steps.add({ kind: 'verb', text: `<${name}> for ${seconds} s.` });
        await this.#wait(Math.min(MAX_PAUSE_MS, Math.max(0, seconds * 1_000)));
        return undefined;
      }
      case 'Tag':
        party.call.tag = text;
        this.steps.add({ kind: 'verb', text: `<Tag>: the tag is now “${text}”.` });
        return undefined;
      case 'Redirect':
        return this.#redirect(verb, base, party);
      case 'Hangup':
        this.steps.add({ kind: 'verb', text: '<Hangup>.' });
        if (!party.transfer) throw new CallEnds('hangup');
        await party.transfer.hangUp();
        return undefined;
      case 'Transfer':
        return this.#transferTo(verb, base);
      default:
        this.steps.add({
          kind: 'verb',
          text: `Not supported by the trial: <${name}>. It goes on.`,
          isFault: true,
        });
        return undefined;
    }
  }

  async #say(text: string, locale: string | undefined, { transfer }: Party): Promise<void> {
    if (!transfer) {
      this.steps.add({ kind: 'verb', text: `<SpeakSentence> to the caller, which nobody hears: “${text}”` });
      await this.#wait(Math.min(UNHEARD_MS, speechMs(text)));
      return;
    }
    const { player } = transfer.phone;
    const { samples, isSpoken } = await speak(text, locale, player.rate);
    const how = isSpoken ? '' : ', as a tone: espeak-ng is not installed';
    this.steps.add({ kind: 'verb', text: `<SpeakSentence> to the called party${how}: “${text}”` });
    await player.play(samples);
  }

  async #play(text: string, base: URL | undefined, { transfer }: Party): Promise<void> {
    const whom = transfer ? 'to the called party' : 'to the caller, which nobody hears';
    try {
      const url = this.#callbacks.resolve(text, base);
      const { rate, samples } = await this.#parts.loadSound(this.#parts.call.accountId, url.href);
      this.steps.add({ kind: 'verb', text: `<PlayAudio> ${whom}: ${url.href}` });
      if (transfer) await transfer.phone.player.play(resampled(samples, rate, transfer.phone.player.rate));
      else await this.#wait(Math.min(UNHEARD_MS, (samples.length / rate) * 1_000));
    } catch (error) {
      this.#stop.signal.throwIfAborted();
      const why = describeError(error);
      this.steps.add({ kind: 'verb', text: `<PlayAudio> of ${text} failed: ${why}`, isFault: true });
    }
  }

  async #redirect(
    { attributes }: Verb,
    base: URL | undefined,
    { call }: Party,
  ): Promise<Document | undefined> {
    const { redirectUrl, tag } = attributes;
    if (tag !== undefined) call.tag = tag;
    if (redirectUrl === undefined) {
      this.steps.add({
        kind: 'verb',
        text: '<Redirect> without redirectUrl: nothing happens.',
        isFault: true,
      });
      return undefined;
    }
    this.steps.add({ kind: 'verb', text: `<Redirect> to ${redirectUrl}.` });
    return this.#callbacks.ask(this.#callbacks.named(attributes, 'redirect', base)!, call.event('redirect'));
  }

  async #transferTo(verb: Verb, base: URL | undefined): Promise<Document> {
    const { attributes } = verb;
    if (attributes['tag'] !== undefined) this.#caller.tag = attributes['tag'];
    this.steps.add({
      kind: 'verb',
      text: `<Transfer> to ${verb.children.map(({ text }) => text).join(', ') || 'nobody'}.`,
    });
    let end: TransferEnd = { cause: 'error', to: '' };
    for (const target of verb.children) {
      this.#stop.signal.throwIfAborted();
      if (target.name !== 'SipUri') {
        const text = `Not supported by the trial: <${target.name}>. There is no telephone network here; use <SipUri>.`;
        this.steps.add({ kind: 'note', text, isFault: true });
        continue;
      }
      const transfer = new Transfer(this.#caller, verb, target, {
        dial: this.#parts.dial,
        steps: this.steps,
        clock: this.#parts.clock,
        measured: this.#parts.call,
        connected: (one) => this.#called(one, target, base),
      });
      this.#transfer = transfer;
      end = await transfer.run();
      if (transfer.error) throw transfer.error;
      const disconnect = this.#callbacks.named(target.attributes, 'transferDisconnect', base);
      if (disconnect && transfer.wasAnswered)
        await this.#callbacks.tell(disconnect, transfer.leg.over('transferDisconnect', end.cause));
      if (transfer.wasAnswered) break;
    }
    this.#transfer = undefined;
    const complete = this.#callbacks.named(attributes, 'transferComplete', base);
    // Without it the call ends with the transfer: verbs that follow are not executed.
    if (!complete) throw new CallEnds('hangup');
    this.#stop.signal.throwIfAborted();
    const event = this.#caller.over('transferComplete', end.cause, {
      transferCallerId: attributes['transferCallerId'] ?? this.#options.from ?? '+15555550100',
      transferTo: end.to,
    });
    return this.#callbacks.ask(
      complete,
      event,
      this.#callbacks.named(attributes, 'transferCompleteFallback', base),
    );
  }

  /** The called party has answered: what is only for it comes before it is connected to the caller. */
  async #called(transfer: Transfer, target: Verb, base: URL | undefined): Promise<void> {
    const callback = this.#callbacks.named(target.attributes, 'transferAnswer', base);
    if (!callback) return;
    const event = transfer.leg.event('transferAnswer');
    await this.#execute(await this.#callbacks.ask(callback, event), { call: transfer.leg, transfer });
  }

  async #disconnected(cause: Cause): Promise<void> {
    const { disconnectUrl, disconnectMethod = 'POST', username, password } = this.#options;
    if (disconnectUrl === undefined) return;
    const callback = { url: new URL(disconnectUrl), method: disconnectMethod, username, password };
    try {
      // The trial may have been stopped, and the application is told all the same.
      await this.#callbacks.send(
        callback,
        this.#caller.over('disconnect', cause),
        AbortSignal.timeout(5_000),
      );
    } catch (error) {
      const text = `disconnect event: ${describeError(error)}`;
      this.steps.add({ kind: 'note', text, isFault: true });
    }
  }

  #wait(ms: number): Promise<void> {
    return pause(ms, undefined, { signal: this.#stop.signal, ref: false });
  }
}
