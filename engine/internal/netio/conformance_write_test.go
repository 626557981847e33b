package netio

import (
	"bytes"
	"io"
	"testing"
	"time"
)

// fill writes until there is no room, and returns how much went in.
func fill(t *testing.T, l *loop, fd int, src []byte) int {
	total := 0
	for total < len(src) {
		n, err := l.Write(fd, src[total:min(len(src), total+100_000)])
		total += n
		if err == ErrAgain {
			if n != 0 {
				t.Errorf("ErrAgain with %d bytes", n)
			}
			return total
		}
		if err != nil || n == 0 {
			t.Errorf("Write: %d, %v", n, err)
			return total
		}
	}
	t.Error("the transport never filled up")
	return total
}

func TestWritableWhenThereIsRoomAgain(t *testing.T) {
	forEachRig(t, func(t *testing.T, r rig, l *loop) {
		fd, peer := r.pair(t, l)
		src := randomBytes(64 << 20)
		writable := make(chan Event, 1)
		l.add(fd, func(ev Event) { tell(writable, ev) })
		var n int
		l.do(func() {
			n = fill(t, l, fd, src)
			if err := l.Interest(fd, Readable, Writable); err != nil {
				t.Error(err)
			}
		})
		// The writer behind a bridge and the peer's kernel still take some, and are late on a busy machine.
		within(t, "full, and silent about it", func() bool {
			for {
				more := 0
				time.Sleep(silence)
				l.do(func() { more = fill(t, l, fd, src[n:]) })
				if n += more; more == 0 {
					break
				}
			}
			l.do(func() { // what was told before the last fill
				for len(writable) > 0 {
					<-writable
				}
			})
			l.do(func() {})
			time.Sleep(silence)
			return len(writable) == 0
		})
		got := make([]byte, n)
		_ = peer.SetReadDeadline(time.Now().Add(patience))
		if _, err := io.ReadFull(peer, got); err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(got, src[:n]) {
			t.Fatal("what arrived differs from what was taken")
		}
		if ev := await(t, writable, "room"); ev != Writable {
			t.Fatalf("event %b", ev)
		}
		l.do(func() {
			if n, err := l.Write(fd, src[n:n+1]); n != 1 || err != nil { // a carrier that seals ahead has it already
				t.Errorf("Write after Writable: %d, %v", n, err)
			}
		})
		l.close(fd)
	})
}

func TestWritev(t *testing.T) {
	forEachRig(t, func(t *testing.T, r rig, l *loop) {
		for _, count := range []int{0, 1, 2, 15, 16, 17, 100, 1024, 1025, 3000} {
			fd, peer := r.pair(t, l)
			var v [][]byte
			for i := range count {
				v = append(v, randomBytes(i%7)) // some are empty
			}
			want := bytes.Join(v, nil)
			got := make(chan []byte, 1)
			go func() { got <- readAll(t, peer) }()
			l.add(fd, func(Event) {})
			l.do(func() { writevAllOf(t, l, fd, v, len(want)); l.drop(fd) })
			if got := await(t, got, "the peer"); !bytes.Equal(got, want) {
				t.Fatalf("%d slices: peer got %d bytes of %d", count, len(got), len(want))
			}
		}
	})
}

// writevAllOf goes on after partial writes.
func writevAllOf(t *testing.T, l *loop, fd int, v [][]byte, total int) {
	for written := 0; ; {
		n, err := l.Writev(fd, v)
		written += n
		if err != nil || n == 0 && written < total {
			t.Errorf("Writev: %d, %v after %d of %d bytes", n, err, written, total)
			return
		}
		if written == total {
			return
		}
		for n > 0 || len(v[0]) == 0 {
			took := min(n, len(v[0]))
			v[0] = v[0][took:]
			n -= took
			if len(v[0]) == 0 {
				v = v[1:]
			}
		}
	}
}

func TestEmptySlices(t *testing.T) {
	forEachRig(t, func(t *testing.T, r rig, l *loop) {
		fd, _ := r.pair(t, l)
		l.add(fd, func(Event) {})
		l.do(func() {
			for what, call := range map[string]func() (int, error){
				"Read":   func() (int, error) { return l.Read(fd, nil) },
				"Write":  func() (int, error) { return l.Write(fd, nil) },
				"Writev": func() (int, error) { return l.Writev(fd, [][]byte{nil, {}}) },
			} {
				if n, err := call(); n != 0 || err != nil {
					t.Errorf("%s of nothing: %d, %v", what, n, err)
				}
			}
			if n, err := l.Read(fd, make([]byte, 8)); n != 0 || err != ErrAgain {
				t.Errorf("Read of an idle connection: %d, %v", n, err)
			}
			l.drop(fd)
		})
	})
}
