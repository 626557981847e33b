#!/usr/bin/env bash
# The Autobahn test suite against gannet serve.
#
#   autobahn.sh [quick|limits|deflate|all]
#
# quick:   everything but 9, 12 and 13 (247 cases, in CI)
# limits:  9, messages up to 16 MiB (54 cases)
# deflate: 12 and 13, permessage-deflate (216 cases; in CI when what they test has changed)
# all:     the 517 of them
#
# The suite is one Python process that compresses and compares everything itself: what takes
# time is the suite, not the server. So a set is cut into parts, and as many processes as there
# are cores (AUTOBAHN_JOBS overrides) work them off against one server.
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
*) echo "usage: $0 [quick|limits|deflate|all]" >&2; exit 2 ;;
esac
jobs=${AUTOBAHN_JOBS:-$(nproc)}

work=$cache/autobahn
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

# write_spec PART FOLDER: FOLDER is where the report goes, as the suite sees it.
write_spec() {
	local cases="\"$1.*\"" exclude=''
	[ "$1" != rest ] || cases='"*"' exclude='"9.*", "12.*", "13.*"'
	cat >"$work/$set_name/$1.json" <<-SPEC
		{"servers": [{"agent": "gannet", "url": "$server_url"}], "outdir": "$2",
		 "cases": [$cases], "exclude-cases": [$exclude], "exclude-agent-cases": {}}
	SPEC
}

# run_part PART: the suite prints a line per case; only a failure is worth showing.
run_part() {
	local log=$work/$set_name/$1.log
	mkdir -p "$work/$set_name/$1"
	if [ -n "$python" ]; then
		write_spec "$1" "$work/$set_name/$1"
		set -- "$python" -W ignore "$here/autobahn/wstest.py" "$suite" --spec "$work/$set_name/$1.json"
	else
		write_spec "$1" "/suite/$set_name/$1"
		set -- docker run --rm --network host -v "$work:/suite" "$image" wstest --spec "/suite/$set_name/$1.json"
	fi
	"$@" --mode fuzzingclient >"$log" 2>&1 </dev/null || { tail -30 "$log" >&2; return 1; }
}

# run_parts works off the parts, at most $jobs at a time, and fails if one of them did.
run_parts() {
	export set_name work here python suite image server_url
	export -f run_part write_spec
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
rm -rf "${work:?}/$set_name"
mkdir -p "$work/$set_name"
suite=
python=$(find_python27) || python=
if [ -n "$python" ]; then
	install_suite "$python"
elif ! docker image inspect "$image" >/dev/null 2>&1; then
	echo "autobahn: no python2.7 with pip on the PATH or under a pyenv, and docker has no image $image" >&2
	exit 1
fi
version_of_suite
# shellcheck disable=SC2086 # flags are words
start_server $flags
began=$SECONDS
status=0
run_parts || status=1
stop_server || status=1
python3 -B "$here/autobahn/check.py" "$wanted" "$work/$set_name"/*/index.json || status=1
echo "autobahn $set_name: $((SECONDS - began)) s in at most $jobs processes, reports in ${work#"$root"/}/$set_name/*/index.html"
exit "$status"
