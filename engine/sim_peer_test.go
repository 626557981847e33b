package engine

import (
	"encoding/binary"
	"fmt"
	"io"
	"math/rand/v2"

	"github.com/gannet-ws/gannet/codec"
	"github.com/gannet-ws/gannet/engine/internal/netio"
	"github.com/gannet-ws/gannet/engine/internal/sim"
)

// fate is how a peer's part ends.
type fate int

const (
	staysOpen fate = iota
	closes
	breaksRule // a violation: the engine must refuse it with the right code
	halfCloses // ends its half without a Close frame
	vanishes   // closes its socket
	resets
)

// fates are what peers are dealt: more of them break rules than do in life.
var fates = [...]fate{staysOpen, closes, breaksRule, breaksRule, breaksRule, halfCloses, vanishes, resets}

// simPeer is the far end of a connection, with a part to play.
type simPeer struct {
	rng     *rand.Rand
	end     simEnd
	scanner wireScanner
	opener  *simOpener // of a sealed connection
	buf     []byte

	deflater *simDeflater // when permessage-deflate was agreed on

	plan      fate
	messages  int  // it still wants to send
	speed     int  // most bytes it reads at a time
	silent    bool // it answers no ping
	deafClose bool // it answers no Close
	eager     bool // it does not wait for the 101
	bursts    bool // it sends very many messages, very small
	hoards    bool // it begins a large message, and no more

	rarelyLong int // one of so many messages is long, where they can be compressed

	pend []byte // to be written

	// A server's.
	ask       *simAsk // what it is to be asked; nil: it is a client
	kind      bool    // its answer is right
	agreed    *simAgreement
	protocol  string
	fault     string // its answer is wrong, for this reason
	breaksOff bool   // it ends in the middle of the answer
	onAnswer  func() // it has answered as it should

	open, refused  bool   // by the response
	over           bool   // it sends nothing more of its own
	hoarding       bool   // it is in the middle of a message for ever
	later          []byte // the rest of a message that it takes its time over
	begun          digest // which
	closeSent      bool   // in pend or written
	closeRead      bool
	dead           bool // its socket is closed
	polite         bool // it kept to the protocol to the end
	sent           []digest
	broke          int  // the close code that its violation is owed; 0: none
	deep           bool // who does not look into messages does not notice it
	closeCode      int  // of its own Close; 0: none
	pings          uint32
	ponged         int // our pings that it answered
	received       int // messages wholly read
	sawEnd, sawRST bool
	truncated      bool // the end came without close_notify
}

// newSimPeer is a peer that plays a client.
func newSimPeer(r *rand.Rand, end simEnd, id int) *simPeer {
	p := &simPeer{rng: r, end: end, buf: make([]byte, 64<<10), polite: true, rarelyLong: 30}
	p.scanner.to, p.scanner.skims = p, true
	p.speed = []int{100, 1 << 10, 4 << 10, 64 << 10}[r.IntN(4)]
	p.messages = r.IntN(40)
	if r.IntN(3) != 0 {
		p.messages, p.plan = r.IntN(10), fates[r.IntN(len(fates))]
	}
	p.silent, p.deafClose, p.eager = r.IntN(8) == 0, r.IntN(12) == 0, r.IntN(4) == 0
	p.bursts, p.hoards = r.IntN(4) == 0, r.IntN(6) == 0
	p.pend = fmt.Appendf(nil, "GET /%d HTTP/1.1\r\nHost: sim.test\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"+
		"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n%s\r\n", id, randomOffer(r))
	return p
}

func (p *simPeer) String() string {
	return fmt.Sprintf("open %v, over %v, dead %v, to write %d, violation %d, Close sent %v, read %v, answered %v, end %v, reset %v",
		p.open, p.over, p.dead, len(p.pend), p.broke, p.closeSent, p.closeRead, !p.deafClose, p.sawEnd, p.sawRST)
}

// step is one thing that a peer does.
func (p *simPeer) step() {
	if p.dead {
		return
	}
	switch r := p.rng.IntN(10); {
	case r < 4:
		p.end.Flush()
		p.flush(1 + p.rng.IntN(1+len(p.pend)))
	case r < 7:
		p.read(1 + p.rng.IntN(p.speed))
	default:
		p.produce()
	}
}

