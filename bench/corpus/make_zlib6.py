# Writes zlib6.txt: what zlib's level 6 makes of the corpora, in bytes a message, with context takeover and without, and
# the CRC-32 of all messages one after the other. The second half is counted, when there is a history.
import base64, json, os, sys, zlib

out = []
for name, messages in json.load(open(sys.argv[1])).items():
    messages = [base64.b64decode(m) for m in messages]
    sizes = []
    for takeover in (True, False):
        z, size, half = None, 0, len(messages) // 2
        for i, m in enumerate(messages):
            if z is None or not takeover:
                z = zlib.compressobj(6, zlib.DEFLATED, -15, 8)
            n = len(z.compress(m) + z.flush(zlib.Z_SYNC_FLUSH)) - 4
            if i >= half:
                size += min(len(m), n)
        sizes.append(size / (len(messages) - half))
    out.append("%s: %.1f %.1f %08x" % (name, *sizes, zlib.crc32(b"".join(messages))))
open(os.path.join(os.path.dirname(os.path.abspath(__file__)), "zlib6.txt"), "w").write("\n".join(out) + "\n")
