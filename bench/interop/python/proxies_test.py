"""Python's websockets through proxies in front of us: PROXIES says which, a line each: URL, and what "who" is answered with, or nothing.

HOST in the answer stands for the client's address, PORT for its port.
"""
import asyncio
import os
import unittest

from websockets.asyncio.client import connect

PROXIES = [line.split(maxsplit=1) for line in os.environ["PROXIES"].splitlines() if line.strip()]
LIMIT_S = 30


class ProxiesTest(unittest.IsolatedAsyncioTestCase):
    async def through(self, url, who):
        async with connect(url, proxy=None, max_size=1 << 24, compression=None) as ws:
            for size in (0, 1, 125, 126, 65535, 65536, 1 << 20):
                for message in (os.urandom(size), "g" * size):
                    await ws.send(message)
                    self.assertTrue(await ws.recv() == message, "%d bytes" % size)

            async def send_all():
                for i in range(500):
                    await ws.send("message %d" % i)

            sending = asyncio.create_task(send_all())
            for i in range(500):
                self.assertEqual(await ws.recv(), "message %d" % i)
            await sending
            await (await ws.ping(b"through"))
            if who:
                host, port = ws.local_address[:2]
                await ws.send("who")
                self.assertEqual(await ws.recv(), who.replace("HOST", host).replace("PORT", str(port)))
            await ws.close(4001, "enough")
        self.assertEqual(ws.close_code, 4001)

    async def test_through_each(self):
        for url, *who in PROXIES:
            with self.subTest(url=url):
                await asyncio.wait_for(self.through(url, who[0] if who else None), LIMIT_S)
                print("ok  ", url, flush=True)

    async def test_many_at_once(self):
        await asyncio.wait_for(asyncio.gather(*(self.through(url, None) for url, *_ in PROXIES for _ in range(5))), LIMIT_S)


if __name__ == "__main__":
    unittest.main()
