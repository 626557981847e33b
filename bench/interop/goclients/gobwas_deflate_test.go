package goclients

import (
	"bytes"
	"compress/flate"
	"fmt"
	"io"
	"math/rand/v2"
	"testing"

	"github.com/gobwas/httphead"
	"github.com/gobwas/ws"
	"github.com/gobwas/ws/wsflate"
)

// gobwasDialDeflate offers exactly p and holds the answer against the RFC.
func gobwasDialDeflate(t *testing.T, p wsflate.Parameters) (gobwasConn, wsflate.Parameters) {
	t.Helper()
	c, hs := gobwasDialWith(t, ws.Dialer{Extensions: []httphead.Option{p.Option()}})
	want := answer(p.ServerNoContextTakeover, p.ClientNoContextTakeover, int(p.ServerMaxWindowBits))
	if want == "" {
		if len(hs.Extensions) != 0 {
			t.Fatalf("%+v: agreed on %v, though the server does not compress", p, hs.Extensions)
		}
		return c, wsflate.Parameters{}
	}
	var agreed, wanted wsflate.Parameters
	options, _ := httphead.ParseOptions([]byte(want), nil)
	if err := wanted.Parse(options[0]); err != nil {
		t.Fatal(err)
	}
	if len(hs.Extensions) != 1 {
		t.Fatalf("%+v: agreed on %v, want %q", p, hs.Extensions, want)
	}
	if err := agreed.Parse(hs.Extensions[0]); err != nil || agreed != wanted {
		t.Fatalf("%+v: agreed on %+v (%v), want %q", p, agreed, err, want)
	}
	return c, agreed
}

// packer compresses a client's messages with the standard library: a stream for all of them, or one for each.
type packer struct {
	wire  bytes.Buffer
	flate *flate.Writer
	alone bool
}

func newPacker(alone bool, level int) *packer {
	p := &packer{alone: alone}
	p.flate, _ = flate.NewWriter(&p.wire, level) // fails only for levels that there are not
	return p
}

// pack is RFC 7692 7.2.1: flushed, without the last four bytes.
func (p *packer) pack(t *testing.T, message []byte) []byte {
	t.Helper()
	p.wire.Reset()
	if p.alone {
		p.flate.Reset(&p.wire)
	}
	if _, err := p.flate.Write(message); err != nil {
		t.Fatal(err)
	}
	if err := p.flate.Flush(); err != nil {
		t.Fatal(err)
	}
	return bytes.Clone(bytes.TrimSuffix(p.wire.Bytes(), flushed))
}

var flushed = []byte{0, 0, 0xff, 0xff}

// unpacker inflates the server's messages with the standard library, which is given no more of the earlier ones than
// the agreed window: a message that points further back is an error.
type unpacker struct {
	window []byte
	size   int // of the window; 0: every message stands alone
}

func newUnpacker(agreed wsflate.Parameters) *unpacker {
	u := &unpacker{size: wsflate.MaxLZ77WindowSize}
	if agreed.ServerMaxWindowBits != 0 {
		u.size = agreed.ServerMaxWindowBits.Bytes()
	}
	if agreed.ServerNoContextTakeover {
		u.size = 0
	}
	return u
}

func (u *unpacker) unpack(wire []byte) ([]byte, error) {
	// The empty final block makes the standard library's reader end.
	whole := io.MultiReader(bytes.NewReader(wire), bytes.NewReader(flushed), bytes.NewReader([]byte{1, 0, 0, 0xff, 0xff}))
	message, err := io.ReadAll(flate.NewReaderDict(whole, u.window))
	u.window = append(u.window, message...)
	u.window = u.window[max(0, len(u.window)-u.size):]
	return message, err
}

// deflateTalk is a connection with both ends of the compression.
type deflateTalk struct {
	gobwasConn
	out *packer
	in  *unpacker
}

func (d *deflateTalk) send(t *testing.T, op ws.OpCode, message []byte) {
	t.Helper()
	f := ws.NewFrame(op, true, message)
	if d.out != nil {
		f = ws.NewFrame(op, true, d.out.pack(t, message))
		f.Header.Rsv = ws.Rsv(true, false, false)
	}
	d.gobwasConn.send(t, f)
}

// read reads a message: RSV1 may be set on its first frame only (RFC 7692 6).
func (d *deflateTalk) read() (message []byte, frames int, err error) {
	var wire []byte
	compressed := false
	for {
		f, err := d.frame()
		if err != nil {
			return nil, frames, err
		}
		if f.Header.Masked || (frames == 0) == (f.Header.OpCode == ws.OpContinuation) || f.Header.Rsv != 0 && (frames > 0 || f.Header.Rsv != 4) {
			return nil, frames, fmt.Errorf("frame %d of a message has the header %+v", frames, f.Header)
		}
		compressed = compressed || f.Header.Rsv1()
		wire = append(wire, f.Payload...)
		if frames++; f.Header.Fin {
			break
		}
	}
	if !compressed {
		return wire, frames, nil
	}
	message, err = d.in.unpack(wire)
	return message, frames, err
}

