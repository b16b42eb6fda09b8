package intake

import (
	"context"
	"errors"

	"bahi/access"
	"bahi/domain"
)

// mayPublish refuses the bundles of a centre that is locked: nothing of them is
// decided. They go into quarantine, to be tried again, and do not wait in the stream:
// a freeze is not over before what waits is taken in, and other centres stand in the
// same queue.
func (d *Door) mayPublish(from sender) error {
	if d.config.Access == nil {
		return nil
	}
	err := d.config.Access.MayPublish(access.OverNATS(from.District, from.Centre))
	if errors.Is(err, access.ErrLocked) {
		return &unfit{BundleLocked}
	}
	return err
}

// countUnknown notes what the verdicts of a bundle are about to tell its centre. As
// over HTTP, what is decided is answered, and a lock ends the next bundle.
func (d *Door) countUnknown(ctx context.Context, from sender, refused []row) {
	if d.config.Access == nil || len(refused) == 0 {
		return
	}
	verdicts := make([]domain.Verdict, len(refused))
	for i, r := range refused {
		verdicts[i] = *r.verdict
	}
	err := d.config.Access.Unknown(ctx, access.OverNATS(from.District, from.Centre), verdicts)
	if err != nil && !errors.Is(err, access.ErrLocked) {
		d.log.Error("a lock is not recorded", "subject", from.subject(), "error", err)
	}
}
