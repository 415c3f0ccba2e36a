package runner

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/oci2bwrap/oci2bwrap/convert/bwrap"
)

// State says how far a host has something.
type State string

const (
	OK      State = "ok"
	Limited State = "limited" // sandboxes run, Cost is what they lack
	Missing State = "missing"
)

// Check is one thing that sandboxes want of a host.
type Check struct {
	Name   string `json:"name"`
	State  State  `json:"state"`
	Found  string `json:"found"`            // what there is, or what the kernel said
	Cost   string `json:"cost,omitempty"`   // what does not work for it
	Remedy string `json:"remedy,omitempty"` // the smallest one
	Fatal  bool   `json:"fatal,omitempty"`  // no sandbox runs
}

// Checkup finds out what this host can do, by trying, as this caller.
type Checkup struct {
	Path     string // to find programs in
	StageDir string // an existing directory to mount over in a private namespace
	Real     bool   // as in Config
	Mapped   bool
}

// Checks gives the answers, in an order in which an earlier one explains the
// later. A name stays what it is.
func (c Checkup) Checks(ctx context.Context) []Check {
	file, bubblewrap := c.bubblewrap(ctx)
	namespaces := c.userNamespaces()
	checks := []Check{bubblewrap, kernelCalls(), namespaces}
	checks = append(checks, c.sandbox(ctx, file, namespaces)...)
	return append(checks, c.overlay(namespaces), seccomp(), c.pasta(), cgroup())
}

func (c Checkup) bubblewrap(ctx context.Context) (file string, check Check) {
	check = Check{Name: "bubblewrap", State: Missing, Fatal: true, Cost: "nothing runs"}
	file, err := Find(c.Path)
	if err != nil {
		check.Found, check.Remedy = err.Error(), errNoBwrap.Remedy
		return "", check
	}
	cmd := exec.CommandContext(ctx, file, "--version")
	cmd.Env = []string{}
	out, _ := cmd.CombinedOutput()
	version, _, _ := strings.Cut(strings.TrimSpace(string(out)), "\n")
	check.Found = file + ", " + version
	f, err := Prober{Bwrap: file, StageDir: c.StageDir, Real: c.Real, Mapped: c.Mapped}.options(ctx)
	if err != nil {
		var known *Error
		if errors.As(err, &known) {
			check.Remedy = known.Remedy
		}
		check.Found += ": " + err.Error()
		return "", check
	}
	check.State, check.Fatal, check.Cost = OK, false, ""
	var st unix.Stat_t
	if unix.Stat(file, &st) == nil && st.Mode&unix.S_ISUID != 0 {
		check.State = Limited
		check.Found += ", set-uid root"
		check.Cost = "it refuses the options that need a user namespace, and is a way to become root should it have a fault"
		check.Remedy = "chmod u-s " + file + ", where users may make user namespaces"
	}
	if !f.Has("overlay-src") {
		check.Found += "; without overlays of its own, which are made for it"
	}
	return file, check
}

// userNamespaces makes one, with a mount in it: AppArmor's restriction lets
// the namespace be made, and takes the capabilities in it.
func (c Checkup) userNamespaces() Check {
	check := Check{Name: "user-namespaces", State: OK, Found: "made one, and mounted in it"}
	err := Prober{StageDir: c.StageDir}.try(bwrap.Bind{Src: "/usr", Dst: "/", ReadOnly: true}, "")
	if err == nil {
		return check
	}
	check.State, check.Found, check.Remedy = Missing, err.Error(), namespaceRemedy("/proc", err)
	check.Cost = "an ordinary user's sandboxes, unless bubblewrap is set-uid root"
	if c.Real {
		check.State, check.Cost = Limited, "root does without; --userns keep-id and bundles that name a user namespace do not run"
	}
	return check
}

// namespaceRemedy recognises what keeps a caller from user namespaces. proc is
// where procfs is.
func namespaceRemedy(proc string, err error) string {
	for _, limit := range []struct{ file, value, remedy string }{
		{"sys/user/max_user_namespaces", "0", "as root: sysctl -w user.max_user_namespaces=15000"},
		{"sys/kernel/unprivileged_userns_clone", "0", "as root: sysctl -w kernel.unprivileged_userns_clone=1"},
		{"sys/kernel/apparmor_restrict_unprivileged_userns", "1", "an AppArmor profile with \"userns,\" for oci2bwrap and bwrap, " +
			"or as root: sysctl -w kernel.apparmor_restrict_unprivileged_userns=0"},
	} {
		data, e := os.ReadFile(proc + "/" + limit.file)
		if e == nil && strings.TrimSpace(string(data)) == limit.value {
			return limit.remedy
		}
	}
	status, _ := os.ReadFile(proc + "/self/status")
	if strings.Contains(string(status), "\nSeccomp:\t2") && errors.Is(err, unix.EPERM) {
		return remedySeccomp
	}
	return remedyUserNamespace
}

