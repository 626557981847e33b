package netio

import (
	"bytes"
	"crypto/tls"
	"io"
	"reflect"
	"slices"
	"testing"
)

// TestTLSFieldsOfAnother: a tls.Conn that reads or writes with another field, or another kind of one, is not touched.
func TestTLSFieldsOfAnother(t *testing.T) {
	conn := reflect.TypeFor[tls.Conn]()
	var own []reflect.StructField
	for i := conn.NumField() - len(ioFields); i < conn.NumField(); i++ {
		f := conn.Field(i)
		own = append(own, reflect.StructField{Name: f.Name, PkgPath: f.PkgPath, Type: f.Type})
	}
	another := reflect.StructField{Name: "inputPool", PkgPath: own[0].PkgPath, Type: reflect.TypeFor[*int]()}
	changed := slices.Clone(own)
	changed[2].Type = reflect.TypeFor[[]byte]()
	for name, k := range map[string]struct {
		fields []reflect.StructField
		known  bool
	}{
		"its own":          {own, true},
		"one between them": {slices.Insert(slices.Clone(own), 3, another), false},
		"one behind them":  {append(slices.Clone(own), another), false},
		"one before them":  {slices.Insert(slices.Clone(own), 0, another), true},
		"one less":         {own[1:], false},
		"another kind":     {changed, false},
	} {
		var f fields
		if found := f.find(reflect.StructOf(k.fields)); found != k.known {
			t.Errorf("%s: %v", name, found)
		}
	}
}

// TestSecureWithoutFields: where the fields are not found all is as with them, but for the memory.
func TestSecureWithoutFields(t *testing.T) {
	forEachLine(t, func(t *testing.T, l *line) {
		l.s.fields = fields{}
		stream := randomBytes(300_000)
		for _, room := range []int{100, 5000, 1 << 19} {
			var got []byte
			for off := 0; off < len(stream); off += 60_000 {
				l.say(stream[off : off+60_000])
			}
			for l.sock.most = room / 2; len(got) < len(stream); {
				if l.turn()&Readable == 0 {
					t.Fatalf("nobody hears of the rest behind %d bytes", len(got))
				}
				p, err := l.read(room)
				if err != nil && err != ErrAgain {
					t.Fatal(err)
				}
				got = append(got, p...)
			}
			if !bytes.Equal(got, stream) {
				t.Fatal("read something else")
			}
		}
		l.sock.end = io.EOF
		l.turn()
		if _, err := l.read(100); err != io.ErrUnexpectedEOF {
			t.Fatal(err)
		}
	})
}
