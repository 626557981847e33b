# Writes zlib.json: the messages compressed by Python's zlib, as RFC 7692 7.2.1 says.
# Windows of 8 bits are left out: zlib makes 9 of them.
import base64, json, os, zlib

here = os.path.dirname(os.path.abspath(__file__))
messages = [base64.b64decode(m) for m in json.load(open(os.path.join(here, "messages.json")))]
flushes = {"sync": zlib.Z_SYNC_FLUSH, "full": zlib.Z_FULL_FLUSH, "block": None}


def payloads(level, bits, strategy, takeover, flush):
    out, z = [], None
    for m in messages:
        if z is None or not takeover:
            z = zlib.compressobj(level, zlib.DEFLATED, -bits, 8, strategy)
        p = b""
        if flush == "block":  # RFC 7692 7.2.1: any number of blocks
            for i in range(0, len(m), 700):
                p += z.compress(m[i : i + 700]) + z.flush(zlib.Z_BLOCK)
            p += z.flush(zlib.Z_SYNC_FLUSH)
        elif flush == "finish":  # RFC 7692 7.2.3.4: BFINAL, and the octet that makes it end like the others
            p = z.compress(m) + z.flush(zlib.Z_FINISH) + b"\x00\x00\x00\xff\xff"
        else:
            p = z.compress(m) + z.flush(flushes[flush])
        assert p.endswith(b"\x00\x00\xff\xff")
        out.append(base64.b64encode(p[:-4]).decode())
    return out


streams = []
for level, bits, strategy, takeover, flush in [
    (6, 15, 0, True, "sync"), (6, 15, 0, False, "sync"), (9, 12, 0, True, "sync"), (1, 9, 0, True, "sync"),
    (6, 9, 0, False, "block"), (6, 15, 0, True, "block"), (6, 10, 0, True, "full"),
    (6, 15, zlib.Z_FIXED, True, "sync"), (6, 15, zlib.Z_HUFFMAN_ONLY, True, "sync"), (6, 15, zlib.Z_RLE, True, "sync"),
    (6, 15, 0, False, "finish"),
]:
    streams.append({"bits": bits, "takeover": takeover,
        "how": "level %d, strategy %d, flush %s" % (level, strategy, flush),
        "payloads": payloads(level, bits, strategy, takeover, flush)})
json.dump({"library": "zlib " + zlib.ZLIB_RUNTIME_VERSION, "streams": streams}, open(os.path.join(here, "zlib.json"), "w"), indent=0)
