import { createSocket } from 'node:dgram';
import { lookup } from 'node:dns/promises';
import { isIP, isIPv6 } from 'node:net';
import type { Logger } from 'pino';
import { createMediaPlane, HostRefusal, type MediaPlane, startMediaHosts } from '../media/index.js';
import type { Config } from './read-config.js';
import { programPath } from '../shared/index.js';
import { explainListenError, StartError } from './start-error.js';
import { VERSION } from './version.js';

/**
 * Makes the media plane: in media hosts, which go on when the gateway dies, or in this process.
 * @param onSuperseded a newer gateway of the data folder has taken the media hosts
 * @param pipeHost the address of this machine at which it takes streams of other gateways; absent: it takes none
 * @throws StartError when no UDP port for browsers is free
 */
export async function startMedia(
  config: Config,
  log: Logger,
  onSuperseded: () => void,
  pipeHost?: string,
): Promise<MediaPlane> {
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
    levelling: config.levelling,
  };
  // The plane's errors are plain data already.
  const mediaLog = log.child({ part: 'media' }, { serializers: { err: (error: unknown) => error } });
  const write = ({ level, fields, message }: Parameters<Parameters<typeof createMediaPlane>[1]>[0]): void =>
    mediaLog[level](fields, message);
  if (mediaHosts === 0) return createMediaPlane({ ...options, webrtcPort: webrtc.port, pipeHost }, write);
  try {
    return await startMediaHosts(
      {
        dataDir: config.dataDir,
        hosts: mediaHosts,
        program: programPath('media-host'),
        version: VERSION,
        handoverMs: config.handoverMs,
        media: options,
        webrtcPort: webrtc.port,
        pipeHost,
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

/**
 * Resolves names among the addresses for media, and tries to bind them. The media plane binds them only when the first
 * phone or page connects, so a mistake would otherwise show as a call without sound.
 * @throws StartError that names the variable
 */
export async function readyAddresses(config: Config, log: Logger): Promise<Config> {
  const { publicIp, rtp, webrtc } = config;
  const ready = {
    ...config,
    rtp: { ...rtp, host: await addressOf('PATCHBAY_RTP_HOST', rtp.host, log) },
    webrtc: { ...webrtc, host: await addressOf('PATCHBAY_WEBRTC_HOST', webrtc.host, log) },
    publicIp: publicIp === undefined ? undefined : await addressOf('PATCHBAY_PUBLIC_IP', publicIp, log),
  };
  // Binding any port shows whether this machine has the address.
  await tryUdp({ host: 'PATCHBAY_RTP_HOST', port: 'PATCHBAY_RTP_PORTS' }, ready.rtp.host, 0);
  await tryUdp(
    { host: 'PATCHBAY_WEBRTC_HOST', port: 'PATCHBAY_WEBRTC_PORT' },
    ready.webrtc.host,
    // Running media hosts hold the port already; new ones report an error if they do not get it.
    config.mediaHosts === 0 ? ready.webrtc.port : 0,
  );
  return ready;
}

async function addressOf(variable: string, host: string, log: Logger): Promise<string> {
  if (isIP(host) !== 0) return host;
  try {
    const { address } = await lookup(host);
    log.info({ variable, host, address }, 'a host name is resolved, for as long as the gateway runs');
    return address;
  } catch (error) {
    throw explainListenError(error, { host: variable, port: variable });
  }
}

async function tryUdp(variables: { host: string; port: string }, host: string, port: number): Promise<void> {
  const socket = createSocket(isIPv6(host) ? 'udp6' : 'udp4');
  try {
    await new Promise<void>((resolve, reject) => {
      socket.once('error', reject);
      socket.bind({ address: host, port, exclusive: true }, resolve);
    });
  } catch (error) {
    throw explainListenError(error, variables);
  } finally {
    socket.close();
  }
}
