package apiv1

// List is one page of a list. Marker and NextLink are null on the last page.
type List[T any] struct {
	Results  []T     `json:"results" doc:"This page, in the order asked for." nullable:"false"`
	Marker   *string `json:"marker" doc:"Pass it as marker to get the next page; null on the last one." example:"eyJ2Ijoi"`
	NextLink *string `json:"next_link" doc:"Address of the next page; null on the last one." example:"https://mothership.example.com/v1/satellites?limit=50&marker=eyJ2Ijoi"`
}
