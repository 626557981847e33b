// A user opens a connection, and sends the next message when the last one came back. With MODE=connections it holds the connection.
import { WebSocket } from 'k6/websockets';

const seconds = Number(__ENV.RUN_SECONDS);
const payload = 'x'.repeat(Number(__ENV.SIZE));

export const options = {
  scenarios: {
    all: { executor: 'per-vu-iterations', vus: Number(__ENV.CONNECTIONS), iterations: 1, maxDuration: `${seconds + 5}s`, gracefulStop: '1s' },
  },
};

export default function () {
  const ws = new WebSocket(__ENV.URL);
  ws.onopen = () => {
    setTimeout(() => ws.close(), seconds * 1000);
    if (__ENV.MODE === 'messages') {
      ws.onmessage = () => ws.send(payload);
      ws.send(payload);
    }
  };
}
