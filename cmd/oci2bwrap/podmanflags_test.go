package main

import (
	"os/exec"
	"regexp"
	"strings"
	"testing"

	"github.com/spf13/pflag"
)

// podmanRun are the flags of podman run 5.8, for who has no podman.
const podmanRun = `add-host annotation arch attach authfile blkio-weight blkio-weight-device cap-add cap-drop cert-dir cgroup-conf
	cgroup-parent cgroupns cgroups chrootdirs cidfile conmon-pidfile cpu-period cpu-quota cpu-rt-period cpu-rt-runtime cpu-shares cpus
	cpuset-cpus cpuset-mems creds decryption-key detach detach-keys device device-cgroup-rule device-read-bps device-read-iops
	device-write-bps device-write-iops disable-content-trust dns dns-option dns-opt dns-search entrypoint env env-file env-host env-merge
	expose gidmap gpus group-add group-entry health-cmd health-interval health-log-destination health-max-log-count health-max-log-size
	health-on-failure health-retries health-start-period health-startup-cmd health-startup-interval health-startup-retries
	health-startup-success health-startup-timeout health-timeout help hostname hosts-file hostuser http-proxy image-volume init init-path
	interactive ip ip6 ipc label label-file log-driver log-opt mac-address memory memory-reservation memory-swap memory-swappiness mount
	name net network network-alias no-healthcheck no-hostname no-hosts oom-kill-disable oom-score-adj os passwd passwd-entry personality
	pid pidfile pids-limit platform pod pod-id-file preserve-fd preserve-fds privileged publish publish-all pull quiet rdt-class read-only
	read-only-tmpfs replace requires restart retry retry-delay rm rmi rootfs sdnotify seccomp-policy secret security-opt shm-size
	shm-size-systemd sig-proxy stop-signal stop-timeout subgidname subuidname sysctl systemd timeout tls-verify tmpfs tty tz uidmap
	ulimit umask unsetenv unsetenv-all user userns uts variant volume volumes-from workdir`

// TestPodmanFlags holds run to knowing every flag of podman's: it has it, or
// says why not and what to do.
func TestPodmanFlags(t *testing.T) {
	names := strings.Fields(podmanRun)
	if help, err := exec.Command("podman", "run", "--help").Output(); err == nil {
		for _, m := range regexp.MustCompile(`(?m)^ +(?:-., )?--([a-z0-9-]+)`).FindAllStringSubmatch(string(help), -1) {
			names = append(names, m[1])
		}
	}
	fs := newRunCmd(stdio{}).Flags()
	for _, name := range names {
		if fs.Lookup(name) == nil && refusalOf(name) == nil {
			t.Errorf("--%s is unknown", name)
		}
	}
	shorts := map[string]string{"a": "attach", "c": "cpu-shares", "d": "detach", "e": "env", "h": "hostname", "i": "interactive", "l": "label", "m": "memory",
		"p": "publish", "P": "publish-all", "q": "quiet", "t": "tty", "u": "user", "v": "volume", "w": "workdir"}
	for short, name := range shorts {
		if flag := fs.ShorthandLookup(short); flag != nil && flag.Name != name {
			t.Errorf("-%s is --%s", short, flag.Name)
		} else if p := refusalOf(name); flag == nil && (p == nil || p.short != short) {
			t.Errorf("-%s is unknown", short)
		}
	}
}

func refusalOf(name string) *podmanFlag {
	for _, p := range podmanFlags {
		if p.name == name {
			return &p
		}
	}
	return nil
}

// TestPodmanRefusals: each has a reason and a hint, and no flag has two places.
func TestPodmanRefusals(t *testing.T) {
	seen := map[string]bool{}
	fs := newRunCmd(stdio{}).Flags()
	for _, p := range podmanFlags {
		if p.why == "" || p.hint == "" || seen[p.name] {
			t.Errorf("--%s: no reason, no hint, or twice", p.name)
		}
		seen[p.name] = true
		if flag := fs.Lookup(p.name); flag != nil && p.fine == nil {
			t.Errorf("--%s is a flag, and refused as none", p.name)
		}
		for _, value := range p.fine {
			fs := pflag.NewFlagSet("", pflag.ContinueOnError)
			addPodmanFlags(fs)
			if err := fs.Set(p.name, value); err != nil || checkPodmanFlags(fs) != nil {
				t.Errorf("--%s=%s is refused: %v", p.name, value, checkPodmanFlags(fs))
			}
		}
	}
}
