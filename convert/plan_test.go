package convert

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/fstest"

	ispec "github.com/opencontainers/image-spec/specs-go/v1"
	"github.com/rogpeppe/go-internal/txtar"

	"github.com/oci2bwrap/oci2bwrap/convert/bwrap"
)

// planCase is testdata/plan/*.txtar: image.json, rootfs (a listing), host (a
// listing of what the host has beside the usual), host.json, features.json,
// options.json, and show, which names the parts of the answer that are wanted
// beside its gaps: argv (whole), mounts (the options for mounts alone, the
// default) and steps. An error is the whole answer.
//
// A line of a listing is [MODE [UID:GID]] NAME, where NAME ends in / for a
// directory, or NAME -> TARGET.
type planCase struct {
	img      ispec.Image
	root     fstest.MapFS
	hostTree fstest.MapFS
	host     Host
	features bwrap.Features
	o        Options
	show     string
}

func TestPlanGolden(t *testing.T) {
	files, err := filepath.Glob("testdata/plan/*.txtar")
	if err != nil || len(files) == 0 {
		t.Fatal(files, err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txtar"), func(t *testing.T) {
			ar, err := txtar.ParseFile(file)
			if err != nil {
				t.Fatal(err)
			}
			want := map[string]string{}
			ar.Files = slices.DeleteFunc(ar.Files, func(f txtar.File) bool {
				name, ok := strings.CutPrefix(f.Name, "want/")
				if ok {
					want[name] = string(f.Data)
				}
				return ok
			})
			c, err := readPlanCase(ar)
			if err != nil {
				t.Fatal(err)
			}
			got := c.render()
			if *update {
				for _, name := range slices.Sorted(maps.Keys(got)) {
					ar.Files = append(ar.Files, txtar.File{Name: "want/" + name, Data: []byte(got[name])})
				}
				if err := os.WriteFile(file, txtar.Format(ar), 0o644); err != nil {
					t.Fatal(err)
				}
				return
			}
			for _, name := range slices.Sorted(maps.Keys(got)) {
				if got[name] != want[name] {
					t.Errorf("%s:\n%s\nwant:\n%s", name, got[name], want[name])
				}
			}
			if len(got) != len(want) {
				t.Errorf("%d parts, want %d", len(got), len(want))
			}
		})
	}
}

func readPlanCase(ar *txtar.Archive) (*planCase, error) {
	c := &planCase{
		img:      ispec.Image{Config: ispec.ImageConfig{Cmd: []string{"/bin/sh"}}},
		features: bwrap.Features{Stage: true, StageOverlay: true},
		host: Host{Hostname: "box", Files: map[string][]byte{
			"/etc/resolv.conf": []byte("nameserver 192.0.2.1\n"), "/etc/hosts": []byte("127.0.0.1\tlocalhost\n"), "/etc/hostname": []byte("box\n"),
		}},
		root: fstest.MapFS{}, show: "mounts",
		hostTree: fstest.MapFS{},
	}
	errs := []error{list(c.hostTree, "sys/\nsys/firmware/\nproc/\nproc/kcore\nproc/sys/\netc/hosts\netc/hostname\netc/resolv.conf\n")}
	for _, f := range ar.Files {
		var err error
		switch f.Name {
		case "image.json":
			err = json.Unmarshal(f.Data, &c.img.Config)
		case "options.json":
			err = json.Unmarshal(f.Data, &c.o)
		case "host.json":
			err = json.Unmarshal(f.Data, &c.host)
		case "features.json":
			c.features = bwrap.Features{}
			err = json.Unmarshal(f.Data, &c.features)
		case "rootfs":
			err = list(c.root, string(f.Data))
		case "host":
			err = list(c.hostTree, string(f.Data))
		case "show":
			c.show = string(f.Data)
		default:
			err = fmt.Errorf("section %q is none", f.Name)
		}
		errs = append(errs, err)
	}
	c.host.Paths = map[string]fs.FileMode{}
	for name, f := range c.hostTree {
		c.host.Paths["/"+name] = f.Mode
	}
	c.host.Dir = func(dir string) (fs.ReadLinkFS, error) {
		sub, err := fs.Sub(c.hostTree, strings.TrimPrefix(dir, "/"))
		if err != nil {
			return nil, err
		}
		return sub.(fs.ReadLinkFS), nil
	}
	return c, errors.Join(errs...)
}

