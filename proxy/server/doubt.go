package server

import (
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/valor-ivx/weir/configs"
	"github.com/valor-ivx/weir/proxy/observe"
)

// doubt is left in the state folder while the files say what somebody wanted to be confirmed and nobody has: a start takes them all the same, after a crash too, and says so.
type doubt struct {
	By    string    `json:"by"`
	Since time.Time `json:"since"`
	Seen  string    `json:"seen"` // digest of the files' contents, hex
}

func doubtPath(cfg *configs.Config) string {
	return filepath.Join(cfg.Admin.StateDir, "unconfirmed.json")
}

// leaveDoubt writes down that u is not confirmed; nil: that nothing is left to confirm. Under reloading.
func (s *Server) leaveDoubt(u *unconfirmed) {
	path := doubtPath(s.current.Load().plan.config)
	if u == nil {
		_ = os.Remove(path) // most often there is none
		return
	}
	b, err := json.Marshal(doubt{u.by, u.since, hex.EncodeToString(u.seen[:])})
	if err == nil {
		err = writeDurably(path, b, 0o600)
	}
	if err != nil {
		s.log.Error("a start would not know that the configuration is not confirmed", observe.Err(err))
	}
}

// doubts warn a start of files that nobody has confirmed.
func doubts(cfg *configs.Config) []string {
	var d doubt
	b, err := os.ReadFile(doubtPath(cfg))
	seen := digest(cfg.Files)
	if err != nil || json.Unmarshal(b, &d) != nil || d.Seen != hex.EncodeToString(seen[:]) {
		return nil
	}
	return []string{fmt.Sprintf("the configuration in force was reloaded by %s at %s to be confirmed, and nobody has: a start takes the file as it is; mend the file if it is wrong", d.By, d.Since.Format(time.DateTime))}
}