func (d *deflateTalk) echo(t *testing.T, message []byte) (frames int) {
	t.Helper()
	d.send(t, ws.OpBinary, message)
	got, frames, err := d.read()
	if err != nil || !bytes.Equal(got, message) {
		t.Fatalf("%d bytes came back as %d bytes, %v", len(message), len(got), err)
	}
	return frames
}

func gobwasTalk(t *testing.T, p wsflate.Parameters, level int) *deflateTalk {
	t.Helper()
	c, agreed := gobwasDialDeflate(t, p)
	d := &deflateTalk{gobwasConn: c}
	if deflateMode != "off" {
		d.out, d.in = newPacker(agreed.ClientNoContextTakeover, level), newUnpacker(agreed)
	}
	return d
}

func TestGobwasDeflateEveryAgreement(t *testing.T) {
	all := texts(wave())
	for bits := 7; bits <= 15; bits++ {
		for takeover := range 4 {
			p := wsflate.Parameters{ServerNoContextTakeover: takeover&1 != 0, ClientNoContextTakeover: takeover&2 != 0}
			if bits > 7 {
				p.ServerMaxWindowBits = wsflate.WindowBits(bits)
			}
			t.Run(fmt.Sprintf("%+v", p), func(t *testing.T) {
				d := gobwasTalk(t, p, 1+bits%9)
				for _, text := range all {
					d.echo(t, text)
				}
			})
		}
	}
}

func TestGobwasDeflatePointsBack(t *testing.T) {
	const count = 20
	again := sixteenLetters(200)
	for takeover := range 4 {
		p := wsflate.Parameters{ServerNoContextTakeover: takeover&1 != 0, ClientNoContextTakeover: takeover&2 != 0}
		grown := counted(t, count, func() {
			d := gobwasTalk(t, p, 6)
			for range count {
				d.echo(t, again)
			}
		})
		if deflateMode == "off" {
			return
		}
		wantWire(t, "in", grown.WireBytesIn, count, !p.ClientNoContextTakeover && windowBits == 15)
		wantWire(t, "out", grown.WireBytesOut, count, !p.ServerNoContextTakeover && serverKeeps())
		if grown.MessagesOut != count || grown.BytesIn != 200*count || grown.BytesOut != 200*count {
			t.Errorf("%+v", grown)
		}
	}
}

// TestGobwasDeflateLongMessages: what takes long to compress comes in one frame, and what is longer than 4 MiB even so in
// fragments, with which a ping's answer may mix; both are followed by what was sent after them.
func TestGobwasDeflateLongMessages(t *testing.T) {
	d := gobwasTalk(t, wsflate.Parameters{}, 1)
	for _, text := range texts([]int{1 << 20, 3_000_001}) {
		if frames := d.echo(t, text); frames != 1 {
			t.Errorf("%d bytes came in %d frames", len(text), frames)
		}
		d.echo(t, text[:100])
	}
	if deflateMode == "off" {
		return
	}
	r := rand.New(rand.NewPCG(3, 4))
	noise := make([]byte, 5<<20)
	for i := range noise {
		noise[i] = byte(r.Uint32())
	}
	half := append(texts([]int{1 << 20})[1], noise...) // it begins with JSON
	if frames := d.echo(t, half); frames < 2 {
		t.Errorf("%d bytes that hardly shrink came in %d frame", len(half), frames)
	}
	d.echo(t, half[:100])
}

// TestGobwasDeflateHelper: gobwas's own framing of compressed messages, which keeps no context.
func TestGobwasDeflateHelper(t *testing.T) {
	c, _ := gobwasDialDeflate(t, wsflate.DefaultParameters)
	for _, text := range texts(wave()) {
		f, err := ws.NewTextFrame(text), error(nil)
		if deflateMode != "off" {
			if f, err = wsflate.CompressFrame(f); err != nil {
				t.Fatal(err)
			}
		}
		c.send(t, f)
		if f, err = c.frame(); err != nil {
			t.Fatal(err)
		}
		if f, err = wsflate.DecompressFrame(f); err != nil || !f.Header.Fin || !bytes.Equal(f.Payload, text) {
			t.Fatalf("%d bytes came back as %d bytes, %v", len(text), len(f.Payload), err)
		}
	}
}
