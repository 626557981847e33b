package connect

import (
	"os"
	"unsafe"

	"golang.org/x/sys/windows"
)

// sizeChanged is INPUT_RECORD with a WINDOW_BUFFER_SIZE_RECORD in it.
type sizeChanged struct {
	kind, _       uint16
	width, height int16
	_             [3]uint32
}

const windowBufferSizeEvent = 4

var writeConsoleInput = windows.NewLazySystemDLL("kernel32.dll").NewProc("WriteConsoleInputW")

// redraw has the editor show the half-typed line again. It does so when the size of the window changes, and has no other
// door for it.
func redraw() {
	var screen windows.ConsoleScreenBufferInfo
	if windows.GetConsoleScreenBufferInfo(windows.Handle(os.Stdout.Fd()), &screen) != nil {
		return
	}
	r := sizeChanged{kind: windowBufferSizeEvent, width: screen.Size.X, height: screen.Size.Y}
	var written uint32
	_, _, _ = writeConsoleInput.Call(os.Stdin.Fd(), uintptr(unsafe.Pointer(&r)), 1, uintptr(unsafe.Pointer(&written)))
}
