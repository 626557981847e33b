#!/usr/bin/env bash
# curl against a running gannet serve: the HTTP side of it, what it makes of offers of permessage-deflate, and raw
# conversations. curl.sh HOST:PORT; GANNET_DEFLATE says whether the server compresses: off (by default) or shared.
set -euo pipefail
addr=$1
passed=0
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

fail() { echo "FAIL $1"; shift; printf '%s\n' "$@" | head -40; exit 1; }
pass() { echo "ok   $1"; passed=$((passed + 1)); }

# ask [curl's arguments]: $status, $work/head and $work/body are the answer. An
# upgraded connection has no end of its own: curl then stops at --max-time (28).
ask() {
	local rc=0
	status=$(curl --silent --http1.1 --noproxy '*' --max-time "${max_time:-5}" \
		--dump-header "$work/head" --output "$work/body" --write-out '%{http_code}' "$@") || rc=$?
	[ $rc -eq 0 ] || [ $rc -eq 28 -a "$status" = 101 ] || fail "curl ended with $rc" "$*"
	tr -d '\r' <"$work/head" >"$work/lines"
}

want_status() { [ "$status" = "$2" ] || fail "$1: status $status, want $2" "$(cat "$work/lines" "$work/body")"; }
want_header() { grep -qixF "$2" "$work/lines" || fail "$1: no header '$2'" "$(cat "$work/lines")"; }
want_body() { grep -aqF "$2" "$work/body" || fail "$1: no '$2' in the body" "$(cat "$work/body")"; }

upgrade() { # version key [more arguments]
	local version=$1 key=$2
	shift 2
	max_time=2 ask -H 'Connection: Upgrade' -H 'Upgrade: websocket' -H "Sec-WebSocket-Version: $version" \
		-H "Sec-WebSocket-Key: $key" "$@" "http://$addr/ws"
}

name='GET / is the page'
ask "http://$addr/"
want_status "$name" 200
want_header "$name" 'Content-Type: text/html; charset=utf-8'
want_header "$name" 'X-Content-Type-Options: nosniff'
grep -qi '^Content-Security-Policy: ' "$work/lines" || fail "$name: no policy" "$(cat "$work/lines")"
want_body "$name" '<title>Gannet</title>'
pass "$name"

name='HEAD / has no body'
ask --head "http://$addr/"
want_status "$name" 200
pass "$name"

name='GET /stats is JSON'
ask "http://$addr/stats"
want_status "$name" 200
grep -qi '^Content-Type: application/json' "$work/lines" || fail "$name: not JSON" "$(cat "$work/lines")"
python3 -c 'import json, sys; assert json.load(open(sys.argv[1]))' "$work/body" || fail "$name: does not parse"
pass "$name"

# RFC 9110 15.5.22: a 426 must carry Upgrade; RFC 6455 4.4 adds the versions.
name='a plain request to the socket is told to upgrade'
ask "http://$addr/ws"
want_status "$name" 426
want_header "$name" 'Upgrade: websocket'
want_header "$name" 'Sec-WebSocket-Version: 13'
[ -s "$work/body" ] || fail "$name: the body is empty"
pass "$name"

name='a path where nothing is'
ask "http://$addr/wss"
want_status "$name" 404
pass "$name"

name='another version is told ours'
upgrade 8 dGhlIHNhbXBsZSBub25jZQ==
want_status "$name" 426
want_header "$name" 'Sec-WebSocket-Version: 13'
pass "$name"

name="the RFC's sample key gets the RFC's sample answer" # RFC 6455 1.3
upgrade 13 dGhlIHNhbXBsZSBub25jZQ==
want_status "$name" 101
want_header "$name" 'Upgrade: websocket'
want_header "$name" 'Connection: Upgrade'
want_header "$name" 'Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo='
pass "$name"

name='a key that is not 16 bytes of base64 is refused'
for key in dGhlIHNhbXBsZSBub25jZQ '!!!!IHNhbXBsZSBub25jZQ==' c2hvcnQ=; do
	upgrade 13 "$key"
	want_status "$name" 400
done
pass "$name"

name='another origin is refused, the own one is not'
upgrade 13 dGhlIHNhbXBsZSBub25jZQ== -H 'Origin: https://elsewhere.example'
want_status "$name" 403
upgrade 13 dGhlIHNhbXBsZSBub25jZQ== -H "Origin: http://$addr"
want_status "$name" 101
pass "$name"

