package observe

import (
	"io"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
)

// LoggerOptions says where the process's own log goes.
type LoggerOptions struct {
	Level  zap.AtomicLevel // shared with the caller, so that a reload can change it
	Output io.Writer       // os.Stderr, or a Sink, whose last lines need its Close: a panic or Fatal does not flush it. One whole line a call

	// OnDrop is told how many lines were lost to sampling. May be nil; called from any goroutine.
	OnDrop func(lines int)
}

// NewLogger makes the process's own log: JSON, one object a line, ECS keys. Of one message the first 100 in a second are kept and then every
// hundredth, so that a flood of errors cannot take the processor that serves requests.
func NewLogger(o LoggerOptions) *zap.Logger {
	core := zapcore.NewCore(newEncoder(), zapcore.Lock(zapcore.AddSync(o.Output)), o.Level)
	hook := zapcore.SamplerHook(func(_ zapcore.Entry, d zapcore.SamplingDecision) {
		if d&zapcore.LogDropped != 0 && o.OnDrop != nil {
			o.OnDrop(1)
		}
	})
	sampled := zapcore.NewSamplerWithOptions(core, time.Second, 100, 100, hook)
	return zap.New(sampled, zap.AddStacktrace(zapcore.DPanicLevel)).
		With(zap.String(KeyECSVersion, ecsVersion), zap.String(KeyDataset, "weir.log"))
}

// NewAudit makes the log of who changed what, in the same form. No level and no sampling leaves a line of it out: what an operator's script does a thousand times in a second, it did a thousand times.
func NewAudit(output io.Writer) *zap.Logger {
	core := zapcore.NewCore(newEncoder(), zapcore.Lock(zapcore.AddSync(output)), zapcore.DebugLevel)
	return zap.New(core).Named("audit").With(zap.String(KeyECSVersion, ecsVersion), zap.String(KeyDataset, "weir.audit"))
}

func newEncoder() zapcore.Encoder {
	return zapcore.NewJSONEncoder(zapcore.EncoderConfig{
		TimeKey:       KeyTime,
		LevelKey:      KeyLevel,
		NameKey:       KeyLogger,
		MessageKey:    KeyMessage,
		StacktraceKey: KeyStack,
		LineEnding:    zapcore.DefaultLineEnding,
		EncodeLevel:   zapcore.LowercaseLevelEncoder,
		EncodeTime: func(t time.Time, enc zapcore.PrimitiveArrayEncoder) {
			enc.AppendString(string(appendTimestamp(nil, t)))
		},
		EncodeDuration: zapcore.NanosDurationEncoder,
		EncodeName:     zapcore.FullNameEncoder,
	})
}

// Err is the error as a field, under the ECS key: zap.Error would call it "error", which ECS has as an object.
func Err(err error) zap.Field {
	if err == nil {
		return zap.Skip()
	}
	return zap.String(KeyError, err.Error())
}
