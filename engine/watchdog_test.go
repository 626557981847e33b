package engine

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"reflect"
	"runtime/pprof"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gannet-ws/gannet/deflate"
	"github.com/gobwas/ws"
)

// The watch-dog: who holds a loop is counted and logged while he does; nobody else is; and it rests when nothing moves.

// The ways to hold a loop. Each ends when told reports true, so that no test is a matter of time.
var holds = map[string]func(told func() bool){
	"by sleep": func(told func() bool) { holdBySleep(told) },
	"by lock":  func(told func() bool) { holdByLock(told) },
	"by spin":  func(told func() bool) { holdBySpin(told) },
}

//go:noinline
func holdBySleep(told func() bool) {
	for time.Sleep(300 * time.Millisecond); !told(); time.Sleep(10 * time.Millisecond) {
	}
}

//go:noinline
func holdByLock(told func() bool) {
	var mu sync.Mutex
	mu.Lock()
	go func() {
		eventually(timeoutOf(20), told)
		mu.Unlock()
	}()
	mu.Lock()
}

//go:noinline
func holdBySpin(told func() bool) {
	for end := time.Now().Add(timeoutOf(20)); !told() && time.Now().Before(end); {
	}
}

// kennel is a server whose callbacks hold its loops.
type kennel struct {
	*house
	book logbook
	hold func(told func() bool)
	once sync.Once
}

// told tells whether the watch-dog has.
func (k *kennel) told() bool { return strings.Contains(k.book.String(), "holds its loop") }

// block holds the loop, once.
func (k *kennel) block() { k.once.Do(func() { k.hold(k.told) }) }

// slowKinds are all kinds of callbacks that run on a loop: how a handler blocks in it, and what has it called.
var slowKinds = []struct {
	kind    string
	prepare func(k *kennel, f *Funcs, o *Options)
	cause   func(t *testing.T, k *kennel, g *guest)
}{
	{"OnOpen", func(k *kennel, f *Funcs, _ *Options) { f.Open = func(*Conn) { k.block() } }, nil},
	{"OnMessage", func(k *kennel, f *Funcs, _ *Options) { f.Message = func(*Conn, Message) { k.block() } },
		func(t *testing.T, _ *kennel, g *guest) { g.say(t, ws.OpText, []byte("go")) }},
	{"OnClose", func(k *kennel, f *Funcs, _ *Options) { f.Close = func(*Conn, CloseEvent) { k.block() } },
		func(t *testing.T, _ *kennel, g *guest) { g.sayClose(t, 1000, "") }},
	{"OnError", func(k *kennel, f *Funcs, _ *Options) { f.Error = func(*Conn, error) { k.block() } },
		func(t *testing.T, _ *kennel, g *guest) { g.say(t, ws.OpText, []byte("\xff")) }},
	{"OnPing", func(k *kennel, f *Funcs, _ *Options) { f.Ping = func(*Conn, []byte) { k.block() } },
		func(t *testing.T, _ *kennel, g *guest) { g.say(t, ws.OpPing, nil) }},
	{"OnPong", func(k *kennel, f *Funcs, _ *Options) { f.Pong = func(*Conn, []byte) { k.block() } },
		func(t *testing.T, _ *kennel, g *guest) { g.say(t, ws.OpPong, nil) }},
	{"OnChunk", func(k *kennel, f *Funcs, _ *Options) { f.Chunk = func(*Conn, Chunk) { k.block() } },
		func(t *testing.T, _ *kennel, g *guest) { g.say(t, ws.OpText, []byte("go")) }},
	{"OnUpgrade", func(k *kennel, f *Funcs, _ *Options) { f.Upgrade = func(*Upgrade) { k.block() } }, nil},
	{"CheckOrigin", func(k *kennel, _ *Funcs, o *Options) {
		o.CheckOrigin = func(*Upgrade) bool { k.block(); return true }
	}, nil},
	{"Post", func(*kennel, *Funcs, *Options) {}, func(_ *testing.T, k *kennel, _ *guest) {
		for c := range k.Conns() {
			_ = c.Post(func(*Conn) { k.block() })
		}
	}},
	{"Broadcast's keep", func(*kennel, *Funcs, *Options) {}, func(t *testing.T, k *kennel, _ *guest) {
		p, err := Prepare(OpText, []byte("all"))
		if err != nil {
			t.Fatal(err)
		}
		k.Broadcast(p, func(*Conn) bool { k.block(); return true })
	}},
	{"OnHighWater", func(k *kennel, f *Funcs, o *Options) {
		o.Limits.HighWater = 4 << 10
		f.HighWater = func(*Conn) { k.block() }
	}, fillUp},
	{"OnDrain", func(k *kennel, f *Funcs, o *Options) {
		o.Limits.HighWater = 4 << 10
		f.Drain = func(*Conn) { k.block() }
	}, func(t *testing.T, k *kennel, g *guest) {
		fillUp(t, k, g)
		go func() { _, _ = io.Copy(io.Discard, g) }()
	}},
}

