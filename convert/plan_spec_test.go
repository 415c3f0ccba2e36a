package convert

import (
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	specs "github.com/opencontainers/runtime-spec/specs-go"

	"github.com/oci2bwrap/oci2bwrap/convert/bwrap"
)

// bundle is a Spec as a bundle may bring it, without the usual surroundings.
func bundle(mounts ...specs.Mount) *specs.Spec {
	return &specs.Spec{
		Process: &specs.Process{Args: []string{"x"}, Cwd: "/"}, Root: &specs.Root{Readonly: true},
		Linux: &specs.Linux{}, Mounts: mounts,
	}
}

func mountOf(kind, destination string, options ...string) specs.Mount {
	return specs.Mount{Type: kind, Source: kind, Destination: destination, Options: options}
}

func planBundle(t *testing.T, spec *specs.Spec, o PlanOptions) (*Planned, error) {
	t.Helper()
	root := fstest.MapFS{}
	if err := list(root, "proc/\nsys/\ndev/\netc/file\netc/link -> file\nself -> /proc/self\nsecret/x\ntmp/\nlink -> /tmp\n"); err != nil {
		t.Fatal(err)
	}
	host := Host{Paths: map[string]fs.FileMode{
		"/proc/sys": fs.ModeDir, "/proc/kcore": 0o400, "/proc/self/fd": fs.ModeDir, "/proc/7": fs.ModeDir, "/etc/file": 0o644, "/sys": fs.ModeDir,
		"/p2/sys": fs.ModeDir,
	}}
	if o.Features.Reason == "" {
		o.Features = bwrap.Features{Stage: true, StageOverlay: true}
	}
	return Plan(spec, Rootfs{Dirs: []string{"/r"}, FS: root, Owned: true}, host, o)
}

// brief gives the steps behind the root, or the error, and the gaps that
// weaken isolation.
func brief(p *Planned, err error) string {
	if err != nil {
		return "error: " + err.Error()
	}
	var out []string
	for _, s := range p.Plan.Steps[1:] {
		out = append(out, strings.ToLower(strings.TrimPrefix(fmt.Sprintf("%T", s.Op), "bwrap."))+":"+s.Op.Dest())
	}
	for _, g := range p.Gaps {
		if g.Effect == Weakens {
			out = append(out, fmt.Sprintf("gap: %s: %s", g.Field, g.Reason))
		}
	}
	return strings.Join(out, " ")
}

// TestMasks holds what becomes of masked and read-only paths.
func TestMasks(t *testing.T) {
	proc, tmp := mountOf("proc", "/proc"), mountOf("tmpfs", "/tmp")
	for _, tt := range []struct {
		mounts           []specs.Mount
		masked, readOnly string
		writable         bool
		want             string
	}{
		{nil, "/proc/kcore", "", false, ""}, // no procfs, nothing in it
		{nil, "", "/proc/sys", false, ""},
		{[]specs.Mount{proc}, "/proc/kcore", "/proc/sys", false, "proc:/proc bind:/proc/sys bind:/proc/kcore"},
		{[]specs.Mount{proc}, "/proc/none", "/proc/none", false, "proc:/proc"},
		{[]specs.Mount{proc}, "/proc/kcore/../kcore", "", false, `error: linux.maskedPaths: "/proc/kcore/../kcore" is not absolute and clean`},
		{[]specs.Mount{proc}, "", "/", false, `error: linux.readonlyPaths: "/" is not absolute and clean`},
		{[]specs.Mount{proc}, "", "/proc/self/fd", false, `proc:/proc gap: linux.readonlyPaths: "/proc/self/fd" is of a process, which is another one on the host`},
		{[]specs.Mount{proc}, "", "/proc/7", false, `proc:/proc gap: linux.readonlyPaths: "/proc/7" is of a process, which is another one on the host`},
		{[]specs.Mount{proc}, "/self/fd", "", false, `proc:/proc gap: linux.maskedPaths: "/self/fd" is a link to /proc/self/fd`},
		{[]specs.Mount{mountOf("proc", "/p2")}, "/p2/sys", "", false, `proc:/p2 remountro:/ gap: linux.maskedPaths: "/p2/sys" is in a file system of the kernel's at an unusual place`},
		{nil, "/secret", "", false, "tmpfs:/secret remountro:/secret"},
		{nil, "/etc/link", "", false, "bind:/etc/file"},
		{nil, "/missing/x", "/missing", false, ""},
		{nil, "", "/etc/file", false, ""}, // the root is read-only
		{nil, "", "/etc/file", true, `gap: linux.readonlyPaths: "/etc/file" is neither a mount nor below a mounted /proc or /sys`},
		{[]specs.Mount{tmp}, "", "/link", false, "tmpfs:/tmp remountro:/tmp"},
		{[]specs.Mount{tmp}, "", "/tmp/x", false, "tmpfs:/tmp"},
		{[]specs.Mount{mountOf("tmpfs", "/secret", "ro")}, "/secret", "", false, "tmpfs:/secret tmpfs:/secret remountro:/secret"},
	} {
		spec := bundle(tt.mounts...)
		spec.Root.Readonly = !tt.writable
		if tt.masked != "" {
			spec.Linux.MaskedPaths = []string{tt.masked}
		}
		if tt.readOnly != "" {
			spec.Linux.ReadonlyPaths = []string{tt.readOnly}
		}
		got := brief(planBundle(t, spec, PlanOptions{}))
		if got != tt.want {
			t.Errorf("masked %q, read-only %q: %s, want %s", tt.masked, tt.readOnly, got, tt.want)
		}
	}
}

