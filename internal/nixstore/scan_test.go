package nixstore

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// hash makes a hash of one digit, as no real one is.
func hash(digit string) string { return strings.Repeat(digit, hashLength) }

// TestScan finds references wherever they can be, and nothing else.
func TestScan(t *testing.T) {
	dir := t.TempDir()
	write := func(name string, content []byte) {
		t.Helper()
		if err := os.MkdirAll(filepath.Dir(filepath.Join(dir, name)), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name), content, 0o444); err != nil {
			t.Fatal(err)
		}
	}
	link := func(target, name string) {
		t.Helper()
		if err := os.Symlink(target, filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	// Across the end of the buffer, in binary, without the rest of the name.
	split := bytes.Repeat([]byte{'z'}, scanBuffer+100)
	copy(split[scanBuffer-20:], "\x00"+hash("1")+"\x00")
	write(hash("0")+"-root/bin/program", split)
	write(hash("0")+"-root/share/"+hash("2")+"-named", nil)
	write(hash("0")+"-root/rest", []byte(hash("e")+hash("4")[1:]+" "+filepath.Join(dir, hash("3")+"-gone")))
	write(hash("1")+"-library", []byte("leads to itself: "+hash("1")+"-library"))
	link("nowhere/"+hash("5"), hash("2")+"-link")
	write(hash("4")+"-stranger", nil)
	write(hash("5")+"-last/empty", nil)
	write(hash("5")+"-last.lock", nil)
	write(hash("6")+"-user", []byte(hash("0")))
	if err := os.Link(filepath.Join(dir, hash("1")+"-library"), filepath.Join(dir, hash("5")+"-last/same")); err != nil {
		t.Fatal(err)
	}

	got, err := Scan(t.Context(), dir, []string{filepath.Join(dir, hash("0")+"-root")}, 1<<20)
	var want []string
	for _, name := range []string{hash("0") + "-root", hash("1") + "-library", hash("2") + "-link", hash("5") + "-last"} {
		want = append(want, filepath.Join(dir, name))
	}
	if err != nil || !slices.Equal(got, want) {
		t.Errorf("got %q, %v; want %q", got, err, want)
	}
	if _, err := Scan(t.Context(), dir, want[:1], 1000); !errors.Is(err, ErrTooMuch) {
		t.Errorf("beyond the limit: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := Scan(ctx, dir, want[:1], 1<<20); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
	if _, err := Scan(t.Context(), dir, []string{filepath.Join(dir, hash("7")+"-none")}, 1<<20); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a root that is not there: %v", err)
	}
}

// TestScanFindsWhatNixKnows compares it with the answer of the store's database
// for paths of this machine.
func TestScanFindsWhatNixKnows(t *testing.T) {
	roots, err := filepath.Glob("/nix/store/*-contract-runner")
	if err != nil || len(roots) == 0 {
		t.Skip("no store with the tests' paths: internal/e2e makes them")
	}
	want, err := Requisites(t.Context(), roots, os.Environ())
	if err != nil {
		t.Skip(err)
	}
	got, err := Scan(t.Context(), "/nix/store", roots, 1<<30)
	if err != nil || !slices.Equal(got, want) {
		t.Errorf("got %q, %v; Nix knows %q", got, err, want)
	}
}

func BenchmarkScan(b *testing.B) {
	for name, text := range map[string]string{"text": "the quick brown fox jumps over a lazy dog / 0123456789\n", "digits": "0123456789abcdfghijklmnpqrsvwxyz"} {
		b.Run(name, func(b *testing.B) {
			s := scanner{names: map[string][]string{hash("0"): nil}}
			data := bytes.Repeat([]byte(text), 1<<20/len(text))
			b.SetBytes(int64(len(data)))
			for b.Loop() {
				s.text(data)
			}
		})
	}
}
