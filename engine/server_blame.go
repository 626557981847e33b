package engine

import (
	"bytes"
	"fmt"
	"runtime/pprof"
	"strings"
	"sync/atomic"
	"time"
)

// What holds a loop is in the stack of its goroutine: the engine's frames down to the one that calls the handler, and the
// handler's. It is taken from a goroutine profile: that shows all goroutines as they were at one moment, and stops the world for no longer, however
// many there are (runtime.Stack stops it until it has written them all: 2.6 s for 100,000).

// suspect counts a callback that holds its loop, and logs it if none was logged for a minute. v is how the loop was seen.
func (d *watchdog) suspect(l *loop, v vigil) {
	if d.now()-d.logged < logSlowEvery {
		d.count()
		return
	}
	c := l.called()
	if l.moved(v) { // it has ended, and c may be another's
		d.count()
		return
	}
	held := d.now() - v.since
	stack := l.stackNow() // as it was when this began, however long it takes
	at, found := callbackIn(stack)
	switch {
	case found:
	case len(stack) == 0:
		at = callbackAt{unknown, unknown}
	case l.moved(v): // it may have ended just before
		d.count()
		return
	default: // it is our own work, on a machine that has no time for it
		d.spared = d.now() + innocentFor
		return
	}
	others := d.unlogged
	d.count()
	d.logged, d.unlogged = d.now(), 0
	d.tell(l, c, at, held, others, stack)
}

// unknown is who is not found.
const unknown = "unknown"

// count counts one.
func (d *watchdog) count() {
	d.engine.stats.slow.Add(1)
	d.unlogged++
}

func (d *watchdog) tell(l *loop, c *Conn, at callbackAt, held time.Duration, others uint64, stack trace) {
	id, remote, route := uint64(0), unknown, ""
	if c != nil {
		id, remote, route = c.id, c.peer.addrPort().String(), c.route().pattern
	}
	d.engine.log().Warn("gannet: a callback holds its loop, and all other connections of that loop wait: do slow work in a goroutine of your own, or set Options.Workers",
		"callback", at.kind, "function", at.function, "conn", id, "remote", remote, "route", route, "loop", l.index,
		"for", held.Round(time.Millisecond), "unlogged", others, "stack", stack.String())
}

// moved tells whether a step of the loop has ended since it was seen as v.
func (l *loop) moved(v vigil) bool {
	return l.watched.steps.Load() != v.steps || !l.watched.asked.Load()
}

// called is the connection whose callback holds the loop; nil if that is not known. It looks at all of them: they do not
// tell anybody, for that would cost each message something.
func (l *loop) called() (found *Conn) {
	if c := l.watched.deciding.Load(); c != nil || l.engine.conf.Workers > 0 {
		return c
	}
	l.table.each(func(c *Conn) bool {
		if c.loop == l && c.corked.Load() {
			found = c
		}
		return found == nil
	})
	return found
}

// trace is a goroutine's stack, innermost first.
type trace []traced

type traced struct{ function, at string }

func (s trace) String() string {
	var b strings.Builder
	for _, f := range s {
		fmt.Fprintf(&b, "%s\n\t%s\n", f.function, f.at)
	}
	return b.String()
}

// loopLabel is the label of the loops' goroutines in profiles. What the goroutine of a callback starts has it too.
const loopLabel = "gannet-loop"

var enginesMade atomic.Uint64

// label is the loop's, as a profile shows it.
func (l *loop) label() string { return fmt.Sprintf("%d.%d", l.engine.number, l.index) }

// stackNow is the stack of the loop's goroutine; empty if it is not found, because it is deeper than a profile shows.
func (l *loop) stackNow() trace {
	var b bytes.Buffer
	if err := pprof.Lookup("goroutine").WriteTo(&b, 1); err != nil {
		return nil
	}
	return loopIn(b.String(), l.label())
}

// loopIn finds the goroutine of the loop with a label in a profile's text. A callback may have taken the label away
// (pprof.Do does); then it is the one that has none and stands in a callback, if there is only one.
func loopIn(profile, label string) (found trace) {
	mine, any := fmt.Sprintf("%q:%q", loopLabel, label), fmt.Sprintf("%q:", loopLabel)
	strays := 0
	for record := range strings.SplitSeq(profile, "\n\n") {
		labels, s := parseRecord(record)
		if !s.isLoop() {
			continue
		}
		if strings.Contains(labels, mine) {
			return s
		}
		if _, calls := callbackIn(s); calls && !strings.Contains(labels, any) {
			found, strays = s, strays+1
		}
	}
	if strays != 1 {
		return nil
	}
	return found
}

