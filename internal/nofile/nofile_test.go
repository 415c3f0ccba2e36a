package nofile_test

import (
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"

	"github.com/oci2bwrap/oci2bwrap/internal/nofile"
)

// TestSoft starts this test with a limit that package syscall raises.
func TestSoft(t *testing.T) {
	const child = "NOFILE_TEST_CHILD"
	if os.Getenv(child) != "" {
		os.Stdout.WriteString("soft=" + strconv.FormatUint(nofile.Soft(), 10) + "\n")
		return
	}
	cmd := exec.Command("sh", "-c", `ulimit -Sn 123; exec "$0" -test.run=TestSoft -test.v`, "/proc/self/exe")
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd.Args[3] = self
	cmd.Env = append(os.Environ(), child+"=1")
	out, err := cmd.CombinedOutput()
	if err != nil || !strings.Contains(string(out), "soft=123\n") {
		t.Fatalf("%v: %s", err, out)
	}
}
