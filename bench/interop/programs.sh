# Sourced by the scripts beside it, after server.sh: the programs of others, installed below .cache, and what went well with them.

need() { # program, what brings it
	command -v "$1" >/dev/null || { echo "interop: $1 is missing ($2)"; return 1; }
}

install_ws() {
	need npm 'Node 20 or newer' && (
		cd "$here/node" && { [ -n "${ws_installed:-}" ] || npm ci --no-audit --no-fund --loglevel=error; } &&
			echo "node $(node --version), ws $(node -p 'require("ws/package.json").version')"
	) && ws_installed=yes
}

# install_python sets venv: websockets and aiohttp.
install_python() {
	venv=$cache/venv-$(sha256sum "$here/python/requirements.txt" | cut -c1-12)
	need python3 'Python 3.11 or newer' || return 1
	[ -e "$venv/installed" ] || {
		rm -rf "$venv" && python3 -m venv "$venv" &&
			"$venv/bin/pip" install --quiet -r "$here/python/requirements.txt" && touch "$venv/installed"
	} || return 1
	"$venv/bin/python" --version
}

# try NAME COMMAND...: a failure does not hide what comes after it.
passed=0
failed=()
try() {
	echo "--- $1"
	if "${@:2}" 2>&1; then
		passed=$((passed + 1))
	else
		failed+=("$1")
	fi
}

# tally prints how many passed and failed, last, and fails if any did.
tally() {
	[ ${#failed[@]} -eq 0 ] || printf 'FAIL %s\n' "${failed[@]}"
	echo "interop: $passed passed, ${#failed[@]} failed"
	[ ${#failed[@]} -eq 0 ]
}
