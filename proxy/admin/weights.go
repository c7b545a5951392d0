package admin

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"
)

// WeightOne is one per cent.
const WeightOne Weight = 100

// weightSum is what the weights of a service add up to.
const weightSum = 100 * WeightOne

// maxGroups bounds a weights body; a service of the file has a handful of groups.
const maxGroups = 64

// Weight is a share of a service's new clients, in hundredths of a per cent: 0 to 10000. In JSON and on the
// command line it is a decimal number of per cent with at most two decimals. It is an integer so that a sum
// of 100 is exact.
type Weight uint32

// ParseWeight reads digits, then optionally a point and one or two digits.
func ParseWeight(s string) (Weight, error) {
	whole, frac, point := strings.Cut(s, ".")
	if strings.HasPrefix(s, "-") {
		return 0, errors.New("is less than 0")
	}
	if !digits(whole) || point && !digits(frac) {
		return 0, errors.New("is not a decimal number")
	}
	if len(frac) > 2 {
		return 0, errors.New("has more than two decimals")
	}
	// "007" and "00000…" are refused with the numbers above 100: no weight needs more than three digits.
	if len(whole) > 3 {
		return 0, errors.New("is more than 100")
	}
	n, err := strconv.ParseUint(whole+(frac + "00")[:2], 10, 32)
	if err != nil {
		return 0, errors.New("is not a decimal number")
	}
	if Weight(n) > weightSum {
		return 0, errors.New("is more than 100")
	}
	return Weight(n), nil
}

func digits(s string) bool {
	return s != "" && strings.Trim(s, "0123456789") == ""
}

// String is the shortest decimal form: "75", "33.3", "33.33".
func (w Weight) String() string {
	s := strconv.FormatUint(uint64(w/WeightOne), 10)
	if f := w % WeightOne; f != 0 {
		s += strings.TrimRight(fmt.Sprintf(".%02d", uint32(f)), "0")
	}
	return s
}

// MarshalJSON writes a JSON number of per cent.
func (w Weight) MarshalJSON() ([]byte, error) { return []byte(w.String()), nil }

// UnmarshalJSON reads a JSON number of per cent, written without an exponent.
func (w *Weight) UnmarshalJSON(b []byte) error {
	n, err := ParseWeight(string(b))
	if err != nil {
		return fmt.Errorf("weight %s %w", b, err)
	}
	*w = n
	return nil
}

// Weights maps group names to weights.
type Weights map[string]Weight

// ParseWeights reads a JSON object of numbers, {"blue":75,"green":25}. Numbers that cannot be weights and
// names given twice are an *InvalidError (422); anything that is no such object is a *SyntaxError (400).
func ParseWeights(body []byte) (Weights, error) {
	d := json.NewDecoder(bytes.NewReader(body))
	d.UseNumber()
	if t, err := d.Token(); err != nil || t != json.Delim('{') {
		return nil, &SyntaxError{Err: errors.New(`the body must be a JSON object such as {"blue":75,"green":25}`)}
	}
	w, bad := Weights{}, &InvalidError{Title: "weights not acceptable"}
	for d.More() {
		name, err := d.Token()
		if err != nil {
			return nil, &SyntaxError{Err: err}
		}
		value, err := d.Token()
		if err != nil {
			return nil, &SyntaxError{Err: err}
		}
		// A key is always a string token: the decoder refuses anything else above.
		group, _ := name.(string)
		n, isNumber := value.(json.Number)
		if !isNumber {
			return nil, &SyntaxError{Err: fmt.Errorf("the weight of %q is not a number", group)}
		}
		if len(w) == maxGroups {
			return nil, &SyntaxError{Err: fmt.Errorf("more than %d groups", maxGroups)}
		}
		if _, twice := w[group]; twice {
			bad.add(group, fmt.Sprintf("group %q is named twice", group))
		}
		if w[group], err = ParseWeight(n.String()); err != nil {
			bad.add(group, fmt.Sprintf("weight %s of %q %s", n, group, err))
		}
	}
	if _, err := d.Token(); err != nil {
		return nil, &SyntaxError{Err: err}
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return nil, &SyntaxError{Err: errors.New("there is something after the JSON object")}
	}
	return w, bad.orNil()
}

// Check says whether w can be in force for a service of these groups: every group named, none that does not
// exist, sum 100. The error is an *InvalidError that lists everything wrong.
func (w Weights) Check(groups []string) error {
	bad := &InvalidError{Title: "weights not acceptable"}
	var sum uint64
	for _, name := range slices.Sorted(maps.Keys(w)) {
		sum += uint64(w[name])
		if !slices.Contains(groups, name) {
			bad.add(name, fmt.Sprintf("there is no group %q (groups: %s)", name, strings.Join(groups, ", ")))
		}
	}
	for _, name := range groups {
		if _, named := w[name]; !named {
			bad.add(name, fmt.Sprintf("group %q is not named: every group needs a weight, 0 if it gets nothing", name))
		}
	}
	if sum != uint64(weightSum) {
		bad.add("", fmt.Sprintf("the weights add up to %s, not 100", sumString(sum)))
	}
	return bad.orNil()
}

func sumString(hundredths uint64) string {
	whole, frac := hundredths/100, hundredths%100
	if frac == 0 {
		return strconv.FormatUint(whole, 10)
	}
	return strings.TrimRight(fmt.Sprintf("%d.%02d", whole, frac), "0")
}

// String lists the weights by name: "blue=75 green=25".
func (w Weights) String() string {
	var b strings.Builder
	for i, name := range slices.Sorted(maps.Keys(w)) {
		if i > 0 {
			b.WriteByte(' ')
		}
		fmt.Fprintf(&b, "%s=%s", name, w[name])
	}
	return b.String()
}
