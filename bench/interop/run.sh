#!/usr/bin/env bash
# Clients that nobody here wrote, against gannet serve: Debian's Chromium, npm's ws, Python's
# websockets, curl, coder/websocket and gobwas/ws.
#
#   run.sh [chromium|ws|websockets|curl|go ...]    all of them by default
#
# They talk to one server after the other, which differ in permessage-deflate (rounds, below).
# GANNET_DEFLATE and GANNET_WINDOW pick a single one; with GANNET_ADDR they say what the server
# there was started with.
#
# A client that is missing is a failure, never a skip. Each has its own time limit.
# The last line is the number of clients that passed and failed, over all servers.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
. "$here/server.sh"
. "$here/programs.sh"

# --deflate, --deflate-window, and what is asked: all of it, or what is about compression.
rounds=('off 15 all' 'shared 15 all' 'alone 15 deflate' 'own 15 deflate' 'shared 9 deflate')
[ -z "${GANNET_ADDR:-}${GANNET_DEFLATE:-}${GANNET_WINDOW:-}" ] || rounds=("${GANNET_DEFLATE:-off} ${GANNET_WINDOW:-15} all")

# tests FILE...: those that the round asks for, deflate's last.
tests() {
	[ "$extent" = all ] || set -- "${@: -1}"
	printf '%s\n' "$@"
}

node_test() { # seconds, tests...
	timeout -k 5 "$1" node --test --test-concurrency=1 --test-reporter="$here/node/quiet.mjs" "${@:2}"
}

chromium() {
	local files
	mapfile -t files < <(tests "$here/browser/page.test.mjs" "$here/browser/deflate.test.mjs")
	need node 'Node 20 or newer' && need "${CHROMIUM:-chromium}" "Debian's package chromium" &&
		GANNET_PAGE=http://$server_addr/ GANNET_SCREENSHOTS=$cache/interop node_test 240 "${files[@]}"
}

ws() {
	local files
	mapfile -t files < <(tests "$here/node/ws.test.mjs" "$here/node/deflate.test.mjs")
	install_ws && node_test 180 "${files[@]}"
}

websockets() {
	local file
	install_python || return 1
	for file in $(tests websockets_test.py deflate_test.py); do
		timeout -k 5 180 "$venv/bin/python" -B "$here/python/$file" || return 1
	done
}

curl_() {
	need curl "Debian's package curl" && curl --version | head -1 &&
		timeout -k 5 60 "$here/curl/curl.sh" "$server_addr"
}

go_() {
	local only=.
	[ "$extent" = all ] || only=Deflate
	need go 'Go 1.26' && GOWORK=off go -C "$here/goclients" list -m all | grep -E 'coder|gobwas/ws' &&
		GOWORK=off GANNET_ADDR=$server_addr timeout -k 5 180 go -C "$here/goclients" test -count=1 -v -run "$only" ./... |
		{ grep -vE '^(=== |    --- PASS|        --- PASS)' || true; }
}

# round MODE WINDOW EXTENT CLIENT...
round() {
	local flags=(--deflate "$1") client
	[ "$2" = 15 ] || flags+=(--deflate-window "$2")
	extent=$3
	start_server "${flags[@]}"
	export GANNET_URL=$server_url GANNET_DEFLATE=$1 GANNET_WINDOW=$2
	for client in "${@:4}"; do
		[ "$client $extent" != 'curl deflate' ] || continue # it asks for less than the others
		case $client in
		chromium | ws | websockets) try "$client, ${flags[*]}" "$client" ;;
		curl | go) try "$client, ${flags[*]}" "${client}_" ;;
		*) echo "interop: no client '$client'" >&2; exit 2 ;;
		esac
	done
	try "nothing left behind, ${flags[*]}" python3 -B "$here/settled.py" "http://$server_addr/stats"
	try "clean end by SIGTERM, ${flags[*]}" stop_server
}

[ $# -gt 0 ] || set -- curl ws websockets go chromium
for parameters in "${rounds[@]}"; do
	# shellcheck disable=SC2086 # parameters are words
	round $parameters "$@"
done
tally
