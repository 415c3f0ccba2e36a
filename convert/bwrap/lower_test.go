package bwrap

import (
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"testing"
)

func steps(ops ...Op) []Step {
	out := make([]Step, len(ops))
	for i, op := range ops {
		out[i].Op = op
	}
	return out
}

func plan(ops ...Op) *Plan {
	return &Plan{Version: PlanVersion, Process: Process{Args: []string{"x"}, Cwd: "/"}, Steps: steps(ops...)}
}

// names gives the operations as "bind:/dst", with spaces between.
func names(ops []Op) string {
	var out []string
	for _, op := range ops {
		out = append(out, op.name()+":"+op.Dest())
	}
	return strings.Join(out, " ")
}

func options(c *Command, prefixes ...string) string {
	var b strings.Builder
	if err := c.WriteArgv(&b); err != nil {
		return err.Error()
	}
	var out []string
	for line := range strings.Lines(b.String()) {
		if slices.ContainsFunc(prefixes, func(p string) bool { return strings.HasPrefix(line, p) }) {
			out = append(out, strings.TrimSpace(line))
		}
	}
	return strings.Join(out, "; ")
}

// TestDivision holds who mounts what: the stage, bubblewrap, the init.
func TestDivision(t *testing.T) {
	root, dev, proc := Bind{Src: "/r", Dst: "/", ReadOnly: true}, Dev{Dst: "/dev"}, Proc{"/proc"}
	kcore := Bind{Src: "/dev/null", Dst: "/proc/kcore", Devices: true}
	for _, tt := range []struct {
		about              string
		ops                []Op
		stage, bwrap, init string
	}{
		{"the usual", []Op{root, dev, Mqueue{Dst: "/dev/mqueue"}, proc, Bind{Src: "/sys", Dst: "/sys", ReadOnly: true}, Bind{Src: "/proc/sys", Dst: "/proc/sys", ReadOnly: true}, kcore, Tmpfs{Dst: "/proc/acpi"}, RemountRO{"/proc/acpi"}, Tmpfs{Dst: "/sys/firmware"}, RemountRO{"/sys/firmware"}, RemountRO{"/"}},
			"bind:/ dev:/dev bind:/sys tmpfs:/sys/firmware remount-ro:/sys/firmware remount-ro:/", "proc:/proc",
			"mqueue:/dev/mqueue bind:/proc/sys bind:/proc/kcore tmpfs:/proc/acpi remount-ro:/proc/acpi"},
		{"what only begins like it is not below", []Op{root, proc, Tmpfs{Dst: "/process"}, Tmpfs{Dst: "/proc2/x"}}, "bind:/ tmpfs:/process tmpfs:/proc2/x", "proc:/proc", ""},
		{"a mount over bubblewrap's", []Op{root, Proc{"/a/proc"}, Tmpfs{Dst: "/a"}, Dir{Dst: "/a/x"}}, "bind:/", "proc:/a/proc tmpfs:/a dir:/a/x", ""},
		{"a mount over the init's", []Op{root, Mqueue{Dst: "/q"}, Tmpfs{Dst: "/q"}}, "bind:/", "mqueue:/q tmpfs:/q", ""},
		{"a file in a procfs is bubblewrap's", []Op{root, proc, File{Dst: "/proc/x"}}, "bind:/", "proc:/proc file:/proc/x", ""},
		{"what the init would find elsewhere is bubblewrap's", []Op{root, dev, proc, Bind{Src: "/x", Dst: "/proc/x"}}, "bind:/ dev:/dev", "proc:/proc bind:/proc/x", ""},
		{"the image's /dev/null", []Op{root, proc, kcore}, "bind:/", "proc:/proc bind:/proc/kcore", ""},
		{"a file over /dev/null", []Op{root, dev, File{Dst: "/dev/null"}, proc, kcore}, "bind:/ dev:/dev file:/dev/null", "proc:/proc bind:/proc/kcore", ""},
		{"a Dev that is covered", []Op{root, dev, proc, Tmpfs{Dst: "/dev"}, kcore}, "bind:/ dev:/dev tmpfs:/dev", "proc:/proc bind:/proc/kcore", ""},
		{"two procfs", []Op{root, proc, Proc{"/p2"}, Tmpfs{Dst: "/p2/x"}, RemountRO{"/proc"}}, "bind:/", "proc:/proc proc:/p2 remount-ro:/proc", "tmpfs:/p2/x"},
	} {
		p := plan(tt.ops...)
		p.Namespaces.Mapped = true // real root has more: TestCovered
		c, err := Lower(p, Target{Features: Features{Stage: true}, StageDir: "/stage"})
		if err != nil {
			t.Fatalf("%s: %v", tt.about, err)
		}
		staged, rest := split(steps(tt.ops...), p.Namespaces)
		rest, _ = late(rest, hasNull(steps(tt.ops...)))
		if names(staged) != tt.stage || names(rest) != tt.bwrap || names(c.Late) != tt.init || names(c.Stage.Ops) != tt.stage {
			t.Errorf("%s:\nstage %s\nbwrap %s\ninit  %s", tt.about, names(staged), names(rest), names(c.Late))
		}
		if got := options(c, "--dev-bind /stage"); got != "--dev-bind /stage/root /" {
			t.Errorf("%s: root %q", tt.about, got)
		}
		if got := options(c, "--cap-add CAP_SYS_ADMIN"); (got != "") != (tt.init != "") {
			t.Errorf("%s: %q for the init's %q", tt.about, got, tt.init)
		}
	}
}

