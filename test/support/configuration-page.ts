import { format, resolveConfig } from 'prettier';
import { GROUPS, VARIABLES } from '../../src/app/config.js';
import { readConfig } from '../../src/app/read-config.js';

interface Described {
  readonly default?: unknown;
  readonly choices?: readonly unknown[];
  readonly meaning: string;
  readonly example: string;
  readonly wrong?: string;
}

const INTRO = `# Configuration

Every setting is an environment variable, and each has a default that works on one machine with nothing else running: by
default the gateway listens on loopback only. An empty variable counts as unset. This page is made from the program's own
list (\`src/app/config.ts\`) by \`npm run docs\`.

A wrong value stops the start with exit code 2 and a line for each mistake that names the variable; the last column shows
one for each variable. So does a variable whose name begins with \`PATCHBAY_\` and that does not exist:

\`\`\`
Patchbay cannot start, its configuration is wrong:
PATCHBAY_HTP_PORT: there is no such variable; did you mean PATCHBAY_HTTP_PORT?
\`\`\`

What cannot be known before it is tried stops the start with exit code 1 and a line that names the variable, what is wrong
and what to do: a port that another program uses or that this user may not have, an address that this machine does not
have, a name that cannot be resolved, a certificate or key that cannot be read, a data folder that cannot be written or
that another gateway uses. A drachtio-server or FreeSWITCH that cannot be reached or refuses the secret does not stop it:
the log says so, and it is tried again.

Lists are comma-separated. CIDRs are written as \`198.51.100.0/24\`; a single address is one, too. Yes and no are
written as the choices given.
`;

/** \`docs/configuration.md\`, from the list of variables and what the program says to wrong values. */
export async function configurationPage(): Promise<string> {
  const groups = GROUPS.map(({ title, variables }) => {
    const rows = Object.entries<Described>(variables).map(([name, described]) => row(name, described));
    const head =
      '| variable | default | meaning | example | a mistake, and its answer |\n| --- | --- | --- | --- | --- |';
    return `## ${title}\n\n${head}\n${rows.join('\n')}\n`;
  });
  const page = [INTRO, ...groups].join('\n');
  return format(page, { ...(await resolveConfig('docs/configuration.md')), parser: 'markdown' });
}

function row(name: string, variable: Described): string {
  const choices = variable.choices
    ? ` (${variable.choices.map((choice) => code(String(choice))).join(', ')})`
    : '';
  return `| ${[code(name), defaultOf(variable), variable.meaning + choices, code(variable.example), mistake(name, variable)].map((cell) => cell.replaceAll('|', '\\|')).join(' | ')} |`;
}

function defaultOf({ default: value }: Described): string {
  if (value === undefined || (Array.isArray(value) && value.length === 0)) return 'empty';
  if (!Array.isArray(value)) return code(JSON.stringify(value).replaceAll('"', ''));
  return code(value.join(typeof value[0] === 'number' ? '-' : ','));
}

/** What the program answers to a wrong value; tried here, so that the page tells the truth. */
function mistake(name: string, { wrong }: Described): string {
  if (wrong === undefined) return '';
  return `${code(wrong)}: ${whatIsSaid(name, wrong)}`;
}

/** The line about a variable with a value, or nothing if it is taken. */
export function whatIsSaid(name: string, value: string): string | undefined {
  try {
    readConfig({ [name]: value });
    return undefined;
  } catch (error) {
    return (error instanceof Error ? error.message : String(error)).replace(`${name}: `, '');
  }
}

const code = (text: string): string => `\`${text}\``;

export const described: readonly (readonly [string, Described])[] = Object.entries<Described>(VARIABLES);
