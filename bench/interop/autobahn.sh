#!/usr/bin/env bash
# The Autobahn test suite against gannet serve.
#
#   autobahn.sh [quick|limits|deflate|all]
#
# quick:   everything but 9, 12 and 13 (247 cases, in CI)
# limits:  9, messages up to 16 MiB (54 cases)
# deflate: 12 and 13, permessage-deflate (216 cases)
# all:     the 517 of them
#
# The suite needs Python 2.7: python2.7 on the PATH or under any pyenv, else the
# suite's container image if docker has it. The report is left in .cache/autobahn.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
. "$here/server.sh"

set_name=${1:-quick}
case $set_name in
quick) cases='"*"' exclude='"9.*", "12.*", "13.*"' wanted=247 flags='' ;;
limits) cases='"9.*"' exclude='' wanted=54 flags='' ;;
deflate) cases='"12.*", "13.*"' exclude='' wanted=216 flags='--deflate shared' ;;
all) cases='"*"' exclude='' wanted=517 flags='--deflate shared' ;;
*) echo "usage: $0 [quick|limits|deflate|all]" >&2; exit 2 ;;
esac

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

write_spec() { # folder for the reports, as the suite sees it
	cat >"$work/$set_name.json" <<-SPEC
		{"servers": [{"agent": "gannet", "url": "$server_url"}], "outdir": "$1",
		 "cases": [$cases], "exclude-cases": [$exclude], "exclude-agent-cases": {}}
	SPEC
}

run_with_python() { # python
	"$1" --version 2>&1
	"$1" -W ignore "$here/autobahn/wstest.py" "$suite" --autobahnversion
	write_spec "$work/$set_name"
	run_logged "$1" -W ignore "$here/autobahn/wstest.py" "$suite" --mode fuzzingclient --spec "$work/$set_name.json"
}

run_with_docker() {
	docker image inspect --format "{{index .RepoTags 0}} {{.Id}}" "$image"
	write_spec "/suite/$set_name"
	run_logged docker run --rm --network host -v "$work:/suite" "$image" \
		wstest --mode fuzzingclient --spec "/suite/$set_name.json"
}

# The suite prints a line per case; only a failure is worth showing.
run_logged() {
	"$@" >"$work/$set_name.log" 2>&1 </dev/null || { tail -30 "$work/$set_name.log" >&2; return 1; }
}

(cd "$here/autobahn" && python3 -B -m unittest check_test)
rm -rf "${work:?}/$set_name"
mkdir -p "$work/$set_name"
python=$(find_python27) || python=
if [ -n "$python" ]; then
	install_suite "$python"
elif ! docker image inspect "$image" >/dev/null 2>&1; then
	echo "autobahn: no python2.7 with pip on the PATH or under a pyenv, and docker has no image $image" >&2
	exit 1
fi
# shellcheck disable=SC2086 # flags are words
start_server $flags
began=$SECONDS
if [ -n "$python" ]; then run_with_python "$python"; else run_with_docker; fi
status=0
stop_server || status=1
python3 -B "$here/autobahn/check.py" "$work/$set_name/index.json" "$wanted" || status=1
echo "autobahn $set_name: $((SECONDS - began)) s, report in ${work#"$root"/}/$set_name/index.html"
exit "$status"