// TestBundleMounts holds mounts that no image config leads to.
func TestBundleMounts(t *testing.T) {
	tmp := mountOf("tmpfs", "/tmp")
	for _, tt := range []struct {
		keep   bool
		mounts []specs.Mount
		want   string
	}{
		{false, []specs.Mount{mountOf("ext4", "/tmp")}, `error: mounts[/tmp]: "/tmp": bubblewrap can't mount a file system of type "ext4"`},
		{false, []specs.Mount{mountOf("tmpfs", "/tmp", "mode=9")}, `error: mounts[/tmp]: option "mode=9": no octal mode`},
		{false, []specs.Mount{mountOf("tmpfs", "/tmp", "uid=x")}, `error: mounts[/tmp]: option "uid=x": no id`},
		{false, []specs.Mount{mountOf("tmpfs", "/tmp", "size=5x")}, `error: mounts[/tmp]: option "size=5x": no size in bytes, or with k, m or g`},
		{false, []specs.Mount{mountOf("tmpfs", "/tmp", "rootcontext=x")}, `error: mounts[/tmp]: option "rootcontext=x": tmpfs has no such option`},
		{false, []specs.Mount{mountOf("tmpfs", "/tmp", "size=50%", "nr_inodes=9")}, "tmpfs:/tmp"},
		{false, []specs.Mount{mountOf("tmpfs", "/t\x00")}, "error: mounts[/t\x00]: resolve \"/t\\x00\": \"/\": invalid argument"},
		{false, []specs.Mount{mountOf("devpts", "/tmp")}, `error: mounts[/tmp]: "/tmp": a devpts is mounted only in the sandbox's own /dev or /sys`},
		{false, []specs.Mount{mountOf("cgroup", "/sys/fs/cgroup")}, `error: mounts[/sys/fs/cgroup]: "/sys/fs/cgroup": a cgroup is mounted only in the sandbox's own /dev or /sys`},
		{false, []specs.Mount{mountOf("sysfs", "/tmp")}, `error: mounts[/tmp]: "/sys" is a symlink in the image, to "/tmp"`},
		{false, []specs.Mount{mountOf("proc", "/proc"), mountOf("tmpfs", "/proc/x")}, `error: mounts[/proc/x]: "/proc/x" lies in /proc, which the kernel fills`},
		{false, []specs.Mount{mountOf("tmpfs", "/tmp/x"), tmp}, "tmpfs:/tmp dir:/tmp/x tmpfs:/tmp/x"},
		{true, []specs.Mount{mountOf("tmpfs", "/tmp/x"), tmp}, "tmpfs:/tmp/x tmpfs:/tmp remountro:/"}, // hidden, as a runtime has it
		{true, []specs.Mount{tmp, mountOf("tmpfs", "/link/x", "ro")}, "tmpfs:/tmp dir:/tmp/x tmpfs:/tmp/x remountro:/tmp/x"},
		{false, []specs.Mount{tmp, mountOf("tmpfs", "/link", "tmpcopyup", "ro", "mode=700")}, "tmpfs:/tmp remountro:/tmp"},
	} {
		if got := brief(planBundle(t, bundle(tt.mounts...), PlanOptions{KeepOrder: tt.keep})); got != tt.want {
			t.Errorf("%v: %s, want %s", tt.mounts, got, tt.want)
		}
	}
}

