package engine

import (
	"bytes"
	"encoding/binary"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/gannet-ws/gannet/engine/internal/handshake"
)

// secret is what one connection tells us and no other may ever hear.
const secret = "\xa5\x5aTHE-SECRET-OF-ANOTHER-PEER\xa5\x5a"

// TestNothingElseEverLeaves: connections that leave secrets in every pooled buffer, by every
// way to end, alternate with one whose whole output is known beforehand, byte by byte.
// Nothing uninitialised, nothing of an earlier message, nothing twice.
func TestNothingElseEverLeaves(t *testing.T) {
	r := newTapeRig(t, scribe(), Options{})
	seeds := 300
	if raceEnabled {
		seeds = 60
	}
	for seed := range seeds {
		rnd := rand.New(rand.NewPCG(uint64(seed), 6455))
		r.leaveSecrets(rnd)
		r.expectExactly(rnd)
		if t.Failed() {
			t.Fatal("seed", seed)
		}
	}
}

// scribe answers each message with itself, in the way that its first byte asks for.
func scribe() Funcs {
	return Funcs{Message: func(c *Conn, m Message) {
		if len(m.Data) == 0 {
			_ = c.Send(m.Op, m.Data)
			return
		}
		switch m.Data[0] % 5 {
		case 0:
			_ = c.Send(m.Op, m.Data)
		case 1:
			_ = c.SendOwned(m.Op, m.Retain())
		case 2:
			_ = c.SendPrepared(must(Prepare(m.Op, m.Data)))
		case 3:
			w := c.NewWriter(m.Op)
			_, _ = w.Write(m.Data)
			_ = w.Close()
		case 4:
			b := c.loop.engine.pool.Get(len(m.Data) + 1000)
			b.B = append(b.B, m.Data...)
			_ = c.SendOwned(m.Op, b)
		}
	}}
}

// leaveSecrets fills buffers of many sizes with secrets: messages whole and unfinished,
// queued answers that nobody takes, heads of requests, control frames, close reasons.
func (r *tapeRig) leaveSecrets(rnd *rand.Rand) {
	r.connect()
	r.feed([]byte(requestFor("/"+strings.Repeat("S", rnd.IntN(3000)), "X-Secret: THE-SECRET")[:rnd.IntN(200)+50]))
	r.end()
	r.open()
	r.sys.room = rnd.IntN(5000)
	for range rnd.IntN(8) {
		p := bytes.Repeat([]byte(secret), 1+rnd.IntN(3000))
		r.feed(maskedFrame(0x82, p[:rnd.IntN(len(p))]))
	}
	r.feed(maskedFrame(0x89, []byte(secret)))
	p := bytes.Repeat([]byte(secret), 1+rnd.IntN(3000))
	half := maskedFrame(0x02, p)
	r.feed(half[:rnd.IntN(len(half))])
	if rnd.IntN(2) == 0 {
		r.conn().Terminate()
		r.settle()
	}
	r.end()
}

// expectExactly opens a connection whose every byte of output is foretold, sends it messages
// in random frames and reads, through a socket with little room, and compares.
func (r *tapeRig) expectExactly(rnd *rand.Rand) {
	c := r.open()
	want := handshake.AppendSwitching(nil, []byte(attackerKey), "", "", r.l.date.text, nil)
	for range 1 + rnd.IntN(12) {
		var p []byte
		if rnd.IntN(8) > 0 {
			p = make([]byte, rnd.IntN([]int{10, 130, 5000, 40_000, 70_000, 300_000}[rnd.IntN(6)]))
			for i := range p {
				p[i] = byte(rnd.Uint32())
			}
		}
		r.sys.room = rnd.IntN(20_000)
		r.feedInPieces(rnd, p)
		want = appendAnswer(want, p)
		for rnd.IntN(3) == 0 {
			r.sys.room += rnd.IntN(50_000)
			r.settle()
		}
	}
	reason := strings.Repeat("r", rnd.IntN(124))
	if err := c.CloseWith(3000+rnd.IntN(2000), reason); err != nil {
		r.t.Fatal(err)
	}
	r.sys.room = -1
	r.settle()
	got := r.sys.out
	if !bytes.HasPrefix(got, want) {
		at := 0
		for at < len(got) && at < len(want) && got[at] == want[at] {
			at++
		}
		r.t.Errorf("%d bytes left, %d were foretold; they differ at %d", len(got), len(want), at)
	} else if tail := got[len(want):]; len(tail) != 4+len(reason) || tail[0] != 0x88 || !bytes.HasSuffix(tail, []byte(reason)) {
		r.t.Errorf("the Close is % x", tail)
	}
	if bytes.Contains(got, []byte("SECRET")) {
		r.t.Error("a secret left")
	}
	r.end()
}

