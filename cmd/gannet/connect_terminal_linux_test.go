package main

import (
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/creack/pty"
	"github.com/gobwas/ws"
	"golang.org/x/sys/unix"
)

// terminal is gannet connect at a terminal: what the test types, and what the terminal was told to show.
type terminal struct {
	t    *testing.T
	cmd  *exec.Cmd
	keys *os.File

	mu    sync.Mutex
	shown strings.Builder
	at    int // up to where expect has looked
	ended chan struct{}
}

// atTerminal starts gannet connect at a terminal, and waits for its prompt.
func atTerminal(t *testing.T, args ...string) *terminal {
	t.Helper()
	x := onTerminal(t, connecting(args...))
	x.expect("lists commands")
	x.expect("> ")
	return x
}

// onTerminal starts a command at a terminal of 80 columns.
func onTerminal(t *testing.T, cmd *exec.Cmd) *terminal {
	t.Helper()
	return onTerminalWith(t, cmd, t.TempDir())
}

// onTerminalWith is onTerminal with a folder for state, and more of an environment.
func onTerminalWith(t *testing.T, cmd *exec.Cmd, state string, env ...string) *terminal {
	t.Helper()
	cmd.Env = append(append(cmd.Env, "TERM=xterm", "XDG_STATE_HOME="+state), env...)
	keys, err := pty.StartWithSize(cmd, &pty.Winsize{Rows: 24, Cols: 80})
	if err != nil {
		t.Fatal(err)
	}
	return watched(t, cmd, keys)
}

// watched is a command whose terminal is kept an eye on.
func watched(t *testing.T, cmd *exec.Cmd, keys *os.File) *terminal {
	x := &terminal{t: t, cmd: cmd, keys: keys, ended: make(chan struct{})}
	go func() {
		defer close(x.ended)
		for b := make([]byte, 64<<10); ; {
			n, err := keys.Read(b)
			x.mu.Lock()
			x.shown.Write(b[:n])
			x.mu.Unlock()
			if err != nil {
				return
			}
		}
	}()
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		keys.Close()
		<-x.ended
	})
	return x
}

func (x *terminal) typed(keys string) {
	x.t.Helper()
	if _, err := io.WriteString(x.keys, keys); err != nil {
		x.t.Fatal(err)
	}
}

// expect waits until the terminal was told this, after what was expected before.
func (x *terminal) expect(text string) {
	x.t.Helper()
	for end := time.Now().Add(patience); ; time.Sleep(5 * time.Millisecond) {
		x.mu.Lock()
		all := x.shown.String()
		i := strings.Index(all[x.at:], text)
		if i >= 0 {
			x.at += i + len(text)
		}
		at := x.at
		x.mu.Unlock()
		if i >= 0 {
			return
		}
		if time.Now().After(end) {
			x.t.Fatalf("%q was not shown after\n%q\nbut\n%q", text, all[:at], all[at:])
		}
	}
}

// status waits for the end, and answers how it was.
func (x *terminal) status() int {
	x.t.Helper()
	kill := time.AfterFunc(patience, func() { _ = x.cmd.Process.Kill() })
	defer kill.Stop()
	return statusOf(x.t, x.cmd.Wait())
}

// all is all that was shown.
func (x *terminal) all() string {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.shown.String()
}

// said is what a server was sent, kind and payload, one after the other.
func said(t *testing.T, also func(net.Conn, ws.Frame)) (addr string, frames chan string) {
	t.Helper()
	frames = make(chan string, 100)
	addr = upgraded(t, func(c net.Conn) {
		for {
			f, err := clientFrame(c)
			if err != nil {
				frames <- "end"
				return
			}
			switch f.Header.OpCode {
			case ws.OpText:
				frames <- "text " + string(f.Payload)
			case ws.OpBinary:
				frames <- "binary " + string(f.Payload)
			case ws.OpPing:
				frames <- "ping " + string(f.Payload)
				_ = ws.WriteFrame(c, ws.NewPongFrame(f.Payload))
			case ws.OpClose:
				code, reason := ws.ParseCloseFrameData(f.Payload)
				frames <- "close " + string(rune('0'+code/1000)) + " " + reason
				_ = ws.WriteFrame(c, ws.NewCloseFrame(f.Payload))
				return
			}
			also(c, f)
		}
	})
	return addr, frames
}

