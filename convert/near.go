package convert

import (
	"cmp"
	"slices"
	"strings"
)

// near gives up to three of the words that a misspelt one may stand for, the
// likeliest first.
func near(word string, words []string) []string {
	type candidate struct {
		word string
		far  int
	}
	var found []candidate
	for _, w := range words {
		far := distance(strings.ToLower(word), strings.ToLower(w))
		if len(word) > 2 && strings.Contains(strings.ToLower(w), strings.ToLower(word)) {
			far = min(far, 1)
		}
		if far <= max(2, len(word)/4) {
			found = append(found, candidate{w, far})
		}
	}
	slices.SortStableFunc(found, func(a, b candidate) int { return cmp.Compare(a.far, b.far) })
	var out []string
	for _, c := range found[:min(3, len(found))] {
		out = append(out, c.word)
	}
	return out
}

// distance counts the letters to be put in, left out or replaced.
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		last := row[0] // of the row before, one to the left
		row[0] = i + 1
		for j := range len(b) {
			change := last
			if a[i] != b[j] {
				change++
			}
			last = row[j+1]
			row[j+1] = min(change, row[j]+1, last+1)
		}
	}
	return row[len(b)]
}

// misspelt adds to an error what the word may stand for, or else where there is
// a list.
func misspelt(err error, word string, words []string, list string) error {
	if n := near(word, words); len(n) > 0 {
		list = "did you mean " + strings.Join(n, " or ") + "?"
	}
	return &hinted{err, list}
}
