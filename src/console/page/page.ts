import { BandwidthRtcV3 as BandwidthRtc, type RtcStream } from '@bandwidth/webrtc-browser';
import { ReceivedStreams } from './received-streams.js';

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

// The fragment never reaches a server or its logs, unlike a query.
token.value = new URLSearchParams(location.hash.slice(1)).get('token') ?? '';

const websocketUrl = `${location.protocol === 'https:' ? 'wss' : 'ws'}://${location.host}`;
let client: BandwidthRtc | undefined;

async function join(): Promise<void> {
  const streams = new ReceivedStreams(streamList);
  client = new BandwidthRtc();
  client.onStreamAvailable((stream: RtcStream) => streams.add(stream));
  client.onStreamUnavailable((streamId: string) => streams.remove(streamId));
  await client.connect({ deviceToken: token.value.trim() }, { websocketUrl });
  const audio = element('microphone', HTMLInputElement).checked;
  const video = element('camera', HTMLInputElement).checked;
  if (audio || video) await client.publish({ audio, video });
  status.textContent = audio || video ? 'Connected and publishing.' : 'Connected, listening only.';
  mute.disabled = !audio;
}

form.addEventListener('submit', (event) => {
  event.preventDefault();
  problem.textContent = '';
  form.hidden = true;
  call.hidden = false;
  status.textContent = 'Connecting ...';
  join().catch((error: unknown) => {
    leave();
    problem.textContent = `Could not join: ${error instanceof Error ? error.message : JSON.stringify(error)}`;
  });
});

function leave(): void {
  client?.disconnect();
  client = undefined;
  streamList.replaceChildren();
  form.hidden = false;
  call.hidden = true;
}

element('leave', HTMLButtonElement).addEventListener('click', leave);
mute.addEventListener('change', () => {
  client?.setMicEnabled(!mute.checked);
});
