#!/usr/bin/env bash
# Our client against servers that nobody here wrote: npm's ws, Python's websockets, aiohttp, tokio-tungstenite and Jetty, and ws
# through Debian's nginx and haproxy, over ws and wss.
#
#   servers.sh [ws|websockets|aiohttp|tungstenite|jetty|nginx|haproxy ...]    all of them by default
#
# One program of ours (conversations) holds the same conversations with each, for every way in which the server knows
# compression. A server that is missing is a failure, never a skip. Each run of conversations has its own time limit.
# The last line is the number of runs that passed and failed.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
. "$here/server.sh"
. "$here/programs.sh"

LIMIT_S=300       # of the conversations with one server, in one mode
BUILD_LIMIT_S=400 # of what cargo or Maven does; they download
work=$cache/servers
mkdir -p "$work"

# The ways in which each server can be told to compress. Off and on are the library's own; alone and small are forced upon it.
declare -A modes=([ws]='off on alone small' [websockets]='off on alone small' [aiohttp]='off on' [tungstenite]='off' [jetty]='off on')
# Conversations that a server has no means for, by name.
declare -A lacks=([aiohttp]='fragments received') # it sends whole messages only

# listen NAME COMMAND...: starts a server with a port for each of its modes, in ports, and waits until it listens on all.
declare -A ports
listen() {
	local name=$1 mode arguments=()
	shift
	for mode in ${modes[$name]}; do
		ports[$mode]=$(free_port)
		arguments+=("$mode=${ports[$mode]}")
	done
	launch "$name" "$@" "${arguments[@]}"
	for mode in ${modes[$name]}; do
		server_addr=127.0.0.1:${ports[$mode]}
		wait_for_server || return 1
	done
	up=$name
}
up= # the server, or proxy, that listens

# launch NAME COMMAND...: the one server that runs, beside what stands behind a proxy.
launch() {
	server_log=$work/$1.log
	shift
	"$@" >"$server_log" 2>&1 </dev/null &
	server_pid=$!
	running+=("$server_pid")
}
running=()
trap 'kill -KILL "${running[@]}" 2>/dev/null || true' EXIT

# end stops what was launched.
end() {
	local pid
	for pid in "${running[@]}"; do
		kill -TERM "$pid" 2>/dev/null || true
	done
	sleep 0.2
	kill -KILL "${running[@]}" 2>/dev/null || true
	wait "${running[@]}" 2>/dev/null || true
	running=()
}

# converse SERVER MODE URL [flags...]
converse() {
	timeout -k 5 "$LIMIT_S" "$cache/bin/conversations" -server "$1" -mode "$2" -url "$3" -lacks "${lacks[$1]:-}" "${@:4}" ||
		{ echo "the last of what the server said:"; tail -5 "$server_log" | cut -c1-300; return 1; }
}

# converse_all NAME: where only compression differs from another mode, that is talked of.
converse_all() {
	local mode
	for mode in ${modes[$1]}; do
		case $mode in
		off | on) try "$1, compression $mode" converse "$1" "$mode" "ws://127.0.0.1:${ports[$mode]}" ;;
		*) try "$1, compression $mode" converse "$1" "$mode" "ws://127.0.0.1:${ports[$mode]}" -run '^(compressed|messages that point)' ;;
		esac
	done
}

start_ws() { install_ws && listen ws node "$here/servers/ws.mjs"; }
start_websockets() { install_python && listen websockets "$venv/bin/python" -B "$here/servers/python_websockets.py"; }
start_aiohttp() { install_python && listen aiohttp "$venv/bin/python" -B "$here/servers/python_aiohttp.py"; }

