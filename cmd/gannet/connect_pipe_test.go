package main

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gobwas/ws"
)

// TestConnectPipes: a line is a message, and a message a line: whatever ends it, however long it is, the empty one, and the last one
// without an end. Only messages are on stdout.
func TestConnectPipes(t *testing.T) {
	t.Parallel()
	addr := upgraded(t, echoing)
	long := strings.Repeat("ä", 1<<20)
	for input, want := range map[string]string{
		"":                      "",
		"one\n":                 "one\n",
		"one\ntwo":              "one\ntwo\n",
		"\n\nx\n":               "\n\nx\n",
		"dos\r\nfile\r\n":       "dos\nfile\n",
		"\r\n":                  "\n",
		"a\rb\n":                "a\rb\n",
		"a\r":                   "a\r\n",
		"/help\n//x\n":          "/help\n//x\n",
		"\x1b[31m\u009b\x00\n":  "\x1b[31m\u009b\x00\n",
		long + "\n" + long:      long + "\n" + long + "\n",
		strings.Repeat("\n", 9): strings.Repeat("\n", 9),
	} {
		out, said, status := runConnect(t, input, addr)
		if out != want || status != 0 {
			t.Errorf("%.40q: %d bytes %.60q, status %d, %s", input, len(out), out, status, said)
		}
		if !strings.Contains(said, "connected to ws://"+addr+"/") || !strings.HasSuffix(said, "closed: 1000 (normal closure)\n") {
			t.Errorf("%.40q says %s", input, said)
		}
	}
}

// TestConnectPipesBytes: with --binary what comes is sent in binary messages, and comes out with nothing in between.
func TestConnectPipesBytes(t *testing.T) {
	t.Parallel()
	addr := upgraded(t, func(c net.Conn) {
		untilClose(c, func(f ws.Frame) {
			if f.Header.OpCode == ws.OpBinary {
				_ = ws.WriteFrame(c, ws.NewBinaryFrame(f.Payload))
			}
		})
	})
	input := strings.Repeat("\x00\xff\n\r\n", 200_000)
	out, said, status := runConnect(t, input, "--binary", "--quiet", "--max-message", "5000", addr)
	if out != input || said != "" || status != 0 {
		t.Error(len(out), "of", len(input), said, status)
	}
}

// TestConnectPipesBinaryMessages: a binary message in a pipe of lines is a line as well.
func TestConnectPipesBinaryMessages(t *testing.T) {
	t.Parallel()
	addr := upgraded(t, func(c net.Conn) {
		_ = ws.WriteFrame(c, ws.NewBinaryFrame([]byte{0, 0xff, 0x1b}))
		_ = ws.WriteFrame(c, ws.NewTextFrame([]byte("text\x1b")))
		untilClose(c, func(ws.Frame) {})
	})
	if out, said, status := runConnect(t, "", addr); out != "\x00\xff\x1b\ntext\x1b\n" || status != 0 {
		t.Errorf("%q, %s, %d", out, said, status)
	}
}

// TestConnectRefusesInput: what can not be sent is said with its line; what was before it is sent and answered, what is behind it not.
func TestConnectRefusesInput(t *testing.T) {
	t.Parallel()
	addr := upgraded(t, echoing)
	for _, k := range []struct{ input, out, said string }{
		{"good\nb\xffd\nafter\n", "good\n", "line 2 of the input is not UTF-8 at byte 1"},
		{"good\nlonger than ten\nafter\n", "good\n", "line 2 of the input is longer than --max-message, 10 bytes"},
		{"exactly 10\n", "exactly 10\n", ""},
		{"exactly 10\r\n", "exactly 10\n", ""},
		{"exactly 10\r", "", "line 1 of the input is longer"},
		{strings.Repeat("x", 1<<20), "", "line 1 of the input is longer"},
	} {
		out, said, status := runConnect(t, k.input, "--max-message", "10", addr)
		if want := 5 * min(1, len(k.said)); out != k.out || status != want || !strings.Contains(said, k.said) {
			t.Errorf("%.20q: %q, %s, %d", k.input, out, said, status)
		}
	}
}

