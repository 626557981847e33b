// Writes ws.json: the messages compressed by Node's ws (npm install ws).
import { createRequire } from "node:module";
import { readFileSync, writeFileSync } from "node:fs";
const require = createRequire(import.meta.url);
const root = process.env.WS_MODULE ?? "ws";
const PerMessageDeflate = require(root + "/lib/permessage-deflate.js");
const { version } = require(root + "/package.json");
const at = (name) => new URL(name, import.meta.url);

const messages = JSON.parse(readFileSync(at("messages.json"))).map((m) => Buffer.from(m, "base64"));
const streams = [];
for (const [bits, takeover] of [[15, true], [15, false], [10, true]]) {
  const d = new PerMessageDeflate({ threshold: 0, isServer: true }, true);
  const offer = { server_max_window_bits: [String(bits)] };
  if (!takeover) offer.server_no_context_takeover = [true];
  d.accept([offer]);
  const payloads = [];
  for (const m of messages) {
    const p = await new Promise((ok, bad) => d.compress(m, true, (err, data) => (err ? bad(err) : ok(data))));
    payloads.push(p.toString("base64"));
  }
  streams.push({ bits, takeover, how: "as a server", payloads });
}
writeFileSync(at("ws.json"), JSON.stringify({ library: "ws " + version + ", node " + process.version, streams }, null, 0));
process.exit(0);
