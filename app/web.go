package app

import "github.com/valor-ivx/weir/app/web"

// WriteWeb writes the front end into a folder for an edge to serve, and gives how many files it consists of.
func WriteWeb(dir string) (int, error) {
	files, err := web.Build(web.Source())
	if err != nil {
		return 0, err
	}
	return len(files), web.Write(dir, files)
}
