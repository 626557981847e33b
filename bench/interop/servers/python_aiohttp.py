"""aiohttp as a server: python_aiohttp.py MODE=PORT... See ../README.md, "What a server does"."""
import asyncio
import json
import sys

from aiohttp import WSMsgType, web

last_close = ""


def converse(mode):
    async def handle(request):
        if request.path == "/refuse":
            return web.Response(status=int(request.query["status"]), text="refused " * 200, headers={
                "X-Reason": "interop", "Retry-After": "7", "Location": "http://127.0.0.1:1/", "Set-Cookie": "seen=yes; Path=/"})
        ws = web.WebSocketResponse(protocols=("chat.v2", "chat.v1"), compress=mode == "on", max_msg_size=0, autoping=False)
        ws.headers["X-Served-By"] = "aiohttp"
        ws.set_cookie("seen", "yes")
        if request.path == "/big":
            ws.headers["X-Big"] = "b" * int(request.query["bytes"])
        await ws.prepare(request)
        await begin(ws, request)
        await answer(ws, request.path)
        return ws
    return handle


async def begin(ws, request):
    path, query = request.path, request.query
    if path == "/close":
        await ws.close(code=int(query["code"]), message=query.get("reason", "").encode())
    elif path == "/drop":
        request.transport.abort()
    elif path == "/lastclose":
        await ws.send_str(last_close)
        await ws.close()
    elif path == "/headers":
        fields = {}
        for name, value in request.headers.items():
            fields.setdefault(name.lower(), []).append(value)
        await ws.send_str(json.dumps({name: ", ".join(values) for name, values in fields.items()}))
    elif path == "/greet":
        for n in range(int(query["count"])):
            await ws.send_str(str(n).ljust(int(query["size"]), "."))
    elif path == "/slow":
        await asyncio.sleep(0.5)


async def answer(ws, path):
    global last_close
    while not ws.closed:
        message = await ws.receive()
        if message.type == WSMsgType.PING:
            await ws.pong(message.data)
        elif message.type == WSMsgType.PONG:
            await ws.send_str("pong " + message.data.decode())
        elif message.type == WSMsgType.TEXT and path == "/ping":
            await ws.ping(message.data.encode())
        elif message.type == WSMsgType.TEXT:
            await ws.send_str(message.data)
        elif message.type == WSMsgType.BINARY:
            await ws.send_bytes(message.data)
        elif message.type == WSMsgType.CLOSE and path == "/echo":
            last_close = "%s %s" % (message.data, message.extra)


async def main(arguments):
    for argument in arguments:
        mode, port = argument.split("=")
        app = web.Application()
        app.router.add_get("/{path:.*}", converse(mode))
        runner = web.AppRunner(app, access_log=None)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", int(port)).start()
    await asyncio.get_running_loop().create_future()


asyncio.run(main(sys.argv[1:]))