# segment EXTENSIONS FRAMES: a request and frames, for printf; talk sends that in one segment by curl's telnet.
segment() {
	printf 'GET /ws HTTP/1.1\r\nHost: %s\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n' "$addr"
	printf 'Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n'
	[ -z "$1" ] || printf 'Sec-WebSocket-Extensions: %s\r\n' "$1"
	printf '\r\n'
	printf "$2"
}
talk() { { segment "$1" "$2"; sleep 1; } | curl --silent --noproxy '*' --max-time 5 "telnet://$addr"; }
close1000='\x88\x82\x01\x02\x03\x04\x02\xea'

# The masked "Hello" of RFC 6455 5.7 and a masked Close 1000: an answer, an echo, a Close, and the end of the stream.
name='frames in the same segment as the request'
talk '' "\x81\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58$close1000" >"$work/answer"
printf '\r\n\r\n\x81\x05Hello\x88\x02\x03\xe8' >"$work/want"
tail -c 15 "$work/answer" | cmp - "$work/want" || fail "$name" "$(od -c "$work/answer")"
pass "$name"

# An offer and, behind the arrow, the answer to it. None of them may cost the client its connection (RFC 7692 7).
name='offers of permessage-deflate'
cat >"$work/offers" <<-'OFFERS'
	x-other -> none
	permessage-deflate -> permessage-deflate
	permessage-deflate; client_max_window_bits -> permessage-deflate
	permessage-deflate; client_max_window_bits=8 -> permessage-deflate; client_max_window_bits=8
	permessage-deflate; server_max_window_bits=10 -> permessage-deflate; server_max_window_bits=10
	permessage-deflate; server_max_window_bits="12" -> permessage-deflate; server_max_window_bits=12
	permessage-deflate; server_no_context_takeover; client_no_context_takeover -> permessage-deflate; server_no_context_takeover; client_no_context_takeover
	permessage-deflate; server_max_window_bits -> none
	permessage-deflate; server_max_window_bits= -> none
	permessage-deflate; server_max_window_bits=7 -> none
	permessage-deflate; server_max_window_bits=16 -> none
	permessage-deflate; server_max_window_bits=010 -> none
	permessage-deflate; client_max_window_bits=9; client_max_window_bits=9 -> none
	permessage-deflate; server_no_context_takeover=1 -> none
	permessage-deflate; who_knows -> none
	permessage-deflate; who_knows, permessage-deflate; server_max_window_bits=9 -> permessage-deflate; server_max_window_bits=9
	x-other, permessage-deflate; server_max_window_bits=99, permessage-deflate -> permessage-deflate
	permessage-deflate; client_no_context_takeover, permessage-deflate -> permessage-deflate; client_no_context_takeover
OFFERS
number=0
while IFS= read -r line; do
	number=$((number + 1))
	talk "${line% -> *}" "$close1000" </dev/null >"$work/offer.$number" &
done <"$work/offers"
wait
number=0
while IFS= read -r line; do
	number=$((number + 1))
	want=${line##* -> }
	[ "${GANNET_DEFLATE:-off}" != off ] || want=none
	tr -d '\r' <"$work/offer.$number" >"$work/lines"
	head -1 "$work/lines" | grep -aq '^HTTP/1.1 101 ' || fail "$name: $line" "$(cat "$work/lines")"
	got=$(grep -ai '^Sec-WebSocket-Extensions: ' "$work/lines" | cut -d ' ' -f 2-) || got=none
	[ "$got" = "$want" ] || fail "$name: ${line% -> *}: got '$got', want '$want'"
done <"$work/offers"
pass "$name: $number"

# RFC 7692 7.2.3.1 and 7.2.3.2: "Hello" compressed, and "Hello" as a reference to it, both under the key of above.
if [ "${GANNET_DEFLATE:-off}" != off ]; then
	name="the RFC's compressed Hello, and the one that refers to it"
	talk permessage-deflate "\xc1\x87\x37\xfa\x21\x3d\xc5\xb2\xec\xf4\xfe\xfd\x21\xc1\x85\x37\xfa\x21\x3d\xc5\xfa\x30\x3d\x37$close1000" >"$work/answer"
	printf '\r\n\r\n\x81\x05Hello\x81\x05Hello\x88\x02\x03\xe8' >"$work/want"
	tail -c 22 "$work/answer" | cmp - "$work/want" || fail "$name" "$(od -c "$work/answer")"
	pass "$name"
fi

echo "curl: $passed passed, 0 failed"
