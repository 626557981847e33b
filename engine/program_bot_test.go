package engine_test

import (
	"bufio"
	"bytes"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/gobwas/ws"
	"github.com/gobwas/ws/wsutil"
)

// The example that is a client, and a server for it that nobody here wrote.

const botFolder = "../docs/examples/bot"

// bot is the program, with the server's side of its connections.
type bot struct {
	t    *testing.T
	ln   net.Listener
	cmd  *exec.Cmd
	said *bytes.Buffer
	end  chan error
}

func startBot(t *testing.T) *bot {
	t.Helper()
	if runtime.GOOS == "windows" {
		t.Skip("no SIGTERM")
	}
	if testing.Short() {
		t.Skip("the program is the same one in every build of the tests")
	}
	binary := filepath.Join(t.TempDir(), "bot")
	build := exec.Command("go", "build", "-o", binary, ".")
	build.Dir, build.Env = botFolder, append(os.Environ(), "GOWORK=off") // it is a module of its own
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	b := &bot{t: t, ln: ln, cmd: exec.Command(binary, "ws://"+ln.Addr().String()+"/room"), said: new(bytes.Buffer), end: make(chan error, 1)}
	b.cmd.Stdout, b.cmd.Stderr = b.said, b.said
	if err := b.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() { b.end <- b.cmd.Wait() }()
	limit := time.AfterFunc(programTime, func() { _ = b.cmd.Process.Kill(); _ = ln.Close() })
	t.Cleanup(func() {
		limit.Stop()
		_ = b.cmd.Process.Kill()
		_ = ln.Close()
	})
	return b
}

// accept takes the bot's next connection.
func (b *bot) accept() net.Conn {
	b.t.Helper()
	nc, err := b.ln.Accept()
	if err != nil {
		b.t.Fatal(err)
	}
	b.t.Cleanup(func() { nc.Close() })
	_ = nc.SetDeadline(time.Now().Add(programTime))
	return nc
}

// open accepts a connection, opens a WebSocket on it and hears the bot's first words.
func (b *bot) open(hello string) net.Conn {
	b.t.Helper()
	nc := b.accept()
	if _, err := ws.Upgrade(nc); err != nil {
		b.t.Fatal(err)
	}
	b.hears(nc, "^"+regexp.QuoteMeta(hello))
	return nc
}

func (b *bot) hears(nc net.Conn, pattern string) {
	b.t.Helper()
	p, err := wsutil.ReadClientText(nc)
	if err != nil || !regexp.MustCompile(pattern).Match(p) {
		b.t.Fatalf("%q, %v; want %s", p, err, pattern)
	}
}

func (b *bot) ends(inOrder bool) {
	b.t.Helper()
	select {
	case err := <-b.end:
		if (err == nil) != inOrder {
			b.t.Errorf("the program ended with %v:\n%s", err, b.said)
		}
	case <-time.After(programTime):
		b.t.Fatal("the program does not end")
	}
}

// TestBot: it talks, comes back from a lost connection, from a Close and from a refusal, and leaves in order.
func TestBot(t *testing.T) {
	b := startBot(t)
	nc := b.open("bot: hello")
	if err := wsutil.WriteServerText(nc, []byte("ann: !time")); err != nil {
		t.Fatal(err)
	}
	b.hears(nc, `^bot: \d\d:\d\d:\d\d$`)
	_ = nc.(*net.TCPConn).SetLinger(0)
	_ = nc.Close()

	nc = b.accept()
	if _, err := http.ReadRequest(bufio.NewReader(nc)); err != nil {
		t.Fatal(err)
	}
	_, _ = io.WriteString(nc, "HTTP/1.1 503 Service Unavailable\r\nRetry-After: 0\r\nContent-Length: 0\r\n\r\n")
	_ = nc.Close()

	nc = b.open("bot: I am back")
	if err := wsutil.WriteServerMessage(nc, ws.OpClose, ws.NewCloseFrameBody(ws.StatusGoingAway, "")); err != nil {
		t.Fatal(err)
	}
	nc = b.open("bot: I am back")
	for _, text := range []string{"bot: hello, say !time", "ann: !time"} { // the first one is its own, and it does not talk to itself
		if err := wsutil.WriteServerText(nc, []byte(text)); err != nil {
			t.Fatal(err)
		}
	}
	b.hears(nc, `^bot: \d\d:\d\d:\d\d$`)
	if err := b.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	said, err := wsutil.ReadClientMessage(nc, nil)
	if err != nil || len(said) != 1 {
		t.Fatal(said, err)
	}
	if code, _ := ws.ParseCloseFrameData(said[0].Payload); said[0].OpCode != ws.OpClose || code != ws.StatusNormalClosure {
		t.Errorf("%v", said)
	}
	_ = wsutil.WriteServerMessage(nc, ws.OpClose, said[0].Payload)
	b.ends(true)
	if n := strings.Count(b.said.String(), "lost ("); n != 3 {
		t.Errorf("it tells of %d losses:\n%s", n, b.said)
	}
}

// TestBotIsNotWanted: it ends when the server says so.
func TestBotIsNotWanted(t *testing.T) {
	b := startBot(t)
	nc := b.open("bot: hello")
	if err := wsutil.WriteServerMessage(nc, ws.OpClose, ws.NewCloseFrameBody(ws.StatusPolicyViolation, "no bots here")); err != nil {
		t.Fatal(err)
	}
	b.ends(false)
	if !strings.Contains(b.said.String(), "no bots here") {
		t.Errorf("it does not tell why:\n%s", b.said)
	}
}