// TestConnectWaits: --wait is how long answers may take; without it they have come when the server has read everything, and said nothing
// more for a second.
func TestConnectWaits(t *testing.T) {
	t.Parallel()
	slow := upgraded(t, func(c net.Conn) { // it answers at the end, in one go, and reads slowly
		time.Sleep(1500 * time.Millisecond)
		untilClose(c, func(f ws.Frame) { _ = ws.WriteFrame(c, ws.NewTextFrame(f.Payload)) })
	})
	if out, said, status := runConnect(t, "late\n", slow); out != "late\n" || status != 0 {
		t.Errorf("by default: %q, %s, %d", out, said, status)
	}
	later := upgraded(t, func(c net.Conn) {
		untilClose(c, func(f ws.Frame) {
			time.AfterFunc(2500*time.Millisecond, func() { _ = ws.WriteFrame(c, ws.NewTextFrame(f.Payload)) })
		})
	})
	if out, said, status := runConnect(t, "later\n", "--wait", "5s", "--quiet", later); out != "later\n" || status != 0 {
		t.Errorf("--wait 5s: %q, %s, %d", out, said, status)
	}
	endless := upgraded(t, func(c net.Conn) {
		go untilClose(c, func(ws.Frame) {})
		for ws.WriteFrame(c, ws.NewTextFrame([]byte("tick"))) == nil {
			time.Sleep(20 * time.Millisecond)
		}
	})
	if out, said, status := runConnect(t, "", "--wait", "300ms", endless); !strings.HasPrefix(out, "tick\ntick\n") || status != 0 {
		t.Errorf("--wait 300ms: %q, %s, %d", out, said, status)
	}
	closes := upgraded(t, func(c net.Conn) {
		time.Sleep(1500 * time.Millisecond)
		_ = ws.WriteFrame(c, ws.NewCloseFrame(ws.NewCloseFrameBody(1000, "done")))
		_, _ = io.Copy(io.Discard, c)
	})
	if _, said, status := runConnect(t, "", "--wait=-1s", closes); !strings.Contains(said, `closed: 1000 (normal closure) "done"`) || status != 0 {
		t.Errorf("--wait -1s: %s, %d", said, status)
	}
	if out, said, status := runConnect(t, "x\n", "--wait", "0", upgraded(t, echoing)); status != 0 {
		t.Errorf("--wait 0: %q, %s, %d", out, said, status)
	}
}

// TestConnectPrettyJSON: members in their order, numbers as they came; what is no JSON as it is.
func TestConnectPrettyJSON(t *testing.T) {
	t.Parallel()
	input := `{"z":1.50,"a":[1e400,{}],"z":"\u00e9"}` + "\nnot JSON\n"
	want := "{\n  \"z\": 1.50,\n  \"a\": [\n    1e400,\n    {}\n  ],\n  \"z\": \"\\u00e9\"\n}\nnot JSON\n"
	if out, said, status := runConnect(t, input, "--json", upgraded(t, echoing)); out != want || status != 0 {
		t.Errorf("%s, %s, %d", out, said, status)
	}
}

func TestConnectTimestamps(t *testing.T) {
	t.Parallel()
	out, said, _ := runConnect(t, "x\n", "--timestamps", upgraded(t, echoing))
	for _, line := range strings.Split(strings.TrimSpace(out+said), "\n") {
		stamp, _, _ := strings.Cut(line, " ")
		if _, err := time.Parse(time.RFC3339, stamp); err != nil {
			t.Errorf("%q: %v", line, err)
		}
	}
}

// TestConnectSaysWhatWasAgreed: the sub-protocol and the extension.
func TestConnectSaysWhatWasAgreed(t *testing.T) {
	t.Parallel()
	addr := answering(t, func(c net.Conn) {
		u := ws.Upgrader{Protocol: func(p []byte) bool { return string(p) == "second" }}
		if _, err := u.Upgrade(c); err == nil {
			echoing(c)
		}
	})
	if _, said, status := runConnect(t, "", "--protocol", "first, second", "--protocol=third", addr); !strings.Contains(said, "(sub-protocol second)") || status != 0 {
		t.Error(said, status)
	}
	if _, said, status := runConnect(t, "", "--deflate", "--unix", serving(t, "--deflate", "alone")); !strings.Contains(said, "(permessage-deflate; server_no_context_takeover)") ||
		!strings.Contains(said, "connected to ws://localhost/") || status != 0 {
		t.Error(said, status)
	}
}

