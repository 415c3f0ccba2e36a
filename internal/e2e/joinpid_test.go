package e2e_test

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// bundleOf is a bundle of the image "tools", without what runc can't have here,
// changed by edit.
func bundleOf(t *testing.T, env []string, work string, edit func(linux, config map[string]any)) string {
	t.Helper()
	dir := filepath.Join(work, "bundle")
	if _, err := os.Stat(dir); err != nil {
		output(t, 0, env, shared("bin/oci2bwrap"), "unpack", shared("images/tools"), dir)
	}
	file := filepath.Join(dir, "config.json")
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var config map[string]any
	if err := json.Unmarshal(data, &config); err != nil {
		t.Fatal(err)
	}
	delete(config["process"].(map[string]any), "rlimits")
	edit(config["linux"].(map[string]any), config)
	if data, err = json.Marshal(config); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, data, 0o644); err != nil {
		t.Fatal(err)
	}
	return dir
}

// joinPath names a namespace of a bundle by its path.
func joinPath(linux map[string]any, kind, path string) {
	var all []any
	for _, ns := range linux["namespaces"].([]any) {
		if ns.(map[string]any)["type"] != kind {
			all = append(all, ns)
		}
	}
	linux["namespaces"] = append(all, map[string]any{"type": kind, "path": path})
}

// setArgs gives a bundle a shell script to run.
func setArgs(config map[string]any, script string) {
	config["process"].(map[string]any)["args"] = []string{"sh", "-c", script}
}

// hold starts a program in new namespaces, by flags of unshare(1), and tells its
// process, which reaps what is orphaned there. It is there until the test ends.
func hold(t *testing.T, flags ...string) int {
	t.Helper()
	needs(t, "unshare")
	cmd := exec.Command("unshare", append(flags, "--fork", "--kill-child", "sh", "-c", "while :; do sleep 0.1; done")...)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	holder := 0
	eventually(t, "the namespaces are there", func() bool {
		for _, pid := range descendants(cmd.Process.Pid) {
			if program(pid) == "sh" && parentOf(pid) == cmd.Process.Pid {
				holder = pid
			}
		}
		return holder != 0
	})
	return holder
}

