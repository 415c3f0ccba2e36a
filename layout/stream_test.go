package layout

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/klauspost/compress/zstd"
)

func TestLayerStreams(t *testing.T) {
	var random [300_000]byte
	for i := range random {
		random[i] = byte(i * i >> 7)
	}
	plain := archive(t, file("f", "1"), file("big", string(random[:])))
	other := archive(t, file("f", "2"))
	half := len(plain) / 2
	skippable := append([]byte{0x50, 0x2a, 0x4d, 0x18, 2, 0, 0, 0, 'h', 'i'}, zstded(plain)...)
	join := func(b ...[]byte) []byte { return bytes.Join(b, nil) }
	for _, test := range []struct {
		name  string
		layer stored
		err   string
	}{
		{"plain", stored{ociLayer, plain, plain}, ""},
		{"gzip", stored{ociLayer + "+gzip", gzipped(plain), plain}, ""},
		{"docker", stored{"application/vnd.docker.image.rootfs.diff.tar.gzip", gzipped(plain), plain}, ""},
		{"docker zstd", stored{"application/vnd.docker.image.rootfs.diff.tar.zstd", zstded(plain), plain}, ""},
		{"foreign, but here", stored{"application/vnd.oci.image.layer.nondistributable.v1.tar+gzip", gzipped(plain), plain}, ""},
		{"gzip members", stored{ociLayer + "+gzip", join(gzipped(plain[:half]), gzipped(plain[half:])), plain}, ""},
		{"zstd", stored{ociLayer + "+zstd", zstded(plain), plain}, ""},
		{"zstd frames", stored{ociLayer + "+zstd", join(zstded(plain[:half]), zstded(plain[half:])), plain}, ""},
		{"zstd skippable frame", stored{ociLayer + "+zstd", skippable, plain}, ""},
		{"label says gzip, content plain", stored{ociLayer + "+gzip", plain, plain}, ""},
		{"label says plain, content zstd", stored{ociLayer, zstded(plain), plain}, ""},
		{"empty", stored{ociLayer, nil, nil}, ""},
		{"data after the archive's end", stored{ociLayer, join(plain, random[:]), join(plain, random[:])}, ""},
		{"no end marker", stored{ociLayer, plain[:len(plain)-1024], plain[:len(plain)-1024]}, ""},
		{"junk after gzip", stored{ociLayer + "+gzip", join(gzipped(plain), []byte("junk, long enough")), plain}, "gzip: junk after the compressed stream"},
		{"little junk after gzip", stored{ociLayer + "+gzip", join(gzipped(plain), []byte("j")), plain}, "gzip: junk after the compressed stream"},
		{"wrong gzip checksum", stored{ociLayer + "+gzip", join(gzipped(plain)[:len(gzipped(plain))-8], make([]byte, 8)), plain}, "): gzip: invalid checksum"},
		{"gzip member cut short", stored{ociLayer + "+gzip", join(gzipped(plain), gzipped(plain)[:1]), plain}, "gzip: unexpected EOF"},
		{"empty gzip members", stored{ociLayer + "+gzip", join(gzipped(nil), gzipped(nil), gzipped(plain), gzipped(nil)), plain}, ""},
		{"zeros after gzip", stored{ociLayer + "+gzip", join(gzipped(plain), make([]byte, 512)), plain}, "gzip: junk after the compressed stream"},
		{"junk after zstd", stored{ociLayer + "+zstd", join(zstded(plain), []byte("junk, long enough")), plain}, "zstd: "},
		{"wrong diff_id", stored{ociLayer + "+gzip", gzipped(plain), other}, "wrong diff_id: content is sha256:"},
		{"wrong diff_id by what follows the archive", stored{ociLayer, join(plain, random[:]), plain}, "wrong diff_id"},
		{"truncated gzip", stored{ociLayer + "+gzip", gzipped(plain)[:1000], plain}, "gzip: unexpected EOF"},
		{"truncated zstd", stored{ociLayer + "+zstd", zstded(plain)[:500], plain}, "zstd: unexpected EOF"},
		{"truncated archive", stored{ociLayer, plain[:half], plain[:half]}, "archive is truncated"},
		{"no archive", stored{ociLayer, random[:2000], random[:2000]}, "archive/tar"},
		{"xz", stored{ociLayer, []byte("\xfd7zXZ\x00..."), nil}, "compressed with xz, which is not supported"},
	} {
		t.Run(test.name, func(t *testing.T) {
			img := imageOf(t, test.layer)
			parent := tempDir(t)
			err := Unpack(t.Context(), img, filepath.Join(parent, "root"), UnpackOptions{})
			left, _ := os.ReadDir(parent)
			if test.err == "" {
				if err != nil {
					t.Fatal(err)
				}
				return
			}
			want := "layer 1 of 1 (" + img.Layers[0].Digest.String() + "): "
			if err == nil || !strings.Contains(err.Error(), test.err) || !strings.HasPrefix(err.Error(), want) || strings.Contains(err.Error(), "\n") {
				t.Errorf("got %v, want one line with %q", err, test.err)
			}
			if len(left) != 0 {
				t.Errorf("left %v", left)
			}
		})
	}
}