// serve is what a patient peer does: it takes all there is and answers. It reports whether
// there was something.
func (p *simPeer) serve() (busy bool) {
	for !p.dead && (p.flush(len(p.pend)) || p.end.Flush()) {
		busy = true
	}
	for !p.dead && p.read(len(p.buf)) {
		busy = true
	}
	return busy
}

func (p *simPeer) flush(n int) bool {
	if n = min(n, len(p.pend)); n == 0 {
		return false
	}
	n, err := p.end.Write(p.pend[:n])
	if err != nil {
		p.pend = nil
		p.polite, p.over = false, true
		return false
	}
	if p.pend = p.pend[n:]; p.breaksOff && len(p.pend) == 0 {
		p.end.CloseWrite()
	}
	return n > 0
}

func (p *simPeer) read(n int) bool {
	n, err := p.end.Read(p.buf[:min(n, len(p.buf))])
	switch err {
	case nil:
		b := p.buf[:n]
		if p.opener != nil {
			b = p.opener.open(b)
		}
		p.scanner.feed(b)
		return true
	case netio.ErrAgain:
		return false
	case io.EOF:
		p.sawEnd = true
	case sim.ErrTruncated:
		p.sawEnd, p.truncated = true, true
	default:
		p.sawRST = true
	}
	p.shut()
	return true
}

func (p *simPeer) shut() {
	p.dead, p.over, p.pend = true, true, nil
	p.end.Close()
}

// produce makes the next thing to send.
func (p *simPeer) produce() {
	if p.over || !p.open && !p.eager || len(p.pend) > 1<<20 {
		return
	}
	if p.messages--; p.messages >= 0 {
		for p.rng.IntN(2) == 0 {
			p.ping()
		}
		p.message()
		for p.bursts && p.rng.IntN(40) != 0 {
			p.message()
		}
		return
	}
	if !p.open || p.rng.IntN(3) != 0 {
		return
	}
	if p.hoards {
		p.hoard()
		return
	}
	p.over = p.plan != staysOpen
	switch p.plan {
	case closes:
		p.sendClose([]int{1000, 1001, 1005, 3000, 4999}[p.rng.IntN(5)])
	case breaksRule:
		p.violate()
	case halfCloses:
		p.polite = false
		p.pend = nil
		p.end.CloseWrite()
	case vanishes:
		p.polite = false
		p.shut()
	case resets:
		p.polite = false
		p.dead, p.pend = true, nil
		p.end.Reset()
	}
}

// message sends a random message, in one frame or many, with pings between them.
func (p *simPeer) message() {
	n := randomSize(p.rng)
	if p.bursts {
		n = p.rng.IntN(8)
	}
	op, data := randomPayload(p.rng, n)
	if p.deflater != nil && !p.bursts && p.rng.IntN(p.rarelyLong) == 0 {
		op, data = OpText, cutText(p.rng, materials.phrases, (100+p.rng.IntN(100))<<10)
	}
	p.sent = append(p.sent, digestOf(op, data))
	if p.deflater != nil && p.rng.IntN(4) != 0 {
		p.compressed(op, data)
	} else {
		p.fragments(op, data, false)
	}
}

// fragments sends a payload in one frame or many, with pings between them.
func (p *simPeer) fragments(op Opcode, data []byte, rsv1 bool) {
	if p.rng.IntN(3) != 0 {
		p.headed(op, true, rsv1, data)
		return
	}
	for first := true; ; first = false {
		n := p.rng.IntN(len(data) + 1)
		fin := p.rng.IntN(4) == 0
		if fin {
			n = len(data)
		}
		if !first {
			op, rsv1 = codec.OpContinuation, false
		}
		p.headed(op, fin, rsv1, data[:n])
		if data = data[n:]; fin {
			return
		}
		if p.rng.IntN(3) == 0 {
			p.ping()
		}
	}
}

func (p *simPeer) frame(op Opcode, fin bool, data []byte) { p.headed(op, fin, false, data) }

func (p *simPeer) headed(op Opcode, fin, rsv1 bool, data []byte) {
	if p.ask != nil {
		p.pend = codec.AppendFrame(p.pend, op, fin, rsv1, data)
		return
	}
	var key [4]byte
	binary.NativeEndian.PutUint32(key[:], p.rng.Uint32())
	p.pend = codec.AppendMaskedFrame(p.pend, op, fin, rsv1, key, data)
}

