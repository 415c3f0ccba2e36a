package convert

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"testing"
	"testing/fstest"

	ispec "github.com/opencontainers/image-spec/specs-go/v1"
	specs "github.com/opencontainers/runtime-spec/specs-go"

	"github.com/oci2bwrap/oci2bwrap/convert/bwrap"
)

// TestIDMap plans one mount of a Spec, by the words of the runtime-spec and
// those of crun.
func TestIDMap(t *testing.T) {
	const (
		maps  = `"uidMappings":[{"containerID":1000,"hostID":0,"size":1}],"gidMappings":[{"containerID":5,"hostID":6,"size":7}]`
		user  = `{"type":"user"}`
		ids   = `"uidMappings":[{"containerID":0,"hostID":100,"size":10},{"containerID":10,"hostID":500,"size":10}],"gidMappings":[{"containerID":0,"hostID":200,"size":10}]`
		bind  = `"type":"bind","source":"/h"`
		given = "[{1000 0 1}] [{5 6 7}]"
		own   = "[{0 100 10} {10 500 10}] [{0 200 10}]"
	)
	for _, tt := range []struct{ mount, spaces, linux, want string }{
		{bind, user, ids, "none"},
		{bind + `,"options":["idmap"],` + maps, "", "", given},
		{bind + `,` + maps, "", "", given},
		{bind + `,"options":["ridmap","bind"],` + maps, user, ids, given + " below"},
		{bind + `,"options":["idmap"]`, user, ids, own},
		{bind + `,"options":["ridmap="]`, user, ids, own + " below"},
		{bind + `,"options":["idmap"]`, `{"type":"user","path":"/u"}`, ids, "/u"},
		{bind + `,"options":["ridmap","idmap=uids=1000-0-1;gids=5-6-7"]`, "", "", given},
		{bind + `,"options":["idmap=uids=1-2-3"],` + maps, "", "", given},
		{bind + `,"options":["idmap=gids=5-6-7;uids=@12-2-1#4-5-6"]`, user, ids, "[{12 492 1} {4 5 6}] [{5 6 7}]"},
		{`"type":"tmpfs","options":["idmap"],` + maps, "", "", "gap: only a bind can be id-mapped"},

		{bind + `,"options":["idmap"]`, "", "", "mounts[/m]: idmap: without a user namespace there is no map to take"},
		{bind + `,"options":["idmap"]`, user, "", "mounts[/m]: an id-mapped mount needs mappings of uids and of gids"},
		{bind + `,"uidMappings":[{"size":1}]`, user, ids, "mounts[/m]: an id-mapped mount needs mappings of uids and of gids"},
		{bind + `,"options":["idmap=uids=1-2-3"]`, user, ids, "mounts[/m]: an id-mapped mount needs mappings of uids and of gids"},
		{bind + `,"options":["idmap=uids=1-2"]`, "", "", `mounts[/m]: idmap: "1-2" is not FIRST-AS-COUNT`},
		{bind + `,"options":["idmap=uids=1-2-x"]`, "", "", `mounts[/m]: idmap: "1-2-x" is not FIRST-AS-COUNT, three numbers`},
		{bind + `,"options":["idmap=uids=1-2-4294967296"]`, "", "", `mounts[/m]: idmap: "1-2-4294967296" is not FIRST-AS-COUNT, three numbers`},
		{bind + `,"options":["idmap=uids=1-2-3;uids=1-2-3"]`, "", "", `mounts[/m]: idmap: "uids=1-2-3;uids=1-2-3" is not uids=FIRST-AS-COUNT[#...];gids=FIRST-AS-COUNT[#...]`},
		{bind + `,"options":["idmap=x"]`, "", "", `mounts[/m]: idmap: "x" is not uids=FIRST-AS-COUNT[#...];gids=FIRST-AS-COUNT[#...]`},
		{bind + `,"options":["idmap=uids=@1-2-3"]`, "", "", `mounts[/m]: idmap: "@1-2-3": 1 is in no mapping of the container's`},
		{bind + `,"options":["idmap=uids=@1-4294967295-3"]`, user, ids, `mounts[/m]: idmap: "@1-4294967295-3": the container has no such id`},
	} {
		spec := new(specs.Spec)
		doc := `{"process":{"args":["x"],"cwd":"/","noNewPrivileges":true},"root":{},"mounts":[{"destination":"/m",` + tt.mount + `}],"linux":{"namespaces":[{"type":"pid"}` +
			strings.TrimSuffix(","+tt.spaces, ",") + `]` + strings.TrimSuffix(","+tt.linux, ",") + `}}`
		if err := json.Unmarshal([]byte(doc), spec); err != nil {
			t.Fatal(err)
		}
		if got := planIDMap(spec, idMapHost(nil), true); got != tt.want {
			t.Errorf("%s\n%s\nwant %s", doc, got, tt.want)
		}
	}
}