// TestSpoiledBlob changes blobs after the fact: the digest tells, whatever the
// change does to what is inside.
func TestSpoiledBlob(t *testing.T) {
	plain := archive(t, file("f", strings.Repeat("text ", 100_000)))
	for _, blob := range [][]byte{plain, gzipped(plain), zstded(plain)} {
		for _, spoil := range []struct {
			err    string
			change func(b []byte) []byte
		}{
			{"wrong digest", func(b []byte) []byte { b[len(b)/2] ^= 1; return b }},
			{"wrong digest", func(b []byte) []byte { b[0] ^= 1; return b }},
			{"wrong digest", func(b []byte) []byte { b[len(b)-1] ^= 1; return b }},
			{"blob is truncated", func(b []byte) []byte { return b[:len(b)-1] }},
			{"blob is too long", func(b []byte) []byte { return append(b, 0) }},
		} {
			l := newLayout(t)
			l.index(l.manifest("linux/amd64", stored{ociLayer, blob, plain}))
			l.write(blobName(digestOf(blob)), spoil.change(bytes.Clone(blob)))
			img, err := Open(Ref{Path: l.path}, OpenOptions{Platform: "linux/amd64"})
			if err != nil {
				t.Fatal(err)
			}
			err = Unpack(t.Context(), img, filepath.Join(tempDir(t), "root"), UnpackOptions{})
			if err == nil || !strings.Contains(err.Error(), spoil.err) || strings.Contains(err.Error(), "\n") {
				t.Errorf("got %v, want %q", err, spoil.err)
			}
		}
	}
}

func TestLimits(t *testing.T) {
	var bomb bytes.Buffer
	w, err := zstd.NewWriter(&bomb, zstd.WithEncoderLevel(zstd.SpeedFastest))
	if err != nil {
		t.Fatal(err)
	}
	zeros := make([]byte, 1<<20)
	for range 1<<10 + 10 {
		if _, err := w.Write(zeros); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		field  string
		layer  stored
		limits Limits
	}{
		{"Ratio", stored{ociLayer, bomb.Bytes(), nil}, Limits{}},
		{"Entries", plainLayers(archive(t, file("a", ""), file("b", ""), white(".wh.a")))[0], Limits{Entries: 2}},
	} {
		err := Unpack(t.Context(), imageOf(t, test.layer), filepath.Join(tempDir(t), "root"), UnpackOptions{Limits: test.limits})
		var limit *LimitError
		if !errors.As(err, &limit) || limit.Field != test.field {
			t.Errorf("%s: got %v", test.field, err)
		}
	}
}

// sparseTar is an archive as GNU tar 1.34 writes it with --sparse
// --format=gnu: a file "s" of 10 MiB, with "mid" at 5 MiB.
func sparseTar(size int64) []byte {
	h := make([]byte, 512)
	field := func(at int, s string) { copy(h[at:], s) }
	octal := func(at, n int, v int64) {
		for i := n - 2; i >= 0; i-- {
			h[at+i] = '0' + byte(v&7)
			v >>= 3
		}
	}
	field(0, "s")
	octal(100, 8, 0o644)
	octal(108, 8, 0)
	octal(116, 8, 0)
	octal(124, 12, 512) // stored size
	octal(136, 12, 1)
	h[156] = 'S'
	field(257, "ustar  \x00")
	octal(386, 12, size/2) // one fragment in the middle
	octal(398, 12, 512)
	octal(410, 12, size) // and the end
	octal(422, 12, 0)
	octal(483, 12, size)
	copy(h[148:], "        ")
	var sum int64
	for _, c := range h {
		sum += int64(c)
	}
	octal(148, 8, sum)
	body := make([]byte, 512)
	copy(body, "mid")
	return append(append(h, body...), make([]byte, 1024)...)
}

func TestSparse(t *testing.T) {
	const size = 256 << 20
	root := filepath.Join(tempDir(t), "root")
	if err := Unpack(t.Context(), imageOf(t, plainLayers(sparseTar(size))...), root, UnpackOptions{}); err != nil {
		t.Fatal(err)
	}
	f, err := os.Open(filepath.Join(root, "s"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if info, err := f.Stat(); err != nil || info.Size() != size || blocks(info) > 1000 {
		t.Errorf("size %d, %d blocks, %v", info.Size(), blocks(info), err)
	}
	got := make([]byte, 3)
	if _, err := f.ReadAt(got, size/2); err != nil || string(got) != "mid" {
		t.Errorf("got %q, %v", got, err)
	}
	var limit *LimitError
	err = Unpack(t.Context(), imageOf(t, plainLayers(sparseTar(size))...), root+"2", UnpackOptions{Limits: Limits{Sparse: size - 1}})
	if !errors.As(err, &limit) || limit.Field != "Sparse" {
		t.Errorf("got %v", err)
	}
}