func silently(net.Conn, ws.Frame) {}

func wantFrame(t *testing.T, frames chan string, want string) {
	t.Helper()
	select {
	case got := <-frames:
		if got != want {
			t.Errorf("the server got %.100q, want %.100q", got, want)
		}
	case <-time.After(patience):
		t.Fatalf("the server did not get %.100q", want)
	}
}

// TestTerminalSends: a line is a message, a command does what /help says, and // begins a message with /.
func TestTerminalSends(t *testing.T) {
	t.Parallel()
	addr, frames := said(t, silently)
	x := atTerminal(t, addr)
	for _, k := range []struct{ keys, frame, shown string }{
		{"hello\r", "text hello", ""},
		{"日本語 ä\r", "text 日本語 ä", ""},
		{"abd\x7fc\r", "text abc", ""},                  // backspace
		{"bc\x01a\r", "text abc", ""},                   // Ctrl-A
		{"bc\x1b[Da\x05d\r", "text bacd", ""},           // left, Ctrl-E
		{"wrong\x15right\r", "text right", ""},          // Ctrl-U
		{"\x1b[A\r", "text right", ""},                  // up: the line before
		{"\x12日本\r", "text 日本語 ä", ""},                  // Ctrl-R
		{"a\tb\t\tc\r", "text a\tb\t\tc", ""},           // tabs
		{"//help\r", "text /help", ""},                  // escaped
		{"///\r", "text //", ""},                        //
		{"/text /x\r", "text /x", ""},                   //
		{"/text\r", "text ", ""},                        // an empty one
		{"/binary 00fF 41\r", "binary \x00\xffA", ""},   //
		{"/bin\t4142\r", "binary AB", ""},               // completed
		{"/binary\r", "binary ", ""},                    //
		{"/ping mine\r", "ping mine", "pong \"mine\" "}, //
		{"/ping\r", "ping 1", "pong \"1\" after "},      //
		{"/nope\r", "", "there is no command /nope"},
		{"/helpx\r", "", "there is no command /helpx"},
		{"/binary 0\r", "", "hexadecimal digits"},
		{"/binary xy\r", "", "hexadecimal digits"},
		{"/ping " + strings.Repeat("x", 126) + "\r", "", "at most 125 bytes"},
		{"/close 1001\r", "", "1001 may not be sent by a client"},
		{"/close 66536\r", "", "66536 may not"},
		{"/close now\r", "", "/close takes a code"},
		{"/close 3000 " + strings.Repeat("x", 124) + "\r", "", "123 bytes"},
		{"/quit x\r", "", "takes nothing behind it"},
		{"/help\r", "", "Ctrl-D closes once"},
		{"\r\r", "", "> "},
		{"bad \xff byte\r", "", "not UTF-8"},
		{"last\r", "text last", ""},
	} {
		x.typed(k.keys)
		if k.frame != "" {
			wantFrame(t, frames, k.frame)
		}
		if k.shown != "" {
			x.expect(k.shown)
		}
	}
	x.typed("/close 3001 so long\r")
	wantFrame(t, frames, "close 3 so long")
	x.expect("closed: 3001 (a framework's code) \"so long\"")
	if status := x.status(); status != 0 {
		t.Error("status", status)
	}
}

