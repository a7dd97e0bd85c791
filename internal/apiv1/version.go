package apiv1

// Version is that of the API: the number of /v1, and how often something was
// added to it that a client may look for.
const Version = "1.1"
