"""Python's websockets against a running gannet serve in echo mode. GANNET_URL names it."""
import asyncio
import faulthandler
import logging
import os
import unittest

import websockets
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, ConnectionClosedError, InvalidStatus
from websockets.frames import Frame, Opcode

URL = os.environ["GANNET_URL"]
LIMIT_S = 30
logging.getLogger("asyncio").setLevel(logging.ERROR)  # unittest's debug mode reports every slow step


def dial(**options):
    return connect(URL, proxy=None, max_size=1 << 24, **options)


class WebsocketsTest(unittest.IsolatedAsyncioTestCase):
    def setUp(self):  # a test that hangs says where, and ends the run
        faulthandler.dump_traceback_later(LIMIT_S, exit=True)
        self.addCleanup(faulthandler.cancel_dump_traceback_later)

    async def echo(self, ws, message):
        await ws.send(message)
        back = await ws.recv()
        self.assertIs(type(back), type(message))
        self.assertTrue(back == message, "%d in, %d other out" % (len(message), len(back)))

    async def test_every_length_class_text_and_binary(self):
        for compression in (None, "deflate"):
            async with dial(compression=compression) as ws:
                for size in (0, 1, 125, 126, 127, 65535, 65536, 1 << 20):
                    await self.echo(ws, os.urandom(size))
                    await self.echo(ws, "g" * size)
                await self.echo(ws, "héllo, 日本語, 🐦, \0 and \ufeff")

    async def test_pings_are_answered_with_their_payload(self):
        async with dial() as ws:
            for payload in (b"", b"ping", os.urandom(125)):
                await ws.pong(b"nobody asked")
                latency = await (await ws.ping(payload))
                self.assertGreaterEqual(latency, 0)

    async def test_fragments_with_a_ping_between(self):
        async with dial(compression=None) as ws:
            pong = None

            async def parts():
                nonlocal pong
                for part in ("a gannet ", "", "dives ", "deep: 🐦"):
                    yield part
                    if part == "":
                        pong = await ws.ping(b"in between")

            await ws.send(parts())
            self.assertEqual(await ws.recv(), "a gannet dives deep: 🐦")
            await pong

    async def test_order_of_pipelined_messages(self):
        async with dial() as ws:
            async def send_all():
                for i in range(2000):
                    await ws.send("message %d" % i)

            sending = asyncio.create_task(send_all())
            for i in range(2000):
                self.assertEqual(await ws.recv(), "message %d" % i)
            await sending

    async def test_close_codes_come_back(self):
        for code, reason in ((1000, ""), (1001, "going"), (3000, "bye"), (4999, "é" * 61)):
            with self.subTest(code=code):
                ws = await dial()
                await ws.close(code, reason)
                self.assertEqual((ws.close_code, ws.protocol.close_sent.reason), (code, reason))
                self.assertEqual(ws.protocol.close_rcvd.code, code)
                self.assertFalse(ws.protocol.close_rcvd_then_sent)

    async def test_protocol_violations_get_their_code(self):
        bad = {
            "invalid UTF-8": (Frame(Opcode.TEXT, b"ab\xff"), 1007),
            "overlong UTF-8 in an unfinished message": (Frame(Opcode.TEXT, b"\xc0\xaf", fin=False), 1007),
            "a surrogate": (Frame(Opcode.TEXT, b"\xed\xa0\x80"), 1007),
            "a Close of 126 bytes": (Frame(Opcode.BINARY, b"\x03\xe8" + b"r" * 124), 1002),
            "a continuation of nothing": (Frame(Opcode.CONT, b"ab"), 1002),
            "a Close of one byte": (Frame(Opcode.CLOSE, b"\x03"), 1002),
            "a Close with 1005": (Frame(Opcode.CLOSE, b"\x03\xed"), 1002),
            "a Close with a reason that is not UTF-8": (Frame(Opcode.CLOSE, b"\x03\xe8\xff"), 1007),
        }
        for name, (frame, code) in bad.items():
            with self.subTest(name):
                ws = await dial(compression=None)
                wire = bytearray(frame.serialize(mask=True))
                if name == "a Close of 126 bytes":  # which the library itself will not write
                    wire[0] = 0x88
                ws.transport.write(bytes(wire))  # past the library's state
                with self.assertRaises(ConnectionClosedError) as caught:
                    await ws.recv()
                self.assertEqual(caught.exception.rcvd.code, code)

    async def test_a_plain_request_is_told_to_upgrade(self):
        host, port = URL.split("/")[2].split(":")
        reader, writer = await asyncio.open_connection(host, port, ssl=URL.startswith("wss:") or None)
        writer.write(b"GET /ws HTTP/1.1\r\nHost: gannet\r\nConnection: close\r\n\r\n")
        self.assertIn(b" 426 ", await reader.readline())
        writer.close()

    async def test_another_origin_is_refused(self):
        with self.assertRaises(InvalidStatus) as caught:
            await dial(origin="https://elsewhere.example")
        self.assertEqual(caught.exception.response.status_code, 403)

    async def test_many_at_once(self):
        async def one(n):
            async with dial() as ws:
                for i in range(10):
                    await self.echo(ws, "%d/%d" % (n, i) * (n + 1))

        await asyncio.gather(*(one(n) for n in range(200)))

    async def test_a_vanished_client_disturbs_nobody(self):
        async with dial() as stays:
            for _ in range(20):
                ws = await dial()
                await ws.send(b"x" * 100_000)
                ws.transport.abort()
                with self.assertRaises(ConnectionClosed):
                    while True:
                        await ws.recv()
            await self.echo(stays, "still here")


if __name__ == "__main__":
    print("websockets", websockets.__version__)
    unittest.main(verbosity=2)
