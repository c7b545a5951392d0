// Package web is the front end of the bundled API service: pages, styles and modules as people wrote them, and how they become a folder that an edge serves.
//
// There is no build step that needs a tool: the files are embedded as they are, and Build does the one thing that must happen before they are served, which is to put a hash of its
// content into the name of everything but the page itself. A name then never stands for two contents, so it may be kept for ever, and a page never meets a script of another release.
//
// It serves nothing: the folder is the edge's, and the pages ask the API of the origin they came from.
package web
