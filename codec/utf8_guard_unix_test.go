//go:build unix

package codec

import (
	"os"
	"testing"

	"golang.org/x/sys/unix"
)

// utf8Guarded returns a page that nothing readable touches on either side.
func utf8Guarded(t *testing.T) []byte {
	page := os.Getpagesize()
	m, err := unix.Mmap(-1, 0, 3*page, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_ANON|unix.MAP_PRIVATE)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := unix.Munmap(m); err != nil {
			t.Error(err)
		}
	})
	for _, guard := range [][]byte{m[:page], m[2*page:]} {
		if err := unix.Mprotect(guard, unix.PROT_NONE); err != nil {
			t.Fatal(err)
		}
	}
	return m[page : 2*page : 2*page]
}

// A kernel that reads a byte which shares no page with the text faults here: all
// lengths, at either end of a page and near it, valid and not.
func TestUTF8StaysInItsPages(t *testing.T) {
	page := utf8Guarded(t)
	utf8EachKernel(t, func(t *testing.T) {
		for _, text := range utf8Texts {
			sample := utf8Sample(text.sample, 700)
			for n := range 330 {
				for off := 0; off < 40; off += 1 + off/3 {
					front := page[off:][:n]
					copy(front, sample)
					utf8Check(t, front)
					back := page[len(page)-n-off:][:n]
					copy(back, sample[len(sample)-n:])
					utf8Check(t, back)
				}
			}
		}
	})
}

// Bytes outside the text have no say, whatever they are.
func TestUTF8IgnoresNeighbours(t *testing.T) {
	page := utf8Guarded(t)
	for i := range page {
		page[i] = "\xF0\x80\xC0\xFF"[i%4]
	}
	utf8EachKernel(t, func(t *testing.T) {
		for _, text := range utf8Texts {
			for n := range 140 {
				for _, at := range []int{0, 33, 1000, len(page) - 64, len(page) - n} {
					if at+n > len(page) {
						continue
					}
					p := page[at : at+n]
					copy(p, text.sample)
					utf8Check(t, p)
					for i := range p {
						p[i] = "\xF0\x80\xC0\xFF"[(at+i)%4]
					}
				}
			}
		}
	})
}
