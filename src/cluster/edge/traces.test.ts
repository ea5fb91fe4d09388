import { expect, it } from 'vitest';
import { ACCOUNT, FakeDevice, newParticipant } from '../../core/testing/index.js';
import { Cluster, connect, couple, device } from '../testing/cluster-stage.js';
import type { Traces } from './traces.js';

/** Writes down what it is told, and keeps nothing. */
class ToldTraces implements Traces {
  readonly told: string[] = [];

  connected({ id }: { id: string }, accountId: string): void {
    this.told.push(`${accountId}: ${id} connected`);
  }
  carriedOver({ id }: { id: string }, accountId: string): void {
    this.told.push(`${accountId}: ${id} carried over`);
  }
  left({ id }: { id: string }, accountId: string, reason: string): void {
    this.told.push(`${accountId}: ${id} ${reason}`);
  }
  callFailed({ id }: { id: string }, accountId: string): void {
    this.told.push(`${accountId}: ${id} refused`);
  }
  of(): undefined {
    return undefined;
  }
  delete(): boolean {
    return false;
  }
}

it('tells whose each call is and how it goes, with a leader or without', async () => {
  const cluster = new Cluster();
  const leader = cluster.leader();
  const traces = new ToldTraces();
  const edge = cluster.edge('edge', { traces });
  const told = (): string[] => traces.told.splice(0);
  const cut = await connect(edge, leader);
  const [ann, bob] = couple(leader);
  const { connection } = await device(edge, leader, ann, 'ends');
  expect(told()).toEqual([`${ACCOUNT}: ends connected`]);
  connection.end('media-timeout');
  connection.end('left');
  expect(told()).toEqual([`${ACCOUNT}: ends media-timeout`]);

  // What the core refuses has no end; a report of the refused call follows.
  await device(edge, leader, bob, 'has it');
  const bobs = leader.core.participant(ACCOUNT, bob);
  const second = edge.connect(bobs, new FakeDevice('second', 'phone'), { replace: false });
  await expect(second.admitted).rejects.toMatchObject({ code: 'PATCHBAY_ALREADY_CONNECTED' });
  const caller = { kind: 'phone', externalId: 'second', direction: 'inbound' } as const;
  edge.callFailed(bobs, { id: 'second', ...caller, status: 486, reason: 'busy', codecs: [] });
  expect(told()).toEqual([
    `${ACCOUNT}: has it connected`,
    `${ACCOUNT}: second connected`,
    `${ACCOUNT}: second refused`,
  ]);

  leader.core.disconnectDevice(ACCOUNT, bob);
  expect(told()).toEqual([`${ACCOUNT}: has it disconnected`]);

  cut();
  const cat = leader.core.participant(ACCOUNT, newParticipant(leader.core));
  const carried = new FakeDevice('carried', 'phone');
  edge.connect(cat, carried, { replace: false, carriedSince: cluster.clock.now() }).end('lost');
  expect(told()).toEqual([`${ACCOUNT}: carried carried over`, `${ACCOUNT}: carried lost`]);
  edge.drain();
  const late = edge.connect(cat, new FakeDevice('late', 'phone'), { replace: false });
  await expect(late.admitted).rejects.toMatchObject({ code: 'PATCHBAY_SHUTTING_DOWN' });
  expect(told()).toEqual([]);
});
