#!/bin/sh
# tsung.sh PROGRAM: a user opens a connection, and sends the next message when the last one came back (ack="parse").
set -eu
payload=$(head -c "$SIZE" /dev/zero | tr '\0' x)
if [ "$MODE" = messages ]; then
	what="<for from=\"1\" to=\"100000000\" var=\"i\"><request><websocket type=\"message\" ack=\"parse\" frame=\"text\">$payload</websocket></request></for>"
else
	what="<thinktime value=\"$RUN_SECONDS\"/>"
fi
cat >"$WORK/tsung.xml" <<XML
<?xml version="1.0"?>
<!DOCTYPE tsung SYSTEM "/usr/share/tsung/tsung-1.0.dtd">
<tsung loglevel="warning">
  <clients><client host="localhost" use_controller_vm="true" maxusers="100000"/></clients>
  <servers><server host="127.0.0.1" port="$PORT" type="tcp"/></servers>
  <load duration="$RUN_SECONDS" unit="second">
    <arrivalphase phase="1" duration="$RUN_SECONDS" unit="second"><users maxnumber="$CONNECTIONS" arrivalrate="$((CONNECTIONS / 2 + 10))" unit="second"/></arrivalphase>
  </load>
  <sessions>
    <session name="echo" probability="100" type="ts_websocket">
      <request><websocket type="connect" path="/" origin="http://127.0.0.1"/></request>
      $what
    </session>
  </sessions>
</tsung>
XML
# Erlang starts a name server that stays: one of our own, on a port of our own, that ends with this script.
export ERL_EPMD_PORT="$SPARE" ERL_EPMD_ADDRESS=127.0.0.1
trap 'epmd -port "$SPARE" -kill >/dev/null 2>&1 || true' EXIT
trap 'exit 1' INT TERM
"$1" -f "$WORK/tsung.xml" -l "$WORK/tsung" start &
wait $!
