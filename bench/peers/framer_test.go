package main

import (
	"bytes"
	"fmt"
	"slices"
	"testing"

	"github.com/gobwas/ws"
)

// TestFramerAtEachCut: whatever bytes come together, the same messages and control frames come out.
func TestFramerAtEachCut(t *testing.T) {
	var wire bytes.Buffer
	frame := func(opcode ws.OpCode, fin bool, p string) {
		ws.MustWriteFrame(&wire, ws.MaskFrameWith(ws.NewFrame(opcode, fin, []byte(p)), [4]byte{1, 2, 3, 4}))
	}
	long := string(payload(130))
	frame(ws.OpText, true, "whole")
	frame(ws.OpBinary, false, "in ")
	frame(ws.OpPing, true, "between")
	frame(ws.OpContinuation, false, "")
	frame(ws.OpContinuation, true, "parts")
	frame(ws.OpText, true, "")
	frame(ws.OpBinary, true, long)
	want := []string{"1 whole", "9 between", "2 in parts", "1 ", "2 " + long}
	for first := range wire.Len() {
		for second := first; second <= wire.Len(); second += 7 {
			f := framer{state: ws.StateServerSide}
			var got []string
			p := slices.Clone(wire.Bytes()) // feed unmasks in place
			for _, part := range [][]byte{p[:first], p[first:second], p[second:]} {
				err := f.feed(part, new(scratch), func(opcode ws.OpCode, p []byte) { got = append(got, fmt.Sprintf("%d %s", opcode, p)) })
				if err != nil {
					t.Fatal(err)
				}
			}
			if !slices.Equal(got, want) {
				t.Fatalf("cut at %d and %d: %q", first, second, got)
			}
		}
	}
}

func TestFramerRefuses(t *testing.T) {
	for name, wire := range map[string][]byte{
		"no mask":                   {0x82, 1, 'a'},
		"a reserved bit":            {0xc2, 0x81, 0, 0, 0, 0, 'a'},
		"a continuation of nothing": {0x80, 0x81, 0, 0, 0, 0, 'a'},
		"a length of 2^63":          {0x82, 0xff, 0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0},
	} {
		f := framer{state: ws.StateServerSide}
		if err := f.feed(wire, new(scratch), func(ws.OpCode, []byte) {}); err == nil {
			t.Errorf("%s was accepted", name)
		}
	}
}
