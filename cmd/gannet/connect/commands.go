package connect

import (
	"encoding/hex"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/gannet-ws/gannet/engine"
)

// The commands that can be typed. A message that begins with / is typed with //.

type command struct {
	name, arguments, does string
	run                   func(*terminal, string) error
}

// commands are set by init, because /help lists them.
var commands []command

func init() {
	commands = []command{
		{"/binary", "HEX", "send a binary message, given by its hexadecimal digits, such as 00ff 10", (*terminal).sendHex},
		{"/close", "[CODE [REASON]]", "close the connection with this code (1000) and reason", (*terminal).closeWith},
		{"/help", "", "this list", (*terminal).help},
		{"/ping", "[TEXT]", "send a ping; its pong is shown with the time that it took", (*terminal).ping},
		{"/quit", "", "the same as Ctrl-D: close once all has left", (*terminal).quit},
		{"/text", "[TEXT]", "send a text message, which may be empty or begin with /", (*terminal).sendText},
	}
}

// command runs a line that begins with /.
func (t *terminal) command(line string) error {
	name, argument, _ := strings.Cut(line, " ")
	for _, k := range commands {
		if k.name != name {
			continue
		}
		if k.arguments == "" && strings.TrimSpace(argument) != "" {
			return fmt.Errorf("%s takes nothing behind it", name)
		}
		return k.run(t, argument)
	}
	return fmt.Errorf("there is no command %s, and nothing was sent; /help lists them, and // begins a message with /", name)
}

func (t *terminal) help(string) error {
	var b strings.Builder
	for _, k := range commands {
		fmt.Fprintf(&b, "%-24s %s\n", strings.TrimSpace(k.name+" "+k.arguments), k.does)
	}
	b.WriteString("//...                    send a line that begins with /\n")
	b.WriteString("Enter alone sends nothing. Tab completes a command, and is a tab elsewhere, shown as " + tabShown + ".\n")
	b.WriteString("Up, Down and Ctrl-R find earlier lines; a line that begins with a blank is not kept.\n")
	b.WriteString("Ctrl-C closes, a second time at once. Ctrl-D closes once all has left.")
	t.screen.complain("%s", b.String())
	return nil
}

func (t *terminal) ping(text string) error {
	if len(text) > 125 {
		return errors.New("/ping takes at most 125 bytes, which is what a ping can carry (RFC 6455 5.5)")
	}
	return t.session.ping(text)
}

func (t *terminal) sendHex(digits string) error {
	p, err := hex.DecodeString(strings.Join(strings.Fields(digits), ""))
	if err != nil {
		return fmt.Errorf("/binary takes hexadecimal digits, two for each byte, such as 00ff 10; nothing was sent")
	}
	return t.send(engine.OpBinary, p)
}

func (t *terminal) closeWith(argument string) error {
	digits, reason, _ := strings.Cut(strings.TrimSpace(argument), " ")
	code := engine.StatusNormalClosure
	if digits != "" {
		var err error
		if code, err = strconv.Atoi(digits); err != nil {
			return errors.New("/close takes a code, 1000 or 3000 to 4999, and then a reason")
		}
	}
	switch err := t.session.close(code, strings.TrimSpace(reason)); {
	case errors.Is(err, engine.ErrInvalidAccess):
		return fmt.Errorf("the close code %d may not be sent by a client: 1000 and 3000 to 4999 may", code)
	case errors.Is(err, engine.ErrSyntax):
		return errors.New("the reason is too long: a Close has room for 123 bytes")
	default:
		return err
	}
}

func (t *terminal) quit(string) error {
	return t.session.close(engine.StatusNormalClosure, "")
}

// complete completes commands; in a message a tab is a tab.
func complete(line string, at int) (head string, found []string, tail string) {
	before := []rune(line)[:at]
	head, tail = string(before), string([]rune(line)[at:])
	if strings.HasPrefix(head, "/") && !strings.Contains(head, " ") && !strings.HasPrefix(head, "//") {
		for _, k := range commands {
			if strings.HasPrefix(k.name, head) {
				found = append(found, k.name+strings.Repeat(" ", min(1, len(k.arguments))))
			}
		}
		return "", found, tail
	}
	for n := 1; n <= mostTabs; n++ { // each further tab goes to the next one
		found = append(found, strings.Repeat(tabShown, n))
	}
	return head, found, tail
}

// mostTabs is how many tabs in a row the editor can be given.
const mostTabs = 64
