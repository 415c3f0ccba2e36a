package bwrap_test

import (
	"log"
	"os"

	"github.com/oci2bwrap/oci2bwrap/convert/bwrap"
)

// A plan is lowered to bubblewrap's words for what the target can do.
func Example() {
	plan := &bwrap.Plan{
		Process:    bwrap.Process{Args: []string{"/bin/true"}, Cwd: "/", Umask: 0o022},
		Namespaces: bwrap.Namespaces{PID: true, Net: true},
		Steps: []bwrap.Step{
			{Op: bwrap.Bind{Src: "/srv/root", Dst: "/", ReadOnly: true}, Why: "root.path"},
			{Op: bwrap.Proc{Dst: "/proc"}, Why: "default"},
			{Op: bwrap.Tmpfs{Dst: "/tmp", Mode: 0o777, Size: 1 << 20}, Why: "--tmpfs"},
		},
	}
	command, err := bwrap.Lower(plan, bwrap.Target{Reading: true})
	if err != nil {
		log.Fatal(err)
	}
	if err := command.WriteArgv(os.Stdout); err != nil {
		log.Fatal(err)
	}
	// Output:
	// bwrap
	// --unshare-pid
	// --unshare-net
	// --ro-bind /srv/root /
	// --proc /proc
	// --perms 0777 --size 1048576 --tmpfs /tmp
	// --cap-drop ALL
	// --cap-add CAP_SETGID
	// --cap-add CAP_SETPCAP
	// --cap-add CAP_SETUID
	// --clearenv
	// --chdir /
	// --as-pid-1
	// --new-session
	// --die-with-parent
	// -- <init> /bin/true
}
