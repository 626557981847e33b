"""Python's websockets speaking permessage-deflate (RFC 7692) with a running gannet serve in echo mode.

GANNET_URL names the server, GANNET_DEFLATE and GANNET_WINDOW its --deflate and --deflate-window. Both directions
are zlib's: its streams are read by the server, and it reads the server's.
"""
import asyncio
import faulthandler
import itertools
import json
import logging
import os
import random
import time
import unittest
import urllib.request
import zlib

import websockets
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosedError
from websockets.extensions.permessage_deflate import ClientPerMessageDeflateFactory
from websockets.frames import Frame, Opcode

URL = os.environ["GANNET_URL"]
MODE = os.environ.get("GANNET_DEFLATE") or "off"
WINDOW = int(os.environ.get("GANNET_WINDOW") or 15)
LIMIT_S = 60
WORDS = "the gannet folds its wings and falls from thirty metres; es stürzt der Basstölpel in die See 日本海 🐦".split()
# Up to 46,368 bytes and down again, by the golden ratio.
UP = [0, 1, 2, 3]
while UP[-1] < 46368:
    UP.append(UP[-1] + UP[-2])
WAVE = UP + UP[-2::-1]
logging.getLogger("asyncio").setLevel(logging.ERROR)  # unittest's debug mode reports every slow step


def text_of(size, piece):
    """A text of exactly so many bytes, made of pieces."""
    parts, length = [], 0
    while length < size:
        parts.append(piece())
        length += len(parts[-1].encode())
    text = "".join(parts).encode()[:size].decode(errors="ignore")
    return text + "." * (size - len(text.encode()))


KINDS = {
    "noise": lambda size, r: r.randbytes(size),
    "json": lambda size, r: text_of(size, lambda: json.dumps({"id": r.randrange(10**6), "side": r.choice(["buy", "sell"]), "price": r.random()})),
    "prose": lambda size, r: text_of(size, lambda: r.choice(WORDS) + " "),
    "letter": lambda size, r: "g" * size,
}


def messages(sizes, kinds=tuple(KINDS), seed=1):
    """Of each kind, in turn, at every size; the same in every run."""
    r = random.Random(seed)
    return [KINDS[kind](size, r) for size in sizes for kind in kinds]


def bytes_of(message):
    return len(message.encode() if isinstance(message, str) else message)


def stats():
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with direct.open(URL.replace("ws", "http", 1).removesuffix("ws") + "stats", timeout=5) as answer:
        return json.load(answer)["deflate"]


def offer(server_bits=None, client_bits=True, server_nct=False, client_nct=False, **settings):
    return ClientPerMessageDeflateFactory(
        server_no_context_takeover=server_nct, client_no_context_takeover=client_nct, server_max_window_bits=server_bits,
        client_max_window_bits=client_bits, compress_settings=settings or None)


def agreed(o):
    """What RFC 7692 7.1 and the server's policy make of an offer: what its decoder and our encoder may do."""
    if MODE == "off":
        return None
    client_bits = 15 if o.client_max_window_bits in (None, True) else o.client_max_window_bits
    unbounded = o.client_max_window_bits is None and WINDOW < 15  # it cannot be told a window: it may not keep one
    return {
        "remote_no_context_takeover": o.server_no_context_takeover or MODE == "alone",
        "local_no_context_takeover": o.client_no_context_takeover or unbounded,
        "remote_max_window_bits": min(o.server_max_window_bits or 15, WINDOW),
        "local_max_window_bits": 15 if o.client_max_window_bits is None else min(client_bits, WINDOW),
    }