// startBundle runs a bundle as start runs an image: /sync is a directory of the
// test.
func startBundle(t *testing.T, bwrapDir, script string, edit func(linux map[string]any), flags ...string) *sandbox {
	t.Helper()
	s := prepared(t, bwrapDir, nil, "", flags...)
	bundle := bundleOf(t, s.Env, s.work, func(linux, config map[string]any) {
		edit(linux)
		setArgs(config, strings.ReplaceAll(script, "$MARKER", s.marker))
		config["mounts"] = append(config["mounts"].([]any), map[string]any{
			"destination": "/sync", "type": "bind", "source": s.sync, "options": []string{"rbind", "rw"},
		})
	})
	if err := os.MkdirAll(filepath.Join(bundle, "rootfs/sync"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := copyExecutable(shared("bin/attack"), filepath.Join(s.sync, "attack")); err != nil {
		t.Fatal(err)
	}
	s.Args = append(append([]string{s.Path, "run", "--quiet"}, flags...), bundle)
	s.begin()
	return s
}

// deserters start processes that have nothing in common with the command: in
// a session of their own, orphans, one of another user, with no parent-death
// signal. The command itself loses its signal by changing its ids.
const deserters = `(setsid sleep $MARKER &); (setsid /sync/attack as 7 /bin/sleep $MARKER &); (for n in $(seq 100); do sleep $MARKER & sleep 0.01; done &)
touch /sync/ready; exec /sync/attack as 9 /bin/sleep $MARKER`

// TestJoinPID has a sandbox in the pid namespace of another. No process 1 of its
// own takes its processes along, and still none outlives the run.
func TestJoinPID(t *testing.T) {
	needImages(t)
	if os.Getuid() != 0 {
		t.Skip("only root joins a pid namespace: join.txtar says so to a user")
	}
	cgroupTop(t)
	needs(t, "runc")
	eachBwrap(t, func(t *testing.T, bwrapDir string) {
		holder := hold(t, "--pid", "--mount-proc")
		path := fmt.Sprintf("/proc/%d/ns/pid", holder)
		join := func(linux map[string]any) { joinPath(linux, "pid", path) }
		want, err := os.Readlink(path)
		if err != nil {
			t.Fatal(err)
		}

		t.Run("as runc", func(t *testing.T) {
			work := workDir(t)
			env := environment(t, bwrapDir, work)
			const script = `readlink /proc/self/ns/pid; tr '\0' ' ' </proc/1/cmdline; [ $$ -gt 1 ] && echo; exit 7`
			bundle := bundleOf(t, env, work, func(linux, config map[string]any) { join(linux); setArgs(config, script) })
			got := output(t, 7, env, shared("bin/oci2bwrap"), "run", bundle)
			theirs := output(t, 7, env, "runc", "--root", filepath.Join(work, "runc"), "run", "--bundle", bundle, fmt.Sprintf("e2e-%d-%d", os.Getpid(), time.Now().UnixNano()))
			if got != theirs || got != want+"\nsh -c while :; do sleep 0.1; done \n" {
				t.Errorf("%q, runc %q", got, theirs)
			}
			if out := complains(t, env, shared("bin/oci2bwrap"), "run", "--init", bundle); !strings.Contains(out, "--init: process 1 is that of the pid namespace") {
				t.Error(out)
			}
		})
		t.Run("signals", func(t *testing.T) {
			for _, test := range []struct {
				send   syscall.Signal
				status int
			}{{syscall.SIGTERM, 143}, {syscall.SIGINT, 130}, {syscall.SIGUSR2, 140}} {
				s := startBundle(t, bwrapDir, "(setsid sleep $MARKER &); touch /sync/ready; exec sleep $MARKER", join)
				s.ready()
				s.signal(test.send)
				s.ends(test.status)
			}
		})
		t.Run("the command's end", func(t *testing.T) {
			s := startBundle(t, bwrapDir, strings.ReplaceAll(deserters, "exec /sync/attack as 9 /bin/sleep $MARKER", "exit 3"), join)
			s.ends(3)
		})
		t.Run("exec", func(t *testing.T) {
			s := startBundle(t, bwrapDir, "touch /sync/ready; exec sleep $MARKER", join)
			s.entered()
			out, stderr, status := s.enter(nil, "sh", "-c", "readlink /proc/self/ns/pid; setsid sleep "+s.marker+" >/dev/null 2>&1 & exit 4")
			if out != want+"\n" || status != 4 {
				t.Errorf("%q, %q, status %d", out, stderr, status)
			}
			s.signal(syscall.SIGTERM)
			s.ends(143)
		})
		for _, victim := range []string{"oci2bwrap", "bwrap", "the warden, then oci2bwrap's command"} {
			t.Run("killed: "+victim, func(t *testing.T) {
				s := startBundle(t, bwrapDir, deserters, join)
				s.ready()
				switch victim {
				case "oci2bwrap":
					_ = s.Process.Kill()
				case "bwrap":
					for _, pid := range descendants(s.Process.Pid) {
						if name := program(pid); name == "bwrap" || name == "ld.so" {
							_ = syscall.Kill(pid, syscall.SIGKILL)
						}
					}
				default:
					killWarden(t, s)
					s.signal(syscall.SIGTERM)
				}
				nothingLeft(t, s)
				eventually(t, "the control group is gone", func() bool {
					groups, _ := filepath.Glob(filepath.Join(cgroupTop(t), "oci2bwrap-"+strconv.Itoa(s.Process.Pid)+"-*"))
					return len(groups) == 0
				})
			})
		}
		t.Run("killed: oci2bwrap and the warden", func(t *testing.T) {
			s := startBundle(t, bwrapDir, deserters, join)
			s.ready()
			killWarden(t, s)
			_ = s.Process.Kill()
			_, _ = s.Process.Wait() // Wait waits for those who have its stdout, too
			// The deserters have nobody left, until the next run beside them.
			if len(processes(s.marker)) == 0 {
				t.Fatal("nothing is left, so that there is nothing to be ended")
			}
			other := startBundle(t, bwrapDir, "exit 3", join)
			other.ends(3)
			nothingLeft(t, s)
		})
		t.Run("killed while starting", func(t *testing.T) {
			for n := range soak(20, 300) {
				s := startBundle(t, bwrapDir, deserters, join)
				time.Sleep(time.Duration(n%20) * 2 * time.Millisecond)
				_ = s.Process.Kill()
				nothingLeft(t, s)
			}
		})
		if state, _ := standing(strconv.Itoa(holder)); state == "" {
			t.Error("the process whose namespace it is has ended with the sandboxes")
		}
	})
}

// killWarden kills the process that ends the sandbox's in oci2bwrap's stead.
func killWarden(t *testing.T, s *sandbox) {
	t.Helper()
	for _, pid := range descendants(s.Process.Pid) {
		args, _ := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid))
		if strings.HasPrefix(string(args), "oci2bwrap\x00__warden\x00") {
			if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
				t.Fatal(err)
			}
			return
		}
	}
	t.Fatal("there is no warden")
}

