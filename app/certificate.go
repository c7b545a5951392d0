package app

import (
	"crypto/tls"
	"fmt"
	"os"
	"sync"
	"time"

	"go.uber.org/zap"
)

// recheck is how long a certificate is used before its files are looked at again: a handshake costs more than two stats, and renewals come days ahead.
const recheck = 10 * time.Second

// certificate is a key pair in two files, which may be replaced while the service runs. It has no goroutine: handshakes look.
type certificate struct {
	certFile, keyFile string
	log               *zap.Logger
	now               func() time.Time

	// mu guards what follows.
	mu      sync.Mutex
	pair    *tls.Certificate
	stamps  [2]stamp // of the files that pair is of
	refused [2]stamp // of those that were no pair, so that each is complained of once
	checked time.Time
}

// stamp is what changes with a file's contents.
type stamp struct {
	size     int64
	modified time.Time
}

// loadCertificate reads the pair, or gives nil if there is to be none.
func loadCertificate(c Config, log *zap.Logger) (*tls.Config, error) {
	if c.TLSCert == "" {
		return nil, nil
	}
	p := &certificate{certFile: c.TLSCert, keyFile: c.TLSKey, log: log, now: time.Now, checked: time.Now()}
	var err error
	if p.stamps, err = p.stat(); err == nil {
		p.pair, err = p.load()
	}
	if err != nil {
		return nil, fmt.Errorf("load certificate: %w", err)
	}
	return &tls.Config{GetCertificate: p.get, MinVersion: tls.VersionTLS12}, nil
}

// get is tls.Config's GetCertificate. A pair that cannot be used leaves the one before in force.
func (p *certificate) get(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	now := p.now()
	if now.Sub(p.checked) < recheck {
		return p.pair, nil
	}
	p.checked = now
	stamps, err := p.stat()
	if err == nil && stamps == p.stamps {
		return p.pair, nil
	}
	var pair *tls.Certificate
	if err == nil {
		pair, err = p.load()
	}
	if err != nil {
		if stamps != p.refused {
			p.log.Error("the new certificate cannot be used: the one before stays", zap.Error(err))
		}
		p.refused = stamps
		return p.pair, nil
	}
	p.pair, p.stamps = pair, stamps
	p.log.Info("certificate replaced", zap.Time("not_after", pair.Leaf.NotAfter))
	return p.pair, nil
}

func (p *certificate) load() (*tls.Certificate, error) {
	pair, err := tls.LoadX509KeyPair(p.certFile, p.keyFile)
	return &pair, err
}

func (p *certificate) stat() (s [2]stamp, err error) {
	for i, name := range []string{p.certFile, p.keyFile} {
		info, err := os.Stat(name)
		if err != nil {
			return [2]stamp{}, err
		}
		s[i] = stamp{info.Size(), info.ModTime()}
	}
	return s, nil
}
