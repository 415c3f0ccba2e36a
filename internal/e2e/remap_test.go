package e2e_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// TestRemap runs a bundle whose mappings leave the caller out, as those of
// Docker's userns-remap do, and whose root belongs to the ids that are mapped:
// for root it is held against runc.
func TestRemap(t *testing.T) {
	needImages(t)
	ids, err := hasIDs()
	if err != nil {
		t.Fatal(err)
	}
	if os.Getuid() != 0 && !ids {
		t.Skip("only root and who has subordinate ids can map ids that are not its own")
	}
	if os.Getuid() == 0 {
		needs(t, "runc")
	}
	eachBwrap(t, func(t *testing.T, bwrapDir string) {
		work := workDir(t)
		env := environment(t, bwrapDir, work)
		first := 100000
		if ids {
			first = 300000 // of makeUser
		}
		const report = `id; cat /proc/self/uid_map /proc/self/gid_map; stat -c %u:%g / /bin/sh; touch /tmp/x; chown 33:44 /tmp/x; stat -c %u:%g /tmp/x; grep -E "Groups|CapEff" /proc/self/status; cat /proc/self/setgroups`
		edit := func(script string, user map[string]any) func(linux, config map[string]any) {
			return func(linux, config map[string]any) {
				remap(linux, 0, first)
				config["process"].(map[string]any)["user"] = user
				setArgs(config, script)
			}
		}
		root := map[string]any{"uid": 0, "gid": 0}
		bundle := bundleOf(t, env, work, edit(report, root))
		giveAway(t, filepath.Join(bundle, "rootfs"), first)

		// Who the mappings are of can't search a directory of the caller's own.
		out := complains(t, env, shared("bin/oci2bwrap"), "run", "-q", bundle)
		if want := fmt.Sprintf("permission denied: the bundle's user namespace lacks the caller's id\nhint: let %d:%d read", first, first); !strings.Contains(out, want) {
			t.Errorf("%s, want %s", out, want)
		}
		for _, dir := range []string{filepath.Dir(work), bundle} {
			if err := os.Chmod(dir, 0o755); err != nil {
				t.Fatal(err)
			}
		}
		maps := fmt.Sprintf("%10d %10d %10d\n", 0, first, 1000)
		for _, user := range []map[string]any{root, {"uid": 7, "gid": 8, "additionalGids": []int{9}}} {
			script := report
			if user["uid"] != 0 {
				script = strings.Replace(report, "33:44", "7:9", 1)
			}
			bundleOf(t, env, work, edit(script, user))
			ours := output(t, 0, env, shared("bin/oci2bwrap"), "run", "-q", bundle)
			if !strings.Contains(ours, maps+maps+"0:0\n0:0\n") || user["uid"] == 0 && !strings.Contains(ours, "\n33:44\n") {
				t.Errorf("as %v: %s", user, ours)
			}
			if os.Getuid() != 0 {
				continue
			}
			theirs := output(t, 0, env, "runc", "--root", filepath.Join(work, "runc"), "run", "--bundle", bundle, fmt.Sprintf("e2e-%d-%d", os.Getpid(), time.Now().UnixNano()))
			if ours != theirs {
				t.Errorf("as %v: %s\nrunc: %s", user, ours, theirs)
			}
		}
		// The home and TMPDIR are out of reach, and what took their place is gone;
		// after kill -9 it is after the next run.
		if left := cachesOf(first); len(left) > 0 {
			t.Errorf("%s is left", left)
		}
		killed := exec.Command(shared("bin/oci2bwrap"), "run", "-q", bundle, "sleep", "1000")
		killed.Env = env
		if err := killed.Start(); err != nil {
			t.Fatal(err)
		}
		eventually(t, "there is a temporary cache", func() bool { return len(cachesOf(first)) == 1 })
		_ = killed.Process.Kill()
		_ = killed.Wait()
		eventually(t, "the next run removes it", func() bool {
			output(t, 0, env, shared("bin/oci2bwrap"), "run", "-q", bundle, "true")
			return len(cachesOf(first)) == 0
		})
		plan := output(t, 0, env, shared("bin/oci2bwrap"), "plan", bundle)
		if !strings.Contains(plan, "no gaps") {
			t.Error(plan)
		}

		// Nor is a source that they can't reach said to be missing.
		closed := filepath.Join(work, "closed")
		if err := os.MkdirAll(filepath.Join(closed, "dir"), 0o700); err != nil {
			t.Fatal(err)
		}
		bundleOf(t, env, work, func(_, config map[string]any) {
			config["mounts"] = append(config["mounts"].([]any), map[string]any{"destination": "/opt", "type": "bind", "source": filepath.Join(closed, "dir"), "options": []string{"bind"}})
		})
		out = complains(t, env, shared("bin/oci2bwrap"), "run", "-q", bundle)
		if want := fmt.Sprintf("can't be reached: %d:%d can't search %q\n", first, first, closed); !strings.Contains(out, want) {
			t.Errorf("%s, want %s", out, want)
		}
		bundleOf(t, env, work, func(_, config map[string]any) {
			mounts := config["mounts"].([]any)
			config["mounts"] = mounts[:len(mounts)-1]
		})

		// A namespace that the mapped root has no right to is joined before, by
		// who has it; runc does so too, but mounts no sysfs then.
		holder := fmt.Sprintf("/proc/%d/ns/net", hold(t, netOf()...))
		want, err := os.Readlink(holder)
		if err != nil {
			t.Fatal(err)
		}
		bundleOf(t, env, work, func(linux, config map[string]any) {
			joinPath(linux, "network", holder)
			setArgs(config, "cat /proc/self/uid_map; readlink /proc/self/ns/net; tail -n +3 /proc/net/dev | cut -d: -f1")
		})
		if os.Getuid() == 0 {
			if got := output(t, 0, env, shared("bin/oci2bwrap"), "run", "--strict", bundle); got != maps+want+"\n    lo\n" {
				t.Errorf("with a network joined: %s, want %s", got, want)
			}
		} else if out := complains(t, env, shared("bin/oci2bwrap"), "run", "--strict", bundle); !strings.Contains(out, "only root of the user namespace that it belongs to may join it") {
			t.Error(out)
		}

		// Of a root that belongs to nobody who is mapped, what is made is root's.
		if os.Getuid() == 0 {
			if out, err := exec.Command("chown", "-hR", "5:5", filepath.Join(bundle, "rootfs")).CombinedOutput(); err != nil {
				t.Fatalf("%v: %s", err, out)
			}
			bundleOf(t, env, work, func(_, config map[string]any) { setArgs(config, "stat -c %u:%g / /run") })
			if got := output(t, 0, env, shared("bin/oci2bwrap"), "run", "-q", bundle); got != "65534:65534\n0:0\n" {
				t.Errorf("the owners are %q", got)
			}
		}

		for complaint, change := range map[string]func(linux map[string]any){
			"linux.uidMappings: the caller's own id is not among them": func(linux map[string]any) { remap(linux, 1, first) },
			"linux.uidMappings: they are not among the caller's own": func(linux map[string]any) {
				if remap(linux, 0, first); os.Getuid() != 0 {
					remap(linux, 0, 5)
					return
				}
				delete(linux, "uidMappings")
			},
		} {
			bundleOf(t, env, work, func(linux, _ map[string]any) { change(linux) })
			if out := complains(t, env, shared("bin/oci2bwrap"), "run", "-q", bundle); !strings.Contains(out, complaint) {
				t.Errorf("%s, want %s", out, complaint)
			}
		}
	})
}

