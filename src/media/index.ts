import { sumOfCounters } from './counters.js';
import { createMixing } from './audio/index.js';
import { LocalCrossings } from './crossing/index.js';
import { FileEndpoint, SampleFiles } from './files/index.js';
import { createPhoneFactory } from './phone/index.js';
import { ProgramEndpoint } from './program/index.js';
import { LocalMediaPlane, logByEvents } from './plane.js';
import type { MediaListener, MediaPlane, MediaPlaneEvent } from './door.js';
import type { MediaPlaneOptions } from './types.js';
import { createBrowserFactory } from './browser/index.js';
import {
  type HostedPlane,
  type HostProcessOptions,
  type HostsOptions,
  RemoteMediaPlane,
  runHost,
} from './host/index.js';

export * from './door.js';
export * from './types.js';

/**
 * Makes a media plane in this process. Nothing is bound before the first device is opened, or somebody watches where devices
 * are: then streams of other gateways' hosts are taken at `pipeHost`, an address of this machine; absent: nowhere.
 */
export function createMediaPlane(
  { pipeHost, ...options }: MediaPlaneOptions & { readonly pipeHost?: string | undefined },
  listener: MediaListener<MediaPlaneEvent>,
): LocalMediaPlane {
  return makePlane(options, listener, pipeHost).plane;
}

/**
 * Finds or starts the media hosts of a data folder, which has to be locked, and makes a plane whose devices are on them.
 * @throws HostRefusal by rejection (`port`: no UDP port for browsers is free), or Error when no host can be started
 */
export async function startMediaHosts(
  options: HostsOptions,
  listener: MediaListener<MediaPlaneEvent>,
): Promise<MediaPlane> {
  const plane = new RemoteMediaPlane(options, logByEvents(listener), listener);
  await plane.start();
  return plane;
}

/** Runs a media host in this process, until it ends the process. */
export function runMediaHost(options: HostProcessOptions): Promise<void> {
  return runHost(options, makePlane);
}

function makePlane(
  options: MediaPlaneOptions,
  listener: MediaListener<MediaPlaneEvent>,
  pipeHost?: string,
): HostedPlane & { readonly plane: LocalMediaPlane } {
  const log = logByEvents(listener);
  const browsers = createBrowserFactory(options, log);
  const mixing = createMixing(log);
  const phones = createPhoneFactory(options, mixing);
  const files = new SampleFiles();
  const plane = new LocalMediaPlane(options, log, {
    browser: (context, spec) => browsers.open(context, spec),
    phone: (context, before) => phones.open(context, before),
    sendToPhonesFor: (ms) => phones.sendToPhonesFor(ms),
    program: (context, spec) => Promise.resolve(new ProgramEndpoint(context, spec, mixing)),
    file: (context, spec) => FileEndpoint.open(context, spec, mixing, files),
    load: () => mixing.clock.load(),
    counters: () => sumOfCounters(phones.counters(), browsers.counters()),
    stop: async () => {
      await Promise.all([browsers.stop(), phones.stop()]);
    },
    crossings: (streams) =>
      pipeHost === undefined ? undefined : new LocalCrossings(pipeHost, { streams, log }),
  });
  return { plane, streams: plane.remoteStreams, webrtcPort: () => browsers.holdPort() };
}
export { AUDIO_CODECS, compressMuLaw, expandMuLaw, meanSquare } from './codecs/index.js';
export type { AudioCodec, AudioDecoder, AudioEncoder } from './codecs/index.js';
/** What a phone of the gateway's own needs. */
export {
  isRtcp,
  ReceptionStatistics,
  rtpPayloadEnd,
  rtpPayloadOffset,
  rtpSequence,
  rtpSsrc,
  rtpTimestamp,
  rtpPayloadType,
  writeRtpHeader,
} from './rtp/index.js';
export { directionQuality, levelOf } from './quality/index.js';
export { RtcpSession, type RtcpSource } from './phone/index.js';
export { type Direction, MAX_SDP, offeredAudioCodecs, reverse } from './phone/index.js';
export { HostRefusal } from './host/index.js';
