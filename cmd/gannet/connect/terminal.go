package connect

import (
	"errors"
	"io"
	"os"
	"strings"
	"sync"
	"syscall"
	"unicode/utf8"

	"github.com/peterh/liner"
	"golang.org/x/term"

	"github.com/gannet-ws/gannet/engine"
)

// prompt stands before the line that is being typed.
const prompt = "> "

// tabShown stands for a tab in the line that is being typed, which would move what follows in ways that the editor does not know of.
const tabShown = "␉"

func isTerminalFD(fd uintptr) bool { return term.IsTerminal(int(fd)) }

// terminal sends what is typed, a line at a time.
type terminal struct {
	*session
	editor  *liner.State
	prompt  string
	history *history
	closing sync.Once
}

func newTerminal(c *session) *terminal {
	t := &terminal{session: c, history: openHistory(c.HistoryFile)}
	t.editor = liner.NewLiner()
	t.editor.SetCtrlCAborts(true)
	t.editor.SetBeep(false)
	t.editor.SetTabCompletionStyle(liner.TabCircular)
	t.editor.SetWordCompleter(complete)
	for _, line := range t.history.lines {
		t.editor.AppendHistory(line)
	}
	if t.history.err != nil {
		c.screen.complain("no history: %v", t.history.err)
	}
	c.screen.notice("a line that you type is a message; /help lists commands")
	if liner.TerminalSupported() {
		t.prompt = prompt
		c.screen.converses(redraw)
	} else { // TERM=dumb: the system edits lines, and what comes is shown wherever the cursor is
		c.screen.converses(nil)
	}
	return t
}

// close gives the terminal back as it was.
func (t *terminal) close() {
	t.closing.Do(func() {
		_ = t.editor.Close() // first: this waits for nobody
		t.screen.editsNoMore()
	})
}

func (t *terminal) run() {
	for {
		line, err := t.editor.Prompt(t.prompt)
		switch {
		case err == nil:
			t.typed(line)
		case errors.Is(err, liner.ErrPromptAborted):
			t.interrupt(os.Interrupt)
			return
		case err == io.EOF:
			t.inputEnds(func(*session) {})
			return
		default: // the terminal is gone
			t.interrupt(syscall.SIGHUP)
			return
		}
	}
}

// typed does what a line says.
func (t *terminal) typed(line string) {
	if line == "" {
		return // somebody looks whether it is still there; /text sends an empty message
	}
	if t.history.add(line) {
		t.editor.AppendHistory(line)
	}
	switch err := t.do(strings.ReplaceAll(line, tabShown, "\t")); {
	case errors.Is(err, engine.ErrClosed):
		t.screen.complain("nothing was sent: the connection is closing")
	case err != nil:
		t.screen.complain("%s", plainError(err))
	}
}

// do runs a command, or sends a message.
func (t *terminal) do(line string) error {
	if strings.HasPrefix(line, "/") && !strings.HasPrefix(line, "//") {
		return t.command(line)
	}
	if strings.HasPrefix(line, "//") {
		line = line[1:]
	}
	if t.Binary {
		return t.sendTyped(engine.OpBinary, line)
	}
	return t.sendText(line)
}

func (t *terminal) sendText(text string) error { return t.sendTyped(engine.OpText, text) }

// errTyped: the editor shows bytes that are no UTF-8 as U+FFFD.
var errTyped = errors.New("this line was not sent: it has bytes that are not UTF-8, where U+FFFD (\uFFFD) stands now; /binary sends bytes by their hexadecimal digits")

func (t *terminal) sendTyped(op engine.Opcode, text string) error {
	if strings.ContainsRune(text, utf8.RuneError) {
		return errTyped
	}
	err := t.send(op, []byte(text))
	var long *tooLong
	if errors.As(err, &long) {
		return errors.New("this line " + long.Error() + ", and was not sent")
	}
	return err
}
