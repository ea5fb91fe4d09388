import { expect, it } from 'vitest';
import { Model } from './testing/simulation/index.js';

// By default 100,000 steps; CLUSTER_SEED=<the one that failed> CLUSTER_SEEDS=1 repeats a failure.
const STEPS = Number(process.env['CLUSTER_STEPS'] ?? 400);
const SEEDS = Number(process.env['CLUSTER_SEEDS'] ?? 250);
const FIRST = Number(process.env['CLUSTER_SEED'] ?? 1);

it('leader and edges agree at rest after any faults, and what happened is counted once', async () => {
  for (let seed = FIRST; seed < FIRST + SEEDS; seed += 1) {
    const model = new Model(seed);
    for (let n = 0; n < STEPS; n += 1) await model.step();
    const wrong = await model.settle();
    expect(wrong, `CLUSTER_SEED=${String(seed)}\n${model.log.slice(-60).join('\n')}`).toEqual([]);
  }
}, 3_600_000);