// list puts the entries of a listing into the tree, parents included.
func list(tree fstest.MapFS, listing string) error {
	for line := range strings.Lines(listing) {
		line = strings.TrimSpace(line)
		name, target, link := strings.Cut(line, " -> ")
		words := strings.Fields(name)
		if len(words) == 0 {
			continue
		}
		name = strings.Trim(words[len(words)-1], "/")
		f := &fstest.MapFile{Mode: 0o644, Sys: [2]int{}}
		if strings.HasSuffix(line, "/") && !link {
			f.Mode = 0o755
		}
		if len(words) > 1 {
			bits, err := strconv.ParseUint(words[0], 8, 12)
			if err != nil {
				return err
			}
			f.Mode = fileMode(uint32(bits))
		}
		if len(words) > 2 {
			var owner [2]int
			if _, err := fmt.Sscanf(words[1], "%d:%d", &owner[0], &owner[1]); err != nil {
				return err
			}
			f.Sys = owner
		}
		switch {
		case link:
			f.Mode, f.Data = fs.ModeSymlink|0o777, []byte(target)
		case strings.HasSuffix(line, "/"):
			f.Mode |= fs.ModeDir
		}
		tree[cmp.Or(name, ".")] = f
		for dir := path.Dir(name); name != ""; dir = path.Dir(dir) {
			if tree[dir] == nil {
				tree[dir] = &fstest.MapFile{Mode: fs.ModeDir | 0o755, Sys: [2]int{}}
			}
			if dir == "." {
				break
			}
		}
	}
	return nil
}

func (c *planCase) rootfs() Rootfs {
	r := Rootfs{Dirs: []string{"/cache/root"}, FS: c.root, Owned: true}
	if c.host.UID == 0 {
		r.Owner = func(info fs.FileInfo) (int, int) {
			o, _ := info.Sys().([2]int)
			return o[0], o[1]
		}
	}
	return r
}

func (c *planCase) plan() (*Planned, error) {
	res, err := Spec(c.img, c.rootfs(), c.host, c.o)
	if err != nil {
		return nil, err
	}
	return Plan(res.Spec, c.rootfs(), c.host, PlanOptions{Features: c.features, Files: res.Files, Origin: res.Origin, StopSignal: res.StopSignal})
}

func (c *planCase) render() map[string]string {
	p, err := c.plan()
	if err != nil {
		text := err.Error()
		var h interface{ Hint() string }
		if errors.As(err, &h) {
			text += "\nhint: " + h.Hint()
		}
		return map[string]string{"error": text + "\n"}
	}
	cmd, err := bwrap.Lower(p.Plan, bwrap.Target{Features: c.features, Reading: true})
	if err != nil {
		return map[string]string{"error": err.Error() + "\n"}
	}
	var argv, steps, gaps strings.Builder
	if err := cmd.WriteArgv(&argv); err != nil {
		return map[string]string{"error": err.Error() + "\n"}
	}
	for _, s := range p.Plan.Steps {
		line, err := json.Marshal(s)
		if err != nil {
			return map[string]string{"error": err.Error() + "\n"}
		}
		fmt.Fprintf(&steps, "%s\n", line)
	}
	for _, g := range p.Gaps {
		fmt.Fprintf(&gaps, "gap %s: %s (%s; remedy: %s)\n", g.Field, g.Reason, g.Effect, cmp.Or(g.Remedy, "none"))
	}
	for _, n := range p.Notes {
		fmt.Fprintf(&gaps, "note %s: %s\n", n.Field, n.Text)
	}
	got := map[string]string{"gaps": gaps.String()}
	for _, part := range strings.Fields(c.show) {
		switch part {
		case "argv":
			got[part] = argv.String()
		case "steps":
			got[part] = steps.String()
		case "mounts":
			got[part] = mountOptions(argv.String()) + "cwd " + p.Plan.Process.Cwd + "\n"
		}
	}
	if got["gaps"] == "" {
		delete(got, "gaps")
	}
	return got
}

// mountOptions leaves out what every plan has around its mounts.
func mountOptions(argv string) string {
	var b strings.Builder
	for line := range strings.Lines(argv) {
		option, _, _ := strings.Cut(strings.TrimSpace(line), " ")
		switch {
		case option == "bwrap", strings.HasPrefix(option, "--unshare"), option == "--hostname", option == "--uid", option == "--gid":
		case option == "--cap-drop":
			return b.String()
		default:
			b.WriteString(line)
		}
	}
	return b.String()
}
