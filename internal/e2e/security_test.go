package e2e_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// ran is what a program wrote and how it ended.
type ran struct {
	out    string
	status int
}

// execute runs a program, which may fail but not hang.
func execute(t *testing.T, env []string, args ...string) ran {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, args[0], args[1:]...)
	cmd.Env = env
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	err := cmd.Run()
	if exit := (*exec.ExitError)(nil); ctx.Err() != nil || err != nil && !errors.As(err, &exit) {
		t.Fatalf("%q: %v\n%s", args, err, errs.Bytes())
	}
	if errs.Len() > 0 {
		t.Logf("%q: %.300s", args[:2], errs.Bytes())
	}
	return ran{out.String(), cmd.ProcessState.ExitCode()}
}

// asContainer runs the image "tools" with the flags and the command through
// oci2bwrap and, from the same Spec, as a bundle of oci2bwrap's and of runc's.
// All three are to do the same; what they do is returned.
func asContainer(t *testing.T, bwrapDir string, flags []string, command ...string) ran {
	t.Helper()
	needs(t, "runc")
	work := workDir(t)
	env := environment(t, bwrapDir, work)
	program, bundle := shared("bin/oci2bwrap"), filepath.Join(work, "bundle")
	if r := execute(t, env, program, "unpack", shared("images/tools"), bundle); r.status != 0 {
		t.Fatal("unpack:", r)
	}
	args := append(append([]string{"-v", shared("bin") + ":/probes"}, flags...), shared("images/tools"))
	args = append(args, command...)
	spec := execute(t, env, append([]string{program, "spec", "-q"}, args...)...)
	if spec.status != 0 {
		t.Fatal("spec:", spec)
	}
	if err := os.WriteFile(filepath.Join(bundle, "config.json"), []byte(spec.out), 0o644); err != nil {
		t.Fatal(err)
	}
	got := execute(t, env, append([]string{program, "run", "-q"}, args...)...)
	id := fmt.Sprintf("e2e-%d-%d", os.Getpid(), time.Now().UnixNano())
	container := execute(t, env, "runc", "--root", filepath.Join(work, "runc"), "run", "--bundle", bundle, id)
	if got != container {
		t.Errorf("flags %q, command %q: status %d, runc's %d\n%s", flags, command, got.status, container.status,
			difference(strings.Split(got.out, "\n"), strings.Split(container.out, "\n")))
	}
	if same := execute(t, env, program, "run", "-q", "bundle:"+bundle); same != got {
		t.Errorf("flags %q, command %q: as a bundle: status %d\n%s", flags, command, same.status,
			difference(strings.Split(same.out, "\n"), strings.Split(got.out, "\n")))
	}
	return got
}

// TestSystemCalls: what the default profile and others let through is what they
// do in a container with libseccomp.
func TestSystemCalls(t *testing.T) {
	if !hasImages() {
		lacks(t, "no busybox to make images of: apt-get install busybox-static")
	}
	eachBwrap(t, func(t *testing.T, bwrapDir string) {
		for _, probe := range []string{"/probes/syscalls", "/probes/syscalls32"} {
			for _, flags := range append(asAnotherUser("--cap-add=SYS_PTRACE"), [][]string{
				nil,
				{"--cap-add", "sys_admin"},
				{"--cap-add=ALL"},
				{"--cap-drop=ALL"},
				{"--cap-add=audit_write"},
				{"--security-opt", "seccomp=unconfined"},
			}...) {
				got := asContainer(t, bwrapDir, flags, probe)
				if len(strings.Split(got.out, "\n")) < 40 || got.status != 0 {
					t.Errorf("%s %q: status %d\n%s", probe, flags, got.status, got.out)
				}
				refused := strings.Contains(got.out, "\nkeyctl:-1 1 ")
				if open := len(flags) > 1 && strings.HasSuffix(flags[1], "unconfined"); refused == open {
					t.Errorf("%s %q: keyctl is refused: %t", probe, flags, refused)
				}
			}
		}
	})
}

