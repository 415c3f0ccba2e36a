package layout

import (
	"archive/tar"
	"io"
	"net"
	"os"
	"path/filepath"
	"slices"
	"testing"
)

// TestDirLayerOfSocket: a directory that a service ran in has sockets, which an
// archive can't hold: the layer has all the rest, and names nothing for them.
func TestDirLayerOfSocket(t *testing.T) {
	dir, err := os.MkdirTemp("", "s") // a socket's path is short
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	l, err := net.Listen("unix", filepath.Join(dir, "socket"))
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if err := os.WriteFile(filepath.Join(dir, "file"), []byte("x"), 0o644); err != nil {
		t.Fatal(err)
	}
	layer, err := dirLayer(t.Context(), dir, dirRules{}, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	r, err := layer.Open()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	var names []string
	for entries := tar.NewReader(r); ; {
		h, err := entries.Next()
		if err == io.EOF {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		names = append(names, filepath.Clean(h.Name))
	}
	if !slices.Equal(names, []string{".", "file"}) {
		t.Errorf("entries %q, want the directory and its file", names)
	}
}
