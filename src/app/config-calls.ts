/** What can be configured about calls: SIP, phones, media, and the servers that may stand in for parts of the gateway. */
import { str } from 'envalid';
import { KNOWN_SCANNERS } from '../sip-server/index.js';
import {
  addresses,
  agentNames,
  atLeastZero,
  cidrs,
  described,
  headerNames,
  hepServer,
  host,
  hostCount,
  httpUrl,
  listenPort,
  PHONE_CODECS,
  phoneCodecs,
  portRange,
  positive,
  server,
  servers,
  turnUrls,
  WAITING_REASONS,
  waitingReasons,
  wholeNumber,
  wholeSeconds,
} from './config-values.js';

const text = str({ default: undefined });

export const SIP = {
  PATCHBAY_SIP_HOST: described(
    addresses({ default: ['127.0.0.1'] }),
    'Addresses that the embedded SIP server listens on, UDP and TCP; several comma-separated, IPv6 too.',
    '192.0.2.10,2001:db8::10',
    'sip.example.com',
  ),
  PATCHBAY_SIP_PORT: described(listenPort({ default: 5060 }), 'Its port for UDP and TCP.', '5080', 'sip'),
  PATCHBAY_SIP_TLS_PORT: described(
    listenPort({ default: 5061 }),
    'Its port for TLS, which it serves when there is a certificate.',
    '5061',
    '-1',
  ),
  PATCHBAY_SIP_TLS_CERT: described(
    text,
    'PEM file of its certificate and the chain. Needs `PATCHBAY_SIP_TLS_KEY`. Empty: no TLS. A file that cannot be read stops the start.',
    '/etc/patchbay/fullchain.pem',
  ),
  PATCHBAY_SIP_TLS_KEY: described(
    text,
    'PEM file of the private key. Needs `PATCHBAY_SIP_TLS_CERT`.',
    '/etc/patchbay/privkey.pem',
  ),
  PATCHBAY_SIP_TLS_VERIFY: described(
    str({ default: 'yes', choices: ['yes', 'no'] }),
    '`yes`: check the certificate of servers that the gateway connects to. `no`: take any.',
    'no',
    'maybe',
  ),
  PATCHBAY_SIP_TLS_CA: described(
    text,
    'PEM file of the authorities that are trusted in that check. Empty: the list that Node.js brings.',
    '/etc/ssl/certs/ca-certificates.crt',
  ),
  PATCHBAY_SIP_ALLOW: described(
    cidrs({ default: [] }),
    "Addresses and CIDRs that may call in, for example your carrier's. Empty: anyone who can reach the port and has a token.",
    '198.51.100.0/24',
    'carrier.example',
  ),
  PATCHBAY_SIP_RATE: described(
    positive({ default: 2000 }),
    'SIP messages a second that one address may send. More are dropped; from addresses in `PATCHBAY_SIP_ALLOW`, new requests get 503 instead.',
    '500',
    '0',
  ),
  PATCHBAY_SIP_SCANNERS: described(
    agentNames({ default: KNOWN_SCANNERS }),
    'Beginnings of `User-Agent` that get no answer, unless the request has a valid token. Set to a comma to answer everybody.',
    'friendly-scanner,sipvicious',
  ),
  PATCHBAY_SIP_APPS: described(
    server({ default: undefined }),
    'Where other drachtio-srf applications may connect to the embedded SIP server, as `host:port:secret`: see [phones.md](phones.md). Empty: nowhere.',
    '127.0.0.1:9022:s3cret',
    '127.0.0.1:9022',
  ),
  PATCHBAY_SIP_ROUTER: described(
    httpUrl({ default: undefined }),
    "URL of your HTTP server that decides which application gets a SIP request, like a request handler of drachtio-server. Empty: the gateway's own.",
    'http://127.0.0.1:3000/route',
    'ftp://127.0.0.1/route',
  ),
  PATCHBAY_HEP: described(
    hepServer({ default: undefined }),
    'A Homer server that gets a copy of every SIP message, as `address:port[:captureId[:password]]`. Tokens are masked.',
    '192.0.2.9:9060',
    'homer',
  ),
  PATCHBAY_TRACE_MB: described(
    wholeNumber({ default: 64 }),
    'Memory in MB for the SIP messages of calls, which REST and console show. The oldest calls leave first, failed ones last. 0: none are kept.',
    '256',
    'all',
  ),
};

