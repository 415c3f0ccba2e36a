package convert

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	ispec "github.com/opencontainers/image-spec/specs-go/v1"
	"github.com/rogpeppe/go-internal/txtar"
)

// TestSpecGolden runs testdata/spec/*.txtar: image.json, options.json,
// host.json and host/… (the host's files), rootfs/… (the image's files, one
// that ends in @ a symlink), and the wanted spec.json and result, or error.
func TestSpecGolden(t *testing.T) {
	files, err := filepath.Glob("testdata/spec/*.txtar")
	if err != nil || len(files) == 0 {
		t.Fatal(files, err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txtar"), func(t *testing.T) {
			ar, err := txtar.ParseFile(file)
			if err != nil {
				t.Fatal(err)
			}
			var img ispec.Image
			var o Options
			host := Host{Files: map[string][]byte{}}
			root := fstest.MapFS{}
			ar.Files = slices.DeleteFunc(ar.Files, func(f txtar.File) bool { return strings.HasPrefix(f.Name, "want/") && *update })
			want := map[string]string{}
			for _, f := range ar.Files {
				kind, name, _ := strings.Cut(f.Name, "/")
				switch kind {
				case "image.json":
					err = errors.Join(err, json.Unmarshal(f.Data, &img))
				case "options.json":
					err = errors.Join(err, json.Unmarshal(f.Data, &o))
				case "host.json":
					err = errors.Join(err, json.Unmarshal(f.Data, &host))
				case "host":
					host.Files["/"+name] = f.Data
				case "rootfs":
					if link, ok := strings.CutSuffix(name, "@"); ok {
						root[link] = &fstest.MapFile{Mode: fs.ModeSymlink | 0o777, Data: bytes.TrimSpace(f.Data)}
					} else {
						root[name] = &fstest.MapFile{Mode: 0o644, Data: f.Data}
					}
				case "want":
					want[name] = string(f.Data)
				}
			}
			if err != nil {
				t.Fatal(err)
			}
			got := renderSpec(img, Rootfs{FS: root}, host, o)
			if *update {
				for _, name := range slices.Sorted(maps.Keys(got)) {
					ar.Files = append(ar.Files, txtar.File{Name: "want/" + name, Data: []byte(got[name])})
				}
				if err := os.WriteFile(file, txtar.Format(ar), 0o644); err != nil {
					t.Fatal(err)
				}
				return
			}
			if !maps.Equal(got, want) {
				for _, name := range slices.Sorted(maps.Keys(got)) {
					if got[name] != want[name] {
						t.Errorf("%s:\n%s\nwant:\n%s", name, got[name], want[name])
					}
				}
				t.Errorf("%d parts, want %d", len(got), len(want))
			}
		})
	}
}

// renderSpec gives the parts of a golden.
func renderSpec(img ispec.Image, root Rootfs, host Host, o Options) map[string]string {
	res, err := Spec(img, root, host, o)
	if err != nil {
		return map[string]string{"error": err.Error() + "\n"}
	}
	var b strings.Builder
	for _, k := range slices.Sorted(maps.Keys(res.Origin)) {
		fmt.Fprintf(&b, "%s: %s\n", k, res.Origin[k])
	}
	for _, n := range res.Notes {
		fmt.Fprintf(&b, "note %s: %s\n", n.Field, n.Text)
	}
	for _, k := range slices.Sorted(maps.Keys(res.Files)) {
		fmt.Fprintf(&b, "file %s: %q\n", k, res.Files[k])
	}
	if res.Pasta != nil {
		fmt.Fprintf(&b, "pasta: %q\n", res.Pasta)
	}
	fmt.Fprintf(&b, "stop signal: %q\n", res.StopSignal)
	res.Spec.Linux.Seccomp = nil // TestSeccompProfile's, and another on each architecture
	spec, err := json.MarshalIndent(res.Spec, "", "  ")
	if err != nil {
		return map[string]string{"error": err.Error()}
	}
	return map[string]string{"spec.json": string(spec) + "\n", "result": b.String()}
}
