package e2e_test

import (
	"os"
	"regexp"
	"syscall"
	"testing"
)

// addTime gives a bundle a time namespace.
func addTime(linux map[string]any, offsets any) {
	if _, there := linux["timeOffsets"]; !there {
		linux["namespaces"] = append(linux["namespaces"].([]any), map[string]any{"type": "time"})
	}
	linux["timeOffsets"] = offsets
}

// TestTime gives a sandbox clocks of its own, which what enters it has too.
func TestTime(t *testing.T) {
	needImages(t)
	eachBwrap(t, func(t *testing.T, bwrapDir string) {
		s := startBundle(t, bwrapDir, "readlink /proc/self/ns/time >/sync/ns; cat /proc/self/timens_offsets /proc/uptime >/sync/clocks; touch /sync/ready; exec sleep $MARKER", func(linux map[string]any) {
			addTime(linux, map[string]any{"boottime": map[string]any{"secs": 86400000, "nanosecs": 5}, "monotonic": map[string]any{"secs": -1, "nanosecs": 7}})
		})
		s.entered()
		clocks, err := os.ReadFile(s.sync + "/clocks")
		if want := regexp.MustCompile(`^monotonic +-1 +7\nboottime +86400000 +5\n864\d{5}\.`); err != nil || !want.Match(clocks) {
			t.Errorf("clocks %s, %v", clocks, err)
		}
		ns, err := os.ReadFile(s.sync + "/ns")
		host, e := os.Readlink("/proc/self/ns/time")
		if err != nil || e != nil || host+"\n" == string(ns) {
			t.Errorf("time namespace %s, the host's %s; %v, %v", ns, host, err, e)
		}
		if out, stderr, _ := s.enter(nil, "readlink", "/proc/self/ns/time"); out != string(ns) {
			t.Errorf("exec is in %q, the command in %q; %s", out, ns, stderr)
		}
		s.signal(syscall.SIGKILL)
		_ = s.Wait()

		work := workDir(t)
		env := environment(t, bwrapDir, work)
		for complaint, offsets := range map[string]any{
			`linux.timeOffsets: .*numerical result out of range`: map[string]any{"boottime": map[string]any{"secs": -8640000000}},
			`linux.timeOffsets: "real" is no clock`:              map[string]any{"real": map[string]any{"secs": 1}},
		} {
			bundle := bundleOf(t, env, work, func(linux, _ map[string]any) {
				addTime(linux, offsets)
			})
			if got := complains(t, env, shared("bin/oci2bwrap"), "run", "-q", bundle, "true"); !regexp.MustCompile("^oci2bwrap: (stage: )?" + complaint).MatchString(got) {
				t.Errorf("%v: %s", offsets, got)
			}
		}
	})
}
