package layout

import (
	"errors"
	"fmt"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"unicode"

	"github.com/oci2bwrap/oci2bwrap/fixtures/hostile"
)

// TestCorpus unpacks every hostile image that isn't about a run, through one
// cache for all of them: each has its verdict, nothing outside changes, and what
// is refused leaves nothing.
func TestCorpus(t *testing.T) {
	store := &Store{Dir: filepath.Join(tempDir(t), "cache")}
	cases, accepted := map[string]int{}, 0
	t.Run("each", func(t *testing.T) {
		for _, c := range hostile.Cases() {
			cases[c.Rule]++
			if c.Run != nil {
				continue
			}
			t.Run(c.ID(), func(t *testing.T) {
				t.Parallel()
				corpusCase(t, store, &c)
			})
			if c.Refused == "" {
				accepted++
			}
		}
	})
	for n := 1; n <= 16; n++ {
		if cases[fmt.Sprintf("R%d", n)] == 0 {
			t.Errorf("R%d has no case", n)
		}
	}
	if damage, err := store.Verify(t.Context()); err != nil || damage != nil {
		t.Errorf("the cache after all cases: %v, %v", damage, err)
	}
	if left := names(t, store.Dir, "tmp"); left != nil {
		t.Errorf("left %v", left)
	}
	t.Logf("cases: %v, %d of those without a run are accepted", cases, accepted)
}

func corpusCase(t *testing.T, store *Store, c *hostile.Case) {
	dir := tempDir(t)
	image, err := c.Prepare(dir, nil)
	if err != nil {
		t.Fatal(err)
	}
	s := *store
	if c.Refused != "" { // what is in a cache is not unpacked again
		s.Dir = filepath.Join(dir, "cache")
	}
	if c.Limit != "" {
		reflect.ValueOf(&s.Limits).Elem().FieldByName(c.Limit).SetInt(c.Max)
	}
	tree, skipped, err := unpackCase(t, &s, image)
	if c.Refused == "" {
		wantTree(t, c, strings.ReplaceAll(tree, filepath.Join(dir, "canary"), hostile.Canary), skipped, err)
	} else {
		wantRefusal(t, c.Refused, err)
		if left := append(names(t, s.Dir, "roots"), names(t, s.Dir, "tmp")...); left != nil {
			t.Errorf("refused, and in the cache: %v", left)
		}
	}
	if err := hostile.CheckCanary(dir); err != nil {
		t.Error(err)
	}
}

// unpackCase unpacks twice: into the cache and, for the tree, beside the canary.
func unpackCase(t *testing.T, s *Store, image string) (tree string, skipped int, err error) {
	img, err := Open(Ref{Path: image}, OpenOptions{Limits: s.Limits, TempDir: filepath.Dir(image)})
	if err != nil {
		return "", 0, err
	}
	defer img.Close()
	root, err := s.Rootfs(t.Context(), img)
	beside := filepath.Join(filepath.Dir(image), "root")
	count := 0
	again := Unpack(t.Context(), img, beside, UnpackOptions{Limits: s.Limits, OnSkip: func(Skipped) { count++ }})
	if (err == nil) != (again == nil) || err != nil && told(err) != told(again) {
		t.Errorf("into the cache: %v; beside: %v", err, again)
	}
	if err != nil {
		return "", 0, err
	}
	defer root.Close()
	if tree, err = hostile.Tree(beside); err != nil {
		return "", 0, err
	}
	if len(root.Skipped) != count {
		t.Errorf("the cache notes %v, beside %d are noted", root.Skipped, count)
	}
	return tree, count, nil
}

// told is the message that each unpacking of the image gives. Layers are read
// side by side: which of them goes beyond a limit of all is chance.
func told(err error) string {
	if limit := (*LimitError)(nil); errors.As(err, &limit) && limit.Field == "Size" {
		return limit.Error()
	}
	return err.Error()
}

func wantTree(t *testing.T, c *hostile.Case, tree string, skipped int, err error) {
	t.Helper()
	switch {
	case err != nil:
		t.Errorf("refused: %v", err)
	case c.Tree != hostile.Any && tree != c.Tree:
		t.Errorf("got:\n%swant:\n%s", tree, c.Tree)
	case skipped != c.Skipped:
		t.Errorf("%d entries were left out, want %d", skipped, c.Skipped)
	}
}

// wantRefusal wants a message of one line that nothing can be hidden in.
func wantRefusal(t *testing.T, want string, err error) {
	t.Helper()
	if err == nil {
		t.Fatalf("accepted, want a refusal with %q", want)
	}
	text := err.Error()
	if !strings.Contains(text, want) {
		t.Errorf("got %q, want %q", text, want)
	}
	if i := strings.IndexFunc(text, func(r rune) bool { return !unicode.IsPrint(r) || r == unicode.ReplacementChar }); i >= 0 {
		t.Errorf("the message has a %q: %q", text[i], text)
	}
	if len(text) > 2000 {
		t.Errorf("a message of %d bytes", len(text))
	}
}