// TestPodmanProfile: podman's own profile can be had, though it says two things
// of some calls, and does what it does in a container.
func TestPodmanProfile(t *testing.T) {
	const profile = "/usr/share/containers/seccomp.json" // of Debian's golang-github-containers-common, which podman needs
	if _, err := os.Stat(profile); err != nil {
		lacks(t, err.Error())
	}
	if !hasImages() {
		lacks(t, "no busybox to make images of: apt-get install busybox-static")
	}
	eachBwrap(t, func(t *testing.T, bwrapDir string) {
		got := asContainer(t, bwrapDir, []string{"--security-opt", "seccomp=" + profile}, "/probes/syscalls")
		if !strings.Contains(got.out, "\nkeyctl:-1 95 ") || !strings.Contains(got.out, "\nsocket:16:3:9 22 ") {
			t.Errorf("status %d\n%s", got.status, got.out)
		}
	})
}

// TestAudit: who may not write to the kernel's audit is told that there is none,
// as by podman: sshd, login and sudo end a session that they can't report.
func TestAudit(t *testing.T) {
	if !hasImages() {
		lacks(t, "no busybox to make images of: apt-get install busybox-static")
	}
	eachBwrap(t, func(t *testing.T, bwrapDir string) {
		for _, tt := range []struct{ flag, want string }{
			{"--cap-add=kill", "socket:16:3:9 22 "},
			{"--cap-add=audit_write", "socket:16:3:9 0 "},
		} {
			got := asContainer(t, bwrapDir, []string{tt.flag}, "/probes/syscalls", "socket:16:3:9", "socket:16:3:0")
			if !strings.HasPrefix(got.out, tt.want) || !strings.Contains(got.out, "\nsocket:16:3:0 0 ") {
				t.Errorf("%s: %v", tt.flag, got)
			}
		}
	})
}

// asAnotherUser are the flags for a user other than root. Without root, runc
// has no place for one: its user namespace has to have a 0.
func asAnotherUser(flags ...string) [][]string {
	if os.Getuid() != 0 {
		return nil
	}
	return [][]string{append([]string{"--user", "7:8", "--passwd=false"}, flags...)}
}

// TestCapabilities: the five sets are those of a container.
func TestCapabilities(t *testing.T) {
	if !hasImages() {
		lacks(t, "no busybox to make images of: apt-get install busybox-static")
	}
	lines := "Cap|NoNewPrivs|Seccomp:|Uid|Gid"
	if groups, err := os.Getgroups(); err != nil {
		t.Fatal(err)
	} else if os.Getuid() == 0 || len(groups) == 0 {
		lines += "|Groups" // without root runc leaves the caller's
	}
	eachBwrap(t, func(t *testing.T, bwrapDir string) {
		sets := [][]string{nil, {"--cap-drop=ALL"}, {"--cap-drop=all", "--cap-add=net_raw"}, {"--cap-add=ALL"}, {"--cap-add=ALL", "--cap-drop=CAP_SYS_ADMIN"}, {"--cap-drop=kill,chown"}}
		for _, flags := range sets {
			for _, flags := range append(asAnotherUser(flags...), flags) {
				// The set of an exec, and that of the program that it starts.
				got := asContainer(t, bwrapDir, flags, "sh", "-c", "grep -E '^("+lines+")' /proc/self/status; grep Cap /proc/1/status")
				if got.status != 0 || strings.Count(got.out, "\n") != strings.Count(lines, "|")+10 {
					t.Errorf("flags %q: %v", flags, got)
				}
			}
		}
	})
}

