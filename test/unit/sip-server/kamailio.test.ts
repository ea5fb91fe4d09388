import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type Srf from 'drachtio-srf';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { SipServer } from '../../../src/sip-server/index.js';
import { freeUdpPort } from '../../support/ports.js';
import { Caller, SDP, SipPeer, type HeardMessage } from '../../support/sip-peer.js';
import { addressOf, connectApp, deferred, testServer } from '../../support/sip-server.js';

const KAMAILIO = '/usr/sbin/kamailio';
const MODULES = [
  '/usr/lib/x86_64-linux-gnu/kamailio/modules/',
  '/usr/lib/aarch64-linux-gnu/kamailio/modules/',
];
const modules = MODULES.find((folder) => existsSync(folder));

describe.skipIf(!existsSync(KAMAILIO) || modules === undefined)(
  'behind Kamailio, which records its route',
  () => {
    let server: SipServer;
    let srf: Srf;
    let proxy: ChildProcess;
    let exited: Promise<unknown>;
    let folder: string;
    let caller: Caller;
    let dialog: Promise<Srf.Dialog>;

    beforeEach(async () => {
      server = await testServer();
      const answered = deferred<Srf.Dialog>();
      dialog = answered.promise;
      srf = await connectApp(server, (app) =>
        app.invite((req, res) => void app.createUAS(req, res, { localSdp: SDP }).then(answered.resolve)),
      );
      const port = await freeUdpPort();
      folder = mkdtempSync(join(tmpdir(), 'kamailio-'));
      const config = readFileSync(new URL('../../fixtures/kamailio.cfg', import.meta.url), 'utf8')
        .replace('127.0.0.1:PORT', `127.0.0.1:${port}`)
        .replace('GATEWAY"', `${addressOf(server, 'udp').port}"`)
        .replace('"MODULES"', `"${modules ?? ''}"`);
      writeFileSync(join(folder, 'kamailio.cfg'), config);
      const args = [
        '-f',
        join(folder, 'kamailio.cfg'),
        '-DD',
        '-E',
        '-Y',
        folder,
        '-w',
        folder,
        '-m',
        '32',
        '-M',
        '4',
      ];
      // A process group of its own: its workers outlive a main process that is killed alone.
      proxy = spawn(KAMAILIO, args, { stdio: 'ignore', detached: true });
      exited = once(proxy, 'exit');
      caller = new Caller(await SipPeer.udp({ host: '127.0.0.1', port }));
      await answersPings();
    });

    afterEach(async () => {
      caller.peer.close();
      srf.disconnect();
      process.kill(-proxy.pid!, 'SIGKILL');
      await exited;
      await server.stop();
      rmSync(folder, { recursive: true });
    });

    /** Until the proxy is up its port swallows what is sent. */
    async function answersPings(): Promise<void> {
      const ping = new Caller(caller.peer);
      for (let tries = 1; tries <= 100; tries++) {
        caller.peer.send(ping.request('OPTIONS', tries));
        if (await caller.peer.final(100).catch(() => undefined)) return;
      }
      throw new Error('Kamailio does not answer');
    }

    /** A request in the call, along the recorded route to the gateway's Contact. */
    function inCall(ok: HeardMessage, method: string, cseq: number): string {
      const contact = /<([^>]+)>/.exec(ok.header('contact')[0]!)?.[1] ?? '';
      const route = ok.header('record-route').map((value) => `Route: ${value}`);
      return caller.request(method, cseq, { headers: route }).replace(/^\S+ \S+/, `${method} ${contact}`);
    }

    async function established(): Promise<HeardMessage> {
      caller.peer.send(caller.request('INVITE', 1, { body: SDP }));
      const ok = await caller.peer.next(
        ({ status, header }) => status === 200 && header('cseq')[0] === '1 INVITE',
      );
      caller.learn(ok);
      expect(ok.header('record-route')[0]).toContain(';lr');
      caller.peer.send(inCall(ok, 'ACK', 1));
      return ok;
    }

    it('takes the ACK and the BYE of a caller that come by the proxy', async () => {
      const ok = await established();
      await dialog;
      caller.peer.send(inCall(ok, 'BYE', 2));
      expect((await caller.peer.next(({ header }) => header('cseq')[0] === '2 BYE')).status).toBe(200);
      await expect.poll(() => server.counters().dialogs).toBe(0);
    });

    it('sends its own BYE by the proxy', async () => {
      await established();
      (await dialog).destroy();
      const bye = await caller.peer.next(({ method }) => method === 'BYE');
      expect(bye.startLine).toContain(`:${caller.peer.port}`);
      // One Via of the proxy over one of ours.
      expect(bye.header('via')).toHaveLength(2);
    });
  },
);
