import { ACCOUNT } from '../../../core/testing/index.js';
import type { Intended } from './applications.js';
import type { SimDatabase } from './database.js';
import type { SimDevice, SimEdge, SimLeader } from './processes.js';

/** All that a run of the model knows. */
interface Known {
  readonly edges: readonly SimEdge[];
  readonly database: SimDatabase;
  readonly leader: SimLeader;
  /** With those of before. */
  readonly leaders: readonly SimLeader[];
  readonly allDevices: readonly SimDevice[];
  /** By participant. */
  readonly intended: ReadonlyMap<string, Intended>;
  /** Digits that must be counted: by devices that neither the core nor a death of their edge has ended. */
  readonly digits: ReadonlyMap<string, SimDevice>;
  /** Devices of edge processes that died, or were given up. */
  readonly buried: ReadonlySet<SimDevice>;
}

/** What must hold once all has come to rest. */
export class AtRest {
  readonly #known: Known;

  constructor(known: Known) {
    this.#known = known;
  }

  /**
   * What an edge process had not handed on when it died is lost. Of a device that a leader has ended, as of one whose
   * participant was deleted, nothing more is told.
   */
  #isCounted(device: SimDevice): boolean {
    if (
      this.#known.buried.has(device) ||
      this.#isMoved(device) ||
      this.#known.leaders.some(({ ended }) => ended.has(device.info.id))
    )
      return false;
    if (this.#known.leader.core.participantOf(device.participantId) === undefined) return false;
    return this.#told(`connected ${device.info.id}`) > 0 || !this.#hasSuccessor(device);
  }

