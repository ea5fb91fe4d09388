import type { ComponentChildren } from 'preact';
import { useId, useLayoutEffect, useRef } from 'preact/hooks';

interface DialogOptions {
  readonly title: string;
  readonly children: ComponentChildren;
  /** Escape, the close button or a click beside it. */
  readonly onClose: () => void;
}

/** A modal dialog of the browser's own: it keeps the focus within, and gives it back. */
export function Dialog({ title, children, onClose }: DialogOptions) {
  const dialog = useRef<HTMLDialogElement>(null);
  const id = useId();
  // At once, since it takes the focus: to the element with `autofocus`, if there is one.
  useLayoutEffect(() => dialog.current?.showModal(), []);
  return (
    <dialog
      ref={dialog}
      aria-labelledby={id}
      onClose={onClose}
      onClick={(event) => {
        if (event.target === dialog.current) onClose();
      }}
    >
      <div class="dialog">
        <header>
          <h2 id={id}>{title}</h2>
          <button type="button" class="quiet" aria-label="Close" onClick={onClose}>
            ✕
          </button>
        </header>
        {children}
      </div>
    </dialog>
  );
}
