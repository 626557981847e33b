"""Python's websockets as a server: python_websockets.py MODE=PORT... See ../README.md, "What a server does"."""
import asyncio
import json
import sys
from urllib.parse import parse_qs, urlsplit

from websockets.asyncio.server import serve
from websockets.exceptions import ConnectionClosed
from websockets.extensions.permessage_deflate import ServerPerMessageDeflateFactory

MODES = {
    "off": {"compression": None},
    "on": {"compression": "deflate"},
    "alone": {"compression": None, "extensions": [
        ServerPerMessageDeflateFactory(server_no_context_takeover=True, client_no_context_takeover=True)]},
    "small": {"compression": None, "extensions": [
        ServerPerMessageDeflateFactory(server_max_window_bits=9, client_max_window_bits=9)]},
}
last_close = ""


def at(ws):
    """The path of a connection's request, and its query."""
    url = urlsplit(ws.request.path)
    return url.path, {name: values[0] for name, values in parse_qs(url.query).items()}


def refuse(ws, request):
    url = urlsplit(request.path)
    if url.path != "/refuse":
        return None
    response = ws.respond(int(parse_qs(url.query)["status"][0]), "refused " * 200)
    for name, value in {"X-Reason": "interop", "Retry-After": "7", "Location": "http://127.0.0.1:1/",
                        "Set-Cookie": "seen=yes; Path=/"}.items():
        response.headers[name] = value
    return response


def decorate(ws, request, response):
    if response.status_code != 101:
        return
    path, query = at(ws)
    response.headers["X-Served-By"] = "websockets"
    response.headers["Set-Cookie"] = "seen=yes; Path=/"
    if path == "/big":
        response.headers["X-Big"] = "b" * int(query["bytes"])


def choose(ws, offered):
    return next((name for name in offered if name in ("chat.v1", "chat.v2")), None)


async def in_fragments(ws, message):
    third = len(message) // 3
    yield message[:third]
    await ws.ping("between")
    yield message[third:2 * third]
    yield message[2 * third:]


async def converse(ws):
    global last_close
    path, query = at(ws)
    if path == "/close":
        return await ws.close(int(query["code"]), query.get("reason", ""))
    if path == "/drop":
        return ws.transport.abort()
    if path == "/lastclose":
        return await ws.send(last_close)
    if path == "/headers":
        await ws.send(json.dumps(joined(ws.request.headers)))
    if path == "/greet":
        for n in range(int(query["count"])):
            await ws.send(str(n).ljust(int(query["size"]), "."))
    if path == "/slow":
        await asyncio.sleep(0.5)
    try:
        while True:
            message = await ws.recv()
            if path == "/ping":
                await (await ws.ping(message))
                await ws.send("pong " + message)
            elif path == "/fragments":
                await ws.send(in_fragments(ws, message))
            else:
                await ws.send(message)
    except ConnectionClosed:
        if path == "/echo":
            last_close = "%d %s" % (ws.close_code, ws.close_reason)


def joined(headers):
    fields = {}
    for name, value in headers.raw_items():
        name = name.lower()
        fields[name] = fields[name] + ", " + value if name in fields else value
    return fields


async def main(arguments):
    for argument in arguments:
        mode, port = argument.split("=")
        await serve(converse, "127.0.0.1", int(port), process_request=refuse, process_response=decorate,
                    select_subprotocol=choose, max_size=None, ping_interval=None, **MODES[mode])
    await asyncio.get_running_loop().create_future()


asyncio.run(main(sys.argv[1:]))
