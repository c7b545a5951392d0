package admin

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
)

// oneObject reads a body that is one JSON object without names that out does not have. The error, a *SyntaxError, begins with hint.
func oneObject(body []byte, hint string, out any) error {
	d := json.NewDecoder(bytes.NewReader(body))
	d.DisallowUnknownFields()
	if err := d.Decode(out); err != nil {
		return &SyntaxError{Err: fmt.Errorf("%s: %w", hint, err)}
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return &SyntaxError{Err: errors.New("there is something after the JSON object")}
	}
	return nil
}

// objectOrNone is oneObject for calls that may have no body.
func objectOrNone(body []byte, hint string, out any) error {
	if len(bytes.TrimSpace(body)) == 0 {
		return nil
	}
	return oneObject(body, hint, out)
}
