// Package small is what the reader is tried with.
package small

import (
	"io"
	"net/http"
)

type Kind uint8

const (
	One Kind = iota + 1
	Two
	hidden
	Four
)

const (
	Text           = "text"
	Size           = 1 << 20
	Of             = http.StatusOK
	A, B           = 1, 'b'
	Untyped        = 1.5
	Converted      = Kind(7)
	Last      Kind = 9
)

var (
	ErrOne     = io.EOF
	Two2   int = 2
	none   int
)

type (
	Alias                     = http.Handler
	Func                      func(a, b int) (string, error)
	Pair[K comparable, V any] struct {
		Key   K
		Value V
	}
	Face interface {
		io.Reader
		Do(x int) error
		hidden()
	}
)

type base struct {
	Promoted int `json:"promoted"`
	hidden   int
}

func (b *base) Early() {}
func (b *base) late()  {}

type Thing struct {
	base
	io.Writer
	Name, Other string
	hidden      int
}

func (t Thing) Value() Kind { return One }
func (t *Thing) Pointer(many ...string) (n int, err error) {
	return 0, nil
}
func (p Pair[K, V]) Get(key K) V { return p.Value }
func (k Kind) String() string    { return "" }

func Make(a int, f func(*Thing) bool) *Thing { return nil }
func Of2[T any](t T) T                       { return t }
func secret()                                {}
