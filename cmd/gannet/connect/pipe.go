package connect

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"
	"time"

	"github.com/gannet-ws/gannet/engine"
)

// pipe sends what comes from stdin: a line is a message, or with --binary what one read gives.
type pipe struct{ *session }

func (p *pipe) close() {}

func (p *pipe) run() {
	send := p.sendLines
	if p.Binary {
		send = p.sendBytes
	}
	switch err := send(p.In); {
	case err == io.EOF:
		p.inputEnds(answersIn)
	case errors.Is(err, engine.ErrClosed): // Run hears of it
	default:
		p.broken.CompareAndSwap(nil, &Failure{statusLocal, err})
		p.inputEnds(answersIn) // to what was sent before
	}
}

// sendLines sends each line as a text message, without what ends it: LF, or CRLF. An empty line is an empty message. The last one
// needs no end.
func (p *pipe) sendLines(r io.Reader) error {
	in := bufio.NewReaderSize(r, 64<<10)
	var line []byte
	for number := 1; ; number++ {
		var err error
		line, err = readLine(in, line[:0], p.MaxMessage)
		if err == nil || err == io.EOF && len(line) > 0 {
			if failed := p.send(engine.OpText, withoutEnd(line)); failed != nil {
				return inLine(number, failed)
			}
		}
		if err != nil {
			return inLine(number, err)
		}
	}
}

// inLine says where an error is, if it is the input's.
func inLine(number int, err error) error {
	var long *tooLong
	var text *engine.UTF8Error
	switch {
	case errors.As(err, &text):
		return fmt.Errorf("line %d of the input is not UTF-8 at byte %d, and was not sent; --binary sends bytes as they are", number, text.Offset)
	case errors.As(err, &long):
		return fmt.Errorf("line %d of the input %w, and was not sent", number, err)
	case err == io.EOF, errors.Is(err, engine.ErrClosed):
		return err
	}
	return errors.New("the input can not be read: " + withoutPath(err))
}

// tooLong: a message over --max-message.
type tooLong struct{ most int64 }

func (e *tooLong) Error() string {
	return "is longer than --max-message, " + strconv.FormatInt(e.most, 10) + " bytes"
}

// readLine appends a line with its end to dst. Before the end of the input an error is io.EOF.
func readLine(r *bufio.Reader, dst []byte, most int64) ([]byte, error) {
	for {
		part, err := r.ReadSlice('\n')
		dst = append(dst, part...)
		switch {
		case int64(len(dst)) > most+2: // its end is no part of it
			return dst, &tooLong{most}
		case err != bufio.ErrBufferFull:
			return dst, err
		}
	}
}

func withoutEnd(line []byte) []byte {
	n := len(line)
	if n > 0 && line[n-1] == '\n' {
		if n--; n > 0 && line[n-1] == '\r' {
			n--
		}
	}
	return line[:n]
}

// sendBytes sends what each read gives as a binary message.
func (p *pipe) sendBytes(r io.Reader) error {
	b := make([]byte, min(64<<10, p.MaxMessage))
	for {
		n, err := r.Read(b)
		if n > 0 {
			if failed := p.send(engine.OpBinary, b[:n]); failed != nil {
				return failed
			}
		}
		if err == io.EOF {
			return err
		} else if err != nil {
			return errors.New("the input can not be read: " + withoutPath(err))
		}
	}
}

// quietTime is how long nothing has come before a pipe takes it that there are no more answers.
const quietTime = time.Second

// pongTime is how long a pipe waits for the pong that says that the server has read everything.
const pongTime = 10 * time.Second

// answersIn waits for the answers to what was sent, where nobody said how long.
func answersIn(c *session) {
	read := make(chan struct{})
	const last = "gannet: all was sent"
	c.pings.Store(last, read)
	if c.conn.Ping([]byte(last)) == nil {
		within, cancel := context.WithTimeout(context.Background(), pongTime)
		defer cancel()
		select {
		case <-read:
		case <-within.Done():
		}
	}
	c.received.Store(max(c.received.Load(), time.Now().UnixNano()))
	for {
		quiet := time.Since(time.Unix(0, c.received.Load()))
		switch {
		case c.conn.ReadyState() != engine.Open:
			return
		case c.showing.Load() > 0:
			time.Sleep(quietTime / 10)
		case quiet < quietTime:
			time.Sleep(quietTime - quiet)
		default:
			return
		}
	}
}

// inputEnds closes when all has left, and what is to be waited for was: without --wait what the default says.
func (c *session) inputEnds(byDefault func(*session)) {
	if c.conn.DrainQueue(context.Background()) != nil {
		return // closed
	}
	switch {
	case c.Wait == nil:
		byDefault(c)
	case *c.Wait < 0:
		return
	default:
		time.Sleep(*c.Wait)
	}
	_ = c.close(engine.StatusNormalClosure, "")
}