export const PHONES = {
  PATCHBAY_TOKEN_HEADERS: described(
    headerNames({ default: ['X-Participant-Token'] }),
    'SIP headers that may carry the token, beside `User-to-User` and the Request-URI.',
    'X-Participant-Token,X-Token',
    'X Token',
  ),
  PATCHBAY_SHOWN_HEADERS: described(
    headerNames({ default: [] }),
    'Headers of the INVITE that REST shows with the device.',
    'X-Order,X-Queue',
    'X-Order:',
  ),
  PATCHBAY_SIP_TRUST: described(
    cidrs({ default: [] }),
    'Addresses and CIDRs of peers whose `P-Asserted-Identity` is believed.',
    '198.51.100.0/24',
    '198.51.100.0/24/8',
  ),
  PATCHBAY_SIP_TRANSFERS: described(
    str({ default: 'refuse', choices: ['refuse', 'accept'] }),
    '`accept`: a phone may transfer its call away by REFER, and the gateway calls the target.',
    'accept',
    'yes',
  ),
  PATCHBAY_SESSION_EXPIRES: described(
    atLeastZero({ default: 1800 }),
    'Session interval in seconds (RFC 4028) that is asked of phones that know session timers. 0: none.',
    '600',
    'often',
  ),
  PATCHBAY_MIN_SE: described(
    wholeSeconds({ default: 90 }),
    'Shortest session interval in seconds that phones may ask for. RFC 4028 allows none under 90; drachtio-server has a setting of its own.',
    '300',
    '1.5',
  ),
  PATCHBAY_PHONE_CODECS: described(
    phoneCodecs({ default: PHONE_CODECS }),
    'Codecs that phones may use. The order counts only where the gateway makes the offer: for an INVITE without SDP and for the target of a transfer.',
    'G722,PCMA',
    'G729',
  ),
  PATCHBAY_HELD_AUDIO: described(
    str({ default: 'drop', choices: ['drop', 'pass'] }),
    'What becomes of what a phone sends while it holds, mostly its music. `drop`: nobody hears it. `pass`: others do.',
    'pass',
    'mute',
  ),
  PATCHBAY_MEDIA_TIMEOUT: described(
    positive({ default: 30 }),
    'Seconds without media from a phone, not counting hold, after which it is hung up; five times as long after comfort noise, or once that was agreed on.',
    '60',
    '0',
  ),
  PATCHBAY_MAX_CALL_SECONDS: described(
    atLeastZero({ default: 0 }),
    'Longest duration of a phone call in seconds. 0: as long as the participant lives.',
    '14400',
    '4h',
  ),
};

export const PROGRAMS = {
  PATCHBAY_PROGRAM_GRACE: described(
    atLeastZero({ default: 10 }),
    'Seconds that a program which lost its socket has to come back, before it leaves: see [programs.md](programs.md).',
    '30',
    'long',
  ),
};

export const MEDIA = {
  PATCHBAY_PUBLIC_IP: described(
    host({ default: undefined }),
    'Address under which others reach the gateway, when it is behind NAT: it is put into SDP, SIP headers and ICE candidates. A name is resolved once, at the start, and the log says to which address. Empty: the addresses that the gateway listens on.',
    '203.0.113.7',
    'sip:203.0.113.7',
  ),
  PATCHBAY_RTP_HOST: described(
    host({ default: '127.0.0.1' }),
    'Address that RTP of phones is received on. A name is resolved at the start.',
    '192.0.2.10',
    'http://192.0.2.10',
  ),
  PATCHBAY_RTP_PORTS: described(
    portRange({ default: [20_000, 29_999] }),
    'UDP ports for RTP of phones; each call takes two.',
    '40000-41999',
    '40000',
  ),
  PATCHBAY_RTP_ASYMMETRIC: described(
    cidrs({ default: [] }),
    'Addresses and CIDRs of phones and media gateways that receive on another port or address than they send from. Media goes where their SDP says, wherever theirs comes from: see [phones.md](phones.md#where-the-media-are).',
    '198.51.100.0/24',
    '*',
  ),
  PATCHBAY_WEBRTC_HOST: described(
    host({ default: '127.0.0.1' }),
    'Address that the media of browsers is received on. A name is resolved at the start.',
    '192.0.2.10',
    'localhost:7000',
  ),
  PATCHBAY_WEBRTC_PORT: described(
    listenPort({ default: 7000 }),
    'The UDP port for the media of all browsers. With several media hosts each has its own: this one and the following, and while hosts of another version still serve their calls the next ones. One that is taken means one host fewer, with a warning.',
    '7000',
    '70000',
  ),
  PATCHBAY_MEDIA_HOSTS: described(
    hostCount({ default: undefined }),
    'Processes that carry the media. They live on when the gateway dies or is exchanged, and each uses one processor. Empty: one for each processor, at most 8. 0: media are carried in the process of the gateway, and end with it.',
    '1',
    'auto',
  ),
  PATCHBAY_HANDOVER_SECONDS: described(
    positive({ default: 60 }),
    'Seconds that media hosts carry their calls on without a gateway, before they end.',
    '120',
    '0',
  ),
  PATCHBAY_TURN_URLS: described(
    turnUrls({ default: [] }),
    'URLs of your TURN server. Needs `PATCHBAY_TURN_SECRET`. `GET /v1/accounts/{a}/participants/{p}/iceServers` then answers with credentials that expire, for the option `iceServers` of the clients. Empty: no TURN.',
    'turn:turn.example.com:3478',
    'https://turn.example.com',
  ),
  PATCHBAY_TURN_SECRET: described(
    text,
    'Secret that the TURN server shares with the gateway (coturn: `use-auth-secret`, `static-auth-secret`). Needs `PATCHBAY_TURN_URLS`.',
    's3cret',
  ),
  PATCHBAY_OPUS_DTX: described(
    str({ default: 'off', choices: ['off', 'on'] }),
    '`on`: browsers and phones with Opus are asked to stop sending in silence (DTX), and the gateway does so toward phones that ask. Saves bandwidth; quiet steady sounds fade. `off`: only where a page asks for it itself.',
    'on',
    'true',
  ),
  PATCHBAY_LEVELLING: described(
    str({ default: 'on', choices: ['on', 'off'] }),
    'Whether phones hear quiet and loud talkers at about the same loudness: see [phones.md](phones.md#what-a-phone-hears). A session may say otherwise (`levelling` when it is created).',
    'off',
    'false',
  ),
  PATCHBAY_NOISE_SUPPRESSION: described(
    str({ default: 'off', choices: ['off', 'phones'] }),
    '`phones`: other phones hear each phone without its noise, as long as there is a place: see [phones.md](phones.md#what-a-phone-hears). A participant may say otherwise (`noiseSuppression`). `off`: only of participants that say so.',
    'phones',
    'on',
  ),
  PATCHBAY_NOISE_SUPPRESSION_MAX: described(
    wholeNumber({ default: 5 }),
    'Participants whose noise is suppressed, of all accounts. Each takes about 5 % of a processor core while a phone hears it, so the default is a quarter of one.',
    '20',
    'many',
  ),
};