// TestTerminalIsNotSteered: what comes is shown, and none of it is an escape sequence.
func TestTerminalIsNotSteered(t *testing.T) {
	t.Parallel()
	evil := "\x1b]0;title\a\x1b[2J\u009b31m\x00\x7f\rover\nline\x08"
	addr := upgraded(t, func(c net.Conn) {
		_ = ws.WriteFrame(c, ws.NewTextFrame([]byte(evil)))
		_ = ws.WriteFrame(c, ws.NewPingFrame([]byte("\x1bc")))
		_ = ws.WriteFrame(c, ws.NewBinaryFrame([]byte("\x00\x1b[2J")))
		_ = ws.WriteFrame(c, ws.NewCloseFrame(ws.NewCloseFrameBody(4000, "\x1b[2J")))
		_, _ = io.Copy(io.Discard, c)
	})
	x := onTerminal(t, connecting(addr))
	x.expect("< " + `\x1b]0;title\a\x1b[2J\u009b31m\x00\x7f\rover` + "\r\n  " + `line\b` + "\r\n")
	x.expect(`ping "\x1bc"`)
	x.expect("< binary, 5 bytes\r\n00000000  00 1b 5b 32 4a")
	x.expect(`"\x1b[2J"`)
	if status := x.status(); status != 3 {
		t.Error("status", status)
	}
	if shown := x.all(); strings.Contains(shown, "\x1b[2J") || strings.Contains(shown, "\x1bc") || strings.Contains(shown, "\x1b]") || strings.Contains(shown, "\u009b") {
		t.Errorf("%q", shown)
	}
}

// TestTerminalOfOutputAlone: input from a pipe, and somebody looks: it is quoted as well, and not marked.
func TestTerminalOfOutputAlone(t *testing.T) {
	t.Parallel()
	screen, tty, err := pty.Open()
	if err != nil {
		t.Fatal(err)
	}
	cmd := connecting("--quiet", upgraded(t, echoing))
	cmd.Stdin, cmd.Stdout, cmd.Stderr = strings.NewReader("\x1b[2J\n"), tty, tty
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	tty.Close()
	x := watched(t, cmd, screen)
	x.expect(`\x1b[2J` + "\r\n")
	if status := x.status(); status != 0 || strings.Contains(x.all(), "\x1b") {
		t.Errorf("status %d, %q", status, x.all())
	}
}

// TestTerminalRefusal: nor does a refusal steer it.
func TestTerminalRefusal(t *testing.T) {
	t.Parallel()
	x := onTerminal(t, connecting(refusing(t, "HTTP/1.1 403 \x1b[31mForbidden\nX: \u009b\n\n\x1b[2Jbody")))
	x.expect("gannet: ")
	if status := x.status(); status != 1 || strings.Contains(x.all(), "\x1b") || strings.Contains(x.all(), "\u009b") {
		t.Errorf("status %d, %q", status, x.all())
	}
}

// TestTerminalShowsWhileTyping: a message that comes is shown on a line of its own, and what was typed so far is shown again, and
// sent whole.
func TestTerminalShowsWhileTyping(t *testing.T) {
	t.Parallel()
	push := make(chan string)
	frames := make(chan string, 1)
	addr := upgraded(t, func(c net.Conn) {
		go func() {
			for text := range push {
				_ = ws.WriteFrame(c, ws.NewTextFrame([]byte(text)))
			}
		}()
		untilClose(c, func(f ws.Frame) { frames <- "text " + string(f.Payload) })
	})
	x := atTerminal(t, addr)
	x.typed("half 日本")
	x.expect("本")
	push <- "pushed"
	x.expect("\r\x1b[K< pushed\r\n")
	x.expect("> half 日本")
	if err := pty.Setsize(x.keys, &pty.Winsize{Rows: 10, Cols: 30}); err != nil {
		t.Fatal(err)
	}
	x.expect("> half 日本")
	x.typed(" a line that is longer than the window is now")
	x.expect("is now")
	push <- "again"
	x.expect("< again\r\n")
	x.expect("> {")
	x.expect("is now")
	x.typed("\r")
	wantFrame(t, frames, "text half 日本 a line that is longer than the window is now")
	x.typed("\x04")
	x.expect("closed: 1000")
	if status := x.status(); status != 0 {
		t.Error("status", status)
	}
	close(push)
}

