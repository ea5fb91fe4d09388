import { fileURLToPath } from 'node:url';
import type { Logger } from 'pino';
import { createMediaPlane, HostRefusal, type MediaPlane, startMediaHosts } from '../media/index.js';
import type { Config } from './read-config.js';
import { StartError } from './start-error.js';
import { VERSION } from './version.js';

const HOST_PROGRAM = fileURLToPath(new URL('../media-host.js', import.meta.url));

/**
 * Makes the media plane: in media hosts, which go on when the gateway dies, or in this process.
 * @param onSuperseded a newer gateway of the data folder has taken the media hosts
 * @throws StartError when no UDP port for browsers is free
 */
export async function startMedia(config: Config, log: Logger, onSuperseded: () => void): Promise<MediaPlane> {
  const { rtp, webrtc, mediaHosts } = config;
  const options = {
    rtpHost: rtp.host,
    rtpPorts: rtp.ports,
    webrtcHost: webrtc.host,
    ...(config.publicIp === undefined ? {} : { publicIp: config.publicIp }),
    mediaTimeoutMs: config.mediaTimeoutMs,
    phoneCodecs: config.phoneCodecs,
    asymmetricRtp: rtp.asymmetric,
    passHeldAudio: config.passHeldAudio,
    opusDtx: config.opusDtx,
  };
  // The plane's errors come as plain data, as they are to be written.
  const mediaLog = log.child({ part: 'media' }, { serializers: { err: (error: unknown) => error } });
  const write = ({ level, fields, message }: Parameters<Parameters<typeof createMediaPlane>[1]>[0]): void =>
    mediaLog[level](fields, message);
  if (mediaHosts === 0) return createMediaPlane({ ...options, webrtcPort: webrtc.port }, write);
  try {
    return await startMediaHosts(
      {
        dataDir: config.dataDir,
        hosts: mediaHosts,
        program: HOST_PROGRAM,
        version: VERSION,
        handoverMs: config.handoverMs,
        media: options,
        webrtcPort: webrtc.port,
        onSuperseded,
      },
      write,
    );
  } catch (error) {
    if (!(error instanceof HostRefusal) || error.reason !== 'port') throw error;
    throw new StartError(
      `PATCHBAY_WEBRTC_PORT: another program uses port ${webrtc.port} of ${webrtc.host}` +
        `${mediaHosts > 1 ? ', and those that follow for other media hosts are taken too' : ''} ` +
        '(ss -lntup shows which). Stop it, or choose another port.',
      { cause: error },
    );
  }
}