// TestMaskedPaths: what of /proc and /sys is hidden or can't be written to is so
// as in a container.
func TestMaskedPaths(t *testing.T) {
	if !hasImages() {
		lacks(t, "no busybox to make images of: apt-get install busybox-static")
	}
	const look = `for p in /proc/acpi /proc/kcore /proc/keys /proc/latency_stats /proc/sched_debug /proc/scsi /proc/timer_list /proc/timer_stats \
	/sys/dev/block /sys/devices/virtual/powercap /sys/firmware /sys/fs/selinux /proc/asound /proc/bus /proc/fs /proc/irq /proc/sys \
	/proc/sys/kernel/hostname /proc/sysrq-trigger /proc/version /sys/kernel/uevent_helper; do
		if [ ! -e $p ]; then echo "$p: missing"; continue; fi
		echo "$p: $(stat -c '%F %a %t:%T' $p)"
		if [ -d $p ]; then echo "  $(ls -A $p | sort | head -n 5 | tr '\n' ' ')"; touch $p/x 2>/dev/null && echo "  touched"
		elif [ $p != /proc/keys ]; then echo "  $(head -c 9 $p 2>&1 | tr -d '\0' | head -n 1)"; fi # runc makes a keyring
		[ -d $p ] || (: >>$p) 2>/dev/null && echo "  opened"
	done; true`
	eachBwrap(t, func(t *testing.T, bwrapDir string) {
		for _, flags := range [][]string{nil, {"--security-opt", "mask=/proc/version:/proc/bus", "--security-opt", "unmask=/proc/keys:/proc/timer*"}, {"--security-opt", "unmask=ALL"}} {
			got := asContainer(t, bwrapDir, flags, "sh", "-c", look)
			if got.status != 0 || strings.Count(got.out, "\n/") != 20 {
				t.Errorf("flags %q: %v", flags, got)
			}
		}
	})
}

// argument is a condition of a profile.
type argument struct {
	Index    uint   `json:"index"`
	Value    uint64 `json:"value"`
	ValueTwo uint64 `json:"valueTwo,omitempty"`
	Op       string `json:"op"`
}

type entry struct {
	Names    []string   `json:"names"`
	Action   string     `json:"action"`
	ErrnoRet uint       `json:"errnoRet,omitempty"`
	Args     []argument `json:"args,omitempty"`
}