// TestConnectAsks: the request has what the options say.
func TestConnectAsks(t *testing.T) {
	t.Parallel()
	heads := make(chan string, 1)
	addr := answering(t, func(c net.Conn) {
		heads <- readHead(c)
	})
	runConnect(t, "", "--header", "X-One: 1, 2", "-H", "x-one:3", "-H", "Host: other.example", "-H", "Cookie: a=b; c=d", "--origin", "https://o.example",
		"--user", "me:pa:ss", addr+"/path?q=ä")
	head := <-heads
	for _, want := range []string{
		"GET /path?q=%C3%A4 HTTP/1.1\r\n", "X-One: 1, 2\r\n", "X-One: 3\r\n", "Host: other.example\r\n", "Cookie: a=b; c=d\r\n",
		"Origin: https://o.example\r\n", "Authorization: Basic bWU6cGE6c3M=\r\n",
	} {
		if strings.Count(head, want) != 1 {
			t.Errorf("%q is not once in\n%s", want, head)
		}
	}
	runConnect(t, "", "ws://me:pa%20ss@"+addr)
	if head = <-heads; !strings.Contains(head, "Authorization: Basic bWU6cGEgc3M=\r\n") {
		t.Error(head)
	}
	if runConnect(t, "", addr); strings.Contains(<-heads, "Authorization") {
		t.Error("credentials that nobody gave")
	}
}

// TestConnectShowsControlFrames: pings are shown, what they carry can not forge a line.
func TestConnectShowsControlFrames(t *testing.T) {
	t.Parallel()
	addr := upgraded(t, func(c net.Conn) {
		_ = ws.WriteFrame(c, ws.NewPingFrame([]byte("are you\nthere\x1b")))
		_ = ws.WriteFrame(c, ws.NewPingFrame(nil))
		_ = ws.WriteFrame(c, ws.NewPongFrame([]byte("unasked")))
		untilClose(c, func(ws.Frame) {})
	})
	_, said, _ := runConnect(t, "", "--ping", "1h", addr)
	if !strings.Contains(said, "ping \"are you\\nthere\\x1b\"\nping\npong \"unasked\"\n") {
		t.Error(said)
	}
}

// TestConnectPings: --ping pings a silent server, and a server that does not answer is given up.
func TestConnectPings(t *testing.T) {
	t.Parallel()
	pings := make(chan struct{}, 1000)
	addr := upgraded(t, func(c net.Conn) {
		for range 3 {
			f, err := clientFrame(c)
			if err != nil {
				return
			}
			if f.Header.OpCode == ws.OpPing {
				pings <- struct{}{}
				_ = ws.WriteFrame(c, ws.NewPongFrame(f.Payload))
			}
		}
		_ = ws.WriteFrame(c, ws.NewCloseFrame(ws.NewCloseFrameBody(1000, "")))
		_, _ = io.Copy(io.Discard, c)
	})
	if _, said, status := runConnect(t, "", "--ping", "50ms", "--wait=-1s", addr); len(pings) != 3 || status != 0 || !strings.Contains(said, "pong") {
		t.Error(len(pings), said, status)
	}
}

// TestConnectHoldsBack: stdin is not read further than the server reads, and what comes waits in the network while nobody takes stdout.
func TestConnectHoldsBack(t *testing.T) {
	t.Parallel()
	release := make(chan struct{})
	deaf := upgraded(t, func(c net.Conn) { <-release; untilClose(c, func(ws.Frame) {}) })
	cmd := connecting("--binary", "--quiet", deaf)
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	wrote, ended := make(chan int, 1<<16), make(chan struct{})
	go func() {
		defer close(ended)
		for range 256 { // MiB
			if n, err := in.Write(make([]byte, 1<<20)); err != nil {
				return
			} else {
				wrote <- n
			}
		}
		in.Close()
	}()
	total := 0
	for quiet := false; !quiet; {
		select {
		case n := <-wrote:
			total += n
		case <-time.After(2 * time.Second):
			quiet = true
		}
	}
	if total > 64<<20 {
		t.Errorf("%d MiB were taken from stdin, and nobody read them", total>>20)
	}
	close(release)
	<-ended
	if status := statusOf(t, cmd.Wait()); status != 0 {
		t.Error("status", status)
	}

	sent := make(chan int, 1<<16)
	flood := upgraded(t, func(c net.Conn) {
		defer close(sent)
		go untilClose(c, func(ws.Frame) {})
		for range 256 {
			if ws.WriteFrame(c, ws.NewBinaryFrame(make([]byte, 1<<20))) != nil {
				return
			}
			sent <- 1 << 20
		}
		_ = ws.WriteFrame(c, ws.NewCloseFrame(ws.NewCloseFrameBody(1000, "")))
	})
	cmd = connecting("--binary", "--quiet", "--wait=-1s", flood)
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	cmd.Stdout = w
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	w.Close()
	total = 0
	for quiet := false; !quiet; {
		select {
		case n := <-sent:
			total += n
		case <-time.After(2 * time.Second):
			quiet = true
		}
	}
	if total > 64<<20 {
		t.Errorf("%d MiB were read from the server, and nobody took them", total>>20)
	}
	if n, err := io.Copy(io.Discard, r); n != 256<<20 || err != nil {
		t.Errorf("%d MiB came out, %v", n>>20, err)
	}
	if status := statusOf(t, cmd.Wait()); status != 0 {
		t.Error("status", status)
	}
}

