package e2e_test

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// holdUser has somebody in a user namespace of the caller's and others that
// belong to it: with one id, or where the caller has more with several.
func holdUser(t *testing.T) (holder int, several bool) {
	t.Helper()
	flags := []string{"--user", "--net", "--ipc", "--uts", "--time", "--boottime", "86400000"}
	ids, err := hasIDs()
	switch {
	case err != nil:
		t.Fatal(err)
	case os.Getuid() == 0:
		holder = hold(t, flags...)
		for _, file := range []string{"uid_map", "gid_map"} {
			if err := os.WriteFile(fmt.Sprintf("/proc/%d/%s", holder, file), []byte("0 0 65536\n"), 0); err != nil {
				t.Fatal(err)
			}
		}
		return holder, true
	case ids:
		return hold(t, append(flags, "--map-root-user", "--map-auto")...), true
	}
	return hold(t, append(flags, "--map-root-user")...), false
}

// TestJoinUser has sandboxes in a user namespace that is there, and in others
// that belong to it: root's, and those of an ordinary user's own.
func TestJoinUser(t *testing.T) {
	needImages(t)
	kinds := map[string]string{"user": "user", "network": "net", "ipc": "ipc", "uts": "uts", "time": "time"}
	eachBwrap(t, func(t *testing.T, bwrapDir string) {
		holder, several := holdUser(t)
		joinAll := func(linux map[string]any) {
			for kind, name := range kinds {
				joinPath(linux, kind, fmt.Sprintf("/proc/%d/ns/%s", holder, name))
			}
			delete(linux, "uidMappings")
			delete(linux, "gidMappings")
		}
		var want strings.Builder
		const script = `for n in ipc net time user uts; do readlink /proc/self/ns/$n; done`
		for _, name := range []string{"ipc", "net", "time", "user", "uts"} {
			link, err := os.Readlink(fmt.Sprintf("/proc/%d/ns/%s", holder, name))
			if err != nil {
				t.Fatal(err)
			}
			want.WriteString(link + "\n")
		}
		t.Run("all", func(t *testing.T) {
			s := startBundle(t, bwrapDir, "{ "+script+"; } >/sync/ns; ls /sys/class/net >/sync/net; touch /sync/ready; (setsid sleep $MARKER &); exec sleep $MARKER", joinAll)
			s.entered()
			if got, err := os.ReadFile(s.sync + "/ns"); err != nil || string(got) != want.String() {
				t.Errorf("%s, %v, want %s", got, err, want.String())
			}
			// A user's bundle binds the host's /sys.
			if got, err := os.ReadFile(s.sync + "/net"); os.Getuid() == 0 && (err != nil || string(got) != "lo\n") {
				t.Errorf("the devices in /sys are %q, %v", got, err)
			}
			if out, stderr, _ := s.enter(nil, "sh", "-c", script); out != want.String() {
				t.Errorf("exec is in %s; %s", out, stderr)
			}
			s.signal(syscall.SIGKILL)
			nothingLeft(t, s)
		})
		t.Run("described", func(t *testing.T) {
			work := workDir(t)
			env := environment(t, bwrapDir, work)
			bundle := bundleOf(t, env, work, func(linux, _ map[string]any) { joinAll(linux) })
			if out := output(t, 0, env, shared("bin/oci2bwrap"), "plan", bundle); !strings.Contains(out, fmt.Sprintf("user /proc/%d/ns/user", holder)) {
				t.Error(out)
			}
			cmd := exec.Command(shared("bin/oci2bwrap"), "plan", "--diff", bundle, bundle)
			cmd.Env = env
			if out, err := cmd.CombinedOutput(); err != nil || strings.Count(string(out), ": the user namespace is not entered here, as it is by run") != 2 {
				t.Errorf("%v: %s", err, out)
			}
		})
		t.Run("status", func(t *testing.T) {
			s := startBundle(t, bwrapDir, "trap 'exit 7' TERM; touch /sync/ready; while :; do sleep 0.05; done # $MARKER", joinAll)
			s.ready()
			s.signal(syscall.SIGTERM)
			s.ends(7)
		})
		t.Run("refused", func(t *testing.T) {
			work := workDir(t)
			env := environment(t, bwrapDir, work)
			for complaint, edit := range map[string]func(linux map[string]any){
				`.path: join "/proc/self/ns/net": operation not permitted` + "\nhint: a network namespace is joined by root of the user namespace that it belongs to": func(linux map[string]any) {
					joinPath(linux, "network", "/proc/self/ns/net")
				},
				"linux.uidMappings: are not those of the user namespace that is joined": func(linux map[string]any) {
					linux["uidMappings"] = []any{map[string]int{"containerID": 0, "hostID": 5, "size": 1}}
				},
				"process.user.uid: 70000 is not among the": func(map[string]any) {},
			} {
				bundle := bundleOf(t, env, work, func(linux, config map[string]any) {
					joinAll(linux)
					edit(linux)
					if strings.HasPrefix(complaint, "process.user") {
						config["process"].(map[string]any)["user"] = map[string]int{"uid": 70000}
					}
				})
				out := complains(t, env, shared("bin/oci2bwrap"), "run", "-q", bundle)
				if !strings.Contains(out, complaint) {
					t.Errorf("%s, want %s", out, complaint)
				}
				bundleOf(t, env, work, func(_, config map[string]any) { config["process"].(map[string]any)["user"] = map[string]int{"uid": 0} })
			}
		})
		if several {
			t.Run("another id", func(t *testing.T) {
				work := workDir(t)
				env := environment(t, bwrapDir, work)
				bundle := bundleOf(t, env, work, func(linux, config map[string]any) {
					joinAll(linux)
					config["process"].(map[string]any)["user"] = map[string]any{"uid": 7, "gid": 8, "additionalGids": []int{9}}
					setArgs(config, "id -u; id -G")
				})
				if got := output(t, 0, env, shared("bin/oci2bwrap"), "run", "-q", "--strict", "--allow-gap", "hostname", bundle); got != "7\n8 9\n" {
					t.Errorf("%q", got)
				}
				bundleOf(t, env, work, func(_, config map[string]any) {
					config["process"].(map[string]any)["user"] = map[string]any{"uid": 7, "gid": 8, "additionalGids": []int{9, 70000}}
				})
				if out := complains(t, env, shared("bin/oci2bwrap"), "run", "-q", "--strict", bundle); !strings.Contains(out, "process.user.additionalGids: the id mappings have no place for 70000 ") {
					t.Error(out)
				}
			})
		}
		t.Run("time alone", func(t *testing.T) {
			work := workDir(t)
			env := environment(t, bwrapDir, work)
			path := fmt.Sprintf("/proc/%d/ns/time", holder)
			bundle := bundleOf(t, env, work, func(linux, config map[string]any) {
				joinPath(linux, "time", path)
				setArgs(config, "readlink /proc/self/ns/time; exit 3")
			})
			if os.Getuid() != 0 {
				if out := complains(t, env, shared("bin/oci2bwrap"), "run", "-q", bundle); !strings.Contains(out, "operation not permitted\nhint: a time namespace is joined by root") {
					t.Error(out)
				}
				return
			}
			if got := output(t, 3, env, shared("bin/oci2bwrap"), "run", "-q", bundle); !strings.Contains(want.String(), got) {
				t.Errorf("%q", got)
			}
		})
	})
}