// writeProfile writes a profile that lets everything through but for the
// entries.
func writeProfile(t *testing.T, def string, entries ...entry) string {
	t.Helper()
	doc, err := json.Marshal(map[string]any{
		"defaultAction": def, "syscalls": entries,
		"archMap": []map[string]any{
			{"architecture": "SCMP_ARCH_X86_64", "subArchitectures": []string{"SCMP_ARCH_X86", "SCMP_ARCH_X32"}},
			{"architecture": "SCMP_ARCH_AARCH64", "subArchitectures": []string{"SCMP_ARCH_ARM"}},
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "profile.json")
	if err := os.WriteFile(file, doc, 0o644); err != nil {
		t.Fatal(err)
	}
	return file
}

// TestSeccompRules: operators, actions and their precedence, on calls that
// mind no arguments.
func TestSeccompRules(t *testing.T) {
	if !hasImages() {
		lacks(t, "no busybox to make images of: apt-get install busybox-static")
	}
	const big = 1<<32 | 5
	errno := func(name string, n uint, args ...argument) entry {
		return entry{[]string{name, "no_such_call"}, "SCMP_ACT_ERRNO", n, args}
	}
	profile := writeProfile(t, "SCMP_ACT_ALLOW",
		errno("getpid", 50, argument{0, big, 0, "SCMP_CMP_EQ"}, argument{3, 0, 0, "SCMP_CMP_EQ"}, argument{1, 0, 0, "SCMP_CMP_EQ"}),
		errno("getpid", 51, argument{1, big, 0, "SCMP_CMP_GT"}, argument{2, 7, 0, "SCMP_CMP_NE"}),
		errno("getpid", 52, argument{3, 0xff << 32, 0x12 << 32, "SCMP_CMP_MASKED_EQ"}, argument{1, 0, 0, "SCMP_CMP_EQ"}),
		errno("getppid", 53, argument{0, big, 0, "SCMP_CMP_LT"}, argument{0, big + 10, 0, "SCMP_CMP_GE"}),
		errno("getppid", 54, argument{5, 3, 0, "SCMP_CMP_EQ"}),
		errno("sched_yield", 55, argument{4, 9, 0, "SCMP_CMP_LE"}),
		errno("sched_yield", 56),
		errno("semget", 57),
		errno("semget", 57),
		errno("uname", 0),
		entry{Names: []string{"sysinfo"}, Action: "SCMP_ACT_TRACE", ErrnoRet: 9},
		entry{Names: []string{"capset"}, Action: "SCMP_ACT_LOG"},
		entry{Names: []string{"setuid"}, Action: "SCMP_ACT_KILL_PROCESS"},
		entry{Names: []string{"setns"}, Action: "SCMP_ACT_TRAP"},
	)
	eachBwrap(t, func(t *testing.T, bwrapDir string) {
		flags := []string{"--security-opt", "seccomp=" + profile}
		words := []string{
			"getpid", "getpid:5", "getpid:0x100000005", "getpid:0x100000005:0x100000006", "getpid:0:0x100000006:7", "getpid:0:0x100000006:6",
			"getpid:0:0x200000000", "getpid:0:0x100000005", "getpid:0:-1", "getpid:0:0:7:0x1200000000", "getpid:0:0:7:0xff1200000001", "getpid:0:0:7:0x1300000000",
			"getppid:0x100000004", "getppid:0x100000005", "getppid:0x10000000f", "getppid:0x100000006:0:0:0:0:3", "getppid:-1", "getppid:5",
			"sched_yield:0:0:0:0:9", "sched_yield:0:0:0:0:10", "semget", "uname:1", "sysinfo:1", "capset:1:1", "999",
		}
		if got := asContainer(t, bwrapDir, flags, append([]string{"/probes/syscalls"}, words...)...); got.status != 0 || strings.Count(got.out, "\n") != len(words) {
			t.Errorf("status %d\n%s", got.status, got.out)
		}
		if got := asContainer(t, bwrapDir, flags, "/probes/syscalls32", "semget", "uname:1", "sysinfo:1", "getpid"); got.status != 0 {
			t.Errorf("status %d\n%s", got.status, got.out)
		}
		if got := asContainer(t, bwrapDir, flags, "/probes/syscalls", "getpid", "setuid:0"); got.status != 128+31 {
			t.Errorf("SCMP_ACT_KILL_PROCESS: status %d\n%s", got.status, got.out)
		}
		if got := asContainer(t, bwrapDir, flags, "/probes/syscalls", "setns"); got.status != 2 { // Go's for a signal that it has caught
			t.Errorf("SCMP_ACT_TRAP: status %d\n%s", got.status, got.out)
		}
	})
}

// TestTightProfile: a profile need name nothing but what the command itself
// calls.
func TestTightProfile(t *testing.T) {
	if !hasImages() {
		lacks(t, "no busybox to make images of: apt-get install busybox-static")
	}
	profile := writeProfile(t, "SCMP_ACT_KILL_PROCESS", entry{Action: "SCMP_ACT_ALLOW", Names: []string{
		"execve", "brk", "arch_prctl", "set_tid_address", "set_robust_list", "rseq", "prlimit64", "readlink", "readlinkat", "getrandom", "mprotect",
		"prctl", "getuid", "getgid", "setgid", "setuid", "exit_group",
	}})
	eachBwrap(t, func(t *testing.T, bwrapDir string) {
		env := environment(t, bwrapDir, workDir(t))
		for args, status := range map[string]int{"true": 0, "false": 1, "cat": 128 + 31} {
			got := execute(t, env, shared("bin/oci2bwrap"), "run", "--security-opt", "seccomp="+profile, shared("images/tools"), args)
			if got.status != status {
				t.Errorf("%s: status %d, want %d", args, got.status, status)
			}
		}
	})
}
