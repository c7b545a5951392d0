package series

import (
	"encoding/binary"
	"math"
	"time"
)

// Tags of io.prometheus.client (metrics.proto): a field's number and its wire type.
const (
	varint, fixed64, counted = 0, 1, 2

	familyName, familyHelp, familyType, familyMetric = 1<<3 | counted, 2<<3 | counted, 3<<3 | varint, 4<<3 | counted
	metricLabel, metricCounter, metricHistogram      = 1<<3 | counted, 3<<3 | counted, 7<<3 | counted
	labelName, labelValue                            = 1<<3 | counted, 2<<3 | counted
	counterValue                                     = 1<<3 | fixed64

	sampleCount, sampleSum, sampleBucket       = 1<<3 | varint, 2<<3 | fixed64, 3<<3 | counted
	sampleSchema, sampleThreshold, sampleZero  = 5<<3 | varint, 6<<3 | fixed64, 7<<3 | varint
	samplePositiveSpan, samplePositiveDelta    = 12<<3 | counted, 13<<3 | counted
	sampleExemplar                             = 16<<3 | counted
	bucketCount, bucketBound, bucketExemplar   = 1<<3 | varint, 2<<3 | fixed64, 3<<3 | counted
	spanOffset, spanLength                     = 1<<3 | varint, 2<<3 | varint
	exemplarLabel, exemplarValue, exemplarTime = 1<<3 | counted, 2<<3 | fixed64, 3<<3 | counted
	timestampSeconds, timestampNanos           = 1<<3 | varint, 2<<3 | varint
)

// Room on the stack, in bytes, for parts that mostly fit.
const spanRoom, bucketRoom, labelRoom, metricRoom = 16, 160, 256, 512

func appendUint(b []byte, tag, v uint64) []byte {
	return binary.AppendUvarint(binary.AppendUvarint(b, tag), v)
}

// appendSint writes a number that may be negative as sint32 and sint64 are.
func appendSint(b []byte, tag uint64, v int64) []byte { return appendUint(b, tag, zigzag(v)) }

func zigzag(v int64) uint64 { return uint64(v)<<1 ^ uint64(v>>63) }

func appendDouble(b []byte, tag uint64, v float64) []byte {
	return binary.LittleEndian.AppendUint64(binary.AppendUvarint(b, tag), math.Float64bits(v))
}

func appendBytes[S string | []byte](b []byte, tag uint64, s S) []byte {
	return append(appendUint(b, tag, uint64(len(s))), s...)
}

func appendLabel(b []byte, tag uint64, name, value string) []byte {
	var room [labelRoom]byte
	pair := appendBytes(appendBytes(room[:0], labelName, name), labelValue, value)
	return appendBytes(b, tag, pair)
}

// appendLabels begins a metric.
func appendLabels(b []byte, names, values []string) []byte {
	for i, name := range names {
		b = appendLabel(b, metricLabel, name, values[i])
	}
	return b
}

// protobuf writes the family with its length before it.
func protobuf(f Family, o *output) {
	t := f.title()
	b := appendBytes(appendBytes(o.whole[:0], familyName, t.name), familyHelp, t.help)
	o.whole = appendUint(b, familyType, uint64(t.kind))
	f.metrics(o)
	o.buffer = binary.AppendUvarint(o.buffer, uint64(len(o.whole)))
	for rest := o.whole; len(rest) > 0 && o.more(); {
		n := min(len(rest), sheet)
		o.buffer = append(o.buffer, rest[:n]...)
		rest = rest[n:]
	}
	o.more()
}

// metric adds one to the family that is being written, and gives way from time to time.
func (o *output) metric(m []byte) bool {
	before := len(o.whole)
	o.whole = appendBytes(o.whole, familyMetric, m)
	if before/sheet != len(o.whole)/sheet {
		o.pass(math.MaxInt)
	}
	return o.err == nil
}

func (f *Counters) metrics(o *output) {
	var room [metricRoom]byte
	m := room[:0]
	for _, c := range f.children() {
		m = appendLabels(m[:0], f.labels, c.values)
		m = append(appendUint(m, metricCounter, 9), counterValue)
		m = binary.LittleEndian.AppendUint64(m, math.Float64bits(float64(c.value.Value())))
		if !o.metric(m) {
			return
		}
	}
}

