package projections

var (
	_ View = (*Register)(nil)
	_ View = (*People)(nil)
	_ View = (*Counts)(nil)
)
