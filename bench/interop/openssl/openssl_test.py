"""OpenSSL's s_client against a running gannet serve over TLS.

GANNET_ADDR names it, GANNET_CA whom its certificate is by; GANNET_CLIENT_CERT is set if it demands one, and is that and its key.
"""
import base64
import hashlib
import json
import os
import re
import socket
import ssl
import subprocess
import tempfile
import threading
import time
import unittest
import urllib.request

ADDR = os.environ["GANNET_ADDR"]
CA = os.environ["GANNET_CA"]
OWN = os.environ.get("GANNET_CLIENT_CERT")
LIMIT_S = 20
KEY = "dGhlIHNhbXBsZSBub25jZQ=="
ACCEPT = base64.b64encode(hashlib.sha1((KEY + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11").encode()).digest())
REQUEST = ("GET /ws HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
           "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: %s\r\n\r\n" % KEY).encode()
CLOSE = b"\x88\x82\x00\x00\x00\x00\x03\xe8"  # 1000, under a key of zeros
plain = unittest.skipIf(OWN, "asked of the server that demands no certificate")


def text(payload):
    """A frame of text under a key of zeros, so that it stands in the output as it was sent."""
    n = len(payload)
    length = bytes([0x80 | n]) if n < 126 else b"\xfe" + n.to_bytes(2, "big") if n < 65536 else b"\xff" + n.to_bytes(8, "big")
    return b"\x81" + length + b"\0\0\0\0" + payload


class Client:
    """s_client, whose input is what a test says and whose output is read as it comes."""

    def __init__(self, *flags, own=OWN):
        command = ["openssl", "s_client", "-connect", ADDR, "-servername", "localhost", "-verify_hostname", "localhost",
                   "-CAfile", CA, "-verify_return_error", *flags]
        if own:
            command += ["-cert", own]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        self.output, self.at, self.ended = b"", 0, False
        self.changed = threading.Condition()
        self.reader = threading.Thread(target=self.read, daemon=True)
        self.reader.start()

    def read(self):
        while chunk := os.read(self.process.stdout.fileno(), 65536):
            with self.changed:
                self.output += chunk
                self.changed.notify()
        with self.changed:
            self.ended = True
            self.changed.notify()

    def expect(self, pattern):
        """Waits for what the output has to say behind what was expected before."""
        end = time.monotonic() + LIMIT_S
        with self.changed:
            while not (found := re.search(pattern, self.output[self.at:], re.S)):
                if self.ended or not self.changed.wait(max(0, end - time.monotonic())):
                    raise AssertionError("no %r in %r" % (pattern, self.output[self.at:][-1500:]))
            self.at += found.end()
            return found

    def send(self, data):
        self.process.stdin.write(data)
        self.process.stdin.flush()

    def upgrade(self):
        self.expect(rb"Verify return code: 0 \(ok\)")
        self.send(REQUEST)
        self.expect(b"101 Switching.*?" + re.escape(ACCEPT) + b".*?\r\n\r\n")

    def echo(self, payload):
        self.send(text(payload))
        self.expect(re.escape(payload))

    def command(self, letter, answer):
        """A command is what a piece of input begins with; s_client reads the end of the line with it and sends neither."""
        self.send(letter + b"\n")
        self.expect(answer)

    def close(self):
        self.send(CLOSE)
        self.expect(b"\x88\x02\x03\xe8.*?closed")  # s_client says so of close_notify, or of the end of TCP
        return self.process.wait(LIMIT_S)

    def end(self):
        self.process.kill()
        self.process.wait()
        self.reader.join()
        self.process.stdin.close()
        self.process.stdout.close()


def stats():
    context = ssl.create_default_context(cafile=CA)
    if OWN:
        context.load_cert_chain(OWN)
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=context))
    with direct.open("https://localhost:%s/stats" % ADDR.rsplit(":", 1)[1], timeout=LIMIT_S) as answer:
        return json.load(answer)["tls"]


class OpenSSLTest(unittest.TestCase):
    def client(self, *flags, **options):
        c = Client(*flags, **options)
        self.addCleanup(c.end)
        return c

    def test_handshake_echo_and_close_notify_in_each_version(self):
        for version in ("-tls1_2", "-tls1_3"):
            c = self.client(version, "-alpn", "http/1.1", "-msg")
            c.expect(rb"ALPN protocol: http/1.1")
            c.upgrade()
            c.echo(b"over " + version.encode())
            c.send(CLOSE)
            c.expect(rb"<<< [^\n]*Alert[^\n]*warning close_notify")
            c.expect(b"closed")

    def test_each_cipher(self):
        for flags in (("-tls1_3", "-ciphersuites", "TLS_AES_128_GCM_SHA256"), ("-tls1_3", "-ciphersuites", "TLS_AES_256_GCM_SHA384"),
                      ("-tls1_3", "-ciphersuites", "TLS_CHACHA20_POLY1305_SHA256"), ("-tls1_2", "-cipher", "ECDHE-ECDSA-AES128-GCM-SHA256"),
                      ("-tls1_2", "-cipher", "ECDHE-ECDSA-AES256-GCM-SHA384"), ("-tls1_2", "-cipher", "ECDHE-ECDSA-CHACHA20-POLY1305")):
            c = self.client(*flags)
            c.upgrade()
            c.echo(b"with " + flags[-1].encode())
            c.close()

    def test_a_second_hello(self):  # HelloRetryRequest: the first key share is of a group that nobody here speaks
        c = self.client("-tls1_3", "-groups", "X448:P-256", "-msg")
        c.expect(rb"<<< [^\n]*ServerHello.*>>> [^\n]*ClientHello.*<<< [^\n]*ServerHello")
        c.upgrade()
        c.echo(b"after two hellos")
        c.close()

    def test_short_records(self):
        for version in ("-tls1_2", "-tls1_3"):
            c = self.client(version, "-max_send_frag", "512", "-split_send_frag", "512")
            c.upgrade()
            c.echo(os.urandom(70000).hex()[:70000].encode())
            c.close()

    def test_key_updates(self):
        c = self.client("-tls1_3")
        c.upgrade()
        for n in range(10):
            for letter in (b"K", b"k"):  # with and without asking for the server's
                c.command(letter, b"KEYUPDATE")
                c.echo(b"%s, the %dth time" % (letter, n))
        c.close()

    def test_renegotiation_is_refused(self):
        other = self.client("-tls1_2")
        other.upgrade()
        c = self.client("-tls1_2")
        c.upgrade()
        c.command(b"R", b"RENEGOTIATING")
        c.expect(b"alert (no renegotiation|unexpected message)")
        self.assertIsNotNone(c.process.wait(LIMIT_S))
        other.echo(b"nobody else is disturbed")
        other.close()

    def test_resumption(self):
        before = stats()["resumed"]
        for version in ("-tls1_2", "-tls1_3"):
            with tempfile.TemporaryDirectory() as folder:
                session = folder + "/session"
                first = self.client(version, "-sess_out", session)
                first.upgrade()
                first.echo(b"a ticket has come")
                first.close()
                for n in range(2):
                    again = self.client(version, "-sess_in", session)
                    again.expect(rb"Reused, TLSv1")
                    again.upgrade()
                    again.echo(b"resumed")
                    again.close()
        self.assertGreaterEqual(stats()["resumed"] - before, 4)

    @plain
    def test_what_cannot_agree_is_told_so_and_counted(self):
        before = stats()["failed"]
        for reason, flags, alert in (("version", ("-tls1_1", "-cipher", "DEFAULT@SECLEVEL=0"), b"protocol version"),
                                     ("cipher", ("-tls1_2", "-cipher", "DHE"), b"handshake failure"),
                                     ("alpn", ("-alpn", "h2"), b"no application protocol")):
            c = self.client(*flags)
            c.expect(b"alert " + alert)
            end = time.monotonic() + LIMIT_S
            while stats()["failed"].get(reason, 0) <= before.get(reason, 0):
                self.assertLess(time.monotonic(), end, "%s is not counted: %s" % (reason, stats()))
                time.sleep(0.1)

    @plain
    def test_a_client_that_does_not_trust_us_is_counted(self):
        before = stats()["failed"].get("refused", 0)
        c = self.client("-verify_hostname", "elsewhere.example")
        c.expect(b"hostname mismatch")
        end = time.monotonic() + LIMIT_S
        while stats()["failed"].get("refused", 0) <= before:
            self.assertLess(time.monotonic(), end, str(stats()))
            time.sleep(0.1)

    def test_plain_http_is_answered_400(self):
        host, port = ADDR.rsplit(":", 1)
        for request in (b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n", REQUEST, b"POST / HTTP/1.0\r\nContent-Length: 100000\r\n\r\n" + b"x" * 100000):
            with socket.create_connection((host, int(port)), LIMIT_S) as s:
                s.settimeout(LIMIT_S)
                try:
                    s.sendall(request)
                except OSError:
                    pass  # the answer is there all the same
                answer = b""
                while chunk := s.recv(4096):
                    answer += chunk
            self.assertRegex(answer, rb"(?s)^HTTP/1.0 400 Bad Request\r\n.*HTTPS")

    @unittest.skipUnless(OWN, "asked of the server that demands a certificate")
    def test_client_certificates(self):
        before = stats()["failed"].get("certificate", 0)
        for version, alert in (("-tls1_2", b"alert (bad certificate|handshake failure|certificate required)"), ("-tls1_3", b"alert (certificate required|bad certificate)")):
            c = self.client(version)
            c.expect(rb"Acceptable client certificate CA names")
            c.upgrade()
            c.echo(b"with a certificate")
            c.close()
            self.client(version, own=None).expect(alert)
        end = time.monotonic() + LIMIT_S
        while stats()["failed"].get("certificate", 0) < before + 2:
            self.assertLess(time.monotonic(), end, str(stats()))
            time.sleep(0.1)


if __name__ == "__main__":
    unittest.main(verbosity=2)
