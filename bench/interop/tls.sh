#!/usr/bin/env bash
# gannet serve over TLS, with programs that nobody here wrote: OpenSSL's s_client, curl, npm's ws, Python's websockets, Debian's Chromium, and nginx and
# haproxy, which connect to us over TLS and end TLS in front of us.
#
#   tls.sh [openssl|curl|ws|websockets|chromium|nginx|haproxy ...]    all of them by default
#
# A program that is missing is a failure, never a skip. Each has its own time limit.
# The last line is the number of runs that passed and failed.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
. "$here/server.sh"
. "$here/programs.sh"
[ -z "${GANNET_ADDR:-}" ] || { echo "interop: tls.sh starts servers of its own, and takes no GANNET_ADDR" >&2; exit 2; }

LIMIT_S=60 # of each program; all of them together take a minute
work=$cache/tls
rm -rf "$work"
mkdir -p "$work"
PATH=$PATH:/usr/sbin # nginx, haproxy

running=()
trap 'kill_server; [ ${#running[@]} -eq 0 ] || kill -KILL "${running[@]}" 2>/dev/null || true' EXIT

# authority NAME: one that signs certificates; signed NAME AUTHORITY EXTENSIONS: one of those, and its key. All for a day.
authority() {
	openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 1 -subj "/CN=$1" \
		-keyout "$work/$1.key" -out "$work/$1.pem" 2>>"$work/openssl.log"
}
signed() {
	openssl req -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -subj "/CN=$1" -keyout "$work/$1.key" -out "$work/$1.csr" 2>>"$work/openssl.log" &&
		openssl x509 -req -in "$work/$1.csr" -days 1 -CA "$work/$2.pem" -CAkey "$work/$2.key" -extfile <(echo "$3") \
			-out "$work/$1.pem" 2>>"$work/openssl.log"
}
certificates() {
	need openssl "Debian's package openssl" && openssl version && authority ca && authority clients &&
		signed localhost ca 'subjectAltName=DNS:localhost,IP:127.0.0.1' && signed client clients 'extendedKeyUsage=clientAuth' &&
		cp "$work/localhost.pem" "$work/cert.pem" && cp "$work/localhost.key" "$work/key.pem" &&
		cat "$work/cert.pem" "$work/key.pem" >"$work/both.pem" && cat "$work/client.pem" "$work/client.key" >"$work/own.pem"
}

openssl_() {
	need openssl "Debian's package openssl" && need python3 'Python 3.11 or newer' &&
		GANNET_ADDR=$server_addr GANNET_CA=$work/ca.pem timeout -k 5 "$LIMIT_S" python3 -B "$here/openssl/openssl_test.py"
}

curl_() {
	need curl "Debian's package curl" && curl --version | head -1 && timeout -k 5 "$LIMIT_S" "$here/curl/tls.sh" "$server_addr" "$work"
}

ws() {
	install_ws && NODE_EXTRA_CA_CERTS=$work/ca.pem timeout -k 5 "$LIMIT_S" \
		node --test --test-concurrency=1 --test-reporter="$here/node/quiet.mjs" "$here/node/ws.test.mjs"
}

websockets() {
	install_python && SSL_CERT_FILE=$work/ca.pem timeout -k 5 "$LIMIT_S" "$venv/bin/python" -B "$here/python/websockets_test.py"
}

# pin is what the server's own line says.
chromium() {
	local pin
	pin=$(sed -n 's|.*--pin sha256//\([^ ]*\) .*|\1|p' "$server_log")
	need node 'Node 20 or newer' && need "${CHROMIUM:-chromium}" "Debian's package chromium" &&
		GANNET_PIN=$pin GANNET_PAGE=https://$server_addr/ timeout -k 5 120 \
			node --test --test-concurrency=1 --test-reporter="$here/node/quiet.mjs" "$here/browser/page.test.mjs"
}

# launch NAME PORT COMMAND...: a program that stands beside the server, until it listens.
launch() {
	local log=$work/$1.log address=127.0.0.1:$2 tick
	"${@:3}" >"$log" 2>&1 </dev/null &
	running+=($!)
	for tick in $(seq 100); do
		! answers "$address" || return 0
		sleep 0.1
	done
	echo "interop: nothing listens on $address; what $1 said:" && tail -5 "$log"
	return 1
}

