package runner

import (
	"fmt"
	"os"

	"golang.org/x/sys/unix"

	"github.com/oci2bwrap/oci2bwrap/convert/bwrap"
)

// joinKinds are the namespaces that a thread can enter by itself.
var joinKinds = map[string]int{
	"network": unix.CLONE_NEWNET, "ipc": unix.CLONE_NEWIPC, "uts": unix.CLONE_NEWUTS, "cgroup": unix.CLONE_NEWCGROUP,
}

// join enters the namespaces with the calling thread: bubblewrap is born in
// them. All are opened before one is entered.
func join(joins []bwrap.Join) error {
	files := make([]*os.File, len(joins))
	for i, j := range joins {
		f, err := os.Open(j.Path)
		if err != nil {
			return fmt.Errorf("%s: %w", j.Field, err)
		}
		defer f.Close()
		kind, err := unix.IoctlRetInt(int(f.Fd()), unix.NS_GET_NSTYPE)
		if err != nil || kind != joinKinds[j.Kind] {
			return fmt.Errorf("%s: %q is no %s namespace", j.Field, j.Path, j.Kind)
		}
		files[i] = f
	}
	for i, j := range joins {
		if err := unix.Setns(int(files[i].Fd()), joinKinds[j.Kind]); err != nil {
			return fmt.Errorf("%s: join %q: %w", j.Field, j.Path, err)
		}
	}
	return nil
}
