/**
 * A page that means harm, in a process of its own: tells its parent its transport parameters, takes the answer to them,
 * and once its channel is open says so, and sends without end. `flooding-page.ts BYTES [opened]`: messages of so many
 * bytes, on the diagnostics channel or on channels that it opens itself.
 */
import nodeDataChannel from 'node-datachannel';
import type { DataChannel } from 'node-datachannel';
import { MEDIA_MID, writeTransportSdp } from '../transport/datachannel-transport.js';
import type { TransportDescription } from '../transport/transport.js';

const MAX_BUFFERED = 1_000_000;
const BURST = 500;
const OWN_CHANNELS = 20;

const [bytes, whose] = process.argv.slice(2);
const message = Buffer.alloc(Number(bytes), 'x').toString();
const connection = new nodeDataChannel.PeerConnection('flood', {
  iceServers: [],
  bindAddress: '127.0.0.1',
  disableAutoNegotiation: true,
  forceMediaTransport: true,
});
const media = new nodeDataChannel.Audio(MEDIA_MID, 'SendRecv');
media.addOpusCodec(111);
const track = connection.addTrack(media);
const heartbeat = connection.createDataChannel('__heartbeat__', { negotiated: true, id: 0 });
const diagnostics = connection.createDataChannel('__diagnostics__', { negotiated: true, id: 1 });
const flooded = new Set<DataChannel>();

connection.onGatheringStateChange((state) => {
  if (state === 'complete') process.send!(readTransport(connection.localDescription()!.sdp));
});
connection.setLocalDescription('offer');
process.on('message', (answer: TransportDescription | 'go') => {
  if (answer === 'go') {
    if (whose === 'opened') for (let i = 0; i < OWN_CHANNELS; i += 1) openOne();
    else flooded.add(diagnostics);
    flood();
    return;
  }
  // Whatever the other end says of the size of messages.
  const sdp = writeTransportSdp(answer, { withData: true }).replace(
    /max-message-size:\d+/,
    'max-message-size:262144',
  );
  connection.setRemoteDescription(sdp, 'answer');
});
heartbeat.onOpen(() => process.send!('open'));

/** Another comes in its place when the other end closes it. */
function openOne(): void {
  const channel = connection.createDataChannel('own');
  channel.onOpen(() => flooded.add(channel));
  channel.onClosed(() => {
    flooded.delete(channel);
    openOne();
  });
}

function flood(): void {
  for (const channel of flooded) {
    try {
      for (let left = BURST; left > 0 && channel.bufferedAmount() < MAX_BUFFERED; left -= 1) {
        channel.sendMessage(message);
      }
    } catch {
      // It is closed; the library throws for that until it has said so.
      flooded.delete(channel);
    }
  }
  setImmediate(flood);
}

function readTransport(sdp: string): TransportDescription {
  const value = (name: string): string => new RegExp(`^a=${name}:(.*)$`, 'm').exec(sdp)![1]!.trim();
  return {
    iceUfrag: value('ice-ufrag'),
    icePwd: value('ice-pwd'),
    fingerprint: value('fingerprint'),
    setup: 'actpass',
    candidates: [],
  };
}

// Collecting a track or channel closes it.
process.on('exit', () => [track, heartbeat, diagnostics]);
