package engine

import (
	"errors"
	"runtime"
	"slices"
	"testing"
	"time"

	"github.com/gannet-ws/gannet/codec"
	"github.com/gannet-ws/gannet/engine/internal/netio"
)

// notingSystem notes what leaves the poller, and may refuse to end its half of a stream.
type notingSystem struct {
	*flood
	removed []int
	refuses error
}

func (n *notingSystem) Remove(fd int)        { n.removed = append(n.removed, fd) }
func (n *notingSystem) CloseWrite(int) error { return n.refuses }

func noting(t *testing.T) (*loop, *notingSystem) {
	t.Helper()
	l, f := flooded(t)
	n := &notingSystem{flood: f}
	l.sys = n
	return l, n
}

// Whatever a callback that ended its goroutine had begun, in a turn or not, the next one ends: the connection closes by a
// clock that starts now.
func TestTakeOver(t *testing.T) {
	const exiting, other = 3, 4
	for name, call := range map[string]func(*loop, *flood){
		"a message": func(l *loop, f *flood) {
			f.input[exiting] = append(maskedFrame(finBit|2, nil), maskedFrame(finBit|2, nil)...)
			l.OnEvent(exiting, netio.Readable)
		},
		"a posting": func(l *loop, f *flood) {
			_ = l.table.get(exiting).Post(func(*Conn) { f.exit(exiting) })
			l.OnWake()
		},
	} {
		t.Run(name, func(t *testing.T) {
			l, f := flooded(t)
			l.engine.conf.Logger = quietLogger
			l.engine.own.hooks.close = func(*Conn, CloseEvent) {}
			l.engine.own.hooks.message = func(c *Conn, _ Message) { f.exit(int(c.fd)) }
			over := make(chan struct{})
			go func() {
				defer close(over)
				call(l, f)
			}()
			<-over
			c := l.table.get(exiting)
			if !l.exit.under || l.exit.conn != c {
				t.Fatalf("%+v", l.exit)
			}
			l.takeOver()
			if l.exit.under || l.entered || l.turning != nil || f.heard[exiting] != 1 {
				t.Errorf("%+v, entered %v, %d messages", l.exit, l.entered, f.heard[exiting])
			}
			if c.ReadyState() != Closed || c.phase != phaseLingering || c.progress.since != f.now {
				t.Errorf("%v in phase %d, since %+v; it is %v", c.ReadyState(), c.phase, c.progress, f.now)
			}
			f.rest(t, l)
			l.engine.own.hooks.message = func(c *Conn, _ Message) { f.heard[int(c.fd)]++ }
			f.input[other] = maskedFrame(finBit|2, nil)
			if l.OnEvent(other, netio.Readable); f.heard[other] != 1 {
				t.Error("the other connection is not served")
			}
		})
	}
}

// exit is a callback that takes a minute and then ends its goroutine.
func (f *flood) exit(fd int) {
	f.heard[fd]++
	f.now += time.Minute
	runtime.Goexit()
}

// A loop that takes over from nobody has nothing to end.
func TestTakeOverFromNobody(t *testing.T) {
	l, f := flooded(t)
	f.woken.Store(false)
	l.serves, l.serving = l.table.get(3), todoClose
	if l.takeOver(); f.woken.Load() || l.serves == nil {
		t.Error("it ended something")
	}
}

// A poller's failure ends each connection once, whatever it was about to do, and closes each listener, which leaves the
// poller only if that has it. No broadcast waits for such a loop, nor comes to it any more.
func TestLoseEndsAll(t *testing.T) {
	l, n := noting(t)
	l.engine.conf.Logger = quietLogger
	const lingering, ending = 7, 8
	ends := map[int32]int{}
	l.engine.own.hooks.close = func(c *Conn, e CloseEvent) {
		if ends[c.fd]++; c.fd != lingering && (e.Code != StatusAbnormalClosure || !errors.Is(e.Err, ErrAbnormal)) {
			t.Errorf("%d: %+v", c.fd, e)
		}
	}
	n.input[lingering] = peersClose
	if l.OnEvent(lingering, netio.Readable); l.table.get(lingering).phase != phaseLingering {
		t.Fatal("does not linger")
	}
	if c := l.table.get(ending); c != nil { // its end waits for the lock
		c.mu.Lock()
		c.finish(closing{code: StatusAbnormalClosure, err: &CloseError{StatusAbnormalClosure, ErrAbnormal}, abort: true})
		time.AfterFunc(10*time.Millisecond, c.unlock)
	}
	l.listeners = []*listener{{fd: 800}, {fd: 801, until: 1}, {fd: 802, gone: true}}
	n.removed = nil
	p, err := Prepare(OpText, []byte("to nobody"))
	if err != nil {
		t.Fatal(err)
	}
	l.announce(p, nil)
	over := make(chan struct{})
	go func() {
		defer close(over)
		l.lose(errBrokenOnPurpose)
	}()
	select {
	case <-over:
	case <-time.After(timeoutOf(10)):
		t.Fatal("it does not end")
	}
	for fd := range int32(50) {
		if ends[fd] != 1 || l.table.get(int(fd)) != nil {
			t.Errorf("%d ends %d times", fd, ends[fd])
		}
	}
	if l.announce(p, nil); l.engine.broadcasting.Load() != 0 || l.broadcasts.left() || len(l.broadcasts.fresh) != 0 {
		t.Errorf("%d bytes of broadcasts are under way", l.engine.broadcasting.Load())
	}
	if l.entered || l.listeners != nil || !l.lost.Load() {
		t.Errorf("entered %v, %d listeners, lost %v", l.entered, len(l.listeners), l.lost.Load())
	}
	slices.Sort(n.removed)
	if !slices.Contains(n.removed, 800) || slices.Contains(n.removed, 801) || slices.Contains(n.removed, 802) || len(n.removed) != 51 {
		t.Errorf("removed %v", n.removed)
	}
	for _, fd := range []int{800, 801, 802} {
		if !slices.Contains(n.closed, fd) {
			t.Errorf("listener %d is not closed", fd)
		}
	}
}

var errBrokenOnPurpose = &lostError{errors.New("broken on purpose")}

var peersClose = codec.AppendMaskedFrame(nil, OpClose, true, false, [4]byte{}, codec.AppendCloseBody(nil, StatusNormalClosure, ""))

// Where our half of the stream cannot end, the peer is gone: nobody waits for it.
func TestNobodyLingersWithoutAnEnd(t *testing.T) {
	l, n := noting(t)
	n.refuses = errors.New("not connected")
	c := l.table.get(3)
	n.input[3] = peersClose
	l.OnEvent(3, netio.Readable)
	if c.phase != phaseBuried || c.progress != nil || c.timer.Scheduled() || !slices.Equal(n.removed, []int{3}) {
		t.Errorf("phase %d, %+v, scheduled: %v, removed %v", c.phase, c.progress, c.timer.Scheduled(), n.removed)
	}
}

// What others have read of a connection before it came is the first that it says.
func TestAdoptFeedsWhatWasRead(t *testing.T) {
	l, f := flooded(t)
	for fd, early := range map[int][]byte{60: nil, 61: slices.Concat(nullRequest, maskedFrame(finBit|2, []byte("early")))} {
		if l.adopt(arrival{fd: fd, early: early}); (f.heard[fd] == 1) != (early != nil) || (l.table.get(fd).ReadyState() == Open) != (early != nil) {
			t.Errorf("%d messages, %v", f.heard[fd], l.table.get(fd).ReadyState())
		}
	}
}
