// npm's ws as a server: ws.mjs MODE=PORT... See ../README.md, "What a server does".
import { createRequire } from 'node:module'

const { WebSocketServer } = createRequire(new URL('../node/package.json', import.meta.url))('ws')

const compression = {
  off: false,
  on: { threshold: 0 },
  alone: { threshold: 0, serverNoContextTakeover: true, clientNoContextTakeover: true },
  small: { threshold: 0, serverMaxWindowBits: 9, clientMaxWindowBits: 9 },
}
let lastClose = ''

const at = (request) => new URL(request.url, 'http://localhost')

// What each path does with an open connection. Messages to the others are echoed.
const paths = {
  '/close': (ws, query) => ws.close(Number(query.get('code')), query.get('reason')),
  '/drop': (ws) => ws.terminate(),
  '/headers': (ws, query, request) => ws.send(JSON.stringify(request.headers)),
  '/lastclose': (ws) => { ws.send(lastClose); ws.close(1000) },
  '/greet': (ws, query) => {
    for (let n = 0; n < Number(query.get('count')); n++) ws.send(String(n).padEnd(Number(query.get('size')), '.'))
  },
  '/slow': (ws) => { ws.pause(); setTimeout(() => ws.resume(), 500) },
  '/ping': (ws) => ws.on('pong', (data) => ws.send('pong ' + data)),
}

const answers = {
  '/ping': (ws, data) => ws.ping(data),
  '/fragments': (ws, data, binary) => {
    const third = Math.floor(data.length / 3)
    ws.send(data.subarray(0, third), { binary, fin: false })
    ws.ping('between')
    ws.send(data.subarray(third, 2 * third), { fin: false })
    ws.send(data.subarray(2 * third), { fin: true })
  },
}
const echo = (ws, data, binary) => ws.send(data, { binary })

// refuse answers /refuse, and lets everything else through.
function refuse({ req }, accept) {
  const url = at(req), status = Number(url.searchParams.get('status'))
  if (url.pathname !== '/refuse') return accept(true)
  accept(false, status, 'refused '.repeat(200),
    { 'X-Reason': 'interop', 'Retry-After': '7', Location: 'http://127.0.0.1:1/', 'Set-Cookie': 'seen=yes; Path=/' })
}

function choose(offered) {
  for (const name of offered) if (['chat.v1', 'chat.v2'].includes(name)) return name
  return false
}

for (const argument of process.argv.slice(2)) {
  const [mode, port] = argument.split('=')
  const server = new WebSocketServer({
    host: '127.0.0.1', port: Number(port), perMessageDeflate: compression[mode], verifyClient: refuse, handleProtocols: choose,
  })
  server.on('headers', (headers, request) => {
    const url = at(request)
    headers.push('X-Served-By: ws', 'Set-Cookie: seen=yes; Path=/')
    if (url.pathname === '/big') headers.push('X-Big: ' + 'b'.repeat(Number(url.searchParams.get('bytes'))))
  })
  server.on('connection', (ws, request) => {
    const url = at(request), answer = answers[url.pathname] ?? echo
    ws.on('error', (err) => console.error(url.pathname, err.message))
    ws.on('message', (data, binary) => answer(ws, data, binary))
    ws.on('close', (code, reason) => { if (url.pathname === '/echo') lastClose = `${code} ${reason}` })
    paths[url.pathname]?.(ws, url.searchParams, request)
  })
}
