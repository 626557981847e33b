// Package report tells people and programs what came of a run: as text, as JSON, as HdrHistogram's files, as CSV, and as a page.
//
// Names, URLs and errors in a result come from the peer. What is written for a terminal has no control characters of theirs, and
// what is written as HTML has no markup of theirs.
package report

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/gannet-ws/gannet/bench/load"
)

// Format writes a result: [JSON], [HDR], [Percentiles], [CSV] or [HTML].
type Format func(w io.Writer, r *load.Result) error

// FileError says that a report could not be written to a file. The file is as it was before.
type FileError struct {
	Path string
	Err  error
}

func (e *FileError) Error() string { return fmt.Sprintf("report not written: %v", e.Err) }

func (e *FileError) Unwrap() error { return e.Err }

// WriteFile writes a report to the file at path, whole or not at all: it is written beside it and then takes its place.
// A path that is no regular file, such as a pipe or /dev/stdout, is written to as it is. Errors are [*FileError].
func WriteFile(path string, r *load.Result, format Format) error {
	if err := writeFile(path, r, format); err != nil {
		return &FileError{Path: path, Err: err}
	}
	return nil
}

// WriteBytes is WriteFile for what is there already.
func WriteBytes(path string, b []byte) error {
	return WriteFile(path, nil, func(w io.Writer, _ *load.Result) error {
		_, err := w.Write(b)
		return err
	})
}

func writeFile(path string, r *load.Result, format Format) error {
	path, special, err := resolve(path)
	if err != nil {
		return err
	}
	if special {
		f, err := os.OpenFile(path, os.O_WRONLY, 0)
		if err != nil {
			return err
		}
		return errors.Join(fill(f, r, format), f.Close())
	}
	f, err := beside(path)
	if err != nil {
		return err
	}
	err = fill(f, r, format)
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		_ = os.Remove(f.Name())
	}
	return err
}

func fill(f *os.File, r *load.Result, format Format) error {
	w := bufio.NewWriter(f)
	if err := format(w, r); err != nil {
		return err
	}
	return w.Flush()
}

// CanWrite says before a run whether WriteFile could write to path after it. It leaves nothing behind. Errors are [*FileError].
func CanWrite(path string) error {
	resolved, special, err := resolve(path)
	if err == nil && !special {
		var f *os.File
		if f, err = beside(resolved); err == nil {
			err = errors.Join(f.Close(), os.Remove(f.Name()))
		}
	}
	if err != nil {
		return &FileError{Path: path, Err: err}
	}
	return nil
}

// resolve follows links, and says whether path is something that nothing can take the place of.
func resolve(path string) (resolved string, special bool, err error) {
	if followed, err := filepath.EvalSymlinks(path); err == nil {
		path = followed
	}
	info, err := os.Stat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return path, false, nil
	case err != nil:
		return "", false, err
	case info.IsDir():
		return "", false, fmt.Errorf("%s is a directory; name a file", path)
	default:
		return path, !info.Mode().IsRegular(), nil
	}
}

// beside creates a file next to path that is to take its place, with the permissions of what is there now.
func beside(path string) (*os.File, error) {
	f, err := createBeside(path)
	if err != nil {
		return nil, fmt.Errorf("%s: its directory must exist and be writable: %w", path, err)
	}
	if info, err := os.Stat(path); err == nil {
		if err := f.Chmod(info.Mode().Perm()); err != nil {
			return nil, errors.Join(err, f.Close(), os.Remove(f.Name()))
		}
	}
	return f, nil
}

// createBeside tries names until one is free. os.CreateTemp would do, but for the permissions: the process's umask is to decide.
func createBeside(path string) (*os.File, error) {
	for n := range 1000 {
		f, err := os.OpenFile(fmt.Sprintf("%s.%d.%d.new", path, os.Getpid(), n), os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o666)
		if !errors.Is(err, fs.ErrExist) {
			return f, err
		}
	}
	return nil, fs.ErrExist
}
