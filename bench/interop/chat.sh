#!/usr/bin/env bash
# docs/examples/chat in two windows of a browser, and the browser's object in Go beside them.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
. "$here/server.sh"
for program in node "${CHROMIUM:-chromium}"; do
	command -v "$program" >/dev/null || { echo "chat: $program is missing"; exit 1; }
done
build chat ./docs/examples/chat
build domchat ./bench/interop/domchat
server_addr=127.0.0.1:$(free_port)
server_log=$(mktemp "$cache/server.XXXXXX.log")
"$cache/bin/chat" -addr "$server_addr" >"$server_log" 2>&1 </dev/null &
server_pid=$!
trap kill_server EXIT
wait_for_server
CHAT_PAGE=http://$server_addr/ DOMCHAT=$cache/bin/domchat CHAT_SCREENSHOTS=$cache/interop \
	timeout -k 5 400 node --test --test-reporter="$here/node/quiet.mjs" "$here/browser/chat.test.mjs"
stop_server
