import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { isInstalled } from '../support/tls-proxy.js';

const PROMTOOL = '/usr/bin/promtool';
/** Grafana divides a dashboard into so many columns. */
const COLUMNS = 24;

interface Panel {
  readonly id: number;
  readonly type: string;
  readonly title: string;
  readonly gridPos: { readonly x: number; readonly y: number; readonly w: number; readonly h: number };
  readonly datasource?: { readonly type: string; readonly uid: string };
  readonly targets?: readonly { readonly refId: string; readonly expr: string }[];
}

interface Variable {
  readonly name: string;
  readonly type: string;
  readonly definition?: string;
}

const text = readFileSync('operations/grafana-dashboard.json', 'utf8');
const dashboard = JSON.parse(text) as {
  readonly panels: readonly Panel[];
  readonly templating: { readonly list: readonly Variable[] };
};
const graphs = dashboard.panels.filter(({ type }) => type !== 'row');
const expressions = graphs.flatMap(({ targets = [] }) => targets.map(({ expr }) => expr));

describe('the dashboard for Grafana', () => {
  it('has panels with ids of their own, side by side in the columns of Grafana', () => {
    expect(new Set(dashboard.panels.map(({ id }) => id)).size).toBe(dashboard.panels.length);
    const taken = new Map<string, string>();
    for (const { title, gridPos } of dashboard.panels) {
      const { x, y, w, h } = gridPos;
      expect(x + w, title).toBeLessThanOrEqual(COLUMNS);
      for (let column = x; column < x + w; column += 1) {
        for (let row = y; row < y + h; row += 1) {
          expect(taken.get(`${column} ${row}`), `${title} covers another`).toBeUndefined();
          taken.set(`${column} ${row}`, title);
        }
      }
    }
  });

  it('asks the data source that its reader chose, in each panel', () => {
    const { list } = dashboard.templating;
    expect(list.find(({ type }) => type === 'datasource')?.name).toBe('datasource');
    for (const { title, datasource, targets = [] } of graphs) {
      expect(datasource, title).toEqual({ type: 'prometheus', uid: '${datasource}' });
      expect(targets.length, title).toBeGreaterThan(0);
      expect(new Set(targets.map(({ refId }) => refId)).size, title).toBe(targets.length);
    }
  });

  it('uses variables that it has, or that Grafana has itself', () => {
    const known = new Set([...dashboard.templating.list.map(({ name }) => name), '__rate_interval', '__all']);
    const used = [...text.matchAll(/\$\{?(\w+)\}?/g)].map(([, name]) => name!);
    expect(used.filter((name) => !known.has(name))).toEqual([]);
    expect(used).toEqual(expect.arrayContaining(['datasource', 'instance', '__rate_interval']));
  });

  it.skipIf(!isInstalled(PROMTOOL))('has expressions that Prometheus takes', () => {
    const folder = mkdtempSync(join(tmpdir(), 'patchbay-dashboard-'));
    const file = join(folder, 'rules.yml');
    /** JSON is YAML. */
    const check = (exprs: readonly string[]) => {
      const rules = exprs.map((expr, i) => ({
        record: `panel:${i}`,
        expr: expr.replaceAll('$__rate_interval', '1m').replaceAll('$instance', '.*'),
      }));
      writeFileSync(file, JSON.stringify({ groups: [{ name: 'dashboard', rules }] }));
      return spawnSync(PROMTOOL, ['check', 'rules', file], { encoding: 'utf8' });
    };
    try {
      expect(expressions.length).toBeGreaterThan(25);
      const { status, stdout, stderr } = check(expressions);
      expect(status, stdout + stderr).toBe(0);
      expect(check([...expressions, 'sum by (kind) (rate(patchbay_calls[1m])']).status).not.toBe(0);
    } finally {
      rmSync(folder, { recursive: true });
    }
  });
});