// TestLeftOut tells a caller whom the joined user namespace lacks from one who
// has the number there that the kernel shows of those.
func TestLeftOut(t *testing.T) {
	needImages(t)
	if os.Getuid() != 0 {
		t.Skip("only root can map ids that are not its own")
	}
	eachBwrap(t, func(t *testing.T, bwrapDir string) {
		for idMap, lacked := range map[string]bool{"0 100000 65536\n": true, "0 100000 1000\n65534 0 1\n": false} {
			holder := hold(t, "--user")
			for _, file := range []string{"uid_map", "gid_map"} {
				if err := os.WriteFile(fmt.Sprintf("/proc/%d/%s", holder, file), []byte(idMap), 0); err != nil {
					t.Fatal(err)
				}
			}
			work := workDir(t)
			env := environment(t, bwrapDir, work)
			bundle := bundleOf(t, env, work, func(linux, _ map[string]any) {
				joinPath(linux, "user", fmt.Sprintf("/proc/%d/ns/user", holder))
				delete(linux, "uidMappings")
				delete(linux, "gidMappings")
			})
			if err := errors.Join(os.Chmod(filepath.Dir(work), 0o755), os.Chmod(work, 0o755), os.Chown(bundle, 5, 5), os.Chmod(bundle, 0o700)); err != nil {
				t.Fatal(err)
			}
			out := complains(t, env, shared("bin/oci2bwrap"), "run", "-q", bundle)
			if !strings.Contains(out, "permission denied") || strings.Contains(out, "lacks the caller's id") != lacked {
				t.Errorf("with %q: %s", idMap, out)
			}
		}
	})
}
