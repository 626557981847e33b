#!/bin/sh
# websocat.sh PROGRAM: a process a connection, which sends lines as fast as the server takes them: it waits for no answer.
set -eu
line=$(head -c "$SIZE" /dev/zero | tr '\0' x)
i=0
while [ "$i" -lt "$CONNECTIONS" ]; do
	i=$((i + 1))
	if [ "$MODE" = messages ]; then
		yes "$line" | timeout --foreground "$RUN_SECONDS" "$1" "$URL" >/dev/null &
	else
		sleep "$RUN_SECONDS" | "$1" "$URL" >/dev/null &
	fi
done
wait