// cachesOf lists what is left of the runs of a remapped bundle.
func cachesOf(id int) (dirs []string) {
	all, _ := filepath.Glob("/tmp/oci2bwrap-cache-*")
	for _, dir := range all {
		if info, err := os.Stat(dir); err == nil && info.Sys().(*syscall.Stat_t).Uid == uint32(id) {
			dirs = append(dirs, dir)
		}
	}
	return dirs
}

// netOf are unshare(1)'s flags for a network namespace of the caller's.
func netOf() []string {
	if os.Getuid() == 0 {
		return []string{"--net"}
	}
	return []string{"--user", "--net"}
}

// remap gives a bundle a user namespace with 1000 ids, from container on.
func remap(linux map[string]any, container, host int) {
	var spaces []any
	for _, ns := range linux["namespaces"].([]any) {
		if kind := ns.(map[string]any)["type"]; kind != "user" && kind != "network" {
			spaces = append(spaces, ns)
		}
	}
	// With the host's network runc can't mount a sysfs.
	linux["namespaces"] = append(spaces, map[string]any{"type": "user"}, map[string]any{"type": "network"})
	for _, field := range []string{"uidMappings", "gidMappings"} {
		linux[field] = []any{map[string]int{"containerID": container, "hostID": host, "size": 1000}}
	}
}

// giveAway makes a tree one of another id, and removes it after the test.
func giveAway(t *testing.T, dir string, id int) {
	t.Helper()
	as := []string{"sh", "-c"}
	if os.Getuid() != 0 {
		needs(t, "unshare")
		as, id = []string{"unshare", "--map-root-user", "--map-auto", "sh", "-c"}, 1 // the first of the caller's subordinate ids
	}
	for _, script := range []string{fmt.Sprintf("chown -hR %d:%d '%s'", id, id, dir), "rm -rf '" + dir + "'"} {
		do := func() {
			if out, err := exec.Command(as[0], append(as[1:], script)...).CombinedOutput(); err != nil {
				t.Errorf("%s: %v: %s", script, err, out)
			}
		}
		if strings.HasPrefix(script, "rm") {
			t.Cleanup(do)
			continue
		}
		do()
	}
}
