#!/usr/bin/env bash
# Clients that nobody here wrote, against one gannet serve: Debian's Chromium, npm's ws,
# Python's websockets, curl, coder/websocket and gobwas/ws.
#
#   run.sh [chromium|ws|websockets|curl|go ...]    all of them by default
#
# A client that is missing is a failure, never a skip. Each has its own time limit.
# The last line is the number of clients that passed and failed.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
. "$here/server.sh"

need() { # program, what brings it
	command -v "$1" >/dev/null || { echo "interop: $1 is missing ($2)"; return 1; }
}

chromium() {
	need node 'Node 20 or newer' && need "${CHROMIUM:-chromium}" "Debian's package chromium" &&
		GANNET_PAGE=http://$server_addr/ GANNET_SCREENSHOTS=$cache/interop \
			timeout -k 5 240 node --test --test-reporter=spec "$here/browser/page.test.mjs"
}

ws() {
	need npm 'Node 20 or newer' && (
		cd "$here/node" && npm ci --no-audit --no-fund --loglevel=error &&
			echo "node $(node --version), ws $(node -p 'require("ws/package.json").version')" &&
			timeout -k 5 120 node --test --test-reporter=spec ws.test.mjs
	)
}

websockets() {
	local venv
	venv=$cache/venv-$(sha256sum "$here/python/requirements.txt" | cut -c1-12)
	need python3 'Python 3.11 or newer' || return 1
	[ -e "$venv/installed" ] || {
		rm -rf "$venv" && python3 -m venv "$venv" &&
			"$venv/bin/pip" install --quiet -r "$here/python/requirements.txt" && touch "$venv/installed"
	} || return 1
	"$venv/bin/python" --version &&
		timeout -k 5 180 "$venv/bin/python" -B "$here/python/websockets_test.py"
}

curl_() {
	need curl "Debian's package curl" && curl --version | head -1 &&
		timeout -k 5 60 "$here/curl/curl.sh" "$server_addr"
}

go_() {
	need go 'Go 1.26' && go -C "$here/goclients" list -m all | grep -E 'coder|gobwas/ws' &&
		GANNET_ADDR=$server_addr timeout -k 5 180 go -C "$here/goclients" test -count=1 -v ./... |
		{ grep -vE '^(=== |    --- PASS|        --- PASS)' || true; }
}

passed=0
failed=()
try() { # name command...
	echo "--- $1"
	if "${@:2}" 2>&1; then
		passed=$((passed + 1))
	else
		failed+=("$1")
	fi
}

[ $# -gt 0 ] || set -- curl ws websockets go chromium
start_server
export GANNET_URL=$server_url
for client in "$@"; do
	case $client in
	chromium | ws | websockets) try "$client" "$client" ;;
	curl | go) try "$client" "${client}_" ;;
	*) echo "interop: no client '$client'" >&2; exit 2 ;;
	esac
done
try 'nothing left behind' python3 -B "$here/settled.py" "http://$server_addr/stats"
try 'clean end by SIGTERM' stop_server
[ ${#failed[@]} -eq 0 ] || printf 'FAIL %s\n' "${failed[@]}"
echo "interop: $passed passed, ${#failed[@]} failed"
[ ${#failed[@]} -eq 0 ]