// nothingLeft waits for the end of a run that is killed, of all that it has
// started, and of its control group.
func nothingLeft(t *testing.T, s *sandbox) {
	t.Helper()
	_ = s.Wait()
	eventually(t, "nothing is left", func() bool {
		for group := range controlGroups() {
			procs, _ := os.ReadFile(filepath.Join(group, "cgroup.procs"))
			if strings.HasPrefix(filepath.Base(group), fmt.Sprintf("oci2bwrap-%d-", s.Process.Pid)) && len(procs) > 0 {
				return false
			}
		}
		return len(processes(s.marker)) == 0
	})
}

// TestJoinHostPID has a sandbox see the caller's own processes. What one of its
// own says of itself is not believed for that.
func TestJoinHostPID(t *testing.T) {
	needImages(t)
	if os.Getuid() != 0 {
		t.Skip("only root joins a pid namespace")
	}
	cgroupTop(t)
	eachBwrap(t, func(t *testing.T, bwrapDir string) {
		join := func(linux map[string]any) { joinPath(linux, "pid", "/proc/self/ns/pid") }
		s := startBundle(t, bwrapDir, "/sync/attack record $PPID & touch /sync/ready; exec sleep $MARKER", join)
		s.ready()
		liar := 0
		eventually(t, "the lie is told", func() bool {
			for _, pid := range descendants(s.Process.Pid) {
				links, _ := filepath.Glob(fmt.Sprintf("/proc/%d/fd/*", pid))
				for _, l := range links {
					if name, _ := os.Readlink(l); program(pid) == "attack" && strings.HasPrefix(name, "/memfd:oci2bwrap-run") {
						liar = pid
					}
				}
			}
			return liar != 0
		})
		cmd := exec.Command(s.Path, "exec", strconv.Itoa(liar), "readlink", "/proc/self/ns/mnt")
		cmd.Env = s.Env
		out, err := cmd.CombinedOutput()
		theirs, e := os.Readlink(fmt.Sprintf("/proc/%d/ns/mnt", liar))
		if err != nil || e != nil || string(out) != theirs+"\n" {
			t.Errorf("exec came to %q, %v; the sandbox is %q, %v", out, err, theirs, e)
		}
		s.signal(syscall.SIGTERM)
		s.ends(143)
	})
}

// complains runs a program that fails with status 125 and prints nothing, and
// gives what it says.
func complains(t *testing.T, env []string, program string, args ...string) string {
	t.Helper()
	cmd := exec.Command(program, args...)
	cmd.Env = env
	out, _ := cmd.CombinedOutput()
	if cmd.ProcessState.ExitCode() != 125 {
		t.Errorf("%q: %v", args, cmd.ProcessState)
	}
	return string(out)
}
