/**
 * Bytes of heap that one packet of one phone costs, in and out, without sockets. Must run with so large a young
 * generation that nothing is collected meanwhile.
 */
import { MixGroups } from '../../src/media/audio/index.js';
import { PhoneCrypto } from '../../src/media/phone/phone-crypto.js';
import { RtpReceiver } from '../../src/media/phone/rtp-receiver.js';
import { RtpSender } from '../../src/media/phone/rtp-sender.js';
import { agreeOn, chooseAudio } from '../../src/media/phone/sdp/audio-session.js';
import { readRemoteDescription } from '../../src/media/phone/sdp/remote-description.js';
import { writeRtpHeader } from '../../src/media/rtp/index.js';
import { toTrackCodec } from '../../src/media/codecs/index.js';
import { PublishedTrack } from '../../src/media/track.js';

const TALKERS = 3;
const FRAMES = 2000;

const offer = [
  'v=0',
  'o=- 1 1 IN IP4 127.0.0.1',
  's=-',
  'c=IN IP4 127.0.0.1',
  't=0 0',
  'm=audio 4000 RTP/AVP 0',
  '',
];
const session = agreeOn(chooseAudio(readRemoteDescription(offer.join('\r\n'))).section);

const tracks = Array.from(
  { length: TALKERS },
  (_, i) => new PublishedTrack({ kind: 'audio', streamId: `${i}`, codec: toTrackCodec(session.codec) }),
);
const receivers = tracks.map((track) => {
  const receiver = new RtpReceiver({ onDigit: () => undefined, onFormat: () => track });
  receiver.agree(session);
  return receiver;
});
let sent = 0;
const sender = new RtpSender(new MixGroups(), new PhoneCrypto(0), () => {
  sent += 1;
});
sender.configure(session);
sender.setTracks(tracks, true);

const packets = tracks.map((_, i) => Buffer.alloc(172, i));
let frame = 0;
function run(frames: number): void {
  for (const end = frame + frames; frame < end; frame += 1) {
    for (let i = 0; i < TALKERS; i += 1) {
      writeRtpHeader(packets[i]!, 0, false, frame & 0xffff, frame * 160, i + 1);
      receivers[i]!.onPacket(packets[i]!, frame * 20);
    }
    sender.onFrame(frame);
  }
}

run(20_000);
globalThis.gc?.();
const before = process.memoryUsage().heapUsed;
const countBefore = sent;
run(FRAMES);
const bytes = process.memoryUsage().heapUsed - before;
process.send!({ bytesPerPacket: bytes / (FRAMES * TALKERS + (sent - countBefore)) });
