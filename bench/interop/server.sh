# Sourced by the scripts beside it: one gannet child process to talk to.
#
#   GANNET_ADDR    host:port of a server that is already running; none is started then
#   GANNET_BINARY  the program to start instead of building ./cmd/gannet
#
# start_server sets server_addr (host:port) and server_url (ws://host:port/ws).

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
cache=$root/.cache
server_pid=
server_log=

# A free port below the ephemeral range, so that no client's own socket takes it
# between the look and the listen.
free_port() {
	local port
	while :; do
		port=$((20000 + RANDOM % 10000))
		(exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null || { echo "$port"; return; }
	done
}

# answers HOST:PORT: something accepts connections there.
answers() { (exec 3<>"/dev/tcp/${1%:*}/${1##*:}") 2>/dev/null; }

wait_for_server() {
	local tick
	for tick in $(seq 600); do
		answers "$server_addr" && return
		kill -0 "$server_pid" 2>/dev/null || break
		sleep 0.1
	done
	echo "server: nothing listens on $server_addr; its output:" >&2
	cat "$server_log" >&2
	return 1
}

# build NAME PACKAGE: a program of this repository, in .cache/bin.
build() {
	mkdir -p "$cache/bin"
	(cd "$root" && GOWORK=$root/go.work go build -o "$cache/bin/$1" "$2")
}

start_server() { # [flags of gannet serve...]
	if [ -n "${GANNET_ADDR:-}" ]; then
		server_addr=$GANNET_ADDR
	else
		local binary=${GANNET_BINARY:-$cache/bin/gannet}
		[ -n "${GANNET_BINARY:-}" ] || build gannet ./cmd/gannet
		server_addr=127.0.0.1:$(free_port)
		server_log=$(mktemp "$cache/server.XXXXXX.log")
		"$binary" serve --addr "$server_addr" "$@" >"$server_log" 2>&1 </dev/null &
		server_pid=$!
		trap kill_server EXIT
		wait_for_server
	fi
	server_url=ws://$server_addr/ws
	echo "server: $server_url"
}

# The last resort, by id: a script that failed leaves no process behind.
kill_server() { [ -z "$server_pid" ] || kill -KILL "$server_pid" 2>/dev/null || true; }

# stop_server asks politely and fails unless the server then ends by itself, with
# status 0 and without a panic in its log.
stop_server() {
	[ -n "$server_pid" ] || return 0
	local pid=$server_pid status=0 tick
	kill -TERM "$pid"
	for tick in $(seq 100); do
		kill -0 "$pid" 2>/dev/null || break
		sleep 0.1
	done
	kill_server
	wait "$pid" || status=$?
	server_pid=
	if [ "$status" -ne 0 ] || grep -qE '^panic:|panic recovered|DATA RACE' "$server_log"; then
		echo "server: stopped by SIGTERM with status $status; its last lines:" >&2
		tail -40 "$server_log" >&2
		return 1
	fi
	rm -f "$server_log"
}
