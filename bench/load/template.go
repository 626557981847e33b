package load

import (
	"fmt"
	"strconv"
	"text/template/parse"
)

// A template is read once. What is left of it for a message is a list of pieces that are appended.

// field is what a template's action stands for.
type field uint8

const (
	literal    field = iota // the piece's text
	fieldSeq                // the message's number on its connection, from 0
	fieldConn               // the connection's number in the run, from 0
	fieldNow                // when the message leaves: nanoseconds since 1970
	fieldStamp              // what a fan-out's readers know a message by: see Stamp
)

// fields are the names that templates may use.
var fields = map[string]field{"Seq": fieldSeq, "Conn": fieldConn, "Now": fieldNow, "Stamp": fieldStamp}

// piece is a part of a message.
type piece struct {
	field field
	text  string
}

// parseTemplate reads a template of text and {{.Seq}}, {{.Conn}}, {{.Now}} and {{.Stamp}}.
func parseTemplate(text string) ([]piece, error) {
	trees, err := parse.Parse("payload", text, "", "")
	if err != nil {
		return nil, fmt.Errorf("%w: templates know {{.Seq}}, {{.Conn}}, {{.Now}} and {{.Stamp}}, and nothing else", err)
	}
	tree := trees["payload"]
	if tree == nil || len(trees) != 1 {
		return nil, fmt.Errorf("it defines templates of its own: write one message, with {{.Seq}}, {{.Conn}}, {{.Now}} and {{.Stamp}}")
	}
	var pieces []piece
	for _, n := range tree.Root.Nodes {
		p, err := pieceOf(n)
		if err != nil {
			return nil, err
		}
		pieces = append(pieces, p)
	}
	return pieces, nil
}

// pieceOf is what a node of a template becomes: text, or one of the fields and nothing else.
func pieceOf(n parse.Node) (piece, error) {
	if t, ok := n.(*parse.TextNode); ok {
		return piece{text: string(t.Text)}, nil
	}
	if a, ok := n.(*parse.ActionNode); ok && len(a.Pipe.Decl) == 0 && len(a.Pipe.Cmds) == 1 && len(a.Pipe.Cmds[0].Args) == 1 {
		if f, ok := a.Pipe.Cmds[0].Args[0].(*parse.FieldNode); ok && len(f.Ident) == 1 {
			if known, ok := fields[f.Ident[0]]; ok {
				return piece{field: known}, nil
			}
		}
	}
	return piece{}, fmt.Errorf("%s is not known: templates know {{.Seq}}, {{.Conn}}, {{.Now}} and {{.Stamp}}, and nothing else", n)
}

// appendTo appends the piece as it is in message m.
func (p *piece) appendTo(b []byte, m *Mark) []byte {
	switch p.field {
	case fieldSeq:
		return strconv.AppendUint(b, uint64(m.Seq), 10)
	case fieldConn:
		return strconv.AppendUint(b, uint64(m.Conn), 10)
	case fieldNow:
		return strconv.AppendInt(b, m.Left, 10)
	case fieldStamp:
		return m.append(b)
	}
	return append(b, p.text...)
}
