package engine

import (
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"
)

// socketFile is the file of a unix listener, as it was found right after it was made. It is removed in the end if it
// is still the same: another server may have put its own in the place, and its clients would find nobody.
type socketFile struct {
	path string // absolute: the working directory may change
	info fs.FileInfo
}

// noteSocket notes the file of a listener on path; none for an abstract address, which begins with @.
func noteSocket(path string) (f socketFile) {
	if path == "" || strings.HasPrefix(path, "@") {
		return f
	}
	abs, err := filepath.Abs(path)
	if err != nil {
		return f
	}
	if f.info, err = os.Lstat(abs); err != nil {
		return socketFile{}
	}
	f.path = abs
	return f
}

// noteListener is noteSocket for a listener that removes its file itself when it is closed.
func noteListener(ln net.Listener) socketFile {
	if u, ok := ln.(*net.UnixListener); ok {
		return noteSocket(u.Addr().String())
	}
	return socketFile{}
}

// ours tells whether the file is still the one that was noted. The listener must be open yet: nobody else's file has
// its number as long as it is.
func (f socketFile) ours() bool {
	if f.info == nil {
		return false
	}
	now, err := os.Lstat(f.path)
	return err == nil && os.SameFile(f.info, now)
}

func (f socketFile) remove() {
	if f.ours() {
		_ = os.Remove(f.path)
	}
}

// spare keeps a listener of package net, which only knows the path, from removing another one's file.
func (f socketFile) spare(ln net.Listener) {
	if u, ok := ln.(*net.UnixListener); ok && f.info != nil && !f.ours() {
		u.SetUnlinkOnClose(false)
	}
}
