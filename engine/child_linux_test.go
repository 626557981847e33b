package engine

import (
	"bufio"
	"io"
	"os"
	"os/exec"
	"testing"
)

// startSelf runs this test binary as a child, with one more variable in its environment and these arguments. The end of its input tells it to
// end, at the end of the test at the latest.
func startSelf(t testing.TB, variable string, args ...string) (in io.WriteCloser, out *bufio.Reader) {
	t.Helper()
	cmd := exec.Command(os.Args[0], args...)
	cmd.Env = append(os.Environ(), variable)
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	piped, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = in.Close()
		if err := cmd.Wait(); err != nil {
			t.Error("the child:", err)
		}
	})
	return in, bufio.NewReader(piped)
}
