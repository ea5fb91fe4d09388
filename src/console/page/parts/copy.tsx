import { useSignal } from '@preact/signals';

/** How long a button says that it has copied. */
const SHOWN_MS = 2_000;

/** A text in one line, and a button that copies it. */
export function Copy({ label, text }: { readonly label: string; readonly text: string }) {
  const said = useSignal('');
  const copy = async (): Promise<void> => {
    try {
      await navigator.clipboard.writeText(text);
      said.value = 'Copied';
    } catch {
      // Browsers give the clipboard to https and 127.0.0.1 only.
      said.value = 'Select it and copy';
    }
    setTimeout(() => (said.value = ''), SHOWN_MS);
  };
  return (
    <div class="copy">
      <span class="copy-label">{label}</span>
      <code tabIndex={0} role="textbox" aria-readonly="true" aria-label={label}>
        {text}
      </code>
      <button type="button" class="quiet" aria-label={`Copy: ${label}`} onClick={() => void copy()}>
        <span aria-live="polite">{said.value || 'Copy'}</span>
      </button>
    </div>
  );
}