// feedInPieces sends one binary message in random fragments and reads.
func (r *tapeRig) feedInPieces(rnd *rand.Rand, p []byte) {
	var say []byte
	first := byte(0x02)
	for rnd.IntN(3) == 0 && len(p) > 1 {
		n := rnd.IntN(len(p))
		say = append(say, maskedFrame(first, p[:n])...)
		first, p = 0, p[n:]
	}
	say = append(say, maskedFrame(first|0x80, p)...)
	for len(say) > 0 {
		n := min(len(say), 1+rnd.IntN(100_000))
		r.feed(bytes.Clone(say[:n]))
		say = say[n:]
	}
}

// appendAnswer appends what scribe answers to p.
func appendAnswer(dst, p []byte) []byte {
	head := func(first byte, n int) {
		switch {
		case n < 126:
			dst = append(dst, first, byte(n))
		case n < 1<<16:
			dst = binary.BigEndian.AppendUint16(append(dst, first, 126), uint16(n))
		default:
			dst = binary.BigEndian.AppendUint64(append(dst, first, 127), uint64(n))
		}
	}
	if len(p) > 0 && p[0]%5 == 3 { // a writer: the message, and an empty last fragment
		head(0x02, len(p))
		dst = append(dst, p...)
		head(0x80, 0)
		return dst
	}
	head(0x82, len(p))
	return append(dst, p...)
}

// strong is what of math/rand/v2 a file may use: ChaCha8 is a CSPRNG, as good as its seed, and so are the package's own functions.
var strong = map[string]string{
	"../engine/internal/maskkey/maskkey.go": "ChaCha8 NewChaCha8",
	"../engine/reconnect/clock.go":          "Int64N", // how long to wait
}

// onlyStrong looks at each name of the package that f uses.
func onlyStrong(t *testing.T, path, imported string, f *ast.File) {
	if imported != `"math/rand/v2"` || strong[path] == "" {
		t.Errorf("%s imports %s", path, imported)
		return
	}
	ast.Inspect(f, func(n ast.Node) bool {
		if x, ok := n.(*ast.SelectorExpr); ok {
			if pkg, ok := x.X.(*ast.Ident); ok && pkg.Name == "rand" && !slices.Contains(strings.Fields(strong[path]), x.Sel.Name) {
				t.Errorf("%s uses rand.%s", path, x.Sel.Name)
			}
		}
		return true
	})
}

// TestRandomnessIsCryptographic: nothing that peers see may come from a generator that they
// could predict, so the weak ones are not even imported.
func TestRandomnessIsCryptographic(t *testing.T) {
	files := 0
	err := filepath.WalkDir("..", func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		switch name := d.Name(); {
		case d.IsDir() && (name == "sim" || name == "bench" || name == "cmd" || name == "_asm" || strings.HasPrefix(name, ".") && name != ".."):
			return fs.SkipDir
		case d.IsDir() || !strings.HasSuffix(name, ".go") || strings.HasSuffix(name, "_test.go"):
			return nil
		}
		f, err := parser.ParseFile(token.NewFileSet(), path, nil, 0)
		if err != nil {
			return err
		}
		files++
		for _, imp := range f.Imports {
			if strings.HasPrefix(imp.Path.Value, `"math/rand`) {
				onlyStrong(t, filepath.ToSlash(path), imp.Path.Value, f)
			}
		}
		return nil
	})
	if err != nil || files < 40 {
		t.Error(files, "files looked at,", err)
	}
}
