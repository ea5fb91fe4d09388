/** The gateway cannot start, for a reason that the operator can remove. The message says what is wrong and what to do. */
export class StartError extends Error {
  override readonly name = 'StartError';
}

/** The variables that say where a part listens. */
interface ListenVariables {
  readonly host: string;
  readonly port: string;
}

interface ListenFailure extends NodeJS.ErrnoException {
  readonly address?: string;
  readonly port?: number;
  readonly hostname?: string;
}

/**
 * Explains why a part cannot listen.
 * @param error of Node's `listen` or `bind`
 * @returns what to throw: a StartError if the operator can do something about it, otherwise the error itself
 */
export function explainListenError(error: unknown, variables: ListenVariables): unknown {
  if (!(error instanceof Error)) return error;
  const { code, address, port, hostname } = error as ListenFailure;
  const words = (text: string): StartError => new StartError(text, { cause: error });
  switch (code ?? '') {
    case 'EADDRINUSE':
      return words(
        `${variables.port}: another program uses port ${port ?? ''} of ${address ?? ''} (ss -lntup shows which). ` +
          'Stop it, or choose another port.',
      );
    case 'EACCES':
      return words(
        `${variables.port}: this user may not listen on port ${port ?? ''}. ` +
          'Choose a port over 1023, or give the process CAP_NET_BIND_SERVICE.',
      );
    case 'EADDRNOTAVAIL':
      return words(
        `${variables.host}: this machine has no address ${address ?? ''} (ip address shows those that it has).`,
      );
    case 'ENOTFOUND':
    case 'EAI_AGAIN':
      return words(
        `${variables.host}: no address is found for the name ${hostname ?? ''}. Set an address, or look at the name server.`,
      );
    default:
      return error;
  }
}
