/**
 * A process of bench/capacity.ts that plays phones, on one core. Told to open so many more, it answers with their ports;
 * told where to send, it sends for a time and answers when that is over.
 */
import { Load } from '../mix/load.js';

export type GeneratorOrder =
  | { readonly type: 'open'; readonly phones: number }
  /** @param ports of the gateway, for the phones that were opened last */
  | { readonly type: 'join'; readonly ports: readonly number[] }
  | { readonly type: 'run'; readonly seconds: number };

const loads: { readonly load: Load; ports: readonly number[] }[] = [];

async function obey(order: GeneratorOrder): Promise<readonly number[]> {
  switch (order.type) {
    case 'open': {
      const load = await Load.open({ name: 'all hear few', phones: order.phones, talk: 'marks' }, 'PCMU');
      loads.push({ load, ports: [] });
      return load.ports;
    }
    case 'join':
      loads.at(-1)!.ports = order.ports;
      return [];
    case 'run':
      await Promise.all(loads.map(({ load, ports }) => load.run(ports, order.seconds)));
      return [];
  }
}

process.on('message', (order: GeneratorOrder) => void obey(order).then((ports) => process.send!(ports)));
