#!/usr/bin/env bash
# The Autobahn test suite against gannet serve, or against our client.
#
#   autobahn.sh [quick|limits|deflate|all] [server|client]
#
# server: the suite's fuzzingclient talks to gannet serve.
# client: our client (bench/autobahnclient) talks to the suite's fuzzingserver.
#
# quick:   everything but 9, 12 and 13 (247 cases, in CI)
# limits:  9, messages up to 16 MiB (54 cases)
# deflate: 12 and 13, permessage-deflate (216 cases; in CI when what they test has changed)
# all:     the 517 of them
#
# The suite is one Python process that compresses and compares everything itself: what takes
# time is the suite, not we. So a set is cut into parts, and as many processes as there are cores
# (AUTOBAHN_JOBS overrides) work them off: against one server, or each with a port and a client of its own.
#
# The suite needs Python 2.7: python2.7 on the PATH or under any pyenv, else the
# suite's container image if docker has it. The reports, one a part, are left in .cache/autobahn.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
. "$here/server.sh"

# The longest parts first, so that none begins when the others end.
deflate_parts='12.3 12.2 12.5 12.4 12.1 13.1 13.2 13.3 13.4 13.5 13.6 13.7'
set_name=${1:-quick}
case $set_name in
quick) parts='rest' wanted=247 flags='' ;;
limits) parts='9' wanted=54 flags='' ;;
deflate) parts=$deflate_parts wanted=216 flags='--deflate shared' ;;
all) parts="$deflate_parts 9 rest" wanted=517 flags='--deflate shared' ;;
*) set_name= ;;
esac
side=${2:-server}
case $set_name/$side in
?*/server | ?*/client) ;;
*) echo "usage: $0 [quick|limits|deflate|all] [server|client]" >&2; exit 2 ;;
esac
jobs=${AUTOBAHN_JOBS:-$(nproc)}

work=$cache/autobahn
reports=$side/$set_name # below $work, on this machine or in the container
image=crossbario/autobahn-testsuite

# find_python27 prints the first python2.7 that runs: a pyenv shim exists even where
# the version behind it is not selected, so being on the PATH is not enough.
find_python27() {
	local candidate root
	root=${PYENV_ROOT:-$(pyenv root 2>/dev/null || echo "${HOME:-/root}/.pyenv")}
	for candidate in python2.7 "$root"/versions/2.7.*/bin/python2.7 {/root,/home/*}/.pyenv/versions/2.7.*/bin/python2.7 \
		{/opt,/usr/local}/{,.}pyenv/versions/2.7.*/bin/python2.7; do
		"$candidate" -c 'import pip' >/dev/null 2>&1 && { echo "$candidate"; return; }
	done
	return 1
}

# The folder's name carries the hash of the pins, so that changed pins reinstall.
install_suite() { # python
	suite=$work/suite-$(sha256sum "$here/autobahn/requirements.txt" | cut -c1-12)
	[ -e "$suite/installed" ] && return
	rm -rf "$suite"
	"$1" -W ignore -m pip install --quiet --no-deps --target "$suite" -r "$here/autobahn/requirements.txt"
	touch "$suite/installed"
}

# write_spec PART: what the suite is to do. It sees the folder of reports as $suite_work.
write_spec() {
	local cases="\"$1.*\"" exclude='' whom
	[ "$1" != rest ] || cases='"*"' exclude='"9.*", "12.*", "13.*"'
	case $side in
	server) whom="\"servers\": [{\"agent\": \"gannet\", \"url\": \"$server_url\"}]" ;;
	client) whom="\"url\": \"ws://127.0.0.1:$(distinct_port)\"" ;;
	esac
	mkdir -p "$work/$reports/$1"
	cat >"$work/$reports/$1.json" <<-SPEC
		{$whom, "outdir": "$suite_work/$reports/$1",
		 "cases": [$cases], "exclude-cases": [$exclude], "exclude-agent-cases": {}}
	SPEC
}

# distinct_port is a free port that no other part's spec names.
distinct_port() {
	local port
	while port=$(free_port) && grep -qs "127.0.0.1:$port" "$work/$reports"/*.json; do :; done
	echo "$port"
}

# run_suite MODE PART
run_suite() {
	if [ -n "$python" ]; then
		set -- "$python" -W ignore "$here/autobahn/wstest.py" "$suite" --mode "$1" --spec "$suite_work/$reports/$2.json"
	else
		set -- docker run --rm --network host -v "$work:$suite_work" "$image" wstest --mode "$1" --spec "$suite_work/$reports/$2.json"
	fi
	exec "$@" --webport 0 </dev/null
}

# run_part PART: the suite prints a line per case; only a failure is worth showing.
run_part() {
	local log=$work/$reports/$1.log
	case $side in
	server) (run_suite fuzzingclient "$1") >"$log" 2>&1 ;;
	client) our_client "$1" "$log" ;;
	esac || { tail -30 "$log" >&2; return 1; }
}

# our_client PART LOG: a fuzzingserver, and our client through all of its cases.
our_client() {
	server_addr=$(grep -oE '127\.0\.0\.1:[0-9]+' "$work/$reports/$1.json")
	server_log=$2
	run_suite fuzzingserver "$1" >"$2" 2>&1 &
	server_pid=$!
	trap kill_server EXIT
	wait_for_server && "$cache/bin/autobahnclient" -url "ws://$server_addr" >>"$2" 2>&1 || return 1
	kill -TERM "$server_pid" && wait "$server_pid" || return 1 # Twisted takes SIGTERM for a clean end
	server_pid=
}

# run_parts works off the parts, at most $jobs at a time, and fails if one of them did.
run_parts() {
	export side work reports cache here python suite image suite_work
	export -f run_part run_suite our_client answers wait_for_server kill_server
	# shellcheck disable=SC2016,SC2086 # $1 is the inner shell's; parts are words
	printf '%s\n' $parts | xargs -n 1 -P "$jobs" bash -euc 'run_part "$1"' part
}

version_of_suite() {
	if [ -n "$python" ]; then
		"$python" --version 2>&1
		"$python" -W ignore "$here/autobahn/wstest.py" "$suite" --autobahnversion
	else
		docker image inspect --format "{{index .RepoTags 0}} {{.Id}}" "$image"
	fi
}

(cd "$here/autobahn" && python3 -B -m unittest check_test)
rm -rf "${work:?}/$reports"
mkdir -p "$work/$reports"
suite=
suite_work=$work
python=$(find_python27) || python=
if [ -n "$python" ]; then
	install_suite "$python"
elif docker image inspect "$image" >/dev/null 2>&1; then
	suite_work=/suite
else
	echo "autobahn: no python2.7 with pip on the PATH or under a pyenv, and docker has no image $image" >&2
	exit 1
fi
version_of_suite
case $side in
# shellcheck disable=SC2086 # flags are words
server) start_server $flags ;;
client) build autobahnclient ./bench/autobahnclient ;;
esac
for part in $parts; do write_spec "$part"; done
began=$SECONDS
status=0
run_parts || status=1
stop_server || status=1
python3 -B "$here/autobahn/check.py" "$wanted" "$work/$reports"/*/index.json || status=1
echo "autobahn $side $set_name: $((SECONDS - began)) s in at most $jobs processes, reports in ${work#"$root"/}/$reports/*/index.html"
exit "$status"
