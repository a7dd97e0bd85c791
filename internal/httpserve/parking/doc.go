// Package parking keeps the connections of callers that say something twice a
// minute without the two goroutines and the buffers that net/http holds for each
// idle one: 100,000 launches that report would else take gigabytes.
//
// A handler answers in full and calls Park. The connection waits in an epoll
// instance, and comes back to the server, as a new one would, when its caller says
// something or goes. What holds for new connections holds for it then.
//
// It knows neither requests' meaning nor who calls. HTTP/2 connections, and all on
// systems other than Linux, stay with net/http.
package parking