func (f *Durations) metrics(o *output) {
	var m, h []byte
	for _, c := range f.children() {
		h = c.value.appendTo(h[:0])
		m = appendBytes(appendLabels(m[:0], f.labels, c.values), metricHistogram, h)
		if !o.metric(m) {
			return
		}
	}
}

// appendTo writes both histograms. Which is read first matters: see Duration.
func (d *Duration) appendTo(b []byte) []byte {
	counts := d.counts()
	sum, zero := d.seconds(), d.zero.Load()
	native, total := d.nativeCounts()
	b = appendUint(b, sampleCount, total+zero)
	b = appendDouble(b, sampleSum, sum)
	for i, bound := range bounds {
		var room [bucketRoom]byte
		bucket := appendDouble(appendUint(room[:0], bucketCount, counts[i]), bucketBound, float64(bound)/1e9)
		if e := d.exemplar(i); e != nil {
			bucket = appendBytes(bucket, bucketExemplar, e.appendTo(nil))
		}
		b = appendBytes(b, sampleBucket, bucket)
	}
	if e := d.exemplar(len(bounds)); e != nil { // +Inf stands there for its exemplar alone
		bucket := appendDouble(appendUint(nil, bucketCount, total+zero), bucketBound, math.Inf(1))
		b = appendBytes(b, sampleBucket, appendBytes(bucket, bucketExemplar, e.appendTo(nil)))
	}
	b = appendSint(b, sampleSchema, schema)
	b = appendDouble(b, sampleThreshold, zeroThreshold)
	b = appendUint(b, sampleZero, zero)
	b = appendNative(b, &native)
	for i := range counts {
		if e := d.exemplar(i); e != nil {
			b = appendBytes(b, sampleExemplar, e.appendTo(nil))
		}
	}
	return b
}

// nativeCounts reads the native buckets, and how many times are in them.
func (d *Duration) nativeCounts() (list [pages * pageSize]uint64, total uint64) {
	for i := range d.native {
		page := d.native[i].Load()
		if page == nil {
			continue
		}
		for j := range page {
			n := page[j].Load()
			list[i*pageSize+j] = n
			total += n
		}
	}
	return list, total
}

// appendNative writes spans of buckets that follow each other, and the difference of each to the one before.
func appendNative(b []byte, list *[pages * pageSize]uint64) []byte {
	const closes = 2 // as many empty ones are written rather than a new span begun, as client_golang does
	var room [metricRoom]byte
	deltas := room[:0]
	var before uint64
	next := 0 // the bucket after the last span
	first := true
	for at := 0; at < len(list); {
		if list[at] == 0 {
			at++
			continue
		}
		end, last := at+1, at+1
		for end < len(list) && end-last <= closes {
			end++
			if list[end-1] != 0 {
				last = end
			}
		}
		offset := at - next
		if first {
			offset, first = at+lowest, false
		}
		var span [spanRoom]byte
		b = appendBytes(b, samplePositiveSpan, appendUint(appendSint(span[:0], spanOffset, int64(offset)), spanLength, uint64(last-at)))
		for _, n := range list[at:last] {
			deltas = binary.AppendUvarint(deltas, zigzag(int64(n-before)))
			before = n
		}
		at, next = last, last
	}
	if len(deltas) == 0 {
		return b
	}
	return appendBytes(b, samplePositiveDelta, deltas)
}

func (e *exemplar) appendTo(b []byte) []byte {
	b = appendLabel(b, exemplarLabel, traceLabel, string(e.trace[:]))
	b = appendDouble(b, exemplarValue, e.took.Seconds())
	at := e.at.Truncate(time.Millisecond) // what the text formats say
	var stamp [spanRoom]byte
	s := appendUint(stamp[:0], timestampSeconds, uint64(at.Unix()))
	return appendBytes(b, exemplarTime, appendUint(s, timestampNanos, uint64(at.Nanosecond())))
}
