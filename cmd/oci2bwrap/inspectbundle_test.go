package main

import (
	"strings"
	"testing"

	"github.com/oci2bwrap/oci2bwrap/layout"
)

// TestInspectBundle shows a person all that is in a config.json: what has no
// words of its own, and what is no part of the Spec, as it is there.
func TestInspectBundle(t *testing.T) {
	const config = `{
		"ociVersion": "1.2.0",
		"process": {
			"terminal": true, "consoleSize": {"height": 24, "width": 80}, "user": {"uid": 7, "gid": 8, "umask": 18, "additionalGids": [9, 10]},
			"args": ["sh", "-c", "echo \u001b[31m"], "env": ["A=b"], "cwd": "/work",
			"capabilities": {"bounding": ["CAP_KILL"], "effective": ["CAP_KILL"], "permitted": ["CAP_KILL"]},
			"rlimits": [{"type": "RLIMIT_NOFILE", "soft": 10, "hard": 18446744073709551615}], "oomScoreAdj": 5, "scheduler": null
		},
		"root": {"path": "rootfs"},
		"hostname": "h", "domainname": "d",
		"mounts": [
			{"destination": "/proc", "type": "proc", "source": "proc"},
			{"destination": "/data", "type": "bind", "source": "/a b", "options": ["rbind", "ro"], "uidMappings": [{"containerID": 0, "hostID": 1000, "size": 2}]}
		],
		"hooks": {"poststop": [{"path": "/bin/rm", "args": ["rm", "x"]}], "prestart": [{"path": "/bin/true"}]},
		"annotations": {"b": "2", "a": "1"},
		"linux": {
			"namespaces": [{"type": "pid"}, {"type": "network", "path": "/run/netns/x"}, {"type": "mount"}],
			"uidMappings": [{"containerID": 0, "hostID": 1000, "size": 1}], "sysctl": {"net.x": "1"},
			"devices": [{"path": "/dev/x", "type": "c", "major": 1, "minor": 3}],
			"seccomp": {"defaultAction": "SCMP_ACT_ERRNO", "syscalls": [{"names": ["read"], "action": "SCMP_ACT_ALLOW"}]},
			"maskedPaths": ["/proc/kcore"], "readonlyPaths": ["/proc/sys"],
			"resources": {"pids": {"limit": 5}}, "rootfsPropagation": "private", "cgroupsPath": ""
		},
		"other": [1], "o\nther\u001b[2J": "x\u001b"
	}`
	const want = `
platform    linux/amd64
version     1.2.0
root        rootfs  writable
args        sh -c 'echo ?[31m'
cwd         /work
user        7:8, groups 9 10, umask 0022
env         A=b
terminal    its own, 80 columns by 24 rows
privileges  new ones from set-id programs
caps        kill (bounding effective permitted)
caps        none (inheritable ambient)
limit       nofile=10:unlimited
oomScoreAdj 5
mount       /proc  proc
mount       /data  bind  from '/a b'  rbind,ro  uids 0-1=1000-1001
hostname    h
domain      d
namespaces  pid mount
joined      network /run/netns/x
uids        0=1000
sysctl      net.x = 1
device      /dev/x  c 1:3
seccomp     SCMP_ACT_ERRNO, other rules: 1
masked      /proc/kcore
read-only   /proc/sys
resources   {"pids":{"limit":5}}
rootfsPropagation "private"
hook        prestart  /bin/true
hook        poststop  /bin/rm x
annotation  a=1
annotation  b=2
o?ther?[2J  "x\u001b"
other       [1]
directory   /bundle/rootfs
`
	show := func(config string) string {
		var out strings.Builder
		found := &layout.Inspection{Image: &layout.Details{Platform: "linux/amd64", Bundle: []byte(config), Dirs: []string{"/bundle/rootfs"}}}
		if err := inspectText(&out, found); err != nil {
			t.Fatal(err)
		}
		return out.String()
	}
	if got := show(config); got != want {
		t.Errorf("got %s\nwant %s", got, want)
	}
	if got := show(`{"ociVersion": "1.2.0", "process": []}`); !strings.Contains(got, "problem     config.json: json: cannot unmarshal array") {
		t.Errorf("got %s", got)
	}
}