func TestPlanProcess(t *testing.T) {
	umask, score := uint32(0o77), 5
	spec := bundle()
	spec.Process = &specs.Process{
		Args: []string{"a"}, Env: []string{"A=b"}, OOMScoreAdj: &score, Terminal: true,
		User:         specs.User{UID: 3, GID: 4, Umask: &umask, AdditionalGids: []uint32{9, 4, 1000}},
		Capabilities: &specs.LinuxCapabilities{Bounding: []string{"CAP_KILL", "CAP_CHOWN"}},
		Rlimits:      []specs.POSIXRlimit{{Type: "RLIMIT_NOFILE", Soft: 1, Hard: 2}},
	}
	spec.Linux.GIDMappings = []specs.LinuxIDMapping{{ContainerID: 4, HostID: 50, Size: 6}}
	spec.Linux.Namespaces = []specs.LinuxNamespace{{Type: specs.UserNamespace}, {Type: specs.UTSNamespace}}
	spec.Hostname = "h"
	p, err := planBundle(t, spec, PlanOptions{StopSignal: "SIGQUIT"})
	if err != nil {
		t.Fatal(err)
	}
	got := p.Plan.Process
	if got.Cwd != "/" || got.UID != 3 || got.GID != 4 || got.Umask != 0o77 || !slices.Equal(got.Groups, []int{9, 4}) ||
		*got.OOMScoreAdj != 5 || !got.Terminal || got.StopSignal != "SIGQUIT" ||
		!slices.Equal(got.Capabilities.Bounding, []string{"CAP_CHOWN", "CAP_KILL"}) || len(got.Rlimits) != 1 || got.Rlimits[0].Hard != 2 {
		t.Errorf("%+v", got)
	}
	if n := p.Plan.Namespaces; !n.User || !n.UTS || !n.PID || n.Net || n.Hostname != "h" {
		t.Errorf("%+v", n)
	}
	if p, err := planBundle(t, bundle(), PlanOptions{}); err != nil || p.Plan.Process.Umask != 0o22 || p.Plan.Process.StopSignal != "SIGTERM" {
		t.Errorf("%+v, %v", p, err)
	}
	spec.Process.Env = []string{"A"}
	if p, err := planBundle(t, spec, PlanOptions{}); err == nil || p != nil {
		t.Errorf("%+v, %v", p, err)
	}
	if _, err := Plan(&specs.Spec{}, Rootfs{}, Host{}, PlanOptions{}); err == nil {
		t.Error("an empty Spec")
	}
}

// TestSeveralRoots holds what becomes of directories that are to be merged.
func TestSeveralRoots(t *testing.T) {
	root := Rootfs{Dirs: []string{"/low", "/up"}, FS: fstest.MapFS{".": {Mode: fs.ModeDir | 0o755}}, Owned: true}
	p, err := Plan(bundle(), root, Host{}, PlanOptions{Features: bwrap.Features{Overlay: true}})
	if err != nil {
		t.Fatal(err)
	}
	o, ok := p.Plan.Steps[0].Op.(bwrap.Overlay)
	if !ok || !slices.Equal(o.Lower, root.Dirs) || len(p.Plan.Steps) != 2 {
		t.Errorf("%+v", p.Plan.Steps)
	}
	_, err = Plan(bundle(), root, Host{}, PlanOptions{Features: bwrap.Features{Reason: "why"}})
	if err == nil || !strings.Contains(err.Error(), "why") {
		t.Error(err)
	}
}

// TestMergedSeeds holds that no more overlays are stacked than the kernel can:
// the root's and one on it.
func TestMergedSeeds(t *testing.T) {
	tree := fstest.MapFS{}
	if err := list(tree, "var/lib/x/file\nvar/lib/y/file\nvar/lib/empty/\n"); err != nil {
		t.Fatal(err)
	}
	root := Rootfs{Dirs: []string{"/low", "/up"}, FS: tree, Owned: true}
	spec := bundle(mountOf("tmpfs", "/var", "tmpcopyup"), mountOf("tmpfs", "/var/lib/x", "tmpcopyup"),
		mountOf("tmpfs", "/var/lib/y", "tmpcopyup", "size=1m"), mountOf("tmpfs", "/var/lib/empty", "tmpcopyup", "mode=700"))
	p, err := Plan(spec, root, Host{}, PlanOptions{Features: bwrap.Features{Stage: true, StageOverlay: true}})
	if got, want := brief(p, err), "overlay:/var tmpfs:/var/lib/empty remountro:/"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
	if err == nil && (len(p.Gaps) != 3 || p.Gaps[1].Field != "mounts[/var/lib/y].options") {
		t.Errorf("%+v", p.Gaps)
	}
	root.Dirs = root.Dirs[:1]
	p, err = Plan(spec, root, Host{}, PlanOptions{Features: bwrap.Features{Stage: true, StageOverlay: true}})
	if got, want := brief(p, err), "overlay:/var tmpfs:/var/lib/empty overlay:/var/lib/x overlay:/var/lib/y"; got != want {
		t.Errorf("one directory: %s, want %s", got, want)
	}
}

func TestParseSize(t *testing.T) {
	for s, want := range map[string]int64{
		"0": 0, "1": 1, "2k": 2048, "3M": 3 << 20, "4g": 4 << 30, "4294967296g": 1 << 62,
		"": -1, "k": -1, "-1": -1, "1t": -1, "1kk": -1, "4294967297g": -1, "9223372036854775808": -1,
	} {
		got, err := parseSize(s)
		if err != nil {
			got = -1
		}
		if got != want {
			t.Errorf("%q: %d, want %d", s, got, want)
		}
	}
}
