import { signal } from '@preact/signals';

/** Which calls are shown, as the form has it; empty: all. */
interface Filter {
  readonly state: string;
  readonly kind: string;
  readonly caller: string;
  readonly tag: string;
  /** Local time, as the browser's field has it. */
  readonly from: string;
  readonly to: string;
}

const ALL: Filter = { state: '', kind: '', caller: '', tag: '', from: '', to: '' };

/** Stays while the page is open: whoever looks at a call and goes back sees the same list. */
export const filter = signal<Filter>(ALL);

/** The query of REST for what is chosen. */
export function queryOf({ from, to, ...rest }: Filter): string {
  const query = new URLSearchParams(Object.entries(rest).filter(([, value]) => value !== ''));
  for (const [name, local] of [
    ['from', from],
    ['to', to],
  ] as const)
    if (local !== '') query.set(name, new Date(local).toISOString());
  return query.toString();
}

const STATES = [
  ['', 'All'],
  ['live', 'Live'],
  ['ended', 'Ended'],
  ['failed', 'Refused'],
] as const;

const KINDS = [
  ['', 'All'],
  ['phone', 'Phones'],
  ['browser', 'Browsers'],
  ['program', 'Programs'],
] as const;

function Choice({
  name,
  label,
  options,
}: {
  readonly name: 'state' | 'kind';
  readonly label: string;
  readonly options: readonly (readonly [value: string, words: string])[];
}) {
  return (
    <label>
      {label}
      <select
        name={name}
        value={filter.value[name]}
        onChange={(event) => set(name, event.currentTarget.value)}
      >
        {options.map(([value, words]) => (
          <option key={value} value={value}>
            {words}
          </option>
        ))}
      </select>
    </label>
  );
}

interface FieldOptions {
  readonly name: keyof Filter;
  readonly label: string;
}

function Text({ name, label }: FieldOptions) {
  return (
    <label>
      {label}
      <input
        name={name}
        maxLength={50}
        autocomplete="off"
        value={filter.value[name]}
        onChange={(event) => set(name, event.currentTarget.value)}
      />
    </label>
  );
}

function Time({ name, label }: FieldOptions) {
  return (
    <label>
      {label}
      <input
        name={name}
        type="datetime-local"
        value={filter.value[name]}
        onChange={(event) => set(name, event.currentTarget.value)}
      />
    </label>
  );
}

function set(name: keyof Filter, value: string): void {
  filter.value = { ...filter.value, [name]: value };
}

/** What may be chosen of the calls. */
export function FilterForm() {
  const isChosen = Object.values(filter.value).some((value: string) => value !== '');
  return (
    <form class="filter" id="call-filter" aria-label="Filter" onSubmit={(event) => event.preventDefault()}>
      <Choice name="state" label="State" options={STATES} />
      <Choice name="kind" label="Device" options={KINDS} />
      <Text name="caller" label="Caller has" />
      <Text name="tag" label="Tag" />
      <Time name="from" label="From" />
      <Time name="to" label="To" />
      <button
        type="button"
        class="secondary"
        disabled={!isChosen}
        onClick={() => {
          filter.value = ALL;
        }}
      >
        Show all
      </button>
    </form>
  );
}