// idMapHost is a host whose kernel has the mount, or says why not.
func idMapHost(err error) Host {
	return Host{
		Paths:    map[string]fs.FileMode{"/h": fs.ModeDir | 0o755},
		Dir:      func(string) (fs.ReadLinkFS, error) { return fstest.MapFS{}, nil },
		IDMapped: func(bwrap.Bind) error { return err },
	}
}

// planIDMap tells what becomes of the map of the mount at /m.
func planIDMap(spec *specs.Spec, host Host, stage bool) string {
	root := Rootfs{Dirs: []string{"/r"}, Owned: true, FS: fstest.MapFS{"m": {Mode: fs.ModeDir | 0o755}}}
	p, err := Plan(spec, root, host, PlanOptions{KeepOrder: true, Features: bwrap.Features{Stage: stage, StageOverlay: true, Reason: "no stage"}})
	if err != nil {
		return err.Error()
	}
	for _, g := range p.Gaps {
		if g.Field == "mounts[/m].uidMappings" && g.Effect == Weakens {
			return "gap: " + g.Reason[strings.LastIndex(g.Reason, "gives it: ")+len("gives it: "):]
		}
	}
	for _, s := range p.Plan.Steps {
		if b, ok := s.Op.(bwrap.Bind); ok && b.Dst == "/m" && b.IDMap != nil {
			if mine := IDMapped(spec); len(mine) != 1 || fmt.Sprint(*mine[0].IDMap) != fmt.Sprint(*b.IDMap) || mine[0].Src != b.Src || mine[0].Attr != b.Attr&bwrap.Single {
				return fmt.Sprintf("IDMapped: %+v, the plan %+v", mine, b)
			}
			if b.IDMap.Path != "" {
				return b.IDMap.Path
			}
			return fmt.Sprint(b.IDMap.UIDs, b.IDMap.GIDs) + map[bool]string{true: " below"}[b.IDMap.Recursive]
		}
	}
	return "none"
}

// TestIDMapRefused holds that a mount without its map is a gap that weakens
// isolation, and says why.
func TestIDMapRefused(t *testing.T) {
	spec := &specs.Spec{
		Process: &specs.Process{Args: []string{"x"}, Cwd: "/"}, Root: &specs.Root{}, Linux: &specs.Linux{},
		Mounts: []specs.Mount{{Destination: "/m", Type: "bind", Source: "/h", Options: []string{"idmap=uids=0-1-1;gids=0-1-1"}}},
	}
	nobody := idMapHost(nil)
	nobody.IDMapped = nil
	for _, tt := range []struct {
		host  Host
		stage bool
		want  string
	}{
		{nobody, true, "gap: only real root, outside of any user namespace, can map the ids of a mount"},
		{idMapHost(errors.New("the kernel's word")), true, "gap: the kernel's word"},
		{idMapHost(nil), false, "gap: no stage"},
		{idMapHost(nil), true, "[{0 1 1}] [{0 1 1}]"},
	} {
		if got := planIDMap(spec, tt.host, tt.stage); got != tt.want {
			t.Errorf("%s, want %s", got, tt.want)
		}
	}
}

// TestVolumeIDMap writes the option of -v as the runtime-spec has it.
func TestVolumeIDMap(t *testing.T) {
	ranges := []specs.LinuxIDMapping{{ContainerID: 0, HostID: 7, Size: 1}, {ContainerID: 1, HostID: 1000, Size: 10}}
	mapped := Host{Confined: true, Mapped: &Mapped{UIDs: ranges, GIDs: ranges, Own: true}}
	for _, tt := range []struct {
		option string
		host   Host
		want   string
	}{
		{"idmap=uids=1000-0-1;gids=5-6-7", Host{}, "rbind,rprivate,nosuid,nodev,rw,idmap [{1000 0 1}] [{5 6 7}]"},
		{"idmap=uids=@2-3-1;gids=@0-0-1", mapped, "rbind,rprivate,nosuid,nodev,rw,idmap [{2 1002 1}] [{0 7 1}]"},
		{"idmap", mapped, "rbind,rprivate,nosuid,nodev,rw,idmap [] []"},
		{"idmap=", mapped, "rbind,rprivate,nosuid,nodev,rw,idmap [] []"},
		{"idmap", Host{}, `-v: "/m": idmap: without a user namespace there is no map to take`},
		{"idmap=1", Host{}, `-v: "/m": idmap: "1" is not uids=FIRST-AS-COUNT[#...];gids=FIRST-AS-COUNT[#...]`},
	} {
		res, err := Spec(ispec.Image{Config: ispec.ImageConfig{Cmd: []string{"x"}}}, Rootfs{FS: fstest.MapFS{}}, tt.host,
			Options{Volumes: []Volume{{Source: "/h", Destination: "/m", Options: []string{tt.option}}}})
		got := fmt.Sprint(err)
		if err == nil {
			for _, m := range res.Spec.Mounts {
				if m.Destination == "/m" {
					got = fmt.Sprint(strings.Join(m.Options, ","), " ", m.UIDMappings, " ", m.GIDMappings)
				}
			}
		}
		if got != tt.want {
			t.Errorf("%s: %s, want %s", tt.option, got, tt.want)
		}
	}
}