export const ANNOUNCEMENTS = {
  PATCHBAY_MEDIA_UPLOAD_MB: described(
    positive({ default: 20 }),
    'Largest file, in MB, that is uploaded to be played, or fetched from a `mediaUrl`: see [announcements.md](announcements.md).',
    '100',
    '0',
  ),
  PATCHBAY_MEDIA_ACCOUNT_MB: described(
    positive({ default: 200 }),
    'MB that the uploaded files of one account may take in the data folder.',
    '1000',
    'half',
  ),
  PATCHBAY_MEDIA_MAX_SECONDS: described(
    positive({ default: 600 }),
    'Longest sound that is played, in seconds.',
    '3600',
    '1h',
  ),
  PATCHBAY_MEDIA_CACHE_MB: described(
    positive({ default: 1000 }),
    'MB of decoded sounds in the data folder. Those that were used least recently go first, but none that plays. A minute takes 1 MB at 8 kHz and 6 MB at 48 kHz.',
    '4000',
    '0',
  ),
  PATCHBAY_MAX_ANNOUNCEMENTS: described(
    wholeNumber({ default: 2000 }),
    'Sounds that the gateway plays at once, counted for each device that hears one: announcements, waiting music and tones.',
    '500',
    'many',
  ),
  PATCHBAY_MAX_ANNOUNCEMENTS_PER_ACCOUNT: described(
    wholeNumber({ default: undefined }),
    'The same for one account. Empty: half of `PATCHBAY_MAX_ANNOUNCEMENTS` when there are several accounts, otherwise all.',
    '100',
    '-1',
  ),
  PATCHBAY_WAITING_MUSIC: described(
    text,
    'File (WAV, Ogg Opus, MP3) that phones hear, repeated, while they hear nobody; `tone:music` is a plain one that the gateway makes itself. A file that cannot be read stops the start. Empty: silence, except in sessions that say otherwise (`waitingMusic`).',
    '/etc/patchbay/waiting.mp3',
  ),
  PATCHBAY_WAITING_WHEN: described(
    waitingReasons({ default: WAITING_REASONS }),
    'When they hear it. `no-session`: their participant is in no session. `alone`: nobody else in the session is connected. `nobody-publishes`: others are connected, but none of them publishes audio.',
    'alone,nobody-publishes',
    'always',
  ),
  PATCHBAY_JOIN_TONES: described(
    str({ default: 'off', choices: ['off', 'on'] }),
    '`on`: a tone tells who enters and leaves a session, to those who would hear the participant. A session may say otherwise (`joinTones`).',
    'on',
    'true',
  ),
};

export const SERVERS = {
  PATCHBAY_DRACHTIO: described(
    servers({ default: [] }),
    'drachtio-servers, as `host:port:secret`, comma-separated: see [production.md](production.md). Empty: the embedded SIP server.',
    '127.0.0.1:9022:s3cret',
    '127.0.0.1',
  ),
  PATCHBAY_DRACHTIO_GRACE: described(
    positive({ default: 30 }),
    'Seconds that calls are kept while the connection to their drachtio-server is away.',
    '60',
    '0',
  ),
  PATCHBAY_FREESWITCH: described(
    servers({ default: [] }),
    'FreeSWITCHes that carry the media of phones, as `host:port:secret` of their event sockets, comma-separated. Empty: RTP comes straight to the gateway.',
    '127.0.0.1:8021:ClueCon',
    '127.0.0.1:8021',
  ),
  PATCHBAY_FREESWITCH_FALLBACK: described(
    str({ default: 'none', choices: ['none', 'direct'] }),
    'While no FreeSWITCH works: `none` refuses calls with 503, `direct` serves phones without it.',
    'direct',
    'fallback',
  ),
};