class DeflateTest(unittest.IsolatedAsyncioTestCase):
    def setUp(self):  # a test that hangs says where, and ends the run
        faulthandler.dump_traceback_later(LIMIT_S, exit=True)
        self.addCleanup(faulthandler.cancel_dump_traceback_later)

    async def dial(self, o=None):
        o = o or offer()
        ws = await connect(URL, proxy=None, compression=None, max_size=1 << 24, extensions=[o])
        got = [{name: getattr(e, name) for name in agreed(o) or ()} for e in ws.protocol.extensions]
        self.assertEqual(got, [] if MODE == "off" else [agreed(o)])
        return ws

    async def exchange(self, ws, all_of_them):
        async def send():
            for message in all_of_them:
                await ws.send(message)

        sending = asyncio.create_task(send())
        for i, want in enumerate(all_of_them):
            got = await ws.recv()
            self.assertIs(type(got), type(want))
            self.assertTrue(got == want, "message %d: %d out, %d other back" % (i, len(want), len(got)))
        await sending

    async def test_every_agreement(self):
        # zlib has no raw window of 8 bits to write with: a client that offers 8 must not be held to it (and with this
        # server it is, so its windows begin at 9). Reading one is another matter.
        every = [offer(s, c, *takeover) for s in (None, 8, 9, 10, 11, 12, 13, 14, 15) for c in (None, True, 9, 12, 15)
                 for takeover in itertools.product((False, True), repeat=2)]
        every += [offer(s, c) for s in (8, 15) for c in (9, 10, 11, 12, 13, 14, 15)]
        for o in every:
            if WINDOW < 9 and o.client_max_window_bits is not None:
                o.client_max_window_bits = None
            with self.subTest(o.get_request_params()):
                async with await self.dial(o) as ws:
                    await self.exchange(ws, messages(WAVE[::2]))

    async def test_a_thousand_messages_one_by_one(self):
        async with await self.dial(self.plain()) as ws:
            r = random.Random(5)
            for _ in range(1000):
                await self.exchange(ws, [KINDS[r.choice(list(KINDS))](r.randrange(4000), r)])

    async def test_beyond_a_mebibyte(self):
        async with await self.dial(self.plain()) as ws:
            await self.exchange(ws, messages([70, 1 << 20, 0, 3_000_001, 200, (1 << 20) + 1, 130]))

    async def test_every_way_zlib_writes(self):
        settings = [{"level": level} for level in range(10)]
        settings += [{"strategy": s} for s in (zlib.Z_FILTERED, zlib.Z_HUFFMAN_ONLY, zlib.Z_RLE, zlib.Z_FIXED)]
        settings += [{"memLevel": m} for m in (1, 9)]
        for setting in settings:
            with self.subTest(setting):
                async with await self.dial(self.plain(**setting)) as ws:
                    await self.exchange(ws, messages(WAVE + [200_000]))

    def plain(self, **settings):
        """An offer of nothing in particular, but for a server whose window zlib cannot write."""
        return offer(client_bits=None if WINDOW < 9 else True, **settings)

    async def counted(self, act, wanted):
        """What the server's counters grew by; it counts a turn when that ends, and an echo may leave before."""
        before, end = stats(), time.monotonic() + 5
        await act()
        while True:
            now = stats()
            grown = {name: now[name] - before[name] for name in now}
            if grown["messagesIn"] == wanted or time.monotonic() > end:
                return grown
            await asyncio.sleep(0.01)

    async def test_messages_are_compressed_both_ways(self):
        worthwhile = messages([n for n in WAVE if n >= (128 if MODE == "own" else 64)], ["json", "prose", "letter"])
        size, count = sum(map(bytes_of, worthwhile)), len(worthwhile)

        async def act():
            async with await self.dial(self.plain()) as ws:
                await self.exchange(ws, worthwhile)

        grown = await self.counted(act, 0 if MODE == "off" else count)
        if MODE == "off":
            self.assertEqual((grown["messagesIn"], grown["messagesOut"]), (0, 0))
            return
        self.assertEqual((grown["messagesIn"], grown["messagesOut"]), (count, count))
        self.assertEqual((grown["bytesIn"], grown["bytesOut"]), (size, size))
        self.assertLess(grown["wireBytesIn"], size / 2)
        self.assertLess(grown["wireBytesOut"], size / 2)

    async def test_earlier_messages_are_pointed_at_if_agreed(self):
        # Sixteen letters: half of their length alone, and a few bytes where the same were in an earlier message.
        again = [text_of(100, lambda r=random.Random(3): chr(65 + r.randrange(16)))] * 20
        for server_nct, client_nct in itertools.product((False, True), repeat=2):
            o = offer(client_bits=None if WINDOW < 9 else True, server_nct=server_nct, client_nct=client_nct)
            with self.subTest(o.get_request_params()):
                async def act():
                    async with await self.dial(o) as ws:
                        await self.exchange(ws, again)

                grown = await self.counted(act, 0 if MODE == "off" else len(again))
                if MODE == "off":
                    self.assertEqual(grown["messagesIn"], 0)
                    continue
                alone, pointing = 0.45 * 2000, 0.25 * 2000
                keeps = agreed(o)
                self.assertEqual(grown["wireBytesIn"] < pointing, not keeps["local_no_context_takeover"], grown)
                self.assertEqual(grown["wireBytesIn"] > alone, keeps["local_no_context_takeover"], grown)
                if MODE != "own":  # which forgets at messages under 128 bytes
                    self.assertEqual(grown["wireBytesOut"] < pointing, not keeps["remote_no_context_takeover"], grown)
                    self.assertEqual(grown["wireBytesOut"] > alone, keeps["remote_no_context_takeover"], grown)

    async def test_fragments_with_pings_between(self):
        for client_nct in (False, True):
            async with await self.dial(offer(client_bits=None if WINDOW < 9 else True, client_nct=client_nct)) as ws:
                for kind in ("json", "noise", "prose"):
                    parts = messages([0, 1, 100, 0, 5000, 70_000, 3, 0], [kind])

                    async def one_by_one():
                        for part in parts:
                            yield part
                            await ws.ping()

                    await ws.send(one_by_one())
                    self.assertTrue(await ws.recv() == type(parts[0])().join(parts))
                    await self.exchange(ws, messages([300, 20], [kind]))

    async def test_violations_get_their_code(self):
        whole = self.stream(b"a gannet dives")
        bad = {
            "a reserved block type": ([(0xC2, b"\x07")], 1007),
            "a stored block that contradicts itself": ([(0xC2, b"\x00\x01\x00\x01\x00a")], 1007),
            "an end inside a block": ([(0xC2, whole[:4])], 1007),
            "a distance before the first byte": ([(0xC2, self.stream(b"abcdefgh" * 3, b"abcdefgh" * 8))], 1007),
            "text that is not UTF-8": ([(0xC1, self.stream(b"ab\xff"))], 1007),
            "text cut within a rune": ([(0xC1, self.stream("日".encode()[:2]))], 1007),
            "RSV1 on a continuation": ([(0x42, whole[:3]), (0xC0, whole[3:])], 1002),
            "RSV1 on a ping": ([(0xC9, b"")], 1002),
            "RSV2 on a compressed message": ([(0xE2, whole)], 1002),
        }
        for name, (frames, code) in bad.items():
            with self.subTest(name):
                ws = await self.dial(self.plain())
                for first, payload in frames:
                    self.write(ws, first, payload)
                with self.assertRaises(ConnectionClosedError) as caught:
                    await ws.recv()
                self.assertEqual(caught.exception.rcvd.code, 1002 if MODE == "off" else code)

    @staticmethod
    def write(ws, first, payload):
        """A frame whose first byte is this, past the library, which would not send it."""
        wire = bytearray(Frame(Opcode.BINARY, payload).serialize(mask=True))
        wire[0] = first
        ws.transport.write(bytes(wire))

    @staticmethod
    def stream(data, dictionary=b""):
        """A message as RFC 7692 7.2.1 makes it of data."""
        z = zlib.compressobj(9, zlib.DEFLATED, -9, 8, zlib.Z_DEFAULT_STRATEGY, *([dictionary] if dictionary else []))
        return (z.compress(data) + z.flush(zlib.Z_SYNC_FLUSH)).removesuffix(b"\0\0\xff\xff")

    async def test_a_final_block_with_more_behind_it(self):
        """RFC 7692 7.2.3.4 and 7.2.3.5: BFINAL=1 ends a block and not the message."""
        async with await self.dial(self.plain()) as ws:
            if MODE == "off":
                return
            final = zlib.compress(b"one, ", wbits=-9)
            z = zlib.compressobj(wbits=-9)
            both = final + z.compress(b"two") + z.flush(zlib.Z_SYNC_FLUSH)
            for payload, want in ((zlib.compress(b"Hello", wbits=-9) + b"\0", "Hello"), (both.removesuffix(b"\0\0\xff\xff"), "one, two")):
                self.write(ws, 0xC1, payload)
                self.assertEqual(await ws.recv(), want)

    async def test_many_at_once(self):
        async def one(n):
            async with await self.dial(self.plain()) as ws:
                for i in range(4):
                    await self.exchange(ws, messages([n, 10 * n, 100 * n, 7], seed=n + 100 * i))

        await asyncio.gather(*(one(n) for n in range(50)))


if __name__ == "__main__":
    print("websockets", websockets.__version__, "zlib", zlib.ZLIB_RUNTIME_VERSION)
    unittest.main(verbosity=2)