// sandbox makes one as run does, up to the command, and drops it. It tells of
// a procfs of the sandbox's own as well, which is what fails in a container.
func (c Checkup) sandbox(ctx context.Context, file string, namespaces Check) []Check {
	whole := Check{Name: "sandbox", State: Missing, Fatal: true, Cost: "nothing runs"}
	proc := Check{Name: "proc", State: OK, Found: "mounted one"}
	if file == "" {
		whole.Found = "not tried: there is no bubblewrap"
		return []Check{whole}
	}
	err := c.tryAll(ctx, file)
	if err == nil {
		whole = Check{Name: "sandbox", State: OK, Found: "made one"}
		return []Check{whole, proc}
	}
	var known *Error
	switch {
	case c.Real && errors.Is(err, unix.EPERM):
		whole.Remedy = remedyRoot
	case !c.Real && namespaces.State == Missing:
		whole.Remedy = namespaces.Remedy
	case errors.As(err, &known):
		whole.Remedy = known.Remedy
	}
	whole.Found = err.Error()
	if !strings.Contains(whole.Found, procRefused) {
		return []Check{whole}
	}
	proc.State, proc.Fatal, proc.Found = Missing, true, whole.Found
	proc.Cost = "a sandbox sees the processes of its own pid namespace through it: nothing runs without"
	proc.Remedy = remedyProc
	return []Check{whole, proc}
}

// tryAll makes a sandbox that shows the host read-only.
func (c Checkup) tryAll(ctx context.Context, file string) error {
	f, err := Prober{Bwrap: file, StageDir: c.StageDir, Real: c.Real, Mapped: c.Mapped}.Features(ctx)
	if err != nil {
		return err
	}
	plan := &bwrap.Plan{
		Process:    bwrap.Process{Args: []string{"true"}, Cwd: "/"},
		Namespaces: bwrap.Namespaces{User: !c.Real, PID: true, IPC: true, UTS: true},
		Steps:      []bwrap.Step{{Op: bwrap.Bind{Src: "/", Dst: "/", ReadOnly: true}}, {Op: bwrap.Proc{Dst: "/proc"}}, {Op: bwrap.Dev{Dst: "/dev"}}},
	}
	command, err := bwrap.Lower(plan, bwrap.Target{Features: f, StageDir: c.StageDir})
	if err != nil {
		return err
	}
	s, err := Create(ctx, Config{Bwrap: file, Command: command, Real: c.Real, Mapped: c.Mapped, Private: f.Stage})
	if err != nil {
		return err
	}
	return s.Close()
}

func (c Checkup) overlay(namespaces Check) Check {
	check := Check{Name: "overlay", State: OK, Found: "mounted one"}
	if !c.Real {
		check.Found += " in a user namespace"
	}
	err := Prober{StageDir: c.StageDir, Real: c.Real, Mapped: c.Mapped}.try(bwrap.Overlay{Lower: []string{"/usr"}, Dst: "/", Mode: 0o755}, "")
	if err == nil {
		return check
	}
	check.State, check.Found = Limited, err.Error()
	if fuse := FindFuseOverlay(c.Path); fuse != "" && namespaces.State == OK {
		check.Found += "; there is " + fuse
		check.Cost = "overlays go through fuse-overlayfs, which is slower"
		check.Remedy = "Linux 5.11 or later with overlayfs"
		return check
	}
	check.Cost = "no --writable, and volumes with content are not seeded; mount points that an image lacks take longer"
	switch {
	case c.Real:
		check.Remedy = "modprobe overlay"
	case namespaces.State == Missing:
		check.Remedy = namespaces.Remedy
	default:
		check.Remedy = remedyFuse + ", or Linux 5.11 or later with overlayfs"
	}
	return check
}

// pasta looks for it, and opens what it will: the device by which an interface
// is made, which makes none by itself.
func (c Checkup) pasta() Check {
	check := Check{
		Name: "pasta", State: Limited, Found: "not in PATH",
		Cost: "no --network pasta: a sandbox has the host's network or none", Remedy: "install it, for example with: apt-get install passt",
	}
	for _, dir := range strings.Split(c.Path, ":") {
		file := dir + "/pasta"
		if !strings.HasPrefix(dir, "/") || unix.Access(file, unix.X_OK) != nil {
			continue
		}
		tun, err := os.OpenFile("/dev/net/tun", os.O_RDWR, 0)
		if err != nil {
			check.Found, check.Remedy = file+": "+err.Error(), remedyTun
			return check
		}
		tun.Close()
		return Check{Name: "pasta", State: OK, Found: file}
	}
	return check
}
