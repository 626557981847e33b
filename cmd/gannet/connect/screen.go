package connect

import (
	"bufio"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gannet-ws/gannet/engine"
)

// screen is where everything is shown. Messages go to out. The rest goes to err, or, where lines are edited, to out as well. Its methods
// may be called from any goroutine; they block as long as nobody takes what they write.
type screen struct {
	*Settings
	out, err     io.Writer
	outIsATerm   bool
	errIsATerm   bool
	editing      atomic.Bool // a line may be half typed
	errMu        sync.Mutex  // of err
	mu           sync.Mutex  // of out, and of what follows
	buffered     *bufio.Writer
	whileEditing func()
	mark, indent string // before a message, and before each further line of it
}

func newScreen(s *Settings) *screen {
	return &screen{Settings: s, out: s.Out, err: s.Err, outIsATerm: isTerminal(s.Out), errIsATerm: isTerminal(s.Err),
		buffered: bufio.NewWriterSize(s.Out, 64<<10)}
}

// converses says that lines are typed on the same screen from now on; redraw shows the line that is edited again; nil: none is.
func (s *screen) converses(redraw func()) {
	s.mu.Lock()
	s.whileEditing, s.mark, s.indent = redraw, "< ", "  "
	s.editing.Store(redraw != nil)
	s.mu.Unlock()
}

// editsNoMore says that no line is edited any more. What was half typed is gone.
func (s *screen) editsNoMore() {
	s.mu.Lock()
	if s.editing.CompareAndSwap(true, false) {
		_, _ = io.WriteString(s.out, clearLine)
	}
	s.mu.Unlock()
}

// clearLine goes to the beginning of the line and empties it.
const clearLine = "\r\x1b[K"

// notice shows what is no message, unless --quiet.
func (s *screen) notice(format string, args ...any) {
	if !s.Quiet {
		s.complain(format, args...)
	}
}

// complain shows what --quiet does not hide.
func (s *screen) complain(format string, args ...any) {
	text := s.stamp() + fmt.Sprintf(format, args...)
	if s.editing.Load() && s.aboveLine(printable(text)) {
		return
	}
	if s.errIsATerm {
		text = printable(text)
	}
	s.errMu.Lock()
	defer s.errMu.Unlock()
	_, _ = io.WriteString(s.err, text+"\n")
}

// aboveLine shows a text above the line that is edited, and reports whether there is one.
func (s *screen) aboveLine(text string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.editing.Load() {
		return false
	}
	_, _ = io.WriteString(s.out, clearLine+text+"\n")
	s.whileEditing()
	return true
}

func (s *screen) stamp() string {
	if !s.Timestamps {
		return ""
	}
	return time.Now().Format("2006-01-02T15:04:05.000Z07:00 ")
}

// message shows a message. An error is the output's.
func (s *screen) message(m engine.Message) error {
	stamp := s.stamp()
	s.mu.Lock()
	defer s.mu.Unlock()
	w := s.buffered
	if s.editing.Load() {
		_, _ = w.WriteString(clearLine)
	}
	_, _ = w.WriteString(stamp)
	switch {
	case s.outIsATerm:
		s.forPeople(m)
	case s.JSON && m.Op == engine.OpText && json.Valid(m.Data):
		prettyJSON(m.Data, func(p []byte) { _, _ = w.Write(p) })
	default:
		_, _ = w.Write(m.Data)
	}
	if s.outIsATerm || !s.Binary {
		_ = w.WriteByte('\n')
	}
	err := w.Flush()
	if s.editing.Load() {
		s.whileEditing()
	}
	return err
}

// forPeople writes a message for a terminal.
func (s *screen) forPeople(m engine.Message) {
	w := s.buffered
	_, _ = w.WriteString(s.mark)
	switch {
	case m.Op == engine.OpBinary:
		_, _ = fmt.Fprintf(w, "binary, %s", bytesOf(len(m.Data)))
		writeHex(w, m.Data)
	case s.JSON && json.Valid(m.Data):
		prettyJSON(m.Data, func(p []byte) { writePrintable(w, p, s.indent) })
	default:
		writePrintable(w, m.Data, s.indent)
	}
}

// shownBinary is how much of a binary message a terminal gets.
const shownBinary = 1 << 10

func writeHex(w io.Writer, p []byte) {
	first := p[:min(len(p), shownBinary)]
	if dump := strings.TrimSuffix(hex.Dump(first), "\n"); dump != "" {
		_, _ = io.WriteString(w, "\n"+dump)
	}
	if more := len(p) - len(first); more > 0 {
		_, _ = fmt.Fprintf(w, "\nand %s more", bytesOf(more))
	}
}

func bytesOf(n int) string {
	if n == 1 {
		return "1 byte"
	}
	return strconv.Itoa(n) + " bytes"
}

// quoted is a payload of a few bytes, on a line; "": there is none.
func quoted(p []byte) string {
	if len(p) == 0 {
		return ""
	}
	return " " + strconv.Quote(string(p))
}

// isTerminal tells whether somebody looks at f, or types it.
func isTerminal(f *os.File) bool { return isTerminalFD(f.Fd()) }
