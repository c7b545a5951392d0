package server_test

import (
	"os"
	"path/filepath"
	"testing"
)

// TestAdminSocketIsNotForEverybody: without a token, who may write to the socket is an operator.
func TestAdminSocketIsNotForEverybody(t *testing.T) {
	_, _, dir := started(t, func(dir, upstream string) string { return protectText(dir, upstream, "", "") })
	info, err := os.Stat(filepath.Join(dir, "admin.sock"))
	if err != nil || info.Mode()&os.ModeSocket == 0 || info.Mode().Perm()&0o007 != 0 || info.Mode().Perm()&0o600 != 0o600 {
		t.Errorf("%v, %v", info.Mode(), err)
	}
}
