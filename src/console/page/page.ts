import type { RtcStream } from '@bandwidth/webrtc-browser';
import { GatewayConnection, watchSockets } from './connection.js';

function element<T extends HTMLElement>(id: string, type: new () => T): T {
  const found = document.getElementById(id);
  if (!(found instanceof type)) throw new Error(`The page has no ${type.name} #${id}.`);
  return found;
}

const form = element('join', HTMLFormElement);
const token = element('token', HTMLTextAreaElement);
const call = element('call', HTMLElement);
const streamList = element('streams', HTMLElement);
const status = element('status', HTMLElement);
const problem = element('problem', HTMLElement);
const mute = element('mute', HTMLInputElement);
const hide = element('hide', HTMLInputElement);
const keypad = element('keypad', HTMLFieldSetElement);

// The fragment never reaches a server or its logs, unlike a query.
token.value = new URLSearchParams(location.hash.slice(1)).get('token') ?? '';

/** Shows the link to the documents to those who may read them: often nobody who comes by a proxy may. */
async function offerDocuments(): Promise<void> {
  const answer = await fetch('/openapi.json', { method: 'HEAD' }).catch(() => undefined);
  element('documents', HTMLAnchorElement).hidden = answer?.ok !== true;
}

void offerDocuments();

let connection: GatewayConnection | undefined;
/** Text of the status line while the socket is open. */
let state = '';

function say(text: string): void {
  state = text;
  status.textContent = text;
}

watchSockets({
  opened() {
    status.textContent = state;
  },
  closed(final, reason) {
    if (!connection) return;
    if (final) end(`The gateway ended the connection: ${reason || 'no reason given'}`);
    else status.textContent = 'The connection is lost. Reconnecting ...';
  },
});

async function join(current: GatewayConnection): Promise<void> {
  say('Connecting ...');
  await current.open();
  say('Connected.');
  const wanted = {
    audio: element('microphone', HTMLInputElement).checked,
    video: element('camera', HTMLInputElement).checked,
  };
  const granted = await current.publish(wanted);
  const published = granted.map((type) => type.toLowerCase()).join(' and ');
  if (published !== '') say(`Connected and publishing ${published}.`);
  else
    say(
      wanted.audio || wanted.video
        ? 'Connected; not permitted to publish that.'
        : 'Connected, listening only.',
    );
  mute.disabled = !granted.includes('AUDIO');
  keypad.disabled = mute.disabled;
  hide.disabled = !granted.includes('VIDEO');
}

form.addEventListener('submit', (event) => {
  event.preventDefault();
  problem.textContent = '';
  form.hidden = true;
  call.hidden = false;
  for (const box of [mute, hide]) box.checked = false;
  for (const control of [mute, hide, keypad]) control.disabled = true;
  const streams = new ReceivedStreams(streamList);
  const current = new GatewayConnection(token.value.trim(), {
    streamAvailable: (stream) => streams.add(stream),
    streamUnavailable: (streamId) => streams.remove(streamId),
  });
  connection = current;
  join(current).catch((error: unknown) => {
    if (connection !== current) return;
    end(`Could not join: ${message(error)}`);
  });
});

const message = (error: unknown): string => (error instanceof Error ? error.message : JSON.stringify(error));

function end(why: string): void {
  const ended = connection;
  connection = undefined;
  ended?.close();
  streamList.replaceChildren();
  form.hidden = false;
  call.hidden = true;
  problem.textContent = why;
}

async function press(digit: string): Promise<void> {
  problem.textContent = '';
  try {
    await connection?.press(digit);
  } catch (error) {
    problem.textContent = `The key ${digit} was not sent: ${message(error)}`;
  }
}

element('leave', HTMLButtonElement).addEventListener('click', () => end(''));
mute.addEventListener('change', () => connection?.mute(mute.checked));
hide.addEventListener('change', () => connection?.hide(hide.checked));
for (const digit of '123456789*0#') {
  const key = document.createElement('button');
  key.type = 'button';
  key.textContent = digit;
  key.addEventListener('click', () => void press(digit));
  keypad.append(key);
}

/** The list of streams that this page receives, each playing, with a level meter. */
class ReceivedStreams {
  readonly #list: HTMLElement;
  readonly #items = new Map<string, { item: HTMLElement; audio: AudioContext }>();

  constructor(list: HTMLElement) {
    this.#list = list;
    this.#showEmpty();
  }

  add(stream: RtcStream): void {
    this.remove(stream.endpointId);
    const item = document.createElement('li');
    const player = document.createElement(stream.mediaStream.getVideoTracks().length > 0 ? 'video' : 'audio');
    player.srcObject = stream.mediaStream;
    player.autoplay = true;
    const name = document.createElement('div');
    const types = stream.mediaTypes.map((type) => type.toLowerCase()).join(' and ');
    name.textContent = `${stream.alias ?? 'stream'} of participant ${stream.participantId ?? '?'} (${types})`;
    const meter = document.createElement('meter');
    item.append(name, meter, player);
    this.#list.querySelector('.empty')?.remove();
    this.#list.append(item);
    this.#items.set(stream.endpointId, { item, audio: showLevel(stream.mediaStream, meter) });
  }

  remove(streamId: string): void {
    const entry = this.#items.get(streamId);
    if (!entry) return;
    this.#items.delete(streamId);
    void entry.audio.close();
    entry.item.remove();
    if (this.#items.size === 0) this.#showEmpty();
  }

  #showEmpty(): void {
    const empty = document.createElement('li');
    empty.className = 'empty';
    empty.textContent = 'None yet: nobody that you are subscribed to is publishing.';
    this.#list.replaceChildren(empty);
  }
}

function showLevel(stream: MediaStream, meter: HTMLMeterElement): AudioContext {
  const context = new AudioContext();
  // In Firefox, tracks from before a lost connection stay in the stream, ended, and Web Audio might take one of them.
  const newest = stream.getAudioTracks().slice(-1);
  if (newest.length === 0) return context;
  const analyser = context.createAnalyser();
  context.createMediaStreamSource(new MediaStream(newest)).connect(analyser);
  const samples = new Float32Array(analyser.fftSize);
  const draw = (): void => {
    if (context.state === 'closed') return;
    analyser.getFloatTimeDomainData(samples);
    meter.value = Math.sqrt(samples.reduce((sum, sample) => sum + sample * sample, 0) / samples.length) * 4;
    requestAnimationFrame(draw);
  };
  draw();
  return context;
}
