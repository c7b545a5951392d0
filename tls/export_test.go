package edgetls

// For tests of pure parts.
var (
	ReadDirectory = readDirectory
	Announced     = announced
	CheckEvery    = checkEvery
	RetryAfter    = retryAfter
)