  /** Whether another edge has had it after this one. */
  #isMoved(device: SimDevice): boolean {
    return this.#known.allDevices.findLast(({ info }) => info.id === device.info.id) !== device;
  }

  /** Whether a later device has had its place: of one that no leader had written down by then, nothing is told. */
  #hasSuccessor(device: SimDevice): boolean {
    const later = this.#known.allDevices.slice(this.#known.allDevices.indexOf(device) + 1);
    return later.some(
      ({ participantId, info }) =>
        participantId === device.participantId && this.#told(`connected ${info.id}`) > 0,
    );
  }

  #told(key: string): number {
    return (this.#known.database.rows.told.get(key) as number | undefined) ?? 0;
  }

  // What must hold at rest.

  /** What does not hold. */
  findings(): string[] {
    const { core, desk } = this.#known.leader;
    const wrong: string[] = [];
    const live = this.#known.edges.flatMap(({ devices }) => devices.filter(({ isHere }) => isHere));
    const ids = [...this.#known.intended.keys()];
    const connected = ids.flatMap((id) => core.connectedDevice(id)?.id ?? []).sort();
    const here = live.map(({ info }) => info.id).sort();
    if (connected.join() !== here.join())
      wrong.push(`core has ${connected.join()}; edges have ${here.join()}`);
    for (const device of live) {
      const { participantId, info, outcome } = device;
      if (outcome !== 'live') wrong.push(`${info.id} is ${outcome} for ever`);
      if (core.connectedDevice(participantId)?.id !== info.id) continue;
      const wanted = core.device(ACCOUNT, participantId)!;
      const streams = (list: readonly { readonly streamId: string }[]): string =>
        list.map(({ streamId }) => streamId).join();
      if (streams(wanted.delivery) !== streams(device.delivery))
        wrong.push(`${info.id} receives ${streams(device.delivery)}, not ${streams(wanted.delivery)}`);
      if (streams(wanted.streams) !== streams(device.streams))
        wrong.push(
          `${info.id} publishes ${streams(device.streams)}, the core has ${streams(wanted.streams)}`,
        );
      if (wanted.held !== device.held)
        wrong.push(`${info.id} holds: ${String(device.held)}, not in the core`);
    }
    wrong.push(...this.#wrongCrossings());
    for (const [key, device] of this.#known.digits) {
      const mustCount = this.#isCounted(device) && (device.outcome === 'live' || device.outcome === 'left');
      const count = this.#told(key);
      if (count > 1 || (mustCount && count !== 1)) wrong.push(`${key} was told ${String(count)} times`);
    }
    for (const device of this.#known.allDevices) {
      const { info, outcome } = device;
      const came = this.#told(`connected ${info.id}`);
      // The device of an edge that is missing for too long is told to have crashed, by its leader or the next one.
      const went = this.#told(`left ${info.id}`) || Math.min(1, this.#told(`crashed ${info.id}`));
      if (came > 1 || went > 1)
        wrong.push(`${info.id} came ${String(came)} times, left ${String(went)} times`);
      if (outcome === 'left' && this.#isCounted(device) && went !== 1)
        wrong.push(`${info.id} left by itself, and that was told ${String(went)} times`);
      if (outcome === 'live' && (went > 0 || (!this.#known.buried.has(device) && came !== 1)))
        wrong.push(`${info.id} is here, came ${String(came)} times, and left ${String(went)} times`);
    }
    const open = this.#known.database.openRecords().map(({ connectionId }) => connectionId);
    if (open.sort().join() !== here.join())
      wrong.push(`open records: ${open.join()}; devices: ${here.join()}`);
    for (const [id, { states, acknowledged }] of this.#known.intended) {
      const participant = core.participantOf(id);
      const state = participant ? (participant.sessionId ?? 'outside') : 'deleted';
      if (acknowledged >= 0 && !states.slice(acknowledged).includes(state))
        wrong.push(`${id} is ${state}, but was to be ${states.slice(acknowledged).join(' or ')}`);
    }
    for (const { id, edge } of this.#known.edges.filter(({ isGone }) => !isGone)) {
      if (edge.history.waiting > 0) wrong.push(`${id} keeps ${String(edge.history.waiting)} events for ever`);
      if (edge.calls.counts.waiting > 0) wrong.push(`${id} keeps records of calls for ever`);
      if (!edge.isSettled) wrong.push(`${id} does not know that all is delivered`);
    }
    for (const { id, closing, isLost } of desk.edges())
      if (closing > 0 || isLost) wrong.push(`${String(closing)} closings wait for ${id} for ever`);
    return [...wrong, ...this.#edgeFindings()];
  }

  /** What the leader and the database have of edges and their calls. */
  #edgeFindings(): string[] {
    const wrong: string[] = [];
    for (const { id, records, isGone } of this.#known.edges) {
      const told = [...records].sort(([one], [other]) => (one < other ? -1 : 1));
      const wanted = JSON.stringify(told.map(([call, document]) => ({ id: call, document })));
      for (const calls of [this.#known.leader.store.recordsOf(id), this.#known.database.callsOf(id)])
        if (JSON.stringify(calls) !== wanted)
          wrong.push(`${id} has the calls ${wanted}; the leader has ${JSON.stringify(calls)}`);
      if (isGone && this.#known.database.rows.edge.has(id)) wrong.push(`${id} is gone, and not forgotten`);
    }
    return wrong;
  }

  /** Every device receives the streams of its delivery, and no host gets others. */
  #wrongCrossings(): string[] {
    const placed = this.#known.edges.flatMap((edge) =>
      edge.devices
        .filter(({ isHere }) => isHere)
        .map((device) => ({ edge, device, host: edge.hostOf(device) })),
    );
    const wanted = new Set<string>();
    for (const to of placed)
      for (const { streamId } of to.device.delivery)
        for (const from of placed)
          if (from.edge !== to.edge && from.device.streams.some((stream) => stream.streamId === streamId)) {
            wanted.add(`${from.host} sends ${to.edge.id} ${to.host} ${streamId}`);
            wanted.add(`${to.host} receives from ${from.edge.id} ${from.host}`);
          }
    const told = this.#known.edges.flatMap(({ crossings }) =>
      crossings.flatMap(({ host, otherEdge, otherHost, sent, from }) => [
        ...sent.map((streamId) => `${host} sends ${otherEdge} ${otherHost} ${streamId}`),
        ...(from ? [`${host} receives from ${otherEdge} ${otherHost}`] : []),
      ]),
    );
    return [
      ...[...wanted].filter((crossing) => !told.includes(crossing)).map((crossing) => `missing: ${crossing}`),
      ...told.filter((crossing) => !wanted.has(crossing)).map((crossing) => `too much: ${crossing}`),
    ];
  }
}
