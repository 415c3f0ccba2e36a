package layout

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"
)

// BenchmarkWarm is what a start costs whose root is in the cache.
func BenchmarkWarm(b *testing.B) {
	l := newLayout(b)
	l.index(l.manifest("linux/amd64", plainLayers(archive(b, file("f", "1")))...))
	s := &Store{Dir: tempDir(b)}
	for b.Loop() {
		img, err := Open(Ref{Path: l.path}, OpenOptions{Platform: "linux/amd64"})
		if err != nil {
			b.Fatal(err)
		}
		root, err := s.Rootfs(b.Context(), img)
		if err != nil {
			b.Fatal(err)
		}
		root.Close()
	}
}

// BenchmarkUnpack unpacks 2000 small files and a large one.
func BenchmarkUnpack(b *testing.B) {
	var all []ent
	for i := range 2000 {
		all = append(all, file(fmt.Sprintf("usr/lib/d%d/f%d", i/50, i), strings.Repeat("content ", i)))
	}
	plain := archive(b, append(all, file("big", strings.Repeat("0123456789abcde\n", 4<<20)))...)
	img := imageOf(b, stored{ociLayer + "+gzip", gzipped(plain), plain})
	b.SetBytes(int64(len(plain)))
	dir := tempDir(b)
	n := 0
	for b.Loop() {
		n++
		root := filepath.Join(dir, fmt.Sprint(n))
		if err := Unpack(b.Context(), img, root, UnpackOptions{}); err != nil {
			b.Fatal(err)
		}
		b.StopTimer()
		if err := removePath(root); err != nil {
			b.Fatal(err)
		}
		b.StartTimer()
	}
}
