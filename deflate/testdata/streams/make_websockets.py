# Writes websockets.json: the messages compressed by Python's websockets (pip install websockets).
import base64, json, os
import websockets
from websockets.extensions.permessage_deflate import PerMessageDeflate
from websockets.frames import Frame, Opcode

here = os.path.dirname(os.path.abspath(__file__))
messages = [base64.b64decode(m) for m in json.load(open(os.path.join(here, "messages.json")))]
streams = []
for bits, takeover in [(15, True), (15, False), (12, True), (9, True)]:
    d = PerMessageDeflate(not takeover, not takeover, bits, bits, {"memLevel": 5})
    out = []
    for m in messages:
        f = d.encode(Frame(Opcode.BINARY, m))
        assert f.rsv1
        out.append(base64.b64encode(bytes(f.data)).decode())
    streams.append({"bits": bits, "takeover": takeover, "how": "memLevel 5", "payloads": out})
json.dump({"library": "websockets " + websockets.__version__, "streams": streams}, open(os.path.join(here, "websockets.json"), "w"), indent=0)
