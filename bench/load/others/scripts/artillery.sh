#!/bin/sh
# artillery FILE: a user opens a connection, and sends the next message when the last one came back (capture waits for it).
set -eu
payload=$(head -c "$SIZE" /dev/zero | tr '\0' x)
cat >"$WORK/artillery.yml" <<YAML
config:
  target: "$URL"
  timeout: 30
  phases: [{duration: 1, arrivalCount: $CONNECTIONS}]
scenarios:
  - engine: ws
    flow:
$(if [ "$MODE" = messages ]; then
	cat <<FLOW
      - loop:
          - send: {payload: "$payload", capture: [{regexp: "x", as: "got"}]}
        count: 100000000
FLOW
else
	echo "      - think: $RUN_SECONDS"
fi)
YAML
export ARTILLERY_DISABLE_TELEMETRY=true
exec "$1" run --quiet "$WORK/artillery.yml"