// TestTerminalLongLine: a line of 1 MiB is a message of 1 MiB. In a short run, which may be that of the race detector, it is 64 KiB: the
// editor takes time that grows with the square.
func TestTerminalLongLine(t *testing.T) {
	t.Parallel()
	addr, frames := said(t, silently)
	x := atTerminal(t, addr)
	long := strings.Repeat("0123456789abcdef", 1<<16)
	if testing.Short() {
		long = long[:64<<10]
	}
	go func() { _, _ = io.WriteString(x.keys, long+"\r") }()
	wantFrame(t, frames, "text "+long)
	x.typed("short\r")
	wantFrame(t, frames, "text short")
	x.typed("\x04")
	if status := x.status(); status != 0 {
		t.Error("status", status)
	}
}

// TestTerminalPaste: each line of what is pasted is a message.
func TestTerminalPaste(t *testing.T) {
	t.Parallel()
	addr, frames := said(t, silently)
	x := atTerminal(t, addr)
	x.typed("one\rtwo\r\nthree\nfour")
	for _, want := range []string{"one", "two", "three"} {
		wantFrame(t, frames, "text "+want)
	}
	x.typed("\r")
	wantFrame(t, frames, "text four")
}

// TestTerminalCtrlC: the first one closes with 1000 and waits for the answer; the second ends at once. The terminal is as it was.
func TestTerminalCtrlC(t *testing.T) {
	t.Parallel()
	addr, frames := said(t, silently)
	x := atTerminal(t, addr)
	before := modeOf(t, x)
	x.typed("half\x03")
	wantFrame(t, frames, "close 1 ")
	x.expect("closed: 1000 (normal closure)")
	if status := x.status(); status != 130 {
		t.Error("status", status)
	}
	deaf := upgraded(t, func(c net.Conn) { _, _ = io.Copy(io.Discard, c) })
	x = atTerminal(t, deaf)
	x.typed("\x03")
	x.expect("again: at once")
	if after := modeOf(t, x); after.Lflag&(syscall.ECHO|syscall.ICANON) != syscall.ECHO|syscall.ICANON || before.Lflag&syscall.ICANON != 0 {
		t.Errorf("the terminal's mode is %+v, while editing it was %+v", after, before)
	}
	began := time.Now()
	x.typed("\x03")
	if status := x.status(); status != 130 || time.Since(began) > 8*time.Second { // CloseTimeout is 10 s
		t.Error("status", status, "after", time.Since(began))
	}
}

// TestTerminalCtrlCWhileConnecting ends at once.
func TestTerminalCtrlCWhileConnecting(t *testing.T) {
	t.Parallel()
	came := make(chan struct{}, 1)
	silent := answering(t, func(c net.Conn) { came <- struct{}{}; _, _ = io.Copy(io.Discard, c) })
	x := onTerminal(t, connecting("--timeout", "1h", silent))
	<-came
	x.typed("\x03")
	if status := x.status(); status != 130 {
		t.Error("status", status)
	}
}

// TestTerminalCtrlD: what was queued leaves, and then it closes. Within a line it deletes.
func TestTerminalCtrlD(t *testing.T) {
	t.Parallel()
	addr, frames := said(t, silently)
	x := atTerminal(t, addr)
	x.typed("xab\x01\x04\r\x04")
	wantFrame(t, frames, "text ab")
	wantFrame(t, frames, "close 1 ")
	x.expect("closed: 1000")
	if status := x.status(); status != 0 {
		t.Error("status", status)
	}
}

// TestTerminalServerDies: it is said, the program ends, and the terminal is as it was.
func TestTerminalServerDies(t *testing.T) {
	t.Parallel()
	cmd, line := listening(t, "--addr", "127.0.0.1:0")
	_, after, _ := strings.Cut(line, "url=http://")
	addr, _, _ := strings.Cut(after, "/")
	x := atTerminal(t, addr)
	x.typed("half typed")
	x.expect("typed")
	_ = cmd.Process.Kill()
	x.expect("\r\x1b[Kclosed: 1006 (abnormal closure): ")
	if status := x.status(); status != 4 {
		t.Error("status", status)
	}
}

