package files

// unknownType is for what the table does not know: browsers save it and run nothing of it.
const unknownType = "application/octet-stream"

// typeOf is the media type of an extension. The table is ours: a machine's own (/etc/mime.types) would make the same files something else on the next machine.
func typeOf(ext string) string {
	if t := textType(ext); t != "" {
		return t
	}
	return binaryType(ext)
}

// textType is the type of what compresses well.
func textType(ext string) string {
	switch ext {
	case "html", "htm":
		return "text/html; charset=utf-8"
	case "css":
		return "text/css; charset=utf-8"
	case "js", "mjs", "cjs":
		return "text/javascript; charset=utf-8" // RFC 9239
	case "json", "map", "topojson":
		return "application/json" // always UTF-8 (RFC 8259 §8.1)
	case "jsonld":
		return "application/ld+json"
	case "geojson":
		return "application/geo+json"
	case "webmanifest":
		return "application/manifest+json"
	case "txt", "text", "log", "ini", "conf", "toml":
		return "text/plain; charset=utf-8"
	case "md", "markdown":
		return "text/markdown; charset=utf-8"
	case "csv":
		return "text/csv; charset=utf-8"
	case "vtt":
		return "text/vtt; charset=utf-8"
	case "ics":
		return "text/calendar; charset=utf-8"
	case "vcf":
		return "text/vcard; charset=utf-8"
	case "yaml", "yml":
		return "application/yaml"
	case "xml", "xsl", "xslt":
		return "text/xml; charset=utf-8"
	case "rss":
		return "application/rss+xml; charset=utf-8"
	case "atom":
		return "application/atom+xml; charset=utf-8"
	case "svg":
		return "image/svg+xml; charset=utf-8"
	case "wasm":
		return "application/wasm"
	case "ttf":
		return "font/ttf"
	case "otf":
		return "font/otf"
	case "eot":
		return "application/vnd.ms-fontobject"
	case "ico":
		return "image/x-icon"
	case "bmp":
		return "image/bmp"
	}
	return ""
}

// binaryType is the type of what is compressed already.
func binaryType(ext string) string {
	switch ext {
	case "png":
		return "image/png"
	case "jpg", "jpeg":
		return "image/jpeg"
	case "gif":
		return "image/gif"
	case "webp":
		return "image/webp"
	case "avif":
		return "image/avif"
	case "apng":
		return "image/apng"
	case "jxl":
		return "image/jxl"
	case "tif", "tiff":
		return "image/tiff"
	case "woff":
		return "font/woff"
	case "woff2":
		return "font/woff2"
	case "mp4", "m4v":
		return "video/mp4"
	case "webm":
		return "video/webm"
	case "mov":
		return "video/quicktime"
	case "mp3":
		return "audio/mpeg"
	case "m4a":
		return "audio/mp4"
	case "ogg", "oga", "opus":
		return "audio/ogg"
	case "wav":
		return "audio/wav"
	case "flac":
		return "audio/flac"
	case "pdf":
		return "application/pdf"
	case "zip":
		return "application/zip"
	case "gz", "tgz":
		return "application/gzip"
	case "br":
		return unknownType
	case "zst":
		return "application/zstd"
	case "tar":
		return "application/x-tar"
	case "7z":
		return "application/x-7z-compressed"
	}
	return ""
}

// isPage reports an extension of pages, which name the other files and have to be fresh.
func isPage(ext string) bool { return ext == "html" || ext == "htm" }

// isAsset reports an extension that something on a page asks for: where it is missing, another page is no answer.
func isAsset(ext string) bool { return ext != "" && !isPage(ext) && typeOf(ext) != "" }
