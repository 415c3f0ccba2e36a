package runner

import (
	"fmt"
	"os"
	"path"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/oci2bwrap/oci2bwrap/convert/bwrap"
)

// newTime makes a time namespace for what the calling thread starts, or
// becomes; the thread itself stays where it is. Its clocks can be set until
// somebody is in it.
func newTime(clocks []bwrap.Clock) error {
	if err := unix.Unshare(unix.CLONE_NEWTIME); err != nil {
		return fmt.Errorf("new time namespace: %w", err)
	}
	if len(clocks) == 0 {
		return nil
	}
	// The file is there by the process's number only, and a thread's is as good.
	thread, err := os.Readlink("/proc/thread-self")
	if err != nil {
		return fmt.Errorf("linux.timeOffsets: %w", err)
	}
	var text strings.Builder
	for _, c := range clocks {
		fmt.Fprintf(&text, "%s %d %d\n", c.Name, c.Seconds, c.Nanoseconds)
	}
	if err := os.WriteFile("/proc/"+path.Base(thread)+"/timens_offsets", []byte(text.String()), 0); err != nil {
		return fmt.Errorf("linux.timeOffsets: %w", err)
	}
	return nil
}