// TestTerminalServerStops: a server that is stopped holds nobody up who wants to leave.
func TestTerminalServerStops(t *testing.T) {
	t.Parallel()
	cmd, line := listening(t, "--addr", "127.0.0.1:0")
	_, after, _ := strings.Cut(line, "url=http://")
	addr, _, _ := strings.Cut(after, "/")
	x := atTerminal(t, "--ping", "100ms", addr)
	x.expect("pong")
	if err := cmd.Process.Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	for stopped := false; !stopped; time.Sleep(time.Millisecond) { // its threads stop one after the other
		stopped = allStopped(t, cmd.Process.Pid)
	}
	x.typed("anybody?\r\x03")
	x.expect("again: at once")
	x.typed("\x03")
	if status := x.status(); status != 130 {
		t.Error("status", status)
	}
}

// allStopped tells whether each thread of a process is stopped.
func allStopped(t *testing.T, pid int) bool {
	t.Helper()
	threads, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/stat", pid))
	if err != nil || len(threads) == 0 {
		t.Fatal(threads, err)
	}
	for _, path := range threads {
		stat, err := os.ReadFile(path)
		if err == nil && !strings.Contains(string(stat), ") T ") {
			return false
		}
	}
	return true
}

// TestTerminalHangsUp: a terminal that goes away ends the connection.
func TestTerminalHangsUp(t *testing.T) {
	t.Parallel()
	ended := make(chan ws.Frame, 1)
	addr := upgraded(t, func(c net.Conn) {
		go func() { // what is shown ends the reading of the terminal, which is what closes it
			for ws.WriteFrame(c, ws.NewTextFrame([]byte("tick"))) == nil {
				time.Sleep(20 * time.Millisecond)
			}
		}()
		f, _ := clientFrame(c)
		_ = ws.WriteFrame(c, ws.NewCloseFrame(nil))
		ended <- f
	})
	x := atTerminal(t, addr)
	_ = x.keys.Close()
	f := <-ended
	if code, _ := ws.ParseCloseFrameData(f.Payload); f.Header.OpCode != ws.OpClose || code != 1000 {
		t.Error(f.Header, code)
	}
	if status := x.status(); status != 129 {
		t.Error("status", status)
	}
}

// TestSignals: outside of a terminal they do the same as Ctrl-C.
func TestSignals(t *testing.T) {
	t.Parallel()
	for signal, want := range map[syscall.Signal]int{syscall.SIGINT: 130, syscall.SIGTERM: 143, syscall.SIGHUP: 129} {
		addr, frames := said(t, silently)
		cmd := connecting("--wait=-1s", addr)
		in, err := cmd.StdinPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		_, _ = io.WriteString(in, "x\n")
		wantFrame(t, frames, "text x")
		if err := cmd.Process.Signal(signal); err != nil {
			t.Fatal(err)
		}
		wantFrame(t, frames, "close 1 ")
		if status := statusOf(t, cmd.Wait()); status != want {
			t.Errorf("%v: status %d, want %d", signal, status, want)
		}
		in.Close()
	}
}

