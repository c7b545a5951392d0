package observe_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"github.com/valor-ivx/weir/proxy/observe"
)

func TestLoggerWritesECS(t *testing.T) {
	var out bytes.Buffer
	level := zap.NewAtomicLevelAt(zapcore.InfoLevel)
	log := observe.NewLogger(observe.LoggerOptions{Level: level, Output: &out})
	log.Debug("hidden")
	log.Named("reload").Warn("configuration refused", observe.Err(errors.New("a \"b\"\n")), zap.String(observe.KeyFilePath, "weir.toml"), observe.Err(nil))
	level.SetLevel(zapcore.DebugLevel)
	log.Debug("shown")

	lines := strings.Split(strings.TrimSuffix(out.String(), "\n"), "\n")
	if len(lines) != 2 {
		t.Fatalf("%d lines: %s", len(lines), out.String())
	}
	var got map[string]any
	if err := json.Unmarshal([]byte(lines[0]), &got); err != nil {
		t.Fatal(err)
	}
	if _, err := time.Parse("2006-01-02T15:04:05.000000Z", got["@timestamp"].(string)); err != nil {
		t.Error(err)
	}
	delete(got, "@timestamp")
	want := map[string]any{
		"log.level": "warn", "log.logger": "reload", "message": "configuration refused", "error.message": "a \"b\"\n", "file.path": "weir.toml",
		"ecs.version": "8.17.0", "event.dataset": "weir.log",
	}
	for k, v := range want {
		if got[k] != v {
			t.Errorf("%s = %v, want %v", k, got[k], v)
		}
	}
	if len(got) != len(want) {
		t.Errorf("keys besides the expected: %v", got)
	}
}

func TestLoggerSamplesFloodsAndCounts(t *testing.T) {
	var out bytes.Buffer
	var dropped atomic.Int64
	sink := openSink(t, observe.SinkOptions{Output: &out})
	log := observe.NewLogger(observe.LoggerOptions{
		Level: zap.NewAtomicLevel(), Output: sink, OnDrop: func(n int) { dropped.Add(int64(n)) },
	})
	const flood = 100000
	for range flood {
		log.Error("dial refused")
	}
	if err := sink.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	kept := int64(strings.Count(out.String(), "\n"))
	if kept+dropped.Load() != flood || kept < 100 || kept > flood/10 {
		t.Errorf("kept %d, dropped %d of %d", kept, dropped.Load(), flood)
	}
}