// TestLowerAlone lowers each operation to bubblewrap's options.
func TestLowerAlone(t *testing.T) {
	overlay := Features{Overlay: true, Reason: "why"}
	long := make([]string, 50)
	for i := range long {
		long[i] = fmt.Sprintf("/layers/%040d", i)
	}
	for _, tt := range []struct {
		op   Op
		f    Features
		want string
	}{
		{Bind{Src: "/s", Dst: "/d"}, Features{}, "--bind /s /d"},
		{Bind{Src: "/s", Dst: "/d", ReadOnly: true}, Features{}, "--ro-bind /s /d"},
		{Bind{Src: "/s", Dst: "/d", Devices: true}, Features{}, "--dev-bind /s /d"},
		{Tmpfs{Dst: "/d", Mode: 0o777 | fs.ModeSticky}, Features{}, "--perms 1777 --tmpfs /d"},
		{Tmpfs{Dst: "/d", Mode: 0o755 | fs.ModeSetgid, Size: 4096, UID: 5}, Features{}, "--perms 2755 --size 4096 --tmpfs /d"},
		{Dir{Dst: "/d", Mode: 0o700}, Features{}, "--perms 0700 --dir /d"},
		{File{Dst: "/etc/d", Mode: 0o644}, Features{}, "--perms 0644 --bind-data <fd:d> /etc/d"},
		{File{Dst: "/d", Mode: 0o600, ReadOnly: true}, Features{}, "--perms 0600 --ro-bind-data <fd:d> /d"},
		{Symlink{Target: "a b", Dst: "/d"}, Features{}, "--symlink 'a b' /d"},
		{Proc{"/d"}, Features{}, "--proc /d"},
		{Dev{Dst: "/d"}, Features{}, "--dev /d"},
		{Mqueue{Dst: "/d"}, Features{}, "--mqueue /d"},
		{RemountRO{"/d"}, Features{}, "--remount-ro /d"},
		{Overlay{Lower: []string{"/low", "/up"}, Dst: "/d", Mode: 0o700, Owned: true, Points: []Point{{Path: "/d/x"}, {Path: "/d/f", File: true}}}, overlay,
			"--overlay-src /low --overlay-src /up --tmp-overlay /d; --chmod 0700 /d; --perms 0755 --dir /d/x"},
		{Overlay{Lower: []string{"/l"}, Dst: "/d"}, Features{Reason: "why"}, "error: /d: bubblewrap has no overlay here, and there is no mount namespace to make one in: why"},
		{Overlay{Lower: []string{"/l"}, Dst: "/d"}, overlay, "error: /d: bubblewrap can't make mount points in directories of another owner"},
		{Overlay{Lower: long, Dst: "/d", Owned: true}, overlay, "error: /d: the names of 50 layers are longer than an overlay's options may be"},
	} {
		c, err := Lower(plan(tt.op), Target{Features: tt.f})
		got := fmt.Sprintf("error: %v", err)
		if err == nil {
			got = options(c, "--bind", "--ro-bind", "--dev-bind", "--perms", "--symlink", "--proc", "--dev", "--mqueue", "--remount-ro", "--overlay", "--chmod")
		}
		if got != tt.want {
			t.Errorf("%+v: %s", tt.op, got)
		}
	}
}

func TestArgumentLimit(t *testing.T) {
	var ops []Op
	for i := range MaxArgs / 3 {
		ops = append(ops, Bind{Src: "/s", Dst: fmt.Sprintf("/d%d", i)})
	}
	if _, err := Lower(plan(ops...), Target{}); err == nil || !strings.Contains(err.Error(), "bubblewrap takes 9000") {
		t.Errorf("without a stage: %v", err)
	}
	if _, err := Lower(plan(ops[:2900]...), Target{}); err != nil {
		t.Errorf("fewer: %v", err)
	}
	if _, err := Lower(plan(ops...), Target{Reading: true}); err != nil {
		t.Errorf("for reading: %v", err)
	}
	c, err := Lower(plan(ops...), Target{Features: Features{Stage: true}, StageDir: "/stage"})
	if err != nil {
		t.Fatal(err)
	}
	if words, err := c.Words(nil); err != nil || len(words) > 60 {
		t.Errorf("the stage's mounts are still arguments: %d, %v", len(words), err)
	}
}

func TestNamespacesAndCapabilities(t *testing.T) {
	p := plan()
	p.Process.UID, p.Process.GID = 33, 44
	p.Process.Capabilities.Bounding = []string{"CAP_SETUID", "CAP_CHOWN"}
	p.Namespaces = Namespaces{PID: true, IPC: true, Net: true, Cgroup: true, Hostname: "ignored"}
	for _, tt := range []struct {
		user, uts bool
		want      string
	}{
		{false, false, "--unshare-pid; --unshare-ipc; --unshare-net; --unshare-cgroup; --cap-drop ALL; --cap-add CAP_CHOWN; --cap-add CAP_SETGID; --cap-add CAP_SETPCAP; --cap-add CAP_SETUID"},
		{true, true, "--unshare-user; --uid 33; --gid 44; --unshare-pid; --unshare-ipc; --unshare-uts; --unshare-net; --unshare-cgroup; --hostname ignored; --cap-drop ALL; --cap-add CAP_CHOWN; --cap-add CAP_SETPCAP; --cap-add CAP_SETUID"},
	} {
		p.Namespaces.User, p.Namespaces.UTS = tt.user, tt.uts
		c, err := Lower(p, Target{})
		if err != nil {
			t.Fatal(err)
		}
		if got := options(c, "--unshare", "--uid", "--gid", "--hostname", "--cap"); got != tt.want || c.KeepGroups != tt.user {
			t.Errorf("%s\nwant %s", got, tt.want)
		}
		for _, always := range []string{"--clearenv", "--chdir /", "--as-pid-1", "--new-session", "--die-with-parent"} {
			if options(c, always) != always {
				t.Errorf("no %s", always)
			}
		}
	}
}
