import { actions, curlOf } from '../gateway/client.js';
import { me } from '../gateway/signed-in.js';
import { Copy } from '../parts/index.js';

/** What was done by click, and how an application does the same. */
export function Actions() {
  const done = actions.value;
  const user = me.value?.user ?? '';
  if (done.length === 0) return null;
  return (
    <aside class="actions" aria-label="What you did, as requests">
      <details>
        <summary>
          The same by REST <span class="count">{done.length}</span>
        </summary>
        <ol>
          {done.map((action) => (
            <li key={`${action.at.getTime()}${action.path}`}>
              <Copy
                label={`${action.at.toLocaleTimeString()} ${action.method}${action.status < 400 && action.status > 0 ? '' : ` failed: ${action.status || 'no answer'}`}`}
                text={curlOf(action, user)}
              />
            </li>
          ))}
        </ol>
      </details>
    </aside>
  );
}
