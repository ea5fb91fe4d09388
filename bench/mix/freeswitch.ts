import { cp, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pino } from 'pino';
import {
  connectFreeswitch,
  type FreeswitchConnection,
} from '../../src/devices/phone/freeswitch/connection.js';
import { findAudioCodec } from '../../src/media/codecs/index.js';
import { FREESWITCH_PROGRAM, TestFreeswitch } from '../../test/support/servers.js';
import { phoneOffer } from '../../test/support/sipp.js';
import { startSignalling } from '../freeswitch-signalling.js';
import type { Contestant, Conversation } from './contestant.js';

/** At the rate of PCMU, without extras: no comfort noise, no threshold under which phones count as silent. */
const CONFERENCE = `<configuration name="conference.conf" description="Conference">
  <profiles>
    <profile name="bench">
      <param name="rate" value="8000"/>
      <param name="interval" value="20"/>
      <param name="energy-level" value="0"/>
      <param name="comfort-noise" value="false"/>
    </profile>
  </profiles>
</configuration>`;

/**
 * FreeSWITCH's own conference: it answers the phones and mixes them itself. The others are muted to let all hear the
 * same few.
 */
export const freeswitchConference: Contestant = {
  name: 'mod_conference',
  codecs: ['PCMU'],
  missing:
    FREESWITCH_PROGRAM === undefined
      ? 'PATCHBAY_TEST_FREESWITCH_PROGRAM is not set; it needs mod_conference, too'
      : undefined,
  carry: async (conversation) => {
    const log = pino({ level: 'error' });
    const folder = await configurationWithConference();
    const freeswitch = await TestFreeswitch.start(0, {}, folder);
    const signalling = await startSignalling(log);
    let connection: FreeswitchConnection | undefined;
    const stop = async (): Promise<void> => {
      connection?.close();
      await freeswitch.stop();
      await signalling.stop();
      await rm(folder, { recursive: true });
    };
    try {
      const [host, port, secret] = freeswitch.address.split(':') as [string, string, string];
      const gatewayId = `bench-${process.pid}`;
      const server = { host, port: Number(port), secret, gatewayId, srf: signalling.srf, log };
      connection = await connectFreeswitch(server);
      const ports = await fillConference(connection, conversation);
      return { pid: freeswitch.pid!, ports, stop };
    } catch (error) {
      await stop();
      throw error;
    }
  },
};

async function fillConference(
  connection: FreeswitchConnection,
  { peerPorts, scene, codec }: Conversation,
): Promise<number[]> {
  const { payloadType } = findAudioCodec(codec, 8000)!;
  const ports: number[] = [];
  for (const [i, peerPort] of peerPorts.entries()) {
    const offer = phoneOffer(peerPort).replace('0 8 101', String(payloadType));
    const { answer, leg } = connection.phoneLeg(offer);
    ports.push(Number(/m=audio (\d+)/.exec(await answer)![1]));
    const flags = i < (scene.talkers ?? 0) ? '' : '+flags{mute}';
    const { uuid } = await leg;
    const reply = await connection.api(`uuid_transfer ${uuid} conference:all@bench${flags} inline`);
    if (!reply.startsWith('+OK')) throw new Error(`FreeSWITCH: ${reply}`);
  }
  return ports;
}

/** `sip-config/` with mod_conference added. */
async function configurationWithConference(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'patchbay-bench-'));
  await cp('sip-config/freeswitch', folder, { recursive: true });
  await writeFile(join(folder, 'autoload_configs/conference.conf.xml'), CONFERENCE);
  const modules = join(folder, 'autoload_configs/modules.conf.xml');
  const text = await readFile(modules, 'utf8');
  await writeFile(modules, text.replace('</modules>', '<load module="mod_conference"/></modules>'));
  return folder;
}
