package layout

import (
	"bytes"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	ggcr "github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	cranetar "github.com/google/go-containerregistry/pkg/v1/tarball"
)

// workshop is a directory in which the tools that write images are run.
type workshop struct {
	*testing.T
	dir string
}

// newWorkshop has what the images shall hold in src.
func newWorkshop(t *testing.T, tools ...string) workshop {
	t.Helper()
	for _, tool := range tools {
		if _, err := exec.LookPath(tool); err != nil {
			skip(t, "%v", err)
		}
	}
	return workshop{t, makeTree(t, tempDir(t), "src/etc/hello=hi", "src/etc/link->hello")}
}

func (w workshop) run(args ...string) string {
	w.Helper()
	var stderr bytes.Buffer
	cmd := exec.Command(args[0], args[1:]...)
	cmd.Dir, cmd.Stderr = w.dir, &stderr
	out, err := cmd.Output()
	if err != nil {
		w.Fatalf("%s: %v\n%s", strings.Join(args, " "), err, stderr.Bytes())
	}
	return strings.TrimSpace(string(out))
}

// want opens what was written, by its content and by the transport's name, and
// checks what is in it.
func (w workshop) want(form, path, tag string) {
	w.Helper()
	for _, ref := range []Ref{{"", path, tag}, {form, path, tag}} {
		ref.Path = filepath.Join(w.dir, path)
		img, err := Open(ref, OpenOptions{TempDir: w.dir})
		if err != nil {
			w.Error(err)
			return
		}
		root := filepath.Join(tempDir(w), "root")
		if err := Unpack(w.Context(), img, root, UnpackOptions{}); err != nil {
			w.Errorf("%s: %v", ref, err)
			return
		}
		got := render(snapshot(w, root))
		if img.Form != form || !strings.Contains(got, "etc/hello: file 0644 hi\netc/link: link hello\n") {
			w.Errorf("%s: form %s with\n%s", ref, img.Form, got)
		}
		if cmd := strings.Join(img.Config.Config.Cmd, " "); cmd != "/bin/cmd" {
			w.Errorf("%s: cmd %q", ref, cmd)
		}
		if err := img.Close(); err != nil {
			w.Error(err)
		}
	}
}

func (w workshop) write(name string, data []byte) {
	w.Helper()
	if err := os.WriteFile(filepath.Join(w.dir, name), data, 0o644); err != nil {
		w.Fatal(err)
	}
}

func (w workshop) umoci() {
	w.run("umoci", "init", "--layout", "umoci")
	w.run("umoci", "new", "--image", "umoci:v1")
	w.run("umoci", "insert", "--image", "umoci:v1", "src/etc", "/etc")
	w.run("umoci", "config", "--image", "umoci:v1", "--config.cmd", "/bin/cmd")
}

func TestImagesOfUmoci(t *testing.T) {
	w := newWorkshop(t, "umoci")
	w.umoci()
	w.want("oci", "umoci", "v1")
}

func TestImagesOfSkopeo(t *testing.T) {
	w := newWorkshop(t, "umoci", "skopeo")
	w.umoci()
	copyTo := func(to string, flags ...string) {
		w.Helper()
		w.run(append(append([]string{"skopeo", "--insecure-policy", "copy", "-q"}, flags...), "oci:umoci:v1", to)...)
	}
	copyTo("oci:oci:v1")
	w.want("oci", "oci", "v1")
	copyTo("oci:oci-zstd:v1", "--dest-compress", "--dest-compress-format", "zstd")
	w.want("oci", "oci-zstd", "v1")
	copyTo("oci-archive:oci.tar:v1")
	w.want("oci-archive", "oci.tar", "v1")
	copyTo("oci-archive:oci-zstd.tar", "--dest-compress", "--dest-compress-format", "zstd")
	w.want("oci-archive", "oci-zstd.tar", "")
	copyTo("docker-archive:docker.tar:app:v1")
	w.want("docker-archive", "docker.tar", "app:v1")
	copyTo("dir:dir")
	w.want("dir", "dir", "")
	copyTo("dir:dir-docker", "--format", "v2s2")
	w.want("dir", "dir-docker", "")
	copyTo("dir:dir-zstd", "--format", "oci", "--dest-compress", "--dest-compress-format", "zstd")
	w.want("dir", "dir-zstd", "")
	copyTo("dir:dir-plain", "--dest-decompress")
	w.want("dir", "dir-plain", "")
	for _, name := range []string{"oci.tar", "docker.tar"} {
		b, err := os.ReadFile(filepath.Join(w.dir, name))
		if err != nil {
			t.Fatal(err)
		}
		w.write(name+".gz", gzipped(b))
		w.write(name+".zst", zstded(b))
	}
	w.want("oci-archive", "oci.tar.gz", "v1")
	w.want("oci-archive", "oci.tar.zst", "")
	w.want("docker-archive", "docker.tar.gz", "")
	w.want("docker-archive", "docker.tar.zst", "docker.io/library/app:v1")
}

func TestImagesOfBuildah(t *testing.T) {
	w := newWorkshop(t, "buildah")
	if os.Geteuid() != 0 {
		t.Skip("buildah needs root, or user namespaces set up for it")
	}
	buildah := func(args ...string) string {
		w.Helper()
		store := []string{"buildah", "--root", filepath.Join(w.dir, "store"), "--runroot", filepath.Join(w.dir, "run"), "--storage-driver", "vfs"}
		return w.run(append(store, args...)...)
	}
	c := buildah("from", "scratch")
	buildah("copy", c, "src", "/")
	buildah("config", "--cmd", "/bin/cmd", c)
	buildah("commit", "-q", c, "oci:oci:v1")
	buildah("commit", "-q", c, "oci-archive:oci.tar:v1")
	buildah("commit", "-q", "--format", "docker", c, "docker-archive:docker.tar:app:v1")
	buildah("commit", "-q", "--format", "docker", c, "dir:dir")
	buildah("rm", c)
	w.want("oci", "oci", "v1")
	w.want("oci-archive", "oci.tar", "")
	w.want("docker-archive", "docker.tar", "app:v1")
	w.want("dir", "dir", "")
}

// TestImagesOfCrane writes what crane's pull writes in its formats.
func TestImagesOfCrane(t *testing.T) {
	w := newWorkshop(t)
	blob := archive(t, file("etc/hello", "hi"), symlink("etc/link", "hello"))
	layer, err := cranetar.LayerFromOpener(func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(blob)), nil })
	if err != nil {
		t.Fatal(err)
	}
	img, err := mutate.AppendLayers(empty.Image, layer)
	if err == nil {
		img, err = mutate.Config(img, v1.Config{Cmd: []string{"/bin/cmd"}})
	}
	if err != nil {
		t.Fatal(err)
	}
	at := func(name string) string { return filepath.Join(w.dir, name) }
	tag := name.MustParseReference("reg.example/app:v1")
	if err := cranetar.WriteToFile(at("docker.tar"), tag, img); err != nil {
		t.Fatal(err)
	}
	w.want("docker-archive", "docker.tar", "reg.example/app:v1")
	w.want("docker-archive", "docker.tar", "")
	index := mutate.AppendManifests(empty.Index, mutate.IndexAddendum{Add: img, Descriptor: v1.Descriptor{Annotations: map[string]string{refName: "v1"}}})
	if _, err := ggcr.Write(at("oci"), index); err != nil {
		t.Fatal(err)
	}
	w.want("oci", "oci", "v1")
	w.write("oci.tar", packed(t, at("oci")))
	w.want("oci-archive", "oci.tar", "")
}
