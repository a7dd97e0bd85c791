// Package integrity reads the files in which a JetStream server stores messages,
// before the server does, and finds the records that a disk damaged.
//
// The server checks a record's sum only when it reads that record, or when it has to
// rebuild its index; it then cuts the file off there and takes all behind it for
// deleted. So what is found here is known before it can spread, and what one flipped
// bit costs is one message.
//
// The format is the server's own, of version 2.15; TestTheServersFilesAreRead keeps
// it. The package knows neither nodes nor what messages mean.
package integrity
