"""After the clients have gone: settled.py STATS_URL.

The server must soon have no connection left, no handler may have panicked, and
nothing may have been left in a buffer.
"""
import json
import sys
import time
import urllib.request

LIMIT_S = 10


def stats(url):
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with direct.open(url, timeout=5) as answer:
        return json.load(answer)


def faults(now):
    """What is not as it should be; a number that is missing is a fault too."""
    wanted = {"open": 0, "connecting": 0, "panics": 0, "inboundBytes": 0}
    found = ["%s is %s" % (name, now.get(name)) for name, want in wanted.items() if now.get(name) != want]
    if (conns := now.get("deflate", {}).get("conns")) != 0:
        found.append("deflate conns is %s" % conns)
    if (out := now.get("buffers", {}).get("out")) != 0:
        found.append("%s buffers are out" % out)
    if not now.get("messagesIn"):
        found.append("no message was counted")
    return found


def main(url):
    end = time.monotonic() + LIMIT_S
    while (found := faults(now := stats(url))) and time.monotonic() < end:
        time.sleep(0.1)
    for fault in found:
        print("FAIL stats: " + fault)
    deflate = now.get("deflate", {})
    print("stats: %d connections accepted, %d messages in; compressed: %d in, %d out" % (
        now.get("accepted", 0), now.get("messagesIn", 0), deflate.get("messagesIn", 0), deflate.get("messagesOut", 0)))
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
