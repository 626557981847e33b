# Writes messages.json: the messages that every library below compressed, base64.
import base64, json, os

state = 12345


def rand(n):
    global state
    state = (state * 1103515245 + 12345) % 2**31
    return (state >> 8) % n


def orders(n):
    out = []
    while sum(map(len, out)) < n:
        out.append('{"id":%d,"user":"u%d","price":%d.%02d,"side":"%s"},' % (rand(10**6), rand(997), rand(5000), rand(100), "buy" if rand(2) else "sell"))
    return ("[" + "".join(out))[:n].encode()


messages = [
    b"", b"Hello", b"Hello", b"x",
    orders(100), orders(100), orders(1024), orders(1024), orders(1024),
    "κόσμε \U0001f600 ".encode() * 20,
    bytes(rand(256) for _ in range(2000)),
    b"a" * 40000,
    orders(12000),
    b"\x00\x00\xff\xff" * 3,
    orders(300),
]
path = os.path.join(os.path.dirname(__file__), "messages.json")
json.dump([base64.b64encode(m).decode() for m in messages], open(path, "w"), indent=0)
