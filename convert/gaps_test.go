package convert

import (
	"encoding/json"
	"fmt"
	"slices"
	"testing"

	ispec "github.com/opencontainers/image-spec/specs-go/v1"
	specs "github.com/opencontainers/runtime-spec/specs-go"
)

func TestGaps(t *testing.T) {
	for _, tt := range []struct{ json, gaps, notes string }{
		{`{"linux":{"seccomp":{"defaultAction":"SCMP_ACT_NOTIFY","listenerPath":"/x"}}}`,
			"[linux.seccomp.listenerPath not available linux.seccomp.defaultAction not available]", "[]"},
		{`{"linux":{"seccomp":{"defaultAction":"SCMP_ACT_ALLOW"}}}`, "[]", "[]"},
		{`{"linux":{"resources":{"pids":{"limit":2048},"memory":{"limit":-1},"cpu":{"shares":2}}}}`,
			"[]", "[]"},
		{`{"linux":{"cgroupsPath":"/x","resources":{"memory":{"kernel":5,"disableOOMKiller":true},"cpu":{"realtimeRuntime":2},"blockIO":{"leafWeight":10}}}}`,
			"[linux.resources.memory not available linux.resources.memory.disableOOMKiller not available linux.resources.cpu.realtimeRuntime not available linux.resources.blockIO.leafWeight not available]", "[]"},
		{`{"linux":{"resources":{"pids":{"limit":0},"memory":{"limit":-1,"swap":0},"cpu":{},"unified":{}}}}`, "[]", "[]"},
		{`{"linux":{"resources":{"devices":[{"allow":false,"access":"rwm"}]}}}`, "[]", "[]"},
		{`{"linux":{"resources":{"devices":[{"allow":true,"type":"c","major":10,"minor":229,"access":"rwm"}]}}}`, "[]", "[linux.resources.devices]"},
		{`{"hooks":{"prestart":[]}}`, "[]", "[]"},
		{`{"hooks":{"poststop":[{"path":"/bin/true"}],"startContainer":[{"path":"/x"}]}}`, "[]", "[]"},
		{`{"hooks":{"createContainer":[{"path":"/bin/true"}]}}`, "[hooks.createContainer not available]", "[]"},
		{`{"linux":{"namespaces":[{"type":"pid"},{"type":"network","path":"/run/netns/x"},{"type":"time"}]}}`,
			"[]", "[]"},
		{`{"linux":{"devices":[{"path":"/dev/null","type":"c"}]}}`, "[]", "[]"},
		{`{"linux":{"devices":[{"path":"/dev/fuse","type":"c","major":10,"minor":229}],"resources":{"devices":[{"allow":true,"type":"c","major":10,"minor":229,"access":"r"}]}}}`,
			"[linux.resources.devices[0].access weakens isolation]", "[]"},
		{`{"linux":{"devices":[{"path":"/dev/fuse","type":"c","major":10,"minor":229}],"resources":{"devices":[{"allow":true,"type":"c","major":10,"minor":229,"access":"rw"}]}}}`, "[]", "[]"},
		{`{"linux":{"rootfsPropagation":"rshared"}}`, "[linux.rootfsPropagation not available]", "[]"},
		{`{"linux":{"rootfsPropagation":"rslave","personality":{"domain":"LINUX"}}}`, "[]", "[]"},
		{`{"mounts":[{"destination":"/a","type":"bind","source":"/x","options":["rbind","rshared"],"uidMappings":[{"containerID":0,"hostID":1,"size":1}]}]}`,
			"[mounts[/a].options not available]", "[]"},
		{`{"mounts":[{"destination":"/a","type":"bind","source":"/x","options":["bind","noexec","rnoatime","slave"]}]}`, "[]", "[]"},
		{`{"mounts":[{"destination":"/a","type":"bind","source":"/x","options":["sync","what"]}]}`, "[]", "[mounts[/a].options]"},
		{`{"mounts":[{"destination":"/proc","type":"proc","options":["nosuid","hidepid=2"]}]}`, "[mounts[/proc].options weakens isolation]", "[]"},
		{`{"process":{"user":{"additionalGids":[5,7]},"noNewPrivileges":true},"linux":{"namespaces":[{"type":"user"}],"gidMappings":[{"containerID":5,"hostID":1,"size":1}]}}`,
			"[process.user.additionalGids not available]", "[]"},
		{`{"process":{"noNewPrivileges":false,"apparmorProfile":"x"}}`, "[process.apparmorProfile weakens isolation process.noNewPrivileges not available]", "[]"},
		{`{"process":{"noNewPrivileges":true,"apparmorProfile":"unconfined","terminal":true,"ioPriority":{"class":"IOPRIO_CLASS_IDLE"}}}`, "[]", "[]"},
		{`{"windows":{"layerFolders":["x"]},"vm":{"kernel":{"path":"/k"}}}`, "[]", "[]"},
	} {
		var s specs.Spec
		if err := json.Unmarshal([]byte(tt.json), &s); err != nil {
			t.Fatal(err)
		}
		gaps, notes := Gaps(&s)
		var g, n []string
		for _, x := range gaps {
			g = append(g, x.Field+" "+string(x.Effect))
		}
		for _, x := range notes {
			n = append(n, x.Field)
		}
		if fmt.Sprint(g) != tt.gaps || fmt.Sprint(n) != tt.notes {
			t.Errorf("%s\ngaps  %v, want %s\nnotes %v, want %s", tt.json, g, tt.gaps, n, tt.notes)
		}
	}
}

// TestOwnSpecsHaveNoGaps: what this package makes itself it can keep.
func TestOwnSpecsHaveNoGaps(t *testing.T) {
	img := ispec.Image{Config: ispec.ImageConfig{Cmd: []string{"x"}, Volumes: map[string]struct{}{"/data": {}}}}
	for _, uid := range []int{0, 1000} {
		for _, o := range []Options{
			{},
			{Writable: true, Network: NetworkNone},
			{Volumes: []Volume{{Source: "/x", Destination: "/y", ReadOnly: true}}, Tmpfs: []Tmpfs{{Destination: "/z", Options: []string{"size=1m"}}}},
		} {
			res, err := Spec(img, Rootfs{}, Host{UID: uid, GID: uid}, o)
			if err != nil {
				t.Fatal(err)
			}
			gaps, notes := Gaps(res.Spec)
			if slices.Concat(notes, res.Notes) != nil || gaps != nil {
				t.Errorf("uid %d, %+v: %v %v %v", uid, o, gaps, notes, res.Notes)
			}
		}
	}
}