// header is the header of a frame whose payload is not said.
func (p *simPeer) header(op Opcode, n uint64) {
	if p.ask != nil {
		p.pend = codec.AppendHeader(p.pend, op, true, false, n)
	} else {
		p.pend = codec.AppendMaskedHeader(p.pend, op, true, false, n, [4]byte{})
	}
}

// hoard begins a message that it never ends.
func (p *simPeer) hoard() {
	p.over = true
	if data := materials.binary[:(60+p.rng.IntN(120))<<10]; p.deflater != nil {
		p.headed(OpBinary, false, true, p.deflater.message(data))
	} else {
		p.header(OpBinary, 200<<10)
		p.pend = append(p.pend, data...)
	}
	p.hoarding, p.silent, p.deafClose = true, true, true // all else would be part of it
}

// ping sends a ping that says its number.
func (p *simPeer) ping() {
	p.pings++
	body := binary.BigEndian.AppendUint32(nil, p.pings)
	p.frame(OpPing, true, append(body, materials.binary[:p.rng.IntN(122)]...))
}

func (p *simPeer) sendClose(code int) {
	if p.closeSent || p.hoarding {
		return
	}
	p.closeSent, p.over, p.closeCode = true, true, code
	p.frame(OpClose, true, codec.AppendCloseBody(nil, code, ""))
}

// violate breaks one rule for certain.
func (p *simPeer) violate() {
	p.polite = false
	p.broke = 1002
	if p.deflater != nil && p.rng.IntN(5) != 0 {
		p.violateDeflated()
		return
	}
	switch p.rng.IntN(8) {
	case 0:
		p.wronglyMasked()
	case 1:
		p.frame(Opcode(3), true, nil)
	case 2:
		p.violateRSV1()
	case 3:
		p.frame(OpPing, false, nil)
	case 4:
		p.frame(codec.OpContinuation, true, nil)
	case 5:
		p.frame(OpText, true, []byte("caf\xe9"))
		p.broke, p.deep = 1007, true
	case 6:
		p.frame(OpClose, true, []byte{3, 237}) // 1005
	case 7:
		p.header(OpBinary, simMaxMessage+1)
		p.broke = 1009
	}
	for range p.rng.IntN(12) { // nothing of this may be processed
		p.frame(OpBinary, true, materials.binary[:p.rng.IntN(30_000)])
	}
}

// wronglyMasked: RFC 6455 5.1 wants a client's frames masked, and no server's.
func (p *simPeer) wronglyMasked() {
	if p.ask != nil {
		p.pend = append(p.pend, 0x82, 0x81, 1, 2, 3, 4, 'x')
	} else {
		p.pend = append(p.pend, 0x82, 0x01, 'x')
	}
}

func (p *simPeer) onHead(head string) {
	if p.ask != nil {
		p.answers(head)
		return
	}
	p.open = len(head) > 12 && head[9:12] == "101"
	if p.refused = !p.open; p.refused {
		p.over, p.pend = true, nil
	}
	if a := p.scanner.agreed; a != nil {
		p.deflater = newSimDeflater(p.rng, a)
	}
}

func (p *simPeer) onFrame(Opcode, bool, bool, uint64) {}
func (p *simPeer) onData([]byte)                      {}
func (p *simPeer) onIllegal(string)                   {}
func (p *simPeer) onMessageEnd()                      { p.received++ }

func (p *simPeer) onControl(op Opcode, body []byte) {
	switch {
	case op == OpClose:
		p.closeRead = true
		if !p.deafClose {
			code := 1005
			if len(body) >= 2 {
				code = int(binary.BigEndian.Uint16(body))
			}
			if p.deep && code != p.broke {
				p.broke = 0 // the engine was closing already and did not look into messages any more
			}
			if p.broke == 0 && code >= 1000 && code < 5000 {
				p.sendClose(code)
			}
		}
		p.over = true
	case op == OpPing && !p.silent && !p.closeSent && p.broke == 0:
		p.ponged++
		p.frame(OpPong, true, body)
	}
}