declare -A ports
# start_proxy NAME FILE COMMAND...: the proxy with FILE as its configuration, and what stands behind it beside the server.
start_proxy() {
	local port
	for port in CLIENT END FORWARDED HEADER PROXIED; do ports[$port]=$(free_port); done
	sed "s|@WORK@|$work|; s|@TLS@|${server_addr##*:}|; s|@CLIENT@|${ports[CLIENT]}|; s|@END@|${ports[END]}|; s|@FORWARDED@|${ports[FORWARDED]}|
		s|@HEADER@|${ports[HEADER]}|; s|@PROXIED@|${ports[PROXIED]}|" "$here/servers/$2" >"$work/$2"
	build behind ./bench/interop/behind &&
		launch behind-forwarded "${ports[FORWARDED]}" "$cache/bin/behind" -addr "127.0.0.1:${ports[FORWARDED]}" &&
		launch behind-header "${ports[HEADER]}" "$cache/bin/behind" -addr "127.0.0.1:${ports[HEADER]}" -proxy-protocol &&
		launch behind-proxied "${ports[PROXIED]}" "$cache/bin/behind" -addr "127.0.0.1:${ports[PROXIED]}" -proxy-protocol \
			-cert "$work/cert.pem" -key "$work/key.pem" &&
		launch "$1" "${ports[CLIENT]}" "${@:3}" "$work/$2"
}

through() { # what to ask, see proxies_test.py
	install_python && PROXIES=$1 SSL_CERT_FILE=$work/ca.pem timeout -k 5 "$LIMIT_S" "$venv/bin/python" -B "$here/python/proxies_test.py"
}

nginx_() {
	need nginx "Debian's package nginx" && nginx -v && start_proxy nginx nginx-tls.conf nginx -p "$work" -e stderr -c &&
		through "ws://127.0.0.1:${ports[CLIENT]}/ws
			ws://127.0.0.1:${ports[CLIENT]}/tls12
			wss://localhost:${ports[END]}/ws HOST:0 wss://localhost:${ports[END]}/ws" &&
		echo "figures through nginx: $(curl --silent --noproxy '*' --fail --max-time 5 "http://127.0.0.1:${ports[CLIENT]}/stats" | grep -o '"tls":[^}]*')"
}

haproxy_() {
	need haproxy "Debian's package haproxy" && haproxy -v | sed -n 1p && start_proxy haproxy haproxy-tls.cfg haproxy -db -f &&
		through "ws://127.0.0.1:${ports[CLIENT]}/ws
			ws://127.0.0.1:${ports[CLIENT]}/tls12
			ws://127.0.0.1:${ports[CLIENT]}/proxied HOST:PORT wss://127.0.0.1:${ports[CLIENT]}/proxied
			wss://localhost:${ports[END]}/ws HOST:0 wss://localhost:${ports[END]}/ws
			wss://localhost:${ports[END]}/header HOST:PORT ws://localhost:${ports[END]}/header"
}

# settled: see settled.py. OWN is the certificate that the server demands.
settled() {
	SSL_CERT_FILE=$work/ca.pem python3 -B "$here/settled.py" "https://$server_addr/stats"
}

# asks WANTED NAME COMMAND: runs it if it is wanted.
wanted=" ${*:-openssl curl ws websockets nginx haproxy chromium} "
asks() { [[ "$wanted" != *" $1 "* ]] || try "$2" "$3"; }

for name in $wanted; do
	case $name in openssl | curl | ws | websockets | chromium | nginx | haproxy) ;; *) echo "interop: no program '$name'" >&2; exit 2 ;; esac
done
certificates

start_server --cert "$work/cert.pem" --key "$work/key.pem"
export GANNET_URL=wss://localhost:${server_addr##*:}/ws
asks openssl 'openssl s_client' openssl_
asks curl curl curl_
asks ws "npm's ws" ws
asks websockets "Python's websockets" websockets
asks nginx nginx nginx_
asks haproxy haproxy haproxy_
try 'nothing left behind' settled
try 'clean end by SIGTERM' stop_server

start_server --cert "$work/cert.pem" --key "$work/key.pem" --client-ca "$work/clients.pem"
export GANNET_CLIENT_CERT=$work/own.pem
asks openssl 'openssl s_client, client certificates' openssl_
asks curl 'curl, client certificates' curl_
unset GANNET_CLIENT_CERT
try 'clean end by SIGTERM, client certificates' stop_server

start_server --self-signed
asks chromium 'chromium, self-signed' chromium
try 'clean end by SIGTERM, self-signed' stop_server
tally