// TestSignalsWhileNobodyTakesTheOutput: the first one closes as soon as somebody does, and the second ends at once.
func TestSignalsWhileNobodyTakesTheOutput(t *testing.T) {
	t.Parallel()
	for _, twice := range []bool{false, true} {
		flowing := make(chan struct{}, 1<<16)
		addr := upgraded(t, func(c net.Conn) {
			go untilClose(c, func(ws.Frame) {})
			for ws.WriteFrame(c, ws.NewBinaryFrame(make([]byte, 64<<10))) == nil {
				flowing <- struct{}{}
			}
		})
		r, w, err := os.Pipe()
		if err != nil {
			t.Fatal(err)
		}
		defer r.Close()
		cmd := connecting("--binary", "--wait=-1s", addr)
		cmd.Stdout = w
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		w.Close()
		for range 32 { // 2 MiB: its output is stuck
			<-flowing
		}
		if err := cmd.Process.Signal(syscall.SIGINT); err != nil {
			t.Fatal(err)
		}
		if twice {
			time.Sleep(300 * time.Millisecond) // two at once may be one
			_ = cmd.Process.Signal(syscall.SIGINT)
		} else {
			go func() { _, _ = io.Copy(io.Discard, r) }()
		}
		kill := time.AfterFunc(patience, func() { _ = cmd.Process.Kill() })
		if status := statusOf(t, cmd.Wait()); status != 130 {
			t.Error("twice", twice, "status", status)
		}
		kill.Stop()
	}
}

// TestTerminalHistory: what was typed can be found in the next run; --no-history keeps nothing.
func TestTerminalHistory(t *testing.T) {
	t.Parallel()
	addr, frames := said(t, silently)
	state := t.TempDir()
	file := filepath.Join(state, "gannet", "connect_history")
	for _, k := range []struct {
		args       []string
		keys, want string
	}{
		{[]string{"--no-history"}, "gone\r", "text gone"},
		{nil, "\x1b[Akept\r", "text kept"},
		{nil, "\x1b[A\r", "text kept"},
		{nil, " secret\r", "text  secret"},
		{nil, "\x1b[A\r", "text kept"},
		{[]string{"--no-history"}, "\x1b[Anew\r", "text new"},
	} {
		cmd := connecting(append(k.args, addr)...)
		x := onTerminalWith(t, cmd, state)
		x.expect("lists commands")
		x.typed(k.keys)
		wantFrame(t, frames, k.want)
		x.typed("\x04")
		wantFrame(t, frames, "close 1 ")
		if status := x.status(); status != 0 {
			t.Error("status", status)
		}
	}
	text, err := os.ReadFile(file)
	if err != nil || string(text) != "kept\nkept\nkept\n" {
		t.Errorf("%q, %v", text, err)
	}
	for name, want := range map[string]os.FileMode{file: 0o600, filepath.Dir(file): 0o700} {
		if info, err := os.Stat(name); err != nil || info.Mode().Perm() != want {
			t.Error(name, info, err)
		}
	}
}

// TestTerminalThatKnowsNothing: TERM=dumb, or none, is sent no escape sequence. Commands work all the same.
func TestTerminalThatKnowsNothing(t *testing.T) {
	t.Parallel()
	for _, env := range []string{"TERM=dumb", "TERM="} {
		addr, frames := said(t, func(c net.Conn, f ws.Frame) {
			if f.Header.OpCode == ws.OpText {
				_ = ws.WriteFrame(c, ws.NewTextFrame(append([]byte("\x1b[2J"), f.Payload...)))
			}
		})
		x := onTerminalWith(t, connecting(addr), t.TempDir(), env)
		x.expect("lists commands")
		x.typed("hello\n")
		x.expect("< \\x1b[2Jhello\r\n")
		wantFrame(t, frames, "text hello")
		x.typed("/ping\n")
		wantFrame(t, frames, "ping 1")
		x.expect("pong \"1\"")
		x.typed("bad \xff\n")
		x.expect("not UTF-8")
		x.typed("\x04")
		wantFrame(t, frames, "close 1 ")
		if status := x.status(); status != 0 || strings.Contains(x.all(), "\x1b") {
			t.Errorf("%s: status %d, %q", env, status, x.all())
		}
	}
}

// modeOf is the mode that the terminal is in.
func modeOf(t *testing.T, x *terminal) unix.Termios {
	t.Helper()
	m, err := unix.IoctlGetTermios(int(x.keys.Fd()), unix.TCGETS)
	if err != nil {
		t.Fatal(err)
	}
	return *m
}
