package e2e_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"
)

// mappable is a directory whose file system can be id-mapped. overlayfs, which a
// container's directories are on, can't.
func mappable(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	var st unix.Statfs_t
	if err := unix.Statfs(dir, &st); err != nil {
		t.Fatal(err)
	}
	if st.Type != unix.OVERLAYFS_SUPER_MAGIC {
		return dir
	}
	dir, err := os.MkdirTemp("/dev/shm", "oci2bwrap-e2e-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return dir
}

// ownedFiles makes a directory with a file for each id, named for it, in one that
// only root can search.
func ownedFiles(t *testing.T, ids ...int) string {
	t.Helper()
	dir := filepath.Join(mappable(t), "closed", "src")
	if err := errors.Join(os.Mkdir(filepath.Dir(dir), 0o700), os.Mkdir(dir, 0o755)); err != nil {
		t.Fatal(err)
	}
	for _, id := range ids {
		file := filepath.Join(dir, fmt.Sprint(id))
		if err := os.WriteFile(file, nil, 0o644); err != nil {
			t.Fatal(err)
		}
		if err := os.Chown(file, id, id); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// crunWords run crun where cgroups are of version 1: in a mount namespace that has
// version 2 at its place.
func crunWords(work, bundle string) []string {
	script := `umount -l /sys/fs/cgroup 2>/dev/null; mount -t cgroup2 none /sys/fs/cgroup && exec crun --cgroup-manager=disabled --root "$0" run --bundle "$1" "$2"`
	return []string{"-m", "sh", "-c", script, filepath.Join(work, "crun"), bundle, fmt.Sprintf("e2e-%d-%d", os.Getpid(), time.Now().UnixNano())}
}

// idMapped is a bundle's mount with ids of its own.
type idMapped struct {
	name    string
	user    bool // the sandbox has a user namespace, of remappedIDs
	ids     []specs.LinuxIDMapping
	options []string
	want    string // what idMappedReport says of it
	owner   int    // of the file that it makes, on disk; -1 for none
}

const idMappedReport = `cat /proc/self/uid_map; cd /m; stat -c "%n %u:%g" . *; touch new 2>/dev/null && stat -c "new is %u:%g" new || echo none is new`

func remappedIDs() []specs.LinuxIDMapping {
	return []specs.LinuxIDMapping{{HostID: 100000, Size: 65536}}
}

// idMappedCases are of a directory of 0's with files of 0, 1000 and 100000.
func idMappedCases() []idMapped {
	type maps = []specs.LinuxIDMapping
	const nobody = "65534:65534"
	files := func(zero, thousand, hundred, left string) string {
		return fmt.Sprintf(". %s\n0 %[1]s\n1000 %s\n100000 %s\n%s\n", zero, thousand, hundred, left)
	}
	exchanged := maps{{ContainerID: 1000, Size: 1}, {HostID: 1000, Size: 1}}
	return []idMapped{
		{"exchanged", false, exchanged, []string{"rbind", "idmap"}, files("1000:1000", "0:0", nobody, "new is 0:0"), 1000},
		{"without the word", false, exchanged, []string{"rbind"}, files("1000:1000", "0:0", nobody, "new is 0:0"), 1000},
		{"one alone", false, exchanged[:1], []string{"bind", "ridmap"}, files(nobody, "0:0", nobody, "none is new"), -1},
		{"crun's word", false, nil, []string{"bind", "idmap=uids=1000-0-1#0-7-1;gids=1000-0-1#0-8-1"}, files("7:8", "0:0", nobody, "new is 0:0"), 1000},
		{"as the container", true, remappedIDs(), []string{"rbind", "idmap"}, files("0:0", "1000:1000", nobody, "new is 0:0"), 0},
		{"the container's", true, nil, []string{"rbind", "idmap"}, files("0:0", "1000:1000", nobody, "new is 0:0"), 0},
		{"read-only", true, remappedIDs(), []string{"rbind", "idmap", "ro"}, files("0:0", "1000:1000", nobody, "none is new"), -1},
		{"another", true, maps{{ContainerID: 1000, HostID: 100000, Size: 1}, {HostID: 100007, Size: 1}}, []string{"rbind", "ridmap"}, files("7:7", "0:0", nobody, "new is 0:0"), 1000},
	}
}

// edit makes the bundle the one of the case, with src at /m, which has more than
// one name.
func (c idMapped) edit(src string) func(linux, config map[string]any) {
	return func(linux, config map[string]any) {
		remap(linux, 0, 100000)
		linux["uidMappings"], linux["gidMappings"] = remappedIDs(), remappedIDs()
		if !c.user {
			delete(linux, "uidMappings")
			delete(linux, "gidMappings")
			linux["namespaces"] = slices.DeleteFunc(linux["namespaces"].([]any), func(ns any) bool { return ns.(map[string]any)["type"] == "user" })
		}
		mount(config, specs.Mount{Destination: "/m", Type: "bind", Source: src + "/", Options: c.options, UIDMappings: c.ids, GIDMappings: c.ids})
		setArgs(config, idMappedReport)
	}
}

// TestIDMapped shows a directory to bundles with the ids of its files mapped, and
// holds what they see and leave there against crun.
func TestIDMapped(t *testing.T) {
	needImages(t)
	if os.Getuid() != 0 {
		t.Skip("only root has id-mapped mounts: TestIDMappedRefused")
	}
	needs(t, "crun", "unshare")
	eachBwrap(t, func(t *testing.T, bwrapDir string) {
		work := workDir(t)
		env := environment(t, bwrapDir, work)
		bundle := bundleOf(t, env, work, func(_, _ map[string]any) {})
		giveAway(t, filepath.Join(bundle, "rootfs"), 100000)
		for _, dir := range []string{filepath.Dir(work), work, bundle} {
			if err := os.Chmod(dir, 0o755); err != nil {
				t.Fatal(err)
			}
		}
		src := ownedFiles(t, 0, 1000, 100000)
		fresh := filepath.Join(src, "new")
		for _, c := range idMappedCases() {
			bundleOf(t, env, work, c.edit(src))
			want := fmt.Sprintf("%10d %10d %10d\n", 0, 0, uint32(1<<32-1)) + c.want
			if c.user {
				want = fmt.Sprintf("%10d %10d %10d\n", 0, 100000, 65536) + c.want
			}
			for _, words := range [][]string{append([]string{"unshare"}, crunWords(work, bundle)...), {shared("bin/oci2bwrap"), "run", "-q", bundle}} {
				if got := output(t, 0, env, words[0], words[1:]...); got != want {
					t.Errorf("%s: %s: %s, want %s", c.name, words[0], got, want)
				}
				owner := -1
				if info, err := os.Stat(fresh); err == nil {
					owner = int(info.Sys().(*syscall.Stat_t).Uid)
					os.Remove(fresh)
				}
				if owner != c.owner {
					t.Errorf("%s: %s: the new file belongs to %d, want %d", c.name, words[0], owner, c.owner)
				}
			}
		}
	})
}

// mount adds one to a bundle, in place of the one before.
func mount(config map[string]any, m specs.Mount) {
	all := slices.DeleteFunc(config["mounts"].([]any), func(other any) bool { return other.(map[string]any)["destination"] == m.Destination })
	config["mounts"] = append(all, m)
}

// TestIDMappedBelow holds that what is mounted below has its ids mapped with
// ridmap alone, as the runtime-spec has it. crun 1.8 shows nothing of it. The
// container's map is that of a user namespace that is joined as well.
func TestIDMappedBelow(t *testing.T) {
	needImages(t)
	if os.Getuid() != 0 {
		t.Skip("only root has id-mapped mounts: TestIDMappedRefused")
	}
	needs(t, "unshare")
	eachBwrap(t, func(t *testing.T, bwrapDir string) {
		work := workDir(t)
		env := environment(t, bwrapDir, work)
		src := ownedFiles(t, 0)
		other := filepath.Join(filepath.Dir(src), "other")
		if err := errors.Join(os.Mkdir(filepath.Join(src, "below"), 0o755), os.Mkdir(other, 0o755)); err != nil {
			t.Fatal(err)
		}
		bundle := bundleOf(t, env, work, func(_, _ map[string]any) {})
		holder, _ := holdUser(t)
		for _, tt := range []struct{ options, want string }{
			{"bind,idmap=uids=0-7-1;gids=0-7-1", "7:7\n7:7\n"}, // the directory under it
			{"rbind,idmap=uids=0-7-1;gids=0-7-1", "7:7\n0:0\n"},
			{"rbind,ridmap=uids=0-7-1;gids=0-7-1", "7:7\n7:7\n"},
			{"rbind,ridmap=uids=0-7-1;gids=0-7-1,ro", "7:7\n7:7\n"},
			{"rbind,ridmap", "0:0\n0:0\n"},
		} {
			bundleOf(t, env, work, func(linux, config map[string]any) {
				if strings.HasSuffix(tt.options, "ridmap") {
					joinPath(linux, "user", fmt.Sprintf("/proc/%d/ns/user", holder))
					joinPath(linux, "network", fmt.Sprintf("/proc/%d/ns/net", holder))
				}
				mount(config, specs.Mount{Destination: "/m", Type: "bind", Source: src, Options: strings.Split(tt.options, ",")})
				setArgs(config, `stat -c %u:%g /m /m/below`)
			})
			got := output(t, 0, env, "unshare", "-m", "sh", "-c", `mount --bind "$0" "$1" && shift && exec "$@"`, other, filepath.Join(src, "below"), shared("bin/oci2bwrap"), "run", "-q", bundle)
			if got != tt.want {
				t.Errorf("%s: %s, want %s", tt.options, got, tt.want)
			}
		}
	})
}

// TestIDMappedVolume has podman's word with -v and --mount, and what plan and
// spec say of it.
func TestIDMappedVolume(t *testing.T) {
	needImages(t)
	if os.Getuid() != 0 {
		t.Skip("only root has id-mapped mounts: TestIDMappedRefused")
	}
	needs(t, "crun", "strace")
	eachBwrap(t, func(t *testing.T, bwrapDir string) {
		env := environment(t, bwrapDir, workDir(t))
		src := ownedFiles(t, 1000)
		oci2bwrap := func(status int, args ...string) string {
			return output(t, status, env, shared("bin/oci2bwrap"), append(args, shared("images/tools"), "stat", "-c", "%u:%g", "/m/1000")...)
		}
		volume := src + ":/m:ro,idmap=uids=1000-5-1;gids=1000-6-1"
		for _, flags := range [][]string{{"-v", volume}, {"--mount", "type=bind,src=" + src + ",dst=/m,idmap=uids=1000-5-1;gids=1000-6-1"}} {
			if got := oci2bwrap(0, append([]string{"run", "--strict"}, flags...)...); got != "5:6\n" {
				t.Errorf("%s: %s", flags, got)
			}
		}
		traced := []string{"-f", "-qq", "-e", "trace=none", "-o", "/dev/null", shared("bin/oci2bwrap"), "run", "-v", volume, shared("images/tools"), "stat", "-c", "%u:%g", "/m/1000"}
		if got := output(t, 0, env, "strace", traced...); got != "5:6\n" {
			t.Errorf("traced: %s", got)
		}
		var spec specs.Spec
		if err := json.Unmarshal([]byte(oci2bwrap(0, "spec", "-v", volume)), &spec); err != nil {
			t.Fatal(err)
		}
		m := spec.Mounts[slices.IndexFunc(spec.Mounts, func(m specs.Mount) bool { return m.Destination == "/m" })]
		if got := fmt.Sprint(m.Options, m.UIDMappings, m.GIDMappings); got != "[rbind rprivate nosuid nodev ro idmap] [{1000 5 1}] [{1000 6 1}]" {
			t.Error(got)
		}
		plan := oci2bwrap(0, "plan", "-v", volume)
		if !strings.Contains(plan, src+", read-only, uids 1000=5, gids 1000=6") || !strings.Contains(plan, "\nno gaps") {
			t.Error(plan)
		}
		if plan := oci2bwrap(0, "plan", "--format", "argv", "-v", volume); !strings.Contains(plan, "--ro-bind '<id-mapped>"+src+"' /m\n") {
			t.Error(plan)
		}
		if plan := oci2bwrap(0, "plan", "--format", "json", "-v", volume); !strings.Contains(plan, `"outside": 6`) {
			t.Error(plan)
		}
		image := shared("images/tools")
		if out := output(t, 0, env, shared("bin/oci2bwrap"), "parity", "--against", "crun", "-v", strings.Replace(volume, ":ro,", ":", 1), image); !strings.Contains(out, "\nsame: ") || !strings.Contains(out, " flags of id-mapped mounts: ") {
			t.Error(out)
		}
		for complaint, args := range map[string][]string{
			"mounts[/m].uidMappings: the owners of the files can't be mapped, and the process would have other rights to them than the map gives it: a script has bubblewrap alone": {"plan", "--format", "sh", "-v", volume, image},
			"the file system of /sys can't be id-mapped":                        {"run", "-v", "/sys:/m:" + strings.SplitN(volume, ":", 3)[2], image},
			"the file system of /sys can't be id-mapped: ":                      {"run", "-v", "/sys:/m:idmap=uids=0-1-1;gids=0-1-1", image},
			"the kernel takes no ranges of ids that are empty, overlap, ":       {"run", "-v", src + ":/m:idmap=uids=1-2-3#1-2-3;gids=1-2-3", image},
			`-v: "/m": idmap: without a user namespace there is no map to take`: {"run", "-v", src + ":/m:idmap", image},
		} {
			if out := complains(t, env, shared("bin/oci2bwrap"), args...); !strings.Contains(out, complaint) {
				t.Errorf("%q: %s", args, out)
			}
		}
		allowed := []string{"run", "-q", "--allow-gap", "mounts[/m].uidMappings", "-v", "/sys:/m:idmap=uids=0-1-1;gids=0-1-1", image, "stat", "-c", "%u", "/m/kernel"}
		if got := output(t, 0, env, shared("bin/oci2bwrap"), allowed...); got != "0\n" {
			t.Error(got)
		}
	})
}

// TestIDMappedRefused holds that nothing is run without the map that is asked
// for, by who can't have it.
func TestIDMappedRefused(t *testing.T) {
	needImages(t)
	if os.Getuid() == 0 {
		t.Skip("root has id-mapped mounts: TestIDMapped")
	}
	eachBwrap(t, func(t *testing.T, bwrapDir string) {
		work := workDir(t)
		env := environment(t, bwrapDir, work)
		bundle := bundleOf(t, env, work, func(_, config map[string]any) {
			ids := []specs.LinuxIDMapping{{HostID: uint32(os.Getuid()), Size: 1}}
			mount(config, specs.Mount{Destination: "/m", Type: "bind", Source: work, Options: []string{"rbind", "idmap"}, UIDMappings: ids, GIDMappings: ids})
		})
		image := shared("images/tools")
		for _, args := range [][]string{
			{"-v", work + ":/m:idmap", image}, {"-v", work + ":/m:idmap=uids=0-1-1;gids=0-1-1", image}, {"--userns", "single", "-v", work + ":/m:idmap", image}, {bundle},
		} {
			out := complains(t, env, shared("bin/oci2bwrap"), append([]string{"run", "-q"}, append(args, "true")...)...)
			if !strings.Contains(out, "mounts[/m].uidMappings: the owners of the files can't be mapped, and the process would have other rights to them than the map gives it: only real root") ||
				!strings.Contains(out, "--allow-gap mounts[/m].uidMappings runs without it") {
				t.Errorf("%q: %s", args, out)
			}
			output(t, 0, env, shared("bin/oci2bwrap"), append([]string{"run", "-q", "--allow-gap", "mounts[].uidMappings"}, append(args, "true")...)...)
		}
	})
}