// TestConnectHoldsBackEmptyLines: an empty message has no byte that counts, and waits for the server all the same.
func TestConnectHoldsBackEmptyLines(t *testing.T) {
	t.Parallel()
	release := make(chan struct{})
	defer close(release)
	cmd := connecting("--quiet", upgraded(t, func(net.Conn) { <-release }))
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	const all, piece = 16 << 20, 64 << 10
	var taken atomic.Int64
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		empty := bytes.Repeat([]byte("\n"), piece)
		for range all / piece {
			if _, err := in.Write(empty); err != nil {
				return
			}
			taken.Add(piece)
		}
	}()
	for before := int64(-1); before != taken.Load(); time.Sleep(2 * time.Second) {
		before = taken.Load()
	}
	if n := taken.Load(); n == all {
		t.Errorf("all %d empty lines were taken from stdin, and nobody read them", n)
	}
	_ = cmd.Process.Kill()
	_ = cmd.Wait()
	<-ended
}

// TestConnectEchoesMuch: a server of echoes and a pipe at both ends do not wait for each other for ever.
func TestConnectEchoesMuch(t *testing.T) {
	t.Parallel()
	socket := serving(t)
	var input bytes.Buffer
	for n := range 300_000 {
		fmt.Fprintf(&input, "line %d %s\n", n, hex.EncodeToString(make([]byte, n%100)))
	}
	want := input.String()
	if out, said, status := runConnect(t, want, "--unix", socket); out != want || status != 0 {
		t.Errorf("%d bytes of %d, status %d, %s", len(out), len(want), status, said)
	}
}

// TestConnectOutputIsGone: whoever reads the output may have enough of it: the connection is closed in good order.
func TestConnectOutputIsGone(t *testing.T) {
	t.Parallel()
	codes := make(chan ws.StatusCode, 1)
	addr := upgraded(t, func(c net.Conn) {
		go func() {
			for ws.WriteFrame(c, ws.NewTextFrame([]byte("tick"))) == nil {
				time.Sleep(10 * time.Millisecond)
			}
		}()
		for {
			f, err := clientFrame(c)
			if err != nil {
				codes <- 0
				return
			}
			if f.Header.OpCode == ws.OpClose {
				code, _ := ws.ParseCloseFrameData(f.Payload)
				_ = ws.WriteFrame(c, ws.NewCloseFrame(ws.NewCloseFrameBody(code, "")))
				codes <- code
				return
			}
		}
	})
	cmd := connecting("--wait=-1s", "--quiet", addr)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	var said bytes.Buffer
	cmd.Stderr = &said
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadFull(out, make([]byte, 5)); err != nil {
		t.Fatal(err)
	}
	out.Close()
	if code := <-codes; code != 1000 {
		t.Error("closed with", code)
	}
	if status := statusOf(t, cmd.Wait()); status != 5 || said.Len() > 0 {
		t.Errorf("status %d, %s", status, said.String())
	}
}

// TestConnectOutputIsFull: what can not be written is an error that says so.
func TestConnectOutputIsFull(t *testing.T) {
	t.Parallel()
	full, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
	if err != nil {
		t.Skip(err)
	}
	defer full.Close()
	cmd := connecting(upgraded(t, echoing))
	cmd.Stdin, cmd.Stdout = strings.NewReader("x\n"), full
	var said bytes.Buffer
	cmd.Stderr = &said
	if status := statusOf(t, cmd.Run()); status != 5 || !strings.Contains(said.String(), "gannet: the output can not be written: no space left on device") {
		t.Errorf("status %d, %s", status, said.String())
	}
}

// TestConnectKeepsNoHistoryOfPipes: it is for what is typed.
func TestConnectKeepsNoHistoryOfPipes(t *testing.T) {
	t.Parallel()
	state := t.TempDir()
	cmd := connecting(upgraded(t, echoing))
	cmd.Env = append(cmd.Env, "XDG_STATE_HOME="+state)
	finish(t, cmd, strings.NewReader("secret\n"))
	if _, err := os.Stat(filepath.Join(state, "gannet")); !os.IsNotExist(err) {
		t.Error(err)
	}
}