# Built in a copy, so that no lock file comes into the tree: it would name the registry's host.
start_tungstenite() {
	local copy=$work/tungstenite
	need cargo "rustup's, or Debian's package cargo-web" || return 1
	mkdir -p "$copy"
	cp -r "$here/servers/tungstenite/." "$copy" &&
		timeout -k 5 "$BUILD_LIMIT_S" cargo build --quiet --manifest-path "$copy/Cargo.toml" --target-dir "$copy/target" &&
		cargo tree --manifest-path "$copy/Cargo.toml" --depth 1 --prefix none | tail -n +2 &&
		listen tungstenite "$copy/target/debug/tungstenite-server"
}

# The folder's name carries the hash of the pins, so that changed pins reinstall. Java compiles the server as it starts it.
start_jetty() {
	local libraries
	libraries=$work/jetty-$(sha256sum "$here/servers/jetty/pom.xml" | cut -c1-12)
	need mvn "Debian's package maven" && need javac "Debian's package default-jdk-headless" || return 1
	[ -e "$libraries/installed" ] || {
		rm -rf "$libraries" && timeout -k 5 "$BUILD_LIMIT_S" mvn --quiet --batch-mode -Dstyle.color=never -f "$here/servers/jetty/pom.xml" \
			"-Dmaven.repo.local=$work/maven" dependency:copy-dependencies "-DoutputDirectory=$libraries" && touch "$libraries/installed"
	} || return 1
	(cd "$libraries" && ls jetty-websocket-jetty-server-*.jar) && java --version | sed -n 1p &&
		listen jetty java -cp "$libraries/*" "$here/servers/jetty/JettyServer.java"
}

# certificate makes one for localhost, valid for a day, signed by itself.
certificate() {
	need openssl "Debian's package openssl" && openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 1 -subj /CN=localhost \
		-addext subjectAltName=DNS:localhost,IP:127.0.0.1 -keyout "$work/key.pem" -out "$work/cert.pem" 2>"$work/openssl.log" &&
		cat "$work/cert.pem" "$work/key.pem" >"$work/both.pem"
}

# start_proxy NAME FILE COMMAND...: ws, and this program in front of it, with FILE as its configuration.
start_proxy() {
	local name=$1 file=$2
	start_ws && certificate || return 1
	ports[plain]=$(free_port) ports[tls]=$(free_port)
	sed "s|@WORK@|$work|; s|@PLAIN@|${ports[plain]}|; s|@TLS@|${ports[tls]}|; s|@UPSTREAM@|${ports[on]}|; s|@DEAD@|$(free_port)|" \
		"$here/servers/$file" >"$work/$file"
	launch "$name" "${@:3}" "$work/$file"
	server_addr=127.0.0.1:${ports[plain]} && wait_for_server && server_addr=127.0.0.1:${ports[tls]} && wait_for_server && up=$name
}

start_nginx() {
	PATH=$PATH:/usr/sbin
	need nginx "Debian's package nginx" && nginx -v && start_proxy nginx nginx.conf nginx -p "$work" -e stderr -c
}

start_haproxy() {
	PATH=$PATH:/usr/sbin
	need haproxy "Debian's package haproxy" && haproxy -v | sed -n 1p && start_proxy haproxy haproxy.cfg haproxy -db -f
}

converse_through() { # the proxy's name
	try "ws through $1" converse ws on "ws://127.0.0.1:${ports[plain]}" -via "$1"
	try "ws through $1 over TLS" converse ws on "wss://127.0.0.1:${ports[tls]}" -via "$1" -ca "$work/cert.pem"
}

build conversations ./bench/interop/conversations
[ $# -gt 0 ] || set -- ws websockets aiohttp tungstenite jetty nginx haproxy
for name in "$@"; do
	case $name in
	ws | websockets | aiohttp | tungstenite | jetty)
		try "$name starts" "start_$name"
		[ "$up" != "$name" ] || converse_all "$name" ;;
	nginx | haproxy)
		try "$name starts" "start_$name"
		[ "$up" != "$name" ] || converse_through "$name" ;;
	*) echo "interop: no server '$name'" >&2; exit 2 ;;
	esac
	end
done
tally