// fillUp sends more than the peer, who does not read, can be given.
func fillUp(t *testing.T, k *kennel, _ *guest) {
	for c := range k.Conns() {
		for range 64 {
			if err := c.SendBinary(make([]byte, 256<<10)); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// newKennel is a kennel behind a door for one kind of callback.
func newKennel(t *testing.T, door string, hold func(func() bool), prepare func(*kennel, *Funcs, *Options), o Options) *kennel {
	k := &kennel{hold: hold}
	var f Funcs
	o.Loops, o.Logger = 1, k.book.logger(slog.LevelWarn)
	prepare(k, &f, &o)
	k.house = doorNamed(t, door).build(t, f, o)
	return k
}

// enter has a guest come in: what blocks may be what lets him.
func (k *kennel) enter(t *testing.T) *guest {
	t.Helper()
	a := attackerOn(k.call(t))
	a.say(t, requestFor("/"))
	a.expect101(t)
	return &guest{a.Conn, a.r}
}

func TestSlowCallbackIsFound(t *testing.T) {
	ways := []string{"by sleep", "by lock", "by spin"}
	for i, c := range slowKinds {
		for j, door := range []string{"tcp", "bridged tcp"} {
			way := ways[(i+j)%len(ways)]
			t.Run(c.kind+" "+way+" "+door, func(t *testing.T) {
				k := newKennel(t, door, holds[way], c.prepare, Options{})
				g := k.enter(t)
				within(t, timeoutOf(5), "it is open", func() bool { return k.Stats().Opened == 1 })
				if c.cause != nil {
					c.cause(t, k, g)
				}
				within(t, timeoutOf(20), "a line in the log", k.told)
				line := k.book.String()
				wants := []string{"level=WARN", "callback=", c.kind, "engine.init", "holdBy", "unlogged=", "for="}
				if c.kind != "Broadcast's keep" {
					wants = append(wants, "conn=1", "remote="+g.LocalAddr().String())
				}
				for _, want := range wants {
					if !strings.Contains(line, want) {
						t.Errorf("no %q in\n%s", want, line)
					}
				}
				if strings.Contains(line, "runtime.goexit") || strings.Count(line, "\n") != 1 {
					t.Errorf("too much in\n%s", line)
				}
				_ = g.Close()
				within(t, timeoutOf(20), "the loop turns again", func() bool { return k.Stats().Open == 0 })
				if k.Stats().SlowCallbacks == 0 {
					t.Error("it is not counted")
				}
			})
		}
	}
}

// slowChat is a handler with methods: the log names the type.
type slowChat struct {
	Funcs
	k *kennel
}

func (c *slowChat) OnMessage(*Conn, Message) { c.k.block() }

func TestSlowMethodIsNamed(t *testing.T) {
	k := &kennel{hold: holdByLock}
	k.house = doorNamed(t, "tcp").build(t, &slowChat{k: k}, Options{Loops: 2, Logger: k.book.logger(slog.LevelWarn)})
	g := k.enter(t)
	g.say(t, ws.OpText, []byte("go"))
	within(t, timeoutOf(20), "a line in the log", k.told)
	for _, want := range []string{"callback=OnMessage", "engine.(*slowChat).OnMessage", "holdByLock", "sync.(*Mutex).Lock"} {
		if !strings.Contains(k.book.String(), want) {
			t.Errorf("no %q in\n%s", want, k.book.String())
		}
	}
}

// A callback may change the labels of its goroutine.
func TestSlowCallbackUnderOtherLabels(t *testing.T) {
	k := newKennel(t, "tcp", holdByLock, func(k *kennel, f *Funcs, _ *Options) {
		f.Message = func(c *Conn, _ Message) {
			pprof.Do(t.Context(), pprof.Labels("their", "own"), func(context.Context) { k.block() })
		}
	}, Options{})
	k.enter(t).say(t, ws.OpText, []byte("go"))
	within(t, timeoutOf(20), "a line in the log", k.told)
	if !strings.Contains(k.book.String(), "holdByLock") {
		t.Error(k.book.String())
	}
}

// A stack that is deeper than a profile shows has no place of the engine's: the callback is found all the same.
func TestSlowCallbackIsDeep(t *testing.T) {
	k := newKennel(t, "tcp", holdByLock, func(k *kennel, f *Funcs, _ *Options) {
		f.Message = func(*Conn, Message) { k.descend(300) }
	}, Options{})
	g := k.enter(t)
	g.say(t, ws.OpText, []byte("go"))
	within(t, timeoutOf(20), "a line in the log", k.told)
	if line := k.book.String(); !strings.Contains(line, "callback=unknown") || !strings.Contains(line, g.LocalAddr().String()) {
		t.Error(line)
	}
}

//go:noinline
func (k *kennel) descend(n int) int {
	if n == 0 {
		k.block()
		return 0
	}
	return k.descend(n-1) + 1
}

// One line a minute; the others are counted, each once, and the next line says how many.
func TestSlowCallbacksAreCounted(t *testing.T) {
	var before atomic.Uint64 // the callback at hand
	var k *kennel
	k = newKennel(t, "tcp", nil, func(_ *kennel, f *Funcs, _ *Options) {
		f.Message = func(c *Conn, m Message) {
			others := k.Stats().SlowCallbacks
			before.Store(others)
			eventually(timeoutOf(20), func() bool { return k.Stats().SlowCallbacks > others })
			time.Sleep(3 * watchTick) // it is not counted again
			if n := k.Stats().SlowCallbacks - others; n != 1 {
				t.Errorf("one is counted %d times", n)
			}
			_ = c.Send(m.Op, m.Data)
		}
	}, Options{})
	g := k.enter(t)
	for i := range 5 {
		if i == 4 {
			k.dog.looking.Lock()
			k.dog.logged -= logSlowEvery
			k.dog.looking.Unlock()
		}
		g.say(t, ws.OpText, []byte("one"))
		g.hear(t, ws.OpText, []byte("one"))
	}
	lines := strings.Split(strings.TrimSpace(k.book.String()), "\n")
	// A machine that is too busy may have had one counted between two of them (suspect).
	if others := fmt.Sprint("unlogged=", before.Load()-1); len(lines) != 2 || before.Load() < 4 || !strings.Contains(lines[1], others) {
		t.Errorf("%d lines:\n%s", len(lines), k.book.String())
	}
}

// What comes to a slow callback's connection in one read are callbacks of their own.
func TestSlowCallbacksOfOneEvent(t *testing.T) {
	var k *kennel
	k = newKennel(t, "tcp", nil, func(_ *kennel, f *Funcs, _ *Options) {
		slow := func() {
			before := k.Stats().SlowCallbacks
			eventually(timeoutOf(20), func() bool { return k.Stats().SlowCallbacks > before })
		}
		f.Open = func(*Conn) { slow() }
		f.Message = func(*Conn, Message) { slow() }
		f.Close = func(*Conn, CloseEvent) { slow() }
	}, Options{})
	a := attackerOn(k.call(t))
	a.say(t, requestFor("/"), string(saidFrame(ws.OpText, true, []byte("go"))), string(saidFrame(ws.OpClose, true, []byte{3, 232})))
	within(t, timeoutOf(60), "all three", func() bool { return k.Stats().SlowCallbacks >= 3 })
}

// On workers callbacks may block; OnUpgrade stays on the loop.
func TestWorkersHoldNoLoop(t *testing.T) {
	free := make(chan struct{})
	k := newKennel(t, "tcp", holdByLock, func(k *kennel, f *Funcs, _ *Options) {
		f.Upgrade = func(u *Upgrade) {
			if u.Target() == "/slow" {
				k.block()
			}
		}
		f.Message = func(*Conn, Message) { <-free }
	}, Options{Workers: 1})
	k.enter(t).say(t, ws.OpText, []byte("go"))
	for range 30 { // the loop moves, so the watch-dog looks
		time.Sleep(10 * time.Millisecond)
		_ = k.enter(t).Close()
	}
	if k.told() {
		t.Errorf("a worker's is logged: %s", k.book.String())
	}
	close(free)
	a := attackerOn(k.call(t))
	a.say(t, requestFor("/slow"))
	within(t, timeoutOf(20), "a line in the log", k.told)
	if line := k.book.String(); !strings.Contains(line, "callback=OnUpgrade") || !strings.Contains(line, a.LocalAddr().String()) {
		t.Error(line)
	}
}

// With nothing moving there is no look, and the first callback after a rest is found all the same.
func TestWatchdogRests(t *testing.T) {
	for _, door := range []string{"tcp", "bridged tcp"} {
		t.Run(door, func(t *testing.T) {
			k := newKennel(t, door, holdByLock, func(k *kennel, f *Funcs, _ *Options) {
				f.Message = func(c *Conn, m Message) {
					if string(m.Data) == "slow" {
						k.block()
					}
					_ = c.Send(m.Op, m.Data)
				}
			}, Options{})
			looked := func() time.Duration {
				k.dog.mu.Lock()
				defer k.dog.mu.Unlock()
				return k.dog.looked
			}
			rests := func() bool { return !k.dog.armed.Load() }
			g := k.enter(t)
			for _, m := range []string{"quick", "quick", "slow"} {
				within(t, timeoutOf(10), "the watch-dog rests for ten ticks", func() bool {
					before := looked()
					time.Sleep(10 * watchTick)
					return rests() && looked() == before
				})
				g.say(t, ws.OpText, []byte(m))
				g.hear(t, ws.OpText, []byte(m))
			}
			if !k.told() {
				t.Error("the first callback after a rest was not found")
			}
		})
	}
}

// tamed is a watch-dog whose time is the test's, and a loop that nobody runs.
func tamed(t *testing.T) (*watchdog, *loop, *logbook) {
	book := new(logbook)
	l, _ := nullConnWith(t, Funcs{}, Options{Logger: book.logger(slog.LevelWarn)}, nil)
	d := &l.engine.dog
	d.engine, d.logged = l.engine, -logSlowEvery
	d.start = time.Now()
	l.watched.moves.Store(true)
	return d, l, book
}

// Short callbacks are none that hold a loop, however many come; nor is our own work, which goes in steps.
func TestShortStepsAreNotBlamed(t *testing.T) {
	d, l, book := tamed(t)
	for at := time.Duration(0); at < 10*time.Second; at += watchTick {
		d.lookAtAll(at)
		l.stepped()
	}
	if n := l.engine.stats.slow.Load(); n != 0 || book.String() != "" {
		t.Errorf("%d are counted: %s", n, book.String())
	}
}

// A callback is counted once it has held its loop for slowCallback, and not before.
func TestSlowCallbackIsCountedInTime(t *testing.T) {
	d, l, _ := tamed(t)
	d.lookAtAll(0)         // it asks
	d.lookAtAll(watchTick) // and wakes the loop
	at := watchTick
	for ; at < watchTick+slowCallback; at += watchTick {
		if d.lookAtAll(at); l.engine.stats.slow.Load() != 0 {
			t.Fatal("counted after", at)
		}
	}
	for range 10 {
		d.lookAtAll(at)
		at += watchTick
	}
	if n := l.engine.stats.slow.Load(); n != 1 {
		t.Errorf("counted %d times", n)
	}
	if lag := d.engine.dog.lags; lag.now != 0 {
		t.Error("a lag before the answer:", lag.now)
	}
}

// A process that was stopped, or had no processor, says nothing of a callback.
func TestStoppedProcessIsNotBlamed(t *testing.T) {
	d, l, _ := tamed(t)
	at := time.Duration(0)
	for range 3 {
		d.lookAtAll(at)
		at += watchTick
	}
	at += time.Hour
	d.lookAtAll(at)
	d.lookAtAll(at + watchTick)
	l.OnBatchEnd()
	d.lookAtAll(at + 2*watchTick)
	if n := l.engine.stats.slow.Load(); n != 0 {
		t.Errorf("%d are counted", n)
	}
}

// An own step that takes long, on a machine that has no time for it, is not the handler's: the stack tells.
func TestOwnWorkIsNoCallback(t *testing.T) {
	own := func(f string) traced { return traced{enginePath + f, "/src/engine/loop.go:1"} }
	turn := trace{own("(*loop).wholeMessages"), own("(*loop).turn"), own("(*loop).OnEvent"), {modulePath + "engine/internal/netio.(*Native).Run", "x.go:1"}, own("(*loop).run")}
	for _, c := range []struct {
		on         trace
		kind, what string
	}{
		{nil, "", ""},
		{trace{{"runtime.mallocgc", "malloc.go:1"}, {modulePath + "engine/internal/incoming.(*In).Whole", "in.go:1"}}, "", ""},
		{trace{{"runtime.asyncPreempt2", "preempt.go:1"}}, "", ""},
		{trace{{"syscall.Syscall", "x.go:1"}, {modulePath + "engine/internal/outgoing.(*Out).Flush", "x.go:1"}, own("(*Conn).flushCork")}, "", ""},
		{trace{{"time.Sleep", "time.go:1"}, {"main.main.func1", "main.go:1"}}, "OnMessage", "main.main.func1"},
		{trace{{"time.Sleep", "time.go:1"}, {"chat.(*Room).OnMessage", "main.go:1"}}, "OnMessage", "chat.(*Room).OnMessage"},
		{trace{{modulePath + "engine/dom.(*WebSocket).message", "dom.go:1"}}, "OnMessage", modulePath + "engine/dom.(*WebSocket).message"},
		{trace{{"a.F[go.shape.struct { X int }]", "a.go:1"}, own("Funcs.OnClose"), own("(*Conn).callNow"), own("(*Conn).callClose")}, "OnClose", "a.F[go.shape.struct { X int }]"},
	} {
		at, found := callbackIn(append(c.on[:len(c.on):len(c.on)], turn...))
		if found != (c.kind != "") || found && at != (callbackAt{c.kind, c.what}) {
			t.Errorf("%v: %v %v", c.on, at, found)
		}
	}
}

// While a callback holds its loop, and for some seconds afterwards, the loop is late.
func TestLoopLag(t *testing.T) {
	k := newKennel(t, "tcp", holdBySleep, func(k *kennel, f *Funcs, _ *Options) {
		f.Message = func(c *Conn, m Message) {
			k.block()
			_ = c.Send(m.Op, m.Data)
		}
	}, Options{})
	g := k.enter(t)
	g.say(t, ws.OpText, []byte("go"))
	within(t, timeoutOf(20), "it is late while it is held", func() bool { return k.Stats().LoopLag >= 5*watchTick })
	g.hear(t, ws.OpText, []byte("go"))
	if lag := k.Stats().LoopLag; lag < 5*watchTick || lag > timeoutOf(20) {
		t.Error("afterwards it was late by", lag)
	}

	var s lags
	s.add(time.Second, 3)
	s.add(2*time.Second, 2)
	for at, want := range map[time.Duration]time.Duration{3: 3, 6: 3, 9: 3, 11: 0, 1000: 0} {
		if g := s; true {
			g.turn(at * time.Second)
			if got := max(g.now, g.before); got != want {
				t.Errorf("after %d s: %d", at, got)
			}
		}
	}
}

// QueuedBytes is what waits for peers that do not read, to the byte, and 0 when they have.
func TestQueuedBytes(t *testing.T) {
	for _, door := range []string{"tcp", "bridged tcp"} {
		t.Run(door, func(t *testing.T) {
			w := doorNamed(t, door).build(t, Funcs{}, Options{Loops: 2, Deflate: &deflate.Policy{}, Limits: Limits{MaxBufferedAmount: -1}})
			var guests []*guest
			for range 3 {
				a := attackerOn(w.call(t))
				a.say(t, requestFor("/"))
				a.expect101(t)
				guests = append(guests, &guest{a.Conn, a.r})
			}
			if n := w.Stats().QueuedBytes; n != 0 {
				t.Errorf("%d with nothing sent", n)
			}
			within(t, timeoutOf(5), "all are open", func() bool { return w.Stats().Open == 3 })
			for c := range w.Conns() {
				for range 40 {
					if err := c.SendBinary(make([]byte, 256<<10)); err != nil {
						t.Fatal(err)
					}
				}
			}
			waits := func() (n int64) {
				for c := range w.Conns() {
					c.lock()
					a := c.out.Account()
					n += int64(a.Queued + a.Unframed + a.Long + a.Collected)
					c.unlock()
				}
				return n
			}
			within(t, timeoutOf(5), "the account", func() bool {
				n := waits()
				return n > 3<<20 && n == w.Stats().QueuedBytes && n == waits()
			})
			_ = guests[0].Close() // what waits is dropped
			for _, g := range guests[1:] {
				go func() { _, _ = io.Copy(io.Discard, g) }()
			}
			within(t, timeoutOf(10), "nothing waits", func() bool { return w.Stats().QueuedBytes == 0 })
		})
	}
}

// Each figure has one name, in Go and in JSON, and a duration says its unit.
func TestStatsHaveOneStyle(t *testing.T) {
	var check func(typ reflect.Type)
	check = func(typ reflect.Type) {
		for i := range typ.NumField() {
			f := typ.Field(i)
			want := strings.ToLower(f.Name[:1]) + f.Name[1:]
			if f.Name == strings.ToUpper(f.Name) { // an abbreviation: TLS
				want = strings.ToLower(f.Name)
			}
			if f.Type == reflect.TypeFor[time.Duration]() {
				want += "Nanoseconds"
			}
			if got := f.Tag.Get("json"); got != want {
				t.Errorf("%v.%s is %q in JSON, want %q", typ, f.Name, got, want)
			}
			if f.Type.Kind() == reflect.Struct {
				check(f.Type)
			}
		}
	}
	check(reflect.TypeFor[Stats]())
}
