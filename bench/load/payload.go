package load

import (
	"fmt"
	"math/rand/v2"
	"os"
	"unicode/utf8"

	"github.com/gannet-ws/gannet/engine"
)

// Recipe makes the messages of a run, each from its Mark alone: so one that comes back can be made again and compared. It is not
// changed once it is made, and any number of goroutines may use it.
type Recipe struct {
	Op     engine.Opcode
	pieces []piece
	window []byte // what Size bytes are cut from, each message at another place; nil: there are pieces
	size   int
	marked bool // messages begin with their mark
}

// spread is how many messages of Size bytes differ from each other.
const spread = 1 << 12

// NewRecipe makes what p's payload says. Errors are of the field that is wrong: see [ErrPlan].
func NewRecipe(p *Plan) (*Recipe, error) {
	m := &Recipe{Op: engine.OpText}
	if p.Binary {
		m.Op = engine.OpBinary
	}
	fanout := p.Scenario == Fanout
	switch y := &p.Payload; {
	case y.File != "":
		b, err := os.ReadFile(y.File)
		if err != nil {
			return nil, refuse("payload.file", "%w: it has to be there on every machine that sends", err)
		}
		m.pieces = []piece{{text: string(b)}}
	case y.Template != "":
		var err error
		if m.pieces, err = parseTemplate(y.Template); err != nil {
			return nil, refuse("payload.template", "%w", err)
		}
	case y.Text != "":
		m.pieces = []piece{{text: y.Text}}
	default:
		m.size, m.marked = y.Size, fanout
		return m, m.fill(p)
	}
	if fanout && !m.stamps() {
		return nil, refuse("payload", "readers of a fan-out know a message by its stamp: use a template with {{.Stamp}} somewhere in it, or size")
	}
	return m, m.checkText()
}

// stamps tells whether each message has a stamp.
func (m *Recipe) stamps() bool {
	for i := range m.pieces {
		if m.pieces[i].field == fieldStamp {
			return true
		}
	}
	return m.marked
}

// checkText refuses text that is none.
func (m *Recipe) checkText() error {
	for i := range m.pieces {
		if m.Op == engine.OpText && !utf8.ValidString(m.pieces[i].text) {
			return refuse("payload", "text messages are UTF-8 (RFC 6455 5.6), and this is not: set binary")
		}
	}
	return nil
}

// fill makes the window: twice the random part, so that a message may begin anywhere in the first half.
func (m *Recipe) fill(p *Plan) error {
	if m.marked && m.size < StampBytes {
		return refuse("payload.size", "%d bytes have no room for the stamp by which readers of a fan-out know a message: at least %d", m.size, StampBytes)
	}
	kind := p.Payload.Kind
	if kind == "" {
		kind = map[bool]string{true: "noise", false: "letters"}[p.Binary]
	}
	r := rand.New(rand.NewPCG(p.Seed, 0x10ad))
	switch kind {
	case "letters":
		m.window = letters(r, m.size+spread)
	case "noise":
		if !p.Binary {
			return refuse("payload.kind", "noise is no UTF-8, which text messages are (RFC 6455 5.6): set binary, or use letters or json")
		}
		m.window = noise(r, m.size+spread)
	case "zero":
		m.window = make([]byte, m.size+spread)
		if !p.Binary {
			for i := range m.window {
				m.window[i] = '0'
			}
		}
	case "json":
		if m.marked {
			return refuse("payload.kind", "json has no room for the stamp of a fan-out: use a template with {{.Stamp}} in one of its strings")
		}
		return m.fillJSON(r)
	default:
		return refuse("payload.kind", "%q is none of letters, noise, json, zero", kind)
	}
	return nil
}

// fillJSON makes one document of the size, {"text":"..."}, which is every message.
func (m *Recipe) fillJSON(r *rand.Rand) error {
	const least = len(`{"text":""}`)
	if m.size < least {
		return refuse("payload.size", "%d bytes have no room for json: at least %d", m.size, least)
	}
	m.pieces = []piece{{text: `{"text":"`}, {text: string(letters(r, m.size-least))}, {text: `"}`}}
	return nil
}

// letters are words of small letters: they compress about as English does.
func letters(r *rand.Rand, n int) []byte {
	b := make([]byte, 0, n+16)
	words := [64]string{}
	for i := range words {
		w := make([]byte, 2+r.IntN(9))
		for k := range w {
			w[k] = byte('a' + r.IntN(26))
		}
		words[i] = string(w)
	}
	for len(b) < n {
		b = append(append(b, words[min(r.IntN(64), r.IntN(64))]...), ' ')
	}
	return b[:n]
}

// noise does not compress.
func noise(r *rand.Rand, n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(r.Uint32())
	}
	return b
}

// Append appends the message that has the mark. It allocates only when dst has no room.
func (m *Recipe) Append(dst []byte, k *Mark) []byte {
	if m.window == nil {
		for i := range m.pieces {
			dst = m.pieces[i].appendTo(dst, k)
		}
		return dst
	}
	at := int((uint64(k.Conn)*0x9e3779b97f4a7c15 + uint64(k.Seq)*0xbf58476d1ce4e5b9) >> 52) // below spread
	start := len(dst)
	dst = append(dst, m.window[at:at+m.size]...)
	if m.marked {
		k.append(dst[start:start])
	}
	return dst
}

// Same tells whether got is the message that has the mark, and says what differs if it is not. room is used for the message, and returned.
func (m *Recipe) Same(got, room []byte, k *Mark) (differs string, _ []byte) {
	room = m.Append(room[:0], k)
	switch {
	case len(got) != len(room):
		return fmt.Sprintf("%d bytes instead of %d", len(got), len(room)), room
	case string(got) != string(room):
		return "other bytes", room
	}
	return "", room
}
