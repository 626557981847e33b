#!/usr/bin/env bash
# Builds a peer that is not written in Go: foreign.sh node|tungstenite. Status 3: what builds it is missing.
#
# node: npm puts ws into node/node_modules; the server is node/server.mjs. tungstenite: cargo makes
# tungstenite/target/release/tungstenite-peer. Neither leaves a lock file in the repository: those name a registry's host.
set -euo pipefail
cd "$(dirname "$0")"
need() { command -v "$1" >/dev/null || { echo "$1 is missing: install $2" >&2; exit 3; }; }
case ${1:-} in
node)
	need node 'Node.js 20 or newer'
	need npm 'npm'
	cd node
	npm ls --silent >/dev/null 2>&1 || npm install --no-audit --no-fund --loglevel=error
	;;
tungstenite)
	need cargo "Rust 1.85 or newer (rustup, or Debian's cargo-web)"
	need cc 'a C compiler'
	cargo build --release --quiet --manifest-path tungstenite/Cargo.toml --target-dir tungstenite/target
	;;
*)
	echo 'usage: foreign.sh node|tungstenite' >&2
	exit 2
	;;
esac
