import { createSocket } from 'node:dgram';
import { lookup } from 'node:dns/promises';
import { isIP, isIPv6 } from 'node:net';
import type { Logger } from 'pino';
import type { Config } from './read-config.js';
import { explainListenError } from './start-error.js';

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
    // Media hosts that go on have the port already; new ones say themselves when they do not get it.
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
