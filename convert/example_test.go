package convert_test

import (
	"context"
	"fmt"
	"io/fs"
	"log"
	"os"
	"path/filepath"

	ispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/oci2bwrap/oci2bwrap/convert"
	"github.com/oci2bwrap/oci2bwrap/convert/bwrap"
	"github.com/oci2bwrap/oci2bwrap/fixtures"
	"github.com/oci2bwrap/oci2bwrap/layout"
)

// An image becomes a plan: opened, unpacked, converted to a runtime Spec, and
// planned for what bubblewrap can do here.
func Example() {
	dir, err := os.MkdirTemp("", "example-")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)
	image := filepath.Join(dir, "image")
	if err := writeImage(image); err != nil {
		log.Fatal(err)
	}

	img, err := layout.Open(layout.Ref{Path: image}, layout.OpenOptions{})
	if err != nil {
		log.Fatal(err)
	}
	defer img.Close()
	store := layout.Store{Dir: filepath.Join(dir, "cache")}
	root, err := store.Rootfs(context.Background(), img)
	if err != nil {
		log.Fatal(err)
	}
	defer root.Close()

	// What the conversion may know of the machine is a value of ours.
	host := convert.Host{UID: 1000, GID: 1000, Hostname: "here"}
	rootfs := convert.Rootfs{Dirs: root.Dirs, FS: os.DirFS(root.Dirs[0]).(fs.ReadLinkFS), Owned: root.Owned}
	res, err := convert.Spec(img.Config, rootfs, host, convert.Options{Network: convert.NetworkNone})
	if err != nil {
		log.Fatal(err)
	}
	planned, err := convert.Plan(res.Spec, rootfs, host, convert.PlanOptions{
		Features: bwrap.Features{Stage: true, StageOverlay: true}, // runner.Prober asks the host
		Files:    res.Files, Origin: res.Origin, StopSignal: res.StopSignal,
	})
	if err != nil {
		log.Fatal(err)
	}
	p := planned.Plan.Process
	fmt.Println(p.Args, "in", p.Cwd, "as", p.UID, "stopped by", p.StopSignal)
	for _, s := range planned.Plan.Steps {
		if s.Why == "config.Volumes" {
			fmt.Printf("%T at %s\n", s.Op, s.Op.Dest())
		}
	}
	// Output:
	// [/bin/serve --port 80] in /srv as 33 stopped by SIGQUIT
	// bwrap.Tmpfs at /data
}

// writeImage writes an OCI layout with one image.
func writeImage(dir string) error {
	return fixtures.WriteLayout(dir, "v1", ispec.ImageConfig{
		User: "www", Entrypoint: []string{"/bin/serve"}, Cmd: []string{"--port", "80"},
		WorkingDir: "/srv", Volumes: map[string]struct{}{"/data": {}}, StopSignal: "SIGQUIT",
	}, fixtures.Layer{Entries: []fixtures.Entry{
		fixtures.Dir("etc", 0o755),
		fixtures.File("etc/passwd", 0o644, "root:x:0:0::/root:/bin/sh\nwww:x:33:33::/srv:/bin/false\n"),
		fixtures.Dir("srv", 0o755),
		fixtures.Dir("data", 0o755),
	}})
}
