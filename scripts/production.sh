#!/usr/bin/env bash
# Patchbay with drachtio-server and FreeSWITCH on one machine, without containers.
#
#   scripts/production.sh              all three in the foreground, until SIGTERM or until one of them ends
#   scripts/production.sh drachtio     only one of them, for a supervisor such as systemd
#   scripts/production.sh freeswitch
#   scripts/production.sh gateway
#
# From the environment: PATCHBAY_SECRET (needed: what the three know each other by), HOST_IP (the IPv4 address that
# phones, carriers and browsers reach; 127.0.0.1), PUBLIC_IP (the one in front of it, behind NAT) with LOCAL_NETWORK (the
# CIDR inside the NAT), SIP_PORT (5060), DRACHTIO_PROGRAM and FREESWITCH_PROGRAM (found by PATH), FREESWITCH_RUN_DIR
# (.freeswitch here: its log and its scratch database), and whatever the gateway and the two servers take themselves.
set -euo pipefail
cd "$(dirname "$0")/.."

: "${PATCHBAY_SECRET:?set PATCHBAY_SECRET, such as to what openssl rand -hex 24 prints}"
HOST_IP=${HOST_IP:-127.0.0.1}
PUBLIC_IP=${PUBLIC_IP:-}
export DRACHTIO_ADMIN_ADDRESS=127.0.0.1
export DRACHTIO_ADMIN_TCP_PORT=${DRACHTIO_ADMIN_TCP_PORT:-9022}
export FREESWITCH_EVENT_PORT=${FREESWITCH_EVENT_PORT:-8021}

drachtio() {
  local nat=()
  [[ -z $PUBLIC_IP ]] || nat=(--external-ip "$PUBLIC_IP" ${LOCAL_NETWORK:+--local-net "$LOCAL_NETWORK"})
  export DRACHTIO_SECRET=$PATCHBAY_SECRET
  exec "${DRACHTIO_PROGRAM:-drachtio}" --file sip-config/drachtio/drachtio.conf.xml \
    --contact "sip:$HOST_IP:${SIP_PORT:-5060};transport=udp,tcp" "${nat[@]}"
}

freeswitch() {
  local dir=${FREESWITCH_RUN_DIR:-$PWD/.freeswitch}
  install -d -m 0700 "$dir"
  export FREESWITCH_SECRET=$PATCHBAY_SECRET FREESWITCH_IP=$HOST_IP
  [[ -z $PUBLIC_IP ]] || export FREESWITCH_PUBLIC_IP=$PUBLIC_IP
  # The gateway and drachtio-server come from these addresses; everybody else is turned away.
  export FREESWITCH_ALLOW=${FREESWITCH_ALLOW:-127.0.0.0/8,$HOST_IP/32}
  # -np: at real-time priority, which it takes when root starts it, it would starve the gateway.
  # -conf, -log and -db only work together.
  exec "${FREESWITCH_PROGRAM:-freeswitch}" -np -nonat -nf -nc \
    -conf "$PWD/sip-config/freeswitch" -log "$dir" -db "$dir" -run "$dir"
}

gateway() {
  export PATCHBAY_DRACHTIO=${PATCHBAY_DRACHTIO:-127.0.0.1:$DRACHTIO_ADMIN_TCP_PORT:$PATCHBAY_SECRET}
  export PATCHBAY_FREESWITCH=${PATCHBAY_FREESWITCH:-$HOST_IP:$FREESWITCH_EVENT_PORT:$PATCHBAY_SECRET}
  # Where FreeSWITCH sends the phones' sound to; phones never see it.
  export PATCHBAY_RTP_HOST=${PATCHBAY_RTP_HOST:-$HOST_IP}
  export PATCHBAY_WEBRTC_HOST=${PATCHBAY_WEBRTC_HOST:-$HOST_IP}
  [[ -z $PUBLIC_IP ]] || export PATCHBAY_PUBLIC_IP=${PATCHBAY_PUBLIC_IP:-$PUBLIC_IP}
  exec node scripts/start.mjs
}

all() {
  local servers=() gateway status stopped=
  "$PWD/scripts/production.sh" drachtio &
  servers+=($!)
  "$PWD/scripts/production.sh" freeswitch &
  servers+=($!)
  "$PWD/scripts/production.sh" gateway &
  gateway=$!
  # The gateway needs the servers for its BYEs: they end after it.
  trap 'stopped=1; kill "$gateway" 2>/dev/null || true' TERM INT HUP
  wait -n || true
  if [[ -z $stopped ]]; then
    echo 'production.sh: one of the three has ended; ending the others' >&2
    kill "$gateway" 2>/dev/null || true
  fi
  # A signal interrupts `wait`, and goes on to the gateway.
  while
    status=0
    wait "$gateway" || status=$?
    kill -0 "$gateway" 2>/dev/null
  do :; done
  kill "${servers[@]}" 2>/dev/null || true
  wait "${servers[@]}" || true
  [[ -n $stopped ]] || exit 1
  exit "$status"
}

case "${1:-all}" in
  all | drachtio | freeswitch | gateway) "${1:-all}" ;;
  *)
    echo "usage: $0 [drachtio | freeswitch | gateway]" >&2
    exit 2
    ;;
esac
