#!/usr/bin/env bash
# curl against a gannet serve over TLS. tls.sh HOST:PORT FOLDER; the folder has ca.pem, and GANNET_CLIENT_CERT is set if the server demands a
# certificate, and is that and its key.
set -euo pipefail
port=${1##*:}
folder=$2
passed=0
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
own=()
[ -z "${GANNET_CLIENT_CERT:-}" ] || own=(--cert "$GANNET_CLIENT_CERT")

fail() { echo "FAIL $1"; shift; printf '%s\n' "$@" | head -40; exit 1; }
pass() { echo "ok   $1"; passed=$((passed + 1)); }

# ask EXIT-STATUS [curl's arguments]: $status, $work/head and $work/body are the answer.
ask() {
	local want=$1 rc=0
	shift
	: >"$work/head"
	status=$(curl --silent --noproxy '*' --max-time "${max_time:-5}" --cacert "$folder/ca.pem" --dump-header "$work/head" --output "$work/body" \
		--write-out '%{http_code} %{http_version}' "$@") || rc=$?
	[ $rc -eq "$want" ] || fail "${name:-}: curl ended with $rc, want $want" "$*" "$(cat "$work/head")"
}
want_status() { [ "$status" = "$1" ] || fail "$name: $status, want $1" "$(cat "$work/head" "$work/body")"; }
upgrade=(-H 'Connection: Upgrade' -H 'Upgrade: websocket' -H 'Sec-WebSocket-Version: 13' -H 'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==')

name='the page over https, and HTTP/1.1 though curl offers HTTP/2'
for version in '--tlsv1.2 --tls-max 1.2' --tlsv1.3; do
	# shellcheck disable=SC2086 # a version is two words
	ask 0 $version --http2 "${own[@]}" "https://localhost:$port/"
	want_status '200 1.1'
	grep -q '<title>Gannet</title>' "$work/body" || fail "$name: another page"
done
pass "$name"

name='figures, a path where nothing is, and several requests on one connection'
ask 0 "${own[@]}" "https://localhost:$port/stats" -o "$work/second" "https://localhost:$port/wss"
python3 -c 'import json, sys; assert json.load(open(sys.argv[1]))["tls"]["handshakes"]' "$work/body" || fail "$name: no figures"
pass "$name"

name='an upgrade over https'
max_time=1 ask 28 --http1.1 "${own[@]}" "${upgrade[@]}" "https://localhost:$port/ws" # an upgraded connection has no end of its own
want_status '101 1.1'
tr -d '\r' <"$work/head" | grep -qixF 'Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=' || fail "$name" "$(cat "$work/head")"
pass "$name"

name='the own origin is https'
max_time=1 ask 28 --http1.1 "${own[@]}" "${upgrade[@]}" -H "Origin: https://localhost:$port" "https://localhost:$port/ws"
want_status '101 1.1'
ask 0 --http1.1 "${own[@]}" "${upgrade[@]}" -H "Origin: http://localhost:$port" "https://localhost:$port/ws"
want_status '403 1.1'
pass "$name"

name='http on the port of https'
ask 0 "http://localhost:$port/"
want_status '400 1'
grep -q HTTPS "$work/body" || fail "$name" "$(cat "$work/body")"
pass "$name"

if curl --version | grep -q '^Protocols:.* wss'; then
	name='wss'
	max_time=1 ask 28 "${own[@]}" "wss://localhost:$port/ws"
	want_status '101 1.1'
	pass "$name"
fi

if [ ${#own[@]} -gt 0 ]; then
	name='without a certificate'
	ask 56 --tlsv1.3 "https://localhost:$port/" # the client hears of it behind its own handshake
	ask 35 --tls-max 1.2 "https://localhost:$port/"
	pass "$name"
else
	name='another name'
	ask 60 --resolve "elsewhere.example:$port:127.0.0.1" "https://elsewhere.example:$port/"
	pass "$name"
fi
echo "curl: $passed passed, 0 failed"
