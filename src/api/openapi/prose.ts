/** What the document says before it comes to the operations (Markdown). */
export const description = `
Patchbay connects browsers (WebRTC) and phones (SIP) in **sessions**. Applications written for Bandwidth's
WebRTC API run against it by changing their base URL to \`http(s)://<gateway>/v1\`.

Create a **session**; create a **participant** and give its **token** to a browser page or, in the
\`User-to-User\` header of a transferred call, to a phone; add the participant to the session with
**subscriptions** that say whom it receives. Everything takes effect at once, and is on disk before it is
answered.

## Requests
* HTTP Basic, with the credentials of the account in the path. Anything else is answered with 401.
* Bodies are JSON (\`Content-Type: application/json\`) and may be left out. Unknown properties are ignored;
  a property that is \`null\` counts as absent.
* Answers leave out what there is nothing to say of; nothing is ever \`null\`.

## Errors
Every error has the body \`Error\`: \`error\` and \`message\` say in words what is wrong, \`reason\` is a stable
name for programs, \`code\` is the HTTP status, \`requestId\` is also in the header \`X-Request-Id\` and in the
gateway's log. A path that is nothing of the above is 404; a request that is hardly HTTP is 400, 408 (too slow)
or 431 (path or headers longer than 16 KiB).

## Limits
| what | limit | beyond it |
|---|---|---|
| participants in a session, phones included | 20 | 409 \`PATCHBAY_SESSION_FULL\` |
| sessions of a participant | 1 | 409 \`PATCHBAY_IN_OTHER_SESSION\` |
| tag | 50 characters | 400 |
| life of sessions, participants and tokens | 9 hours | deleted, devices disconnected |
| body | 64 KiB | 413 |
| what an account keeps (texts of sessions, participants and subscriptions) | as configured, by default an eighth of the gateway's heap | 429; 503 when all accounts together have too much |
| page of a listing | 1,000 items and 1 MB | continued by \`next\` |
| phones and pages of an account at once | as configured (\`PATCHBAY_MAX_CALLS_PER_ACCOUNT\`) | phones 480; pages are closed with 1013, and try again |
| requests of an account | 1,000 a second, unless configured otherwise | 429 with \`Retry-After\` |

## Subscriptions
| body | receives |
|---|---|
| \`{"sessionId": "…"}\` | everyone in the session, now and later |
| \`{"participants": [{"participantId": "…"}]}\` | exactly these participants |
| \`{"participants": [{"participantId": "…", "streamAliases": ["screen"]}]}\` | just these streams of them |
| \`{}\` or none | nobody |

\`participants: []\` is the same as leaving it out: with a \`sessionId\` it means everyone. Nobody receives their
own streams. What is subscribed to may appear later.
`;

export const tags = [
  { name: 'Sessions', description: 'Groups of at most 20 participants.' },
  { name: 'Participants', description: 'Persons and programs, and their devices: browsers and phones.' },
  { name: 'Subscriptions', description: 'Who receives whom.' },
  { name: 'Usage', description: 'What was connected for how long: the billing report.' },
  { name: 'Webhooks', description: 'What the gateway tells applications of their participants.' },
  { name: 'Gateway', description: 'The gateway itself. Needs no credentials.' },
];