// parseRecord takes one goroutine's part of a profile's text apart.
func parseRecord(record string) (labels string, s trace) {
	for line := range strings.Lines(record) {
		if l, ok := strings.CutPrefix(line, "# labels: "); ok {
			labels = l
		}
		parts := strings.FieldsFunc(strings.TrimSuffix(line, "\n"), func(r rune) bool { return r == '\t' })
		if len(parts) != 4 || parts[0] != "#" {
			continue
		}
		name, _, _ := cutLast(parts[2], "+0x")
		s = append(s, traced{name, parts[3]})
	}
	return labels, s
}

func cutLast(s, sep string) (before, after string, found bool) {
	if i := strings.LastIndex(s, sep); i >= 0 {
		return s[:i], s[i+len(sep):], true
	}
	return s, "", false
}

const (
	modulePath = "github.com/gannet-ws/gannet/"
	enginePath = modulePath + "engine."
)

// isLoop tells whether the goroutine is a loop's.
func (s trace) isLoop() bool {
	for _, f := range s {
		if f.function == enginePath+"(*loop).run" {
			return true
		}
	}
	return false
}

// own tells whether the frame is of this package: tests' are the user's.
func (f traced) own() bool {
	file, _, _ := cutLast(f.at, ":")
	return strings.HasPrefix(f.function, enginePath) && !strings.HasSuffix(file, "_test.go")
}

// foreign tells whether it is of neither the engine nor what the engine is made of.
func (f traced) foreign() bool {
	for _, p := range [...]string{modulePath + "engine/internal/", modulePath + "codec.", modulePath + "deflate.", modulePath + "pool.", modulePath + "mask.",
		"runtime.", "internal/", "unique.", "sync.", "sync/", "syscall.", "golang.org/x/sys/"} {
		if strings.HasPrefix(f.function, p) {
			return false
		}
	}
	return true
}

// callbackAt is what was called: its kind, and the user's function.
type callbackAt struct{ kind, function string }

// callbackIn finds the first function of the user's that the engine has called in a stack.
func callbackIn(s trace) (at callbackAt, found bool) {
	for i := len(s) - 1; i >= 0; i-- {
		f := s[i]
		if !f.own() {
			if at.kind != "" && f.foreign() {
				at.function = f.function
				if k := hookNamed(f.function); k != "" {
					at.kind = k
				}
				return at, true
			}
			if at.kind != "" {
				return at, false
			}
			continue
		}
		if k := kindOfCaller(strings.TrimPrefix(f.function, enginePath)); k != "" {
			at.kind = k
		}
	}
	return at, false
}

// callers are the functions that call the user's, and what they call. The innermost one tells.
var callers = map[string]string{
	"(*loop).wholeMessages": "OnMessage", "(*loop).deliver": "OnMessage", "(*loop).deliverChunk": "OnChunk",
	"(*loop).onPing": "OnPing", "(*loop).takeControl": "OnPong", "(*Conn).open": "OnOpen", "(*Conn).callPosted": "Post",
	"(*Conn).consult": "OnUpgrade", "(*Upgrade).enter": "CheckOrigin",
	"(*Conn).settleHigh": "OnHighWater", "(*Conn).lowAgain": "OnDrain", "(*Conn).callClose": "OnError",
	"(*loop).keeps": "Broadcast's keep", "(*engine).choosesCompress": "Compress",
}

// kindOfCaller is what a function of the engine's calls: it is in callers, or passes on what one of its hook's name is called with.
func kindOfCaller(function string) string {
	if k := callers[function]; k != "" {
		return k
	}
	return hookNamed(function)
}

// hookNamed is the hook that a method has its name of; "" for others.
func hookNamed(function string) string {
	_, name, _ := cutLast(strings.TrimSuffix(function, "-fm"), ".")
	for k := range hookKinds {
		if hookSpecs[k].method == name {
			return name
		}
	}
	return ""
}
