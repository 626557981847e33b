// What is sent where compression is looked at: messages that a compressor likes, hates and ignores, of sizes
// that grow and shrink. All of it is the same in every run.
import {Buffer} from 'node:buffer';

// mulberry32: 32 bits of state are enough for test data.
export function generator(seed) {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = Math.imul(state ^ (state >>> 15), state | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return (t ^ (t >>> 14)) >>> 0;
  };
}

const WORDS = ('the gannet folds its wings and falls from thirty metres into cold green water where mackerel turn; ' +
  'es stürzt der Basstölpel senkrecht in die See 日本海 🐦').split(' ');

function repeated(size, next, piece) {
  const parts = [];
  for (let length = 0; length < size;) {
    const part = Buffer.from(piece(next));
    parts.push(part);
    length += part.length;
  }
  return Buffer.concat(parts).subarray(0, size);
}

// Cut to a size, text may end within a rune; ASCII takes its place then.
const asText = (bytes) => {
  const text = bytes.toString('utf8').replace(/\ufffd+$/, '');
  return text + '.'.repeat(bytes.length - Buffer.byteLength(text));
};

export const kinds = {
  noise: (size, next) => {
    const bytes = Buffer.alloc(size);
    for (let i = 0; i < size; i++) bytes[i] = next();
    return bytes;
  },
  json: (size, next) => asText(repeated(size, next, () =>
    `{"id":${next() >>> 12},"user":"u${next() % 997}","price":${next() % 5000}.${next() % 100},"side":"${next() & 1 ? 'buy' : 'sell'}"},`)),
  prose: (size, next) => asText(repeated(size, next, () => WORDS[next() % WORDS.length] + ' ')),
  letter: (size) => 'g'.repeat(size),
};

// Up to 46,368 bytes and down again, by the golden ratio: 47 sizes.
const UP = [0, 1];
while (UP.at(-1) < 46_368) UP.push(Math.max(2, UP.at(-1) + UP.at(-2)));
export const WAVE = [...UP, ...UP.slice(0, -1).reverse()];

// The messages of one connection: of each kind named, in turn, at every size.
export function messages(sizes, names = Object.keys(kinds), seed = 1) {
  const next = generator(seed);
  return sizes.flatMap((size) => names.map((name) => kinds[name](size, next)));
}

export const bytesOf = (data) => Buffer.byteLength(data);
