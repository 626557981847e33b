//go:build !purego

package handshake

import (
	"errors"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
)

// In a process that may use approved algorithms only, SHA-1 panics unless it is said that it
// secures nothing here.
func TestAcceptKeyUnderFIPS140Only(t *testing.T) {
	const mark = "GANNET_TEST_FIPS"
	if os.Getenv(mark) != "" {
		TestAcceptKeyOfTheRFC(t)
		return
	}
	// The mode is one of the whole process, and Go has none for builds with purego.
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	child := exec.Command(self, "-test.run=^TestAcceptKeyUnderFIPS140Only$", "-test.v")
	child.Env = append(os.Environ(), mark+"=1", "GODEBUG=fips140=only")
	out, err := child.CombinedOutput()
	if errors.Is(err, syscall.ENOEXEC) {
		t.Skip("an emulator runs this test, and the system does not run this processor's programs itself")
	}
	if err != nil || !strings.Contains(string(out), "PASS") {
		t.Errorf("%v\n%s", err, out)
	}
}
